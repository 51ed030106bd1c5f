"""Files from strangers: opened with a cap on their size, and errors that say what and where."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

GZIP_MAGIC = b"\x1f\x8b"
#: Largest text or XML file that is read; a map of 4096 x 4096 dies takes half of it.
MAX_TEXT_BYTES = 64 << 20
#: Largest STDF file that is read.
MAX_STDF_BYTES = 4 << 30
# Wafer files shrink to a fifth or a fiftieth; what shrinks 250-fold was made to fill the memory.
_MAX_RATIO = 250
_RATIO_FLOOR = 16 << 20
_CHUNK = 1 << 20


class WaferFileError(ValueError):
    """A wafer file that cannot be read; the message names the file, the place and the remedy.

    Parameters
    ----------
    path : path-like
        The file.
    reason : str
        What is wrong and how to mend it.
    where : str, default=""
        The line, record or wafer at which it was noticed.
    """

    def __init__(self, path: str | os.PathLike, reason: str, where: str = ""):
        super().__init__(": ".join(part for part in (str(path), where, reason) if part))
        self.path = path
        self.reason = reason
        self.where = where

    def __reduce__(self):
        return type(self), (self.path, self.reason, self.where)


class Problem(Exception):
    """What is wrong at which place of a file; `naming` adds which file it is.

    Parameters
    ----------
    reason : str
        What is wrong and how to mend it.
    where : str, default=""
        The line, record or wafer.
    """

    def __init__(self, reason: str, where: str = ""):
        super().__init__(reason, where)
        self.reason = reason
        self.where = where


@contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Turn a `Problem` that the block meets into a `WaferFileError` of this file."""
    try:
        yield
    except Problem as problem:
        raise WaferFileError(path, problem.reason, problem.where) from problem


def is_gzip(path: str | os.PathLike) -> bool:
    """Whether the content, not the name, says that the file is compressed."""
    with open(path, "rb") as stream:
        return stream.read(2) == GZIP_MAGIC


def _open(path: str | os.PathLike) -> BinaryIO:
    return gzip.open(path, "rb") if is_gzip(path) else open(path, "rb")  # type: ignore[return-value]


def _check_size(path: str | os.PathLike, n_bytes: int, limit: int) -> None:
    if n_bytes > limit:
        raise WaferFileError(
            path, f"holds more than {limit >> 20} MiB, which no wafer map takes. Is it one?"
        )
    if n_bytes > max(_RATIO_FLOOR, _MAX_RATIO * os.path.getsize(path)):
        raise WaferFileError(
            path,
            f"grows more than {_MAX_RATIO}-fold when decompressed, as no wafer file does. If you "
            "trust it, decompress it yourself.",
        )


def chunks(path: str | os.PathLike, limit: int) -> Iterator[bytes]:
    """Read a plain or gzip-compressed file piece by piece.

    Parameters
    ----------
    path : path-like
        The file; compression is told by its content.
    limit : int
        The most bytes, decompressed, that are read.

    Yields
    ------
    bytes
        Pieces of up to 1 MiB.

    Raises
    ------
    WaferFileError
        For a file that is damaged or larger than allowed.
    OSError
        Where there is no such file or it may not be read.
    """
    n_bytes = 0
    with _open(path) as stream:
        while piece := _next_chunk(path, stream):
            n_bytes += len(piece)
            _check_size(path, n_bytes, limit)
            yield piece


def _next_chunk(path: str | os.PathLike, stream: BinaryIO) -> bytes:
    try:
        return stream.read(_CHUNK)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise WaferFileError(
            path, f"the gzip data is damaged or cut short ({error}). Fetch the file again."
        ) from error


def read_bytes(path: str | os.PathLike, limit: int = MAX_TEXT_BYTES) -> bytes:
    """Read a whole plain or gzip-compressed file of at most `limit` bytes."""
    content = b"".join(chunks(path, limit))
    if not content.strip():
        raise WaferFileError(path, "the file is empty. Fetch it again.")
    return content


def read_head(path: str | os.PathLike, n_bytes: int = 4096) -> bytes:
    """Read the first bytes, decompressed, to see what kind of file it is."""
    for piece in chunks(path, MAX_STDF_BYTES):
        return piece[:n_bytes]
    return b""


def read_text(path: str | os.PathLike) -> str:
    """Read a text file: UTF-8 where it is valid, else Latin-1, in which every byte is valid."""
    content = read_bytes(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def name_without_suffixes(path: str | os.PathLike) -> str:
    """Tell what a file calls itself, for a wafer whose file does not name it."""
    name = Path(path).name
    return name.removesuffix(".gz").rsplit(".", 1)[0] or name
