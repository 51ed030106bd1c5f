"""Names of all columns that we write: one list, so that a column of the input is never one of them.

What an earlier run decided about a wafer is decided anew: its columns are left out where a table is
read, and the user is told.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Columns of a map: its die codes row by row, one byte each; how many rows and columns it has.
CELLS, ROWS, COLS = "cells", "rows", "cols"
MAP = (CELLS, ROWS, COLS)
#: A map with what was decided about each fail, in the codes of `stream.MARKS`.
MARKS = "marks"
#: Facts of a wafer that readers add to its map; kept with its names.
FACTS = (
    *("x0", "y0", "axes", "notch", "product"),
    *("n_rows", "n_retests", "n_unplaced", "n_unplaced_fails", "n_missing"),
)
#: What is decided or measured of a wafer, in any table of results.
RESULTS = frozenset(
    (
        *("predicted", "probability", "entropy", "abstained", "novel", "partial", "error", MARKS),
        *("n_dies", "n_fails", "n_kept", "n_removed", "yield"),
        *("pattern_area", "radius", "angle", "ring", "sector", "p_random", "outlier"),
    )
)


def probability_column(label: object) -> str:
    """Name the column with the probability of a class."""
    return f"p({label})"


def is_result(name: str) -> bool:
    """Whether a column holds what an earlier run decided or measured."""
    return name in RESULTS or (name.startswith("p(") and name.endswith(")"))


def results_among(names: Iterable[str]) -> list[str]:
    """List the columns that hold results."""
    return [name for name in names if is_result(str(name))]
