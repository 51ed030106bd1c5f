"""Die tables: one row per test of a die, to wafer maps and back, every row in its place."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from camdenoise._denoising import Explanation
from camdenoise._maps import FAIL, NO_DIE, PASS
from camdenoise.io._placement import (
    Boxes,
    Placement,
    check_columns,
    place,
    wafer_codes,
    wrong_row,
)

RETESTS = ("last", "first", "best", "worst")
#: What `to_die_table` adds.
DECISIONS = ("kept", "removed", "saliency", "used")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _holds_numbers(column: pd.Series) -> bool:
    if isinstance(column.dtype, pd.CategoricalDtype):
        return _holds_numbers(column.cat.categories.to_series())
    if pd.api.types.is_object_dtype(column):
        return pd.api.types.infer_dtype(column, skipna=True) in ("integer", "floating")
    return pd.api.types.is_numeric_dtype(column)


def _check_pass_bins(table: pd.DataFrame, name: Hashable, pass_bins: list) -> None:
    """Refuse numbers for lettered bins and the reverse: no die would ever pass."""
    numeric = _holds_numbers(table[name])
    if any(_is_number(bin_) != numeric for bin_ in pass_bins):
        example = table[name].dropna().head(1).tolist()
        raise ValueError(
            f"column {name!r} holds {'numbers' if numeric else 'text'} such as {example}, "
            f"but pass_bins is {pass_bins}. Write the passing bins as they stand in the table."
        )


def _passes(table: pd.DataFrame, name: Hashable, pass_bins: Any, tested: np.ndarray) -> np.ndarray:
    """Tell which tests passed: by the bins named, else by the column `passed`, else by bin 1."""
    if pass_bins is None and "passed" in table.columns:
        return _said_passes(table, name, tested)
    bins = [1] if pass_bins is None else _as_list(pass_bins)
    if tested.any():
        _check_pass_bins(table, name, bins)
    return table[name].isin(bins).to_numpy(dtype=bool)


def _as_list(pass_bins: Any) -> list:
    return [pass_bins] if isinstance(pass_bins, str) or _is_number(pass_bins) else list(pass_bins)


def _said_passes(table: pd.DataFrame, name: Hashable, tested: np.ndarray) -> np.ndarray:
    column = table["passed"]
    unknown = column.isna().to_numpy() & tested
    if unknown.any():
        row = int(np.argmax(unknown))
        raise wrong_row(
            table,
            row,
            f"whether bin {table[name].iloc[row]} passes is not said (column 'passed' is "
            "missing). Name the passing bins with pass_bins=.",
        )
    if not pd.api.types.is_bool_dtype(column) and not column.dropna().isin([True, False]).all():
        raise ValueError(
            f"column 'passed' holds {column.dtype}, expected truth values. Rename it, or name the "
            "passing bins with pass_bins=."
        )
    return column.fillna(False).to_numpy(dtype=bool)


def _deciding_rows(
    cell: np.ndarray, tested: np.ndarray, passed: np.ndarray, n_cells: int, retest: str
) -> np.ndarray:
    """Find for each cell the row that decides it, -1 where there is none.

    The row with the largest key wins, which `numpy.maximum.at` settles without sorting.
    """
    n = len(cell)
    rows = np.arange(n)
    preferred = {"best": passed, "worst": ~passed}.get(retest, np.zeros(n, bool))
    key = (n - 1 - rows) if retest == "first" else rows + n * preferred
    winner = np.full(n_cells, -1, np.int64)
    np.maximum.at(winner, cell[tested], key[tested])
    decided = winner >= 0
    winner[decided] %= n
    if retest == "first":
        winner[decided] = n - 1 - winner[decided]
    return winner


def _counts(
    wafer: np.ndarray, tested: np.ndarray, boxes: Boxes, cells: np.ndarray
) -> dict[str, np.ndarray]:
    starts = boxes.offset[:-1]
    n_dies = np.add.reduceat(cells != NO_DIE, starts, dtype=np.int64)
    n_tests = np.bincount(wafer[tested], minlength=len(starts))
    return {
        "n_rows": np.bincount(wafer, minlength=len(starts)),
        "n_dies": n_dies,
        "n_fails": np.add.reduceat(cells == FAIL, starts, dtype=np.int64),
        "n_retests": n_tests - n_dies,
    }


def _frame(table: pd.DataFrame, wafer: np.ndarray, by: tuple, boxes: Boxes) -> pd.DataFrame:
    first = np.full(len(boxes.rows), len(table), np.int64)
    np.minimum.at(first, wafer, np.arange(len(table)))
    frame = table[list(by)].iloc[first].reset_index(drop=True)
    return frame.assign(x0=boxes.x0, y0=boxes.y0, rows=boxes.rows, cols=boxes.cols)


def _as_maps(cells: np.ndarray, boxes: Boxes) -> list[np.ndarray]:
    offset = boxes.offset
    return [
        cells[offset[i] : offset[i + 1]].reshape(rows, cols)
        for i, (rows, cols) in enumerate(zip(boxes.rows, boxes.cols, strict=True))
    ]


def from_die_table(
    table: pd.DataFrame,
    *,
    x: Hashable = "x",
    y: Hashable = "y",
    bin: Hashable = "bin",
    by: Hashable | Sequence[Hashable] = ("lot", "wafer"),
    pass_bins: Any = None,
    retest: str = "last",
    frame: str | Sequence[int] = "wafer",
) -> Bunch:
    """Make wafer maps from a table with one row per test of a die.

    Parameters
    ----------
    table : DataFrame
        In any row order, with any further columns. It is not changed.
    x, y : str, default="x", "y"
        Columns of the die coordinates: whole numbers (5.0 is one), negative ones too. A map's
        columns run along x, its rows along y, both upwards from the smallest.
    bin : str, default="bin"
        Column of the tester's bin. A row where it is missing is no test: it never decides a die,
        and a die without any other row is shown as no die (0).
    by : str or sequence of str, default=("lot", "wafer")
        Columns that tell wafers apart, the wafer's last. An empty sequence: all rows are of one
        wafer.
    pass_bins : bin, sequence of bins, or None, default=None
        Bins of good dies, written as in the table; every other bin fails. None: take the column
        ``passed`` where the table has one (as the tables of `read_wafers` do), else bin 1.
    retest : {"last", "first", "best", "worst"}, default="last"
        Which of several rows of one die counts: the last or first in row order, a passing one if
        there is any ("best"), or a failing one if there is any ("worst"); of those the last.
    frame : {"wafer", "lot"} or (x0, y0, rows, cols), default="wafer"
        What a map shows: the smallest box around the wafer's own rows, the box around all rows of
        its lot (the same `by` without the last column), so that the maps of a lot can be stacked,
        or an explicit one.

    Returns
    -------
    sklearn.utils.Bunch
        With these attributes, wafers in the order of their first row:

        - ``maps`` : list of ndarray of uint8, shape (rows, cols); 0 no die, 1 pass, 2 fail.
          They are views into one array; copy before changing one.
        - ``frame`` : DataFrame, one row per wafer: the columns `by`, then ``x0``, ``y0`` (the
          die coordinate of the map's first column and row), ``rows``, ``cols``, ``n_rows``,
          ``n_dies``, ``n_fails``, ``n_retests`` (tests beyond one a die).
        - ``groups`` : ndarray of int, shape (n_wafers,); lots, for group-wise cross-validation;
          every wafer is its own where `by` has a single column.
        - ``placement`` : where each row went, for `to_die_table`.

    Raises
    ------
    DieTableError
        For the first row with a coordinate that is missing, no whole number or far off the others
        (a map may have 4096 dies a side), without a wafer, or not said to pass or fail.
    ValueError
        For an empty table, a column it lacks, or an option that cannot be.

    See Also
    --------
    to_die_table : the way back.
    iter_lots : a table too large for the memory, lot by lot.

    Examples
    --------
    >>> import pandas as pd
    >>> from camdenoise.io import from_die_table
    >>> table = pd.DataFrame(
    ...     {"lot": "A", "wafer": [1, 1, 1, 1], "x": [-1, 0, 0, -1], "y": [3, 3, 4, 3],
    ...      "bin": [7, 1, 5, 1]})
    >>> wafers = from_die_table(table)
    >>> wafers.maps[0]
    array([[1, 1],
           [0, 2]], dtype=uint8)
    >>> from_die_table(table, retest="first").maps[0].tolist()
    [[2, 1], [0, 2]]
    """
    by = (by,) if isinstance(by, str) else tuple(by)  # type: ignore[arg-type]
    if retest not in RETESTS:
        raise ValueError(f"retest must be one of {RETESTS}, got {retest!r}.")
    check_columns(table, [x, y, bin, *by])
    wafer, boxes, cell = place(table, x, y, by, frame)
    tested = table[bin].notna().to_numpy()
    passed = _passes(table, bin, pass_bins, tested)
    winner = _deciding_rows(cell, tested, passed, int(boxes.offset[-1]), retest)
    decided = winner >= 0
    cells = np.zeros(len(winner), np.uint8)
    cells[decided] = np.where(passed[winner[decided]], PASS, FAIL)
    used = np.zeros(len(table), bool)
    used[winner[decided]] = True
    about = _frame(table, wafer, by, boxes)
    return Bunch(
        maps=_as_maps(cells, boxes),
        frame=about.assign(**_counts(wafer, tested, boxes, cells)),
        groups=wafer_codes(about, by[:-1] or by),
        placement=Placement(x, y, by, frame, cell, used),
    )


def _flat_decisions(
    maps: Sequence[np.ndarray], explanations: Iterable[Explanation]
) -> dict[str, np.ndarray]:
    """Lay the decisions about all dies end to end, as the cells of the maps are."""
    kept, removed, saliency = [], [], []
    explanations = list(explanations)
    if len(explanations) != len(maps):
        raise ValueError(f"got {len(explanations)} explanations for {len(maps)} wafers.")
    for number, (grid, why) in enumerate(zip(maps, explanations, strict=True)):
        unread = why.error is not None
        if not unread:
            _check_decision(number, grid, why)
        nothing = np.zeros(grid.size, bool)
        kept.append(nothing if unread else why.kept.ravel())
        removed.append(nothing if unread else why.removed.ravel())
        saliency.append(np.full(grid.size, np.nan) if unread else why.saliency.ravel())
    return {
        "kept": np.concatenate(kept),
        "removed": np.concatenate(removed),
        "saliency": np.concatenate(saliency).astype(np.float32),
    }


def _check_decision(number: int, grid: np.ndarray, why: Explanation) -> None:
    for name in ("kept", "removed", "saliency"):
        if getattr(why, name).shape != grid.shape:
            raise ValueError(
                f"wafer {number}: {name} of its explanation has shape {getattr(why, name).shape}, "
                f"its map {grid.shape}. Explain the maps as from_die_table gave them."
            )
    if ((why.kept | why.removed) & (grid != FAIL)).any() or (why.kept & why.removed).any():
        raise ValueError(
            f"wafer {number}: its explanation is of another map; it keeps or removes dies that do "
            "not fail."
        )


def to_die_table(
    wafers: Bunch,
    explanations: Iterable[Explanation] | None = None,
    table: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Put what was decided about each die beside the rows it came from.

    Parameters
    ----------
    wafers : Bunch
        From `from_die_table`.
    explanations : sequence of Explanation or None, default=None
        What a denoiser's ``explain(wafers.maps)`` gave; one per wafer, in their order.
    table : DataFrame or None, default=None
        The table that the wafers were made from. None: a new one with a row per die.

    Returns
    -------
    DataFrame
        A copy of `table`, its rows, their order and its index as they were, and beside them:

        - ``kept`` : bool, a fail that belongs to the pattern;
        - ``removed`` : bool, a fail that does not. It is a failing die all the same; its bin
          stays what it is;
        - ``saliency`` : float32, the score of the die; NaN where the wafer could not be read;
        - ``used`` : bool, whether this row is the one of its die that counted. A test that did
          not count (see `retest`) is neither kept nor removed, so that sums count dies.

        Without `table`: the columns that tell wafers apart, the coordinates, ``bin`` (1 pass,
        2 fail), ``passed``, then ``kept``, ``removed`` and ``saliency`` where `explanations` are
        given.

    Raises
    ------
    ValueError
        For a table that is not the one the wafers were made from, one that has such columns
        already, and explanations of other wafers.

    Examples
    --------
    >>> import pandas as pd
    >>> from camdenoise.filters import ComponentSizeFilter
    >>> from camdenoise.io import from_die_table, to_die_table
    >>> table = pd.DataFrame({"wafer": 1, "x": [0, 1, 5], "y": [0, 0, 0], "bin": [4, 4, 9]})
    >>> wafers = from_die_table(table, by="wafer")
    >>> why = ComponentSizeFilter(min_size=2).explain(wafers.maps)
    >>> to_die_table(wafers, why, table)[["x", "bin", "kept", "removed"]]
       x  bin   kept  removed
    0  0    4   True    False
    1  1    4   True    False
    2  5    9  False     True
    """
    decisions = {} if explanations is None else _flat_decisions(wafers.maps, explanations)
    if table is None:
        return _new_table(wafers, decisions)
    placement: Placement = wafers.placement
    _check_same_table(table, placement)
    cell, used = placement.cell, placement.used
    beside = {name: values[cell] for name, values in decisions.items()}
    for name in {"kept", "removed"} & set(beside):
        beside[name] &= used
    return table.assign(**beside, used=used)


def _check_same_table(table: pd.DataFrame, placement: Placement) -> None:
    check_columns(table, [placement.x, placement.y, *placement.by])
    taken = [name for name in DECISIONS if name in table.columns]
    if taken:
        raise ValueError(f"the table has columns {taken} already. Drop or rename them first.")
    same = len(table) == len(placement.cell) and np.array_equal(
        place(table, placement.x, placement.y, placement.by, placement.frame)[2], placement.cell
    )
    if not same:
        raise ValueError(
            "the rows of the table are not those that the wafers were made from, or not in their "
            "order. Pass the table that from_die_table got."
        )


def _new_table(wafers: Bunch, decisions: dict[str, np.ndarray]) -> pd.DataFrame:
    frame, placement = wafers.frame, wafers.placement
    cells = np.concatenate([grid.ravel() for grid in wafers.maps])
    sizes = (frame["rows"] * frame["cols"]).to_numpy()
    dies = np.flatnonzero(cells != NO_DIE)
    wafer = np.repeat(np.arange(len(sizes)), sizes)[dies]
    place_on_map = dies - (np.cumsum(sizes) - sizes)[wafer]
    row, column = np.divmod(place_on_map, frame["cols"].to_numpy()[wafer])
    table = frame[list(placement.by)].iloc[wafer].reset_index(drop=True)
    table[placement.x] = frame["x0"].to_numpy()[wafer] + column
    table[placement.y] = frame["y0"].to_numpy()[wafer] + row
    table["bin"] = cells[dies]
    return table.assign(
        passed=cells[dies] == PASS, **{name: values[dies] for name, values in decisions.items()}
    )
