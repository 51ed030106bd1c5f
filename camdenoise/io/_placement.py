"""Where each row of a die table lies: on which wafer, in which cell of its map.

All of it is array arithmetic on whole columns, since a die table has one row per die and a week of
a fab has a hundred million of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._bins import MAX_SIDE

#: Most cells of all maps made at once.
MAX_CELLS = 1 << 31
_INT32 = np.iinfo(np.int32)


class DieTableError(ValueError):
    """A die table that cannot be read; the message names the row, the value and the remedy.

    Parameters
    ----------
    row : int
        Position of the row in the table.
    reason : str
        What is wrong with it and how to mend it.
    label : object, default=None
        The row's label in the table's index, where that differs from its position.
    """

    def __init__(self, row: int, reason: str, label: Any = None):
        named = "" if label is None else f" (index {label!r})"
        super().__init__(f"die table row {row}{named}: {reason}")
        self.row = row
        self.reason = reason
        self.label = label

    def __reduce__(self):
        return type(self), (self.row, self.reason, self.label)


def wrong_row(table: pd.DataFrame, row: int, reason: str) -> DieTableError:
    """Name a row by position and, where that differs, by index label."""
    label = table.index[row]
    return DieTableError(int(row), reason, None if label == row else label)


def check_columns(table: Any, names: Sequence[Hashable]) -> None:
    """Refuse what is no table, has no rows, or lacks a column."""
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"expected a DataFrame with one row per die, got {type(table).__name__}.")
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise ValueError(
            f"the table has no column {missing}; it has {list(table.columns)}. Name the columns "
            "with x=, y=, bin= and by=."
        )
    doubled = [name for name in names if isinstance(table[name], pd.DataFrame)]
    if doubled:
        raise ValueError(f"the table has several columns named {doubled}. Rename all but one.")
    if table.empty:
        raise ValueError("the table has no rows.")


def whole_numbers(table: pd.DataFrame, name: Hashable) -> np.ndarray:
    """Read a column of die coordinates; 5.0 is one, 5.5 and a missing value are not."""
    column = table[name]
    values = column.to_numpy(np.float64, na_value=np.nan) if _lacks(column) else column.to_numpy()
    if values.dtype.kind not in "iuf":
        raise wrong_row(
            table,
            0,
            f"column {name!r} holds {column.dtype}, for example {column.iloc[0]!r}; coordinates "
            f"must be numbers. Convert it first: pd.to_numeric(table[{name!r}]).",
        )
    # Written so that NaN is wrong too.
    wrong = ~((values >= _INT32.min) & (values <= _INT32.max))
    if values.dtype.kind == "f":
        wrong |= values != np.floor(values)
    if wrong.any():
        raise wrong_row(table, *_wrong_coordinate(name, values, wrong))
    return values.astype(np.int64)


def _lacks(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and column.hasnans


def _wrong_coordinate(name: Hashable, values: np.ndarray, wrong: np.ndarray) -> tuple[int, str]:
    row = int(np.argmax(wrong))
    remedy = "Drop such rows, or give the die its whole-numbered coordinate."
    more = f" (and {wrong.sum() - 1} more)" if wrong.sum() > 1 else ""
    return row, f"{name} is {values[row].item()}{more}, which is no die coordinate. {remedy}"


def wafer_codes(table: pd.DataFrame, by: Sequence[Hashable]) -> np.ndarray:
    """Give the wafers numbers by first appearance; `by` without a name makes all rows one wafer."""
    codes = np.zeros(len(table), np.int64)
    for name in by:
        each, values = pd.factorize(table[name])
        if each.min() < 0:
            raise wrong_row(
                table, int(np.argmin(each)), f"{name} is missing; fill it in with table.fillna."
            )
        codes = pd.factorize(codes * len(values) + each)[0]
    return codes


@dataclass(frozen=True)
class Boxes:
    """The rectangle of die coordinates that each wafer's map shows.

    Attributes
    ----------
    x0, y0 : ndarray of int64, shape (n_wafers,)
        Coordinates of the map's first column and row.
    cols, rows : ndarray of int64, shape (n_wafers,)
        Its size.
    """

    x0: np.ndarray
    y0: np.ndarray
    rows: np.ndarray
    cols: np.ndarray

    @property
    def offset(self) -> np.ndarray:
        """Where each map begins among the cells of all, and where the last one ends."""
        return np.concatenate([[0], np.cumsum(self.rows * self.cols)])

    def cells(self, wafer: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Find the cell of each row among those of all maps; -1 outside of its map."""
        column, row = x - self.x0[wafer], y - self.y0[wafer]
        width = self.cols[wafer]
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < self.rows[wafer])
        return np.where(inside, self.offset[wafer] + row * width + column, -1)


