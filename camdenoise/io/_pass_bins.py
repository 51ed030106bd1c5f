"""Which bins pass: as the file states, as the user says, or as is assumed and said."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any
from warnings import warn

import numpy as np
import pandas as pd

from camdenoise.io._placement import wrong_row
from camdenoise.io._problems import Problem, list_some

#: The bin that passes where nobody says which does: testers' habit.
DEFAULT = 1
REMEDY = "Name the passing bins with pass_bins= (on the command line --pass-bins 1,2)."
NONE_PASSES = "If no die passes, say so with pass_bins=[] (--pass-bins none)."
# Bins that a message lists; the rest is counted.
_LISTED = 10


def is_number(value: Any) -> bool:
    """Whether a bin is a number, which truth values are not."""
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.bool_)


def holds_numbers(column: pd.Series) -> bool:
    """Whether a column holds numbered bins, not lettered ones."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return holds_numbers(column.cat.categories.to_series())
    if pd.api.types.is_object_dtype(column):
        return pd.api.types.infer_dtype(column, skipna=True) in ("integer", "floating")
    return bool(pd.api.types.is_numeric_dtype(column))


def list_bins(counts: pd.Series) -> str:
    """List bins with their numbers of dies, the most frequent first."""
    counts = counts[counts > 0].sort_values(ascending=False, kind="stable")
    return list_some([f"{bin_} ({n})" for bin_, n in counts.items()], _LISTED)


def convert_bins(pass_bins: Any, numbered: bool, counts: pd.Series, where: str = "") -> list:
    """Write passing bins as a table has them: as numbers, or as the characters of a text map."""
    single = isinstance(pass_bins, str) or is_number(pass_bins)
    given = [pass_bins] if single else list(pass_bins)
    if not numbered:
        return [str(bin_) for bin_ in given]
    try:
        return [bin_ if is_number(bin_) else int(bin_) for bin_ in given]
    except (TypeError, ValueError) as error:
        raise Problem(
            f"pass_bins is {given}, but the bins are numbers: {list_bins(counts)}. {REMEDY}", where
        ) from error


def explain_absent_bins(bins: Sequence[Any], counts: pd.Series, assumed: bool) -> str | None:
    """Tell that passing bins cannot be right: no die has one, so that all would fail."""
    if not bins or counts.empty or counts.reindex(list(bins)).fillna(0).any():
        return None
    if assumed:
        reason = f"nothing says which bins pass, and no die has bin {DEFAULT}, which is assumed"
    else:
        reason = f"no die has a bin that passes ({', '.join(map(str, bins))})"
    return f"{reason}. Bins (dies): {list_bins(counts)}. {REMEDY} {NONE_PASSES}"


def find_passed(
    table: pd.DataFrame, name: Hashable, pass_bins: Any, tested: np.ndarray
) -> np.ndarray:
    """Tell which tests passed: by the bins named, else by the column `passed`, else by bin 1."""
    if pass_bins is None and "passed" in table.columns:
        unread = table["passed"].isna().to_numpy() & tested
        # A table of text without such a column is like a DataFrame without one.
        if not (unread.sum() == tested.sum() and table.attrs.get("format") == "CSV"):
            return _read_stated(table, name, unread)
    counts = table[name].value_counts()
    numbered = holds_numbers(table[name]) if tested.any() else True
    try:
        bins = convert_bins(DEFAULT if pass_bins is None else pass_bins, numbered, counts)
    except Problem as problem:
        raise ValueError(problem.reason) from problem
    if reason := explain_absent_bins(bins, counts, assumed=pass_bins is None):
        if pass_bins is None:
            raise ValueError(reason)
        # One lot of many may have no good die.
        warn(reason, stacklevel=3)
    return np.asarray(table[name].isin(bins), bool)


def _read_stated(table: pd.DataFrame, name: Hashable, unread: np.ndarray) -> np.ndarray:
    column = table["passed"]
    if unread.any():
        row = int(np.argmax(unread))
        counts = table[name][unread].value_counts()
        raise wrong_row(
            table,
            row,
            f"whether bin {table[name].iloc[row]} passes is not said (column 'passed' is missing). "
            f"Bins (dies) of which it is not said: {list_bins(counts)}. {REMEDY}",
        )
    if not pd.api.types.is_bool_dtype(column) and not column.dropna().isin([True, False]).all():
        raise ValueError(
            f"column 'passed' holds {column.dtype}, expected truth values. Rename it, or name the "
            "passing bins with pass_bins=."
        )
    return np.asarray(column.fillna(False), bool)
