"""Where each row of a die table lies: on which wafer, in which cell of its map.

All of it is array arithmetic on whole columns, since a die table has one row per die and a week of
a fab has a hundred million of them.

A map shows the wafer as it is seen with its notch (or flat) at the bottom: row 0 at the top,
column 0 on the left. Files count their coordinates in all directions, so each wafer has an
orientation: how its x and y run along the rows and columns of the map. The coordinates themselves
stay the file's.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.wafers._maps import MAX_SIDE

# --- orientation ----------------------------------------------------------------------------------


NOTCHES = ("down", "left", "up", "right")
MIRRORS = ("left-right", "up-down")
TURNS = (0, 90, 180, 270)


@dataclass(frozen=True)
class Orientation:
    """How x and y run on a map: one of the eight ways to lay a rectangle on another."""

    swapped: bool = False  # Whether x runs along the rows of the map and y along its columns
    #: Whether the largest coordinate comes first, on the left or at the top.
    x_reversed: bool = False
    y_reversed: bool = False

    def mirror(self, how: str) -> Orientation:
        """Mirror the map left-right or up-down."""
        if (how == "left-right") != self.swapped:
            return Orientation(self.swapped, not self.x_reversed, self.y_reversed)
        return Orientation(self.swapped, self.x_reversed, not self.y_reversed)

    def turn(self, degrees: int) -> Orientation:
        """Turn the map clockwise by a multiple of 90 degrees."""
        turned = self
        for _ in range(degrees // 90):
            # A transposed map that is mirror left-right is turned clockwise.
            transposed = Orientation(not turned.swapped, turned.x_reversed, turned.y_reversed)
            turned = transposed.mirror("left-right")
        return turned

    @property
    def axes(self) -> str:
        """Where x and y count to on the map, such as "x right, y up"."""
        along_x = "down up" if self.swapped else "right left"
        along_y = "right left" if self.swapped else "down up"
        return f"x {along_x.split()[self.x_reversed]}, y {along_y.split()[self.y_reversed]}"


def orient(
    x_right: bool | None,
    y_down: bool | None,
    notch: str | None,
    *,
    mirror: str | None = None,
    rotate: int = 0,
) -> Orientation:
    """Lay a wafer with its notch down, then mirror and turn it as the user asks.

    Examples
    --------
    >>> orient(True, False, "down").axes
    'x right, y up'
    >>> orient(True, True, "left").axes  # turned until the left side is at the bottom
    'x up, y right'
    """
    seen = Orientation(False, x_right is False, y_down is False)
    # Counted clockwise from the bottom, the notch is turned back by as much.
    down = seen.turn((360 - 90 * NOTCHES.index(notch or "down")) % 360)
    return (down.mirror(mirror) if mirror else down).turn(rotate)


# --- rows and cells -------------------------------------------------------------------------------


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
        What is wrong with it and how to correct it.
    label : object, default=None
        The row's label in the table's index, where that differs from its position.
    """

    def __init__(self, row: int, reason: str, label: Any = None):
        named = "" if label is None else f" (index {label!r})"
        super().__init__(f"die table row {row}{named}: {reason}")
        self.row = row
        self.reason = reason
        self.label = label

    def __reduce__(self) -> tuple[type[DieTableError], tuple[Any, ...]]:
        return type(self), (self.row, self.reason, self.label)


def wrong_row(table: pd.DataFrame, row: int, reason: str) -> DieTableError:
    """Name a row by position and, where that differs, by index label."""
    label = table.index[row]
    return DieTableError(int(row), reason, None if label == row else label)


def check_columns(table: Any, names: Sequence[Hashable]) -> None:
    """Refuse what is not a table, has no rows, or lacks a column."""
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
    lacks = pd.api.types.is_numeric_dtype(column) and column.hasnans
    values = column.to_numpy(np.float64, na_value=np.nan) if lacks else column.to_numpy()
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
        row = int(np.argmax(wrong))
        more = f" (and {wrong.sum() - 1} more)" if wrong.sum() > 1 else ""
        raise wrong_row(
            table,
            row,
            f"{name} is {values[row].item()}{more}, which is not a die coordinate. Drop such rows, "
            "or give the die its whole-numbered coordinate.",
        )
    return np.asarray(values, np.int64)


