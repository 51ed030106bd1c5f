"""The die table that every reader gives: one row per test of a die.

========  ========================  ======================================================
column    dtype                     meaning
========  ========================  ======================================================
lot       str                       as the file names it; "" where it does not
wafer     str                       as the file names it; else the file's name
x, y      int32                     die coordinates; a map's column and row follow them
bin       int32; str for ASCII maps the tester's bin
passed    boolean (nullable)        True: a good die; missing: the file does not say
========  ========================  ======================================================

A position without a die or without a result has no row. A die that was tested several times has
several rows, in the order of the tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._problems import Problem

COLUMNS = ("lot", "wafer", "x", "y", "bin", "passed")

# What files write of a bin's quality, in lower case, without blanks and without a final "die".
# Only words that mean one thing everywhere: any other is for the user to decide.
_WORDS = {
    "pass": "pass passed passes passing good ok okay p g accept accepted",
    "fail": "fail failed fails failing failure bad f reject rejected ng nogood notgood nok notok",
    "no die": (
        "null nodie no empty blank skip skipped reference ref edge edgeskip mirror dummy teg pcm "
        "alignment align alignmentmark teststructure testdevice untested nottested notest unused "
        "notused"
    ),
}
_MEANINGS = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}
_LAST_WORD = re.compile(r"(die|device|chip)s?$")


def quality_meaning(word: str) -> str | None:
    """Tell what a file means by the quality of a bin, such as BinQuality of SEMI G85.

    Examples
    --------
    >>> [quality_meaning(word) for word in ("GOOD", "Reference Die", "Not_Used", "BIN1")]
    ['pass', 'no die', 'no die', None]
    """
    text = re.sub(r"[\W_]+", "", word.lower())
    return _MEANINGS.get(text) or _MEANINGS.get(_LAST_WORD.sub("", text))


def die_rows(lot: Any, wafer: Any, x: Any, y: Any, bins: Any, passed: Any) -> pd.DataFrame:
    """Put the tests of some dies into the common columns and dtypes."""
    bins = np.asarray(bins)
    n = len(bins)
    return pd.DataFrame(
        {
            "lot": _names(lot, n),
            "wafer": _names(wafer, n),
            "x": np.asarray(x).astype(np.int32),
            "y": np.asarray(y).astype(np.int32),
            "bin": bins.astype(object if bins.dtype.kind == "U" else np.int32),
            "passed": pd.array(passed, dtype="boolean"),
        }
    ).astype({"bin": str} if bins.dtype.kind == "U" else {})


def _names(names: Any, n: int) -> pd.Series:
    values = [names] * n if isinstance(names, str) else list(names)
    return pd.Series(values, dtype=str if n else object)


def join_rows(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the rows of several wafers."""
    filled = [part for part in parts if len(part)]
    if not filled:
        raise Problem("it holds no die with a result.")
    if len({part["bin"].dtype.kind for part in filled}) > 1:
        raise Problem("it mixes numbered and lettered bins. Split it into one file each.")
    return pd.concat(filled, ignore_index=True)


def find_common(headers: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Keep the header fields on which all wafers of a file agree."""
    return {
        name: value
        for name, value in (headers[0] if headers else {}).items()
        if all(header.get(name) == value for header in headers)
    }