def _span(group: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest value of each group, and how many whole numbers lie from there to its largest."""
    n = int(group.max()) + 1
    low = np.full(n, _INT32.max, np.int64)
    high = np.full(n, _INT32.min, np.int64)
    np.minimum.at(low, group, values)
    np.maximum.at(high, group, values)
    return low, high - low + 1


def tight_boxes(wafer: np.ndarray, group: np.ndarray, x: np.ndarray, y: np.ndarray) -> Boxes:
    """Give each wafer the smallest box that holds all dies of its group."""
    (x0, cols), (y0, rows) = _span(group, x), _span(group, y)
    of = np.zeros(int(wafer.max()) + 1, np.int64)
    of[wafer] = group
    return Boxes(x0[of], y0[of], rows[of], cols[of])


def check_extent(
    table: pd.DataFrame, boxes: Boxes, wafer: np.ndarray, names: tuple, xy: tuple
) -> None:
    """Refuse maps too large to be wafers before anything is allocated for them."""
    for name, sizes, values in zip(names, (boxes.cols, boxes.rows), xy, strict=True):
        if sizes.max() > MAX_SIDE:
            member = np.flatnonzero(wafer == np.argmax(sizes))
            far = member[np.argmax(np.abs(values[member] - np.median(values[member])))]
            raise wrong_row(
                table,
                far,
                f"{name} is {values[far]}, far from the other dies: the map would be "
                f"{sizes.max()} dies long, {MAX_SIDE} are allowed. Is it a sign for a missing "
                "value? Then drop such rows.",
            )
    if boxes.offset[-1] > MAX_CELLS:
        raise ValueError(
            f"the maps would take {boxes.offset[-1]} cells, {MAX_CELLS} are allowed at once. Read "
            "the table lot by lot with camdenoise.io.iter_lots."
        )


@dataclass(frozen=True)
class Placement:
    """How the rows of a die table were laid on maps, for the way back.

    Attributes
    ----------
    x, y : str
        Names of the coordinate columns.
    by : tuple of str
        Names of the columns that tell wafers apart.
    frame : str or tuple
        The rule for the maps' size.
    cell : ndarray of int64, shape (n_rows,)
        Each row's cell among those of all maps, laid end to end.
    used : ndarray of bool, shape (n_rows,)
        Whether the row decided what the map shows of its die.
    """

    x: Hashable
    y: Hashable
    by: tuple
    frame: Any
    cell: np.ndarray = field(repr=False)
    used: np.ndarray = field(repr=False)


def place(
    table: pd.DataFrame, x: Hashable, y: Hashable, by: tuple, frame: Any
) -> tuple[np.ndarray, Boxes, np.ndarray]:
    """Find each row's wafer, the wafers' boxes, and each row's cell.

    Parameters
    ----------
    table : DataFrame
        One row per test of a die.
    x, y : str
        Names of the coordinate columns.
    by : tuple of str
        Names of the columns that tell wafers apart.
    frame : {"wafer", "lot"} or tuple (x0, y0, rows, cols)
        See `camdenoise.io.from_die_table`.

    Returns
    -------
    wafer : ndarray of int64, shape (n_rows,)
        Wafer of each row, numbered by first appearance.
    boxes : Boxes
        What the maps show.
    cell : ndarray of int64, shape (n_rows,)
        Cell of each row among those of all maps.

    Raises
    ------
    DieTableError
        For a row whose coordinates or wafer cannot be.
    """
    wafer = wafer_codes(table, by)
    columns, rows = whole_numbers(table, x), whole_numbers(table, y)
    boxes = _boxes(table, wafer, columns, rows, by, frame)
    check_extent(table, boxes, wafer, (x, y), (columns, rows))
    cell = boxes.cells(wafer, columns, rows)
    if cell.min() < 0:
        row = int(np.argmin(cell))
        raise wrong_row(
            table,
            row,
            f"the die at {x} = {columns[row]}, {y} = {rows[row]} lies outside of the frame "
            f"{frame}. Enlarge the frame or drop the row.",
        )
    return wafer, boxes, cell


def _boxes(
    table: pd.DataFrame, wafer: np.ndarray, x: np.ndarray, y: np.ndarray, by: tuple, frame: Any
) -> Boxes:
    if isinstance(frame, str) and frame == "wafer":
        return tight_boxes(wafer, wafer, x, y)
    if isinstance(frame, str) and frame == "lot":
        return tight_boxes(wafer, wafer_codes(table, by[:-1]), x, y)
    n_wafers = int(wafer.max()) + 1
    return Boxes(*(np.full(n_wafers, side, np.int64) for side in _explicit(frame)))


def _explicit(frame: Any) -> tuple[int, int, int, int]:
    sides = np.asarray(frame) if not isinstance(frame, str) else np.empty(0)
    if sides.shape != (4,) or sides.dtype.kind not in "iu" or min(sides[2:]) < 1:
        raise ValueError(
            "frame must be 'wafer', 'lot' or four whole numbers (x0, y0, rows, cols), got "
            f"{frame!r}."
        )
    return tuple(int(side) for side in sides)  # type: ignore[return-value]
