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

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._die_file import WaferFacts
from camdenoise.io._problems import Problem

COLUMNS = ("lot", "wafer", "x", "y", "bin", "passed")
#: How BinQuality (SEMI G85, E142) is understood; any other value means "no product die".
QUALITIES = {"pass": True, "fail": False}


def die_rows(lot: Any, wafer: Any, x: Any, y: Any, bins: Any, passed: Any) -> pd.DataFrame:
    """Put the tests of some dies into the common columns and dtypes.

    Parameters
    ----------
    lot, wafer : str or sequence of str
        One for all rows or one each.
    x, y : array-like of int
        Die coordinates.
    bins : array-like of int or str
        The tester's bins.
    passed : array-like of bool, or boolean array with missing values
        Whether the die is good.

    Returns
    -------
    DataFrame
        With the columns `COLUMNS`.
    """
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


def map_rows(
    lot: str, wafer: str, codes: np.ndarray, null: Any, quality: Mapping[Any, str]
) -> pd.DataFrame:
    """List the dies of a rectangular map: x counts its columns, y its rows, from 0.

    Parameters
    ----------
    lot, wafer : str
        Names.
    codes : ndarray of shape (n_rows, n_columns)
        Bin codes.
    null, quality
        See `bins_rows`.

    Returns
    -------
    DataFrame
        As `die_rows`.
    """
    y, x = np.indices(codes.shape).reshape(2, -1)
    return bins_rows(lot, wafer, x, y, codes.ravel(), null, quality)


def bins_rows(
    lot: str,
    wafer: str,
    x: np.ndarray,
    y: np.ndarray,
    bins: np.ndarray,
    null: Any,
    quality: Mapping[Any, str],
) -> pd.DataFrame:
    """List dies, leaving out the positions that are none, and say which of them passed.

    Parameters
    ----------
    lot, wafer : str
        Names.
    x, y : ndarray of int, shape (n_positions,)
        Coordinates.
    bins : ndarray of shape (n_positions,)
        Bin codes.
    null : bin code or None
        The code of a position without a die.
    quality : mapping of bin code to str
        BinQuality as the file gives it. "Pass" and "Fail" are what they say; a bin of any other
        quality (Null, Skip, Reference, Edge) is no product die; a bin without one may be either.

    Returns
    -------
    DataFrame
        As `die_rows`.
    """
    said = {code: text.strip().lower() for code, text in quality.items() if text.strip()}
    no_die = [code for code, text in said.items() if text not in QUALITIES]
    if null is not None:
        no_die.append(null)
    dies = ~_is_any(bins, no_die)
    x, y, bins = x[dies], y[dies], bins[dies]
    good = _is_any(bins, [code for code, text in said.items() if text == "pass"])
    bad = _is_any(bins, [code for code, text in said.items() if text == "fail"])
    return die_rows(lot, wafer, x, y, bins, pd.arrays.BooleanArray(good, ~(good | bad)))


def _is_any(codes: np.ndarray, wanted: list) -> np.ndarray:
    # Not the dtype of the codes: text would be cut to their length and match what it is not.
    return np.isin(codes, np.array(wanted, dtype=str if codes.dtype.kind == "U" else np.int32))


def join_rows(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the rows of several wafers."""
    filled = [part for part in parts if len(part)]
    if not filled:
        raise Problem("it holds no die with a result.")
    if len({part["bin"].dtype.kind for part in filled}) > 1:
        raise Problem("it mixes numbered and lettered bins. Split it into one file each.")
    return pd.concat(filled, ignore_index=True)


def facts_of(table: pd.DataFrame, **facts: Any) -> list[WaferFacts]:
    """List the wafers of a die table in the order of their first row, all with the same facts."""
    names = table[["lot", "wafer"]].drop_duplicates()
    return [WaferFacts(lot, wafer, **facts) for lot, wafer in names.itertuples(index=False)]


def common_items(headers: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Keep the header fields on which all wafers of a file agree."""
    return {
        name: value
        for name, value in (headers[0] if headers else {}).items()
        if all(header.get(name) == value for header in headers)
    }
