"""Bytes of many wafers as one Arrow column, and back, without an object for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

#: Binary columns of Arrow count their bytes in 32 bits.
MOST_BYTES = 2**31 - 1


def binary_column(pieces: Sequence[Any]) -> pa.Array:
    """Make a column of bytes out of bytes or contiguous arrays of uint8; None becomes null.

    Examples
    --------
    >>> binary_column([b"ab", None, np.array([[99]], np.uint8)]).to_pylist()
    [b'ab', None, b'c']
    """
    there = [b"" if piece is None else piece for piece in pieces]
    ends = np.cumsum([0, *(memoryview(piece).nbytes for piece in there)])
    if ends[-1] > MOST_BYTES:
        raise ValueError(
            f"{len(pieces)} wafer maps hold {ends[-1]} cells, more than a record batch can; take "
            "smaller batches."
        )
    valid = None
    if any(piece is None for piece in pieces):
        valid = pa.array([piece is not None for piece in pieces]).buffers()[1]
    buffers = [valid, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(there))]
    return pa.Array.from_buffers(pa.binary(), len(pieces), buffers)


def bytes_of(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Give where each value of a binary column begins and ends, and the bytes of all, uncopied.

    Examples
    --------
    >>> starts, flat = bytes_of(pa.array([b"ab", b"c"], pa.binary())[1:])
    >>> flat[starts[0] : starts[1]].tobytes()
    b'c'
    """
    _, offsets, values = column.buffers()
    starts = np.zeros(1, np.int32)
    if offsets is not None and len(column):
        starts = np.frombuffer(offsets, np.int32)[column.offset :][: len(column) + 1]
    return starts, np.empty(0, np.uint8) if values is None else np.frombuffer(values, np.uint8)