def number_wafers(table: pd.DataFrame, by: Sequence[Hashable]) -> np.ndarray:
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
    """The rectangle of die coordinates that each wafer's map shows, and how it lies on the map."""

    low_x: np.ndarray  # ndarray of int64, shape (n_wafers,): Smallest coordinates
    low_y: np.ndarray
    #: ndarray of int64, shape (n_wafers,): How many coordinates there are from the smallest to
    #: the largest.
    n_x: np.ndarray
    n_y: np.ndarray
    #: sequence of Orientation, of length n_wafers: How x and y run on the map.
    orientation: Sequence[Orientation]

    def _flags(self, name: str) -> np.ndarray:
        return np.array([getattr(each, name) for each in self.orientation], bool)

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows of each map."""
        return np.where(self._flags("swapped"), self.n_x, self.n_y)

    @cached_property
    def cols(self) -> np.ndarray:
        """Columns of each map."""
        return np.where(self._flags("swapped"), self.n_y, self.n_x)

    @cached_property
    def offset(self) -> np.ndarray:
        """Where each map begins among the cells of all, and where the last one ends."""
        return np.concatenate([[0], np.cumsum(self.n_x * self.n_y)])

    @property
    def origin(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates x and y of each map's first cell, in row 0 and column 0."""
        x_last, y_last = self.n_x - 1, self.n_y - 1
        return (
            self.low_x + np.where(self._flags("x_reversed"), x_last, 0),
            self.low_y + np.where(self._flags("y_reversed"), y_last, 0),
        )

    def cells(self, wafer: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Find the cell of each row among those of all maps; -1 outside of its map."""
        across, along = x - self.low_x[wafer], y - self.low_y[wafer]
        n_x, n_y = self.n_x[wafer], self.n_y[wafer]
        inside = (across >= 0) & (across < n_x) & (along >= 0) & (along < n_y)
        if any(each.x_reversed for each in self.orientation):
            across = np.where(self._flags("x_reversed")[wafer], n_x - 1 - across, across)
        if any(each.y_reversed for each in self.orientation):
            along = np.where(self._flags("y_reversed")[wafer], n_y - 1 - along, along)
        place = along * n_x + across
        if any(each.swapped for each in self.orientation):
            place = np.where(self._flags("swapped")[wafer], across * n_y + along, place)
        return np.where(inside, self.offset[wafer] + place, -1)

    def coordinates(
        self, wafer: np.ndarray, row: np.ndarray, column: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the coordinates x and y of cells of the maps: the way back."""
        swapped = self._flags("swapped")[wafer]
        across, along = np.where(swapped, row, column), np.where(swapped, column, row)
        x_reversed, y_reversed = (self._flags(n)[wafer] for n in ("x_reversed", "y_reversed"))
        across = np.where(x_reversed, self.n_x[wafer] - 1 - across, across)
        along = np.where(y_reversed, self.n_y[wafer] - 1 - along, along)
        return self.low_x[wafer] + across, self.low_y[wafer] + along


def _find_span(group: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest value of each group."""
    n = int(group.max()) + 1
    low = np.full(n, _INT32.max, np.int64)
    high = np.full(n, _INT32.min, np.int64)
    np.minimum.at(low, group, values)
    np.maximum.at(high, group, values)
    return low, high


def check_extent(
    table: pd.DataFrame, boxes: Boxes, wafer: np.ndarray, names: tuple, xy: tuple
) -> None:
    """Refuse maps too large to be wafers before anything is allocated for them."""
    for name, sizes, values in zip(names, (boxes.n_x, boxes.n_y), xy, strict=True):
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
    """How the rows of a die table were laid on maps, for the way back."""

    x: Hashable  # Names of the coordinate columns
    y: Hashable
    by: tuple  # Names of the columns that tell wafers apart
    boxes: Boxes = field(repr=False)  # What the maps show
    #: ndarray of int64, shape (n_rows,): Each row's cell among those of all maps, laid end to
    #: end.
    cell: np.ndarray = field(repr=False)
    #: ndarray of bool, shape (n_rows,): Whether the row decided what the map shows of its die.
    used: np.ndarray = field(repr=False)

    def matches_table(self, table: pd.DataFrame) -> bool:
        """Whether the rows of the table are those that were laid out, in their order."""
        if len(table) != len(self.cell):
            return False
        wafer = number_wafers(table, self.by)
        if int(wafer.max()) >= len(self.boxes.rows):
            return False
        x, y = whole_numbers(table, self.x), whole_numbers(table, self.y)
        return np.array_equal(self.boxes.cells(wafer, x, y), self.cell)


def place(
    table: pd.DataFrame,
    x: Hashable,
    y: Hashable,
    wafer: np.ndarray,
    frame: Any,
    extents: Sequence[tuple[int, int, int, int] | None],
    lots: np.ndarray,
    products: np.ndarray,
    orientation: Sequence[Orientation],
) -> tuple[Boxes, np.ndarray]:
    """Find the wafers' boxes, and each row's cell."""
    columns, rows = whole_numbers(table, x), whole_numbers(table, y)
    sides = _choose_sides(wafer, columns, rows, frame, extents, lots, products)
    boxes = Boxes(*sides, orientation)
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
    return boxes, cell


def _choose_sides(
    wafer: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    frame: Any,
    extents: Sequence,
    lots: np.ndarray,
    products: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Choose smallest x and y, and the numbers of x and y, of each wafer."""
    n_wafers = int(wafer.max()) + 1
    if not isinstance(frame, str) or frame not in FRAMES:
        x0, y0, n_y, n_x = _check_frame(frame)
        return tuple(np.full(n_wafers, v, np.int64) for v in (x0, y0, n_x, n_y))  # type: ignore
    low_x, high_x = _find_span(wafer, x)
    low_y, high_y = _find_span(wafer, y)
    if frame == "lot":
        for number, extent in enumerate(extents):
            if extent is not None:
                x0, y0, n_y, n_x = extent
                low_x[number] = min(low_x[number], x0)
                low_y[number] = min(low_y[number], y0)
                high_x[number] = max(high_x[number], x0 + n_x - 1)
                high_y[number] = max(high_y[number], y0 + n_y - 1)
        (low_x, _), (low_y, _) = _find_span(lots, low_x), _find_span(lots, low_y)
        (_, high_x), (_, high_y) = _find_span(lots, high_x), _find_span(lots, high_y)
        of_lot = np.zeros(len(low_x), np.int64)
        of_lot[lots] = products
        sides = product_frames(of_lot, low_x, low_y, high_x, high_y)
        low_x, low_y, high_x, high_y = (side[lots] for side in sides)
    return low_x, low_y, high_x - low_x + 1, high_y - low_y + 1


#: Rules for what a map shows, apart from an explicit rectangle.
FRAMES = ("lot", "wafer")
# Share of a lot's box that must lie within the widest one of the product for both to have one
# frame. A lot that was tested in part lies within; one that counts from another origin does not,
# and one rectangle around both would be neither's wafer.
_SHARED = 0.9


def product_frames(
    groups: np.ndarray, low_x: np.ndarray, low_y: np.ndarray, high_x: np.ndarray, high_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Give lots of a product that lie within its widest one the box around them.

    Examples
    --------
    >>> import numpy as np
    >>> a = np.array
    >>> sides = a([0, 0, 50]), a([0, 0, 0]), a([9, 9, 59]), a([9, 4, 9])
    >>> [side.tolist() for side in product_frames(a([0, 0, 0]), *sides)]
    [[0, 0, 50], [0, 0, 0], [9, 9, 59], [9, 9, 9]]
    """
    boxes = np.stack([low_x, low_y, high_x, high_y], axis=1)
    framed = boxes.copy()
    size = (boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1)
    # By product, the widest lot first.
    order = np.lexsort((-size, groups))
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    for members in np.split(order, starts[1:]):
        _frame_one_group(members, boxes, size, framed)
    return tuple(framed.T)  # type: ignore[return-value]


def _frame_one_group(
    members: np.ndarray, boxes: np.ndarray, size: np.ndarray, framed: np.ndarray
) -> None:
    """Frame the lots of one product, sorted from the widest: those within it, then the others."""
    while len(members) > 1:
        widest = boxes[members[0]]
        low = np.maximum(boxes[members, :2], widest[:2])
        high = np.minimum(boxes[members, 2:], widest[2:])
        shared = np.clip(high - low + 1, 0, None).prod(axis=1)
        within = shared >= _SHARED * size[members]
        own = members[within]
        framed[own, :2] = boxes[own, :2].min(axis=0)
        framed[own, 2:] = boxes[own, 2:].max(axis=0)
        members = members[~within]


def _check_frame(frame: Any) -> tuple[int, int, int, int]:
    sides = np.asarray(frame) if not isinstance(frame, str) else np.empty(0)
    if sides.shape != (4,) or sides.dtype.kind not in "iu" or min(sides[2:]) < 1:
        raise ValueError(
            "frame must be 'lot', 'wafer' or four whole numbers (x0, y0, rows, cols), got "
            f"{frame!r}."
        )
    return tuple(int(side) for side in sides)  # type: ignore[return-value]
