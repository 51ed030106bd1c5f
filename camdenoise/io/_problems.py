"""What is wrong with a file, told so that its owner can correct it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class WaferFileError(ValueError):
    """A wafer file that cannot be read; the message names the file, the place and the remedy.

    Parameters
    ----------
    path : path-like
        The file.
    reason : str
        What is wrong and how to correct it.
    where : str, default=""
        The line, record or wafer at which it was noticed.
    """

    def __init__(self, path: str | os.PathLike, reason: str, where: str = ""):
        super().__init__(": ".join(part for part in (str(path), where, reason) if part))
        self.path = path
        self.reason = reason
        self.where = where

    def __reduce__(self) -> tuple[type[WaferFileError], tuple[Any, ...]]:
        return type(self), (self.path, self.reason, self.where)


class Problem(Exception):
    """What is wrong at which place of a file; `naming` adds which file it is."""

    def __init__(self, reason: str, where: str = ""):
        super().__init__(reason, where)
        self.reason = reason
        self.where = where


#: What to do with a file that holds less than it declares.
FETCH_OR_INCOMPLETE = (
    "Fetch the file again, or read what there is with incomplete=True (--incomplete)."
)


def allow_lack(lack: str, where: str, incomplete: bool, notes: list[str]) -> None:
    """Note that a file holds less than it declares where the user allows it; else refuse it."""
    if not incomplete:
        raise Problem(f"{lack} {FETCH_OR_INCOMPLETE}", where)
    notes.append(f"{where}: {lack}" if where else lack)


@contextmanager
def name_file(path: str | os.PathLike) -> Iterator[None]:
    """Turn a `Problem` that the block meets into a `WaferFileError` of this file."""
    try:
        yield
    except Problem as problem:
        raise WaferFileError(path, problem.reason, problem.where) from problem


def list_some(names: Sequence[str], most: int = 5) -> str:
    """List the first names, and count the others.

    Examples
    --------
    >>> list_some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
