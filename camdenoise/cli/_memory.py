"""Memory of a command: what was freed is kept, and short work collects no garbage."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager

# The parameters' numbers in malloc.h of the GNU C library, and what they are set to.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_SETTINGS = {_MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 2**27, _ARENA_MAX: 1}


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


@contextmanager
def pause_garbage_collection() -> Iterator[None]:
    """Leave reference cycles alone for as long as something short takes.

    Libraries that are imported make some hundred thousand objects, and again and again the garbage
    collector looks through all of them: a seventh of the time of a report.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            # Otherwise it would look through all of them now.
            gc.freeze()
            gc.enable()
