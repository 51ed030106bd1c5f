"""Memory that was freed is kept for the next batch."""

from __future__ import annotations

import ctypes

# The parameters' numbers in malloc.h of the GNU C library, and what they are set to.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_SETTINGS = {
    _MMAP_THRESHOLD: 2**25,
    _TRIM_THRESHOLD: 2**31 - 1,
    _TOP_PAD: 2**27,
    _ARENA_MAX: 1,
}


def keep_freed_memory() -> None:
    """Tell the GNU C library not to give freed memory back to the system; others are left alone.

    A net frees its feature maps after every layer and asks for as much again. Fetched anew from the
    system, each page costs a fault: a tenth of the time with two threads.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for parameter, value in _SETTINGS.items():
        mallopt(parameter, value)
