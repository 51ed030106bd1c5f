"""Die tables: one row per test of a die, to wafer maps and back, every row in its place."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from camdenoise.io._pass_bins import find_passed
from camdenoise.io._placement import (
    MIRRORS,
    NOTCHES,
    TURNS,
    Boxes,
    Placement,
    check_columns,
    number_wafers,
    orient,
    place,
)
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import FAIL, NO_DIE, PASS

RETESTS = ("last", "first", "best", "worst")
#: Counts of a wafer that its map does not show.
FACT_COUNTS = ("n_unplaced", "n_unplaced_fails", "n_missing")
#: What `to_die_table` adds.
DECISIONS = ("kept", "removed", "saliency", "used")


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


def _count_dies(
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


def _find_facts(table: pd.DataFrame, by: tuple, names: pd.DataFrame) -> list[dict]:
    """Find what the files said of each wafer, in the order of `names`; nothing for others."""
    known = table.attrs.get("wafers") if by == ("lot", "wafer") else None
    # Other programs may have put anything there.
    sound = [e for e in known if _is_sound(e)] if isinstance(known, list) else []
    facts = {(each["lot"], each["wafer"]): each for each in sound}
    if not facts:
        return [{}] * len(names)
    return [facts.get((lot, wafer), {}) for lot, wafer in names.itertuples(index=False, name=None)]


def _is_sound(facts: Any) -> bool:
    if not isinstance(facts, dict):
        return False
    extent = facts.get("extent")
    whole = extent is None or (len(extent) == 4 and all(isinstance(n, int) for n in extent))
    return {"lot", "wafer"} <= set(facts) and facts.get("notch") in (None, *NOTCHES) and whole


def _number_products(facts: list[dict], lots: np.ndarray) -> np.ndarray:
    """Give each product a number; a lot whose files name none is a product of its own."""
    names = [each.get("product", "") for each in facts]
    codes, known = pd.factorize(np.array(names, dtype=object))
    named = np.array([bool(name) for name in names], bool)
    # All wafers of a lot are of one product: the last that is named.
    of_lot = len(known) + np.arange(int(lots.max()) + 1)
    of_lot[lots[named]] = codes[named]
    return np.asarray(of_lot[lots])


def _make_frame(
    names: pd.DataFrame, boxes: Boxes, facts: list[dict], notch: str | None
) -> pd.DataFrame:
    x0, y0 = boxes.origin
    frame = names.assign(
        x0=x0,
        y0=y0,
        axes=[each.axes for each in boxes.orientation],
        notch=pd.array(
            ["down" if notch or each.get("notch") else None for each in facts], dtype="string"
        ),
        rows=boxes.rows,
        cols=boxes.cols,
    )
    if any(facts):
        frame["product"] = [each.get("product", "") for each in facts]
        for name in FACT_COUNTS:
            frame[name] = [each.get(name, 0) for each in facts]
    return frame


def from_die_table(
    table: pd.DataFrame,
    *,
    x: Hashable = "x",
    y: Hashable = "y",
    bin: Hashable = "bin",
    by: Hashable | Sequence[Hashable] = ("lot", "wafer"),
    pass_bins: Any = None,
    retest: str = "last",
    frame: str | Sequence[int] = "lot",
    notch: str | None = None,
    mirror: str | None = None,
    rotate: int = 0,
) -> Bunch:
    """Make wafer maps from a table with one row per test of a die.

    Parameters
    ----------
    table : DataFrame
        In any row order, with any further columns. It is not changed.
    x, y, bin : str, default="x", "y", "bin"
        Columns of the die coordinates, whole numbers (5.0 is one), and of the tester's bin. A row
        without a bin is not a test: it never decides a die.
    by : str or sequence of str, default=("lot", "wafer")
        Columns that tell wafers apart, the wafer's last. None of them: all rows are of one wafer.
    pass_bins : bin, sequence of bins, or None, default=None
        Bins of good dies; every other bin fails. An empty list: no die passes. None: take the
        column ``passed`` where the table has one (as the tables of `read_wafers` do), else bin 1.
    retest : {"last", "first", "best", "worst"}, default="last"
        Which of several rows of one die counts: the last or first in row order, a passing one if
        there is any ("best"), or a failing one if there is any ("worst"); of those the last.
    frame : {"lot", "wafer"} or (x0, y0, rows, cols), default="lot"
        What a map shows. "lot": what the file declares and the box around all dies of the lot, so
        that a wafer whose test was broken off is not taken for a smaller one. Lots of one product
        that lie within its widest lot have its frame. "wafer": the smallest box around the
        wafer's own rows. Or a rectangle: smallest x, smallest y, number of y, number of x.
    notch : {"down", "left", "up", "right"} or None, default=None
        Where the notch is, seen as the coordinates are stated to run. None: as the file says,
        else at the bottom.
    mirror : {"left-right", "up-down"} or None, default=None
        Mirror the maps, for files that count against what they say or what is assumed.
    rotate : {0, 90, 180, 270}, default=0
        Turn the maps clockwise, after all else.

    Returns
    -------
    sklearn.utils.Bunch
        With these attributes, wafers in the order of their first row:

        - ``maps`` : list of ndarray of uint8, shape (rows, cols); 0 no die, 1 pass, 2 fail.
          They are views into one array; copy before changing one.
        - ``frame`` : DataFrame, one row per wafer: the columns `by`; ``x0``, ``y0`` (die
          coordinates of the map's first cell); ``axes`` (where x and y count to on the map, such
          as "x right, y up"); ``notch`` ("down" where the map shows it at the bottom by what the
          file or the user says); ``rows``, ``cols``; ``n_rows``, ``n_dies``, ``n_fails``,
          ``n_retests`` (tests beyond one a die). Of tables that readers made also ``product``;
          ``n_unplaced``, ``n_unplaced_fails`` (dies with a result and without coordinates, and
          those that fail); ``n_missing`` (records that the file declares and lacks).
        - ``groups`` : ndarray of int, shape (n_wafers,); lots, for group-wise cross-validation;
          every wafer is its own where `by` has a single column.
        - ``placement`` : where each row went, for `to_die_table`.

    Raises
    ------
    DieTableError
        For the first row with a coordinate that is missing, no whole number or far off the others
        (a map may have 4096 dies a side), without a wafer, or not said to pass or fail.
    ValueError
        For an empty table, a column it lacks, an option that cannot be, and where bin 1 is assumed
        to pass and no die has it.

    Notes
    -----
    A map shows the wafer with its notch down: row 0 is at the top, column 0 on the left. The
    tables of `read_wafers` carry how their coordinates run (``attrs``). Where nothing is said, x
    is taken to count to the right and y downwards. A merge, a concatenation or a text file loses
    ``attrs``; say then how the maps lie with `mirror` and `notch`.

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
    for name, value, allowed in (
        ("retest", retest, RETESTS),
        ("notch", notch, (None, *NOTCHES)),
        ("mirror", mirror, (None, *MIRRORS)),
        ("rotate", rotate, TURNS),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {allowed}, got {value!r}.")
    check_columns(table, [x, y, bin, *by])
    wafer = number_wafers(table, by)
    first = np.full(int(wafer.max()) + 1, len(table), np.int64)
    np.minimum.at(first, wafer, np.arange(len(table)))
    names = table.iloc[first].reset_index(drop=True)[list(by)]
    facts = _find_facts(table, by, names)
    lots = number_wafers(names, by[:-1] or by)
    orientation = [
        orient(
            e.get("x_right"), e.get("y_down"), notch or e.get("notch"), mirror=mirror, rotate=rotate
        )
        for e in facts
    ]
    extents = [each.get("extent") for each in facts]
    # Without a column for lots, all wafers of the table are of one.
    together = lots if by[:-1] else np.zeros(len(names), np.int64)
    products = _number_products(facts, together)
    boxes, cell = place(table, x, y, wafer, frame, extents, together, products, orientation)
    tested = table[bin].notna().to_numpy()
    passed = find_passed(table, bin, pass_bins, tested)
    winner = _deciding_rows(cell, tested, passed, int(boxes.offset[-1]), retest)
    decided = winner >= 0
    cells = np.zeros(len(winner), np.uint8)
    cells[decided] = np.where(passed[winner[decided]], PASS, FAIL)
    used = np.zeros(len(table), bool)
    used[winner[decided]] = True
    return Bunch(
        maps=[
            cells[boxes.offset[i] : boxes.offset[i + 1]].reshape(rows, cols)
            for i, (rows, cols) in enumerate(zip(boxes.rows, boxes.cols, strict=True))
        ],
        frame=_make_frame(names, boxes, facts, notch).assign(
            **_count_dies(wafer, tested, boxes, cells)
        ),
        groups=lots,
        placement=Placement(x, y, by, boxes, cell, used),
    )


def _flat_decisions(
    maps: Sequence[np.ndarray], explanations: Iterable[Explanation]
) -> dict[str, np.ndarray]:
    """Lay the decisions about all dies end to end, as the cells of the maps are."""
    kept, removed, saliency = [], [], []
    explanations = list(explanations)
    if len(explanations) != len(maps):
        raise ValueError(f"got {len(explanations)} explanations for {len(maps)} wafers.")
    for number, (grid, explanation) in enumerate(zip(maps, explanations, strict=True)):
        unread = explanation.error is not None
        if not unread:
            _check_decision(number, grid, explanation)
        nothing = np.zeros(grid.size, bool)
        kept.append(nothing if unread else explanation.kept.ravel())
        removed.append(nothing if unread else explanation.removed.ravel())
        saliency.append(np.full(grid.size, np.nan) if unread else explanation.saliency.ravel())
    return {
        "kept": np.concatenate(kept),
        "removed": np.concatenate(removed),
        "saliency": np.concatenate(saliency).astype(np.float32),
    }


def _check_decision(number: int, grid: np.ndarray, explanation: Explanation) -> None:
    for name in ("kept", "removed", "saliency"):
        shape = getattr(explanation, name).shape
        if shape != grid.shape:
            raise ValueError(
                f"wafer {number}: {name} of its explanation has shape {shape}, its map "
                f"{grid.shape}. Explain the maps as from_die_table gave them."
            )
    if ((explanation.kept | explanation.removed) & (grid != FAIL)).any() or (
        explanation.kept & explanation.removed
    ).any():
        raise ValueError(
            f"wafer {number}: its explanation is of another map; it keeps or removes dies that do "
            "not fail."
        )


def to_die_table(
    wafers: Bunch,
    explanations: Iterable[Explanation] | None = None,
    table: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Add what was decided about each die to the rows it came from.

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
        A copy of `table`, its rows, their order and its index as they were, with these columns:

        - ``kept`` : bool, a fail that belongs to the pattern;
        - ``removed`` : bool, a fail that does not. It is still a failing die, and keeps its bin;
        - ``saliency`` : float32, the score of the die; NaN where the wafer could not be read;
        - ``used`` : bool, whether this row is the one of its die that counted. A test that did
          not count is neither kept nor removed, so that sums count dies.

        Without `table`: the columns that tell wafers apart, the coordinates, ``bin`` (1 pass,
        2 fail), ``passed``, and the first three of these where `explanations` are given.

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
    >>> table = pd.DataFrame({"wafer": 1, "x": [0, 1, 5], "y": 0, "bin": [4, 4, 9]})
    >>> wafers = from_die_table(table, by="wafer", pass_bins=[])
    >>> explanations = ComponentSizeFilter(min_size=2).explain(wafers.maps)
    >>> to_die_table(wafers, explanations, table)[["x", "bin", "kept", "removed"]]
       x  bin   kept  removed
    0  0    4   True    False
    1  1    4   True    False
    2  5    9  False     True
    """
    decisions = {} if explanations is None else _flat_decisions(wafers.maps, explanations)
    if table is None:
        return _make_table(wafers, decisions)
    placement: Placement = wafers.placement
    _check_same_table(table, placement)
    cell, used = placement.cell, placement.used
    added = {name: values[cell] for name, values in decisions.items()}
    for name in {"kept", "removed"} & set(added):
        added[name] &= used
    return table.assign(**added, used=used)


def _check_same_table(table: pd.DataFrame, placement: Placement) -> None:
    check_columns(table, [placement.x, placement.y, *placement.by])
    taken = [name for name in DECISIONS if name in table.columns]
    if taken:
        raise ValueError(f"the table has columns {taken} already. Drop or rename them first.")
    if not placement.matches_table(table):
        raise ValueError(
            "the rows of the table are not those that the wafers were made from, or not in their "
            "order. Pass the table that from_die_table got."
        )


def _make_table(wafers: Bunch, decisions: dict[str, np.ndarray]) -> pd.DataFrame:
    frame, placement = wafers.frame, wafers.placement
    cells = np.concatenate([grid.ravel() for grid in wafers.maps])
    boxes = placement.boxes
    dies = np.flatnonzero(cells != NO_DIE)
    wafer = np.repeat(np.arange(len(boxes.rows)), boxes.n_x * boxes.n_y)[dies]
    row, column = np.divmod(dies - boxes.offset[wafer], boxes.cols[wafer])
    table = frame[list(placement.by)].iloc[wafer].reset_index(drop=True)
    table[placement.x], table[placement.y] = boxes.coordinates(wafer, row, column)
    table["bin"] = cells[dies]
    return table.assign(
        passed=cells[dies] == PASS, **{name: values[dies] for name, values in decisions.items()}
    )
