"""Parquet that is read as it goes, in the same memory whatever its length."""

from __future__ import annotations

from os import PathLike
from typing import IO

from pyarrow import parquet

_READ_AHEAD = 2**20


def open_to_stream(file: str | PathLike | IO[bytes]) -> parquet.ParquetFile:
    """Open a Parquet file whose batches are gone through once.

    By itself pyarrow reads ahead whole row groups and keeps their bytes until the last batch was
    asked for: in the end, all of the file.
    """
    return parquet.ParquetFile(file, pre_buffer=False, buffer_size=_READ_AHEAD)
