"""The rows of bin codes of a SEMI wafer map as a read_rectangle.

A blank in a map of letters may stand between two symbols, or where no die is. What the file
declares tells which; a blank is never a die.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from camdenoise.io._bins import BinType
from camdenoise.io._die_file import ReadOptions, WaferFacts
from camdenoise.io._problems import FETCH_OR_INCOMPLETE, Problem
from camdenoise.io._semi_map import BinList, WaferPart, is_any, make_part
from camdenoise.wafers._maps import MAX_SIDE

# Stands for a position that the file does not hold; no notation has it.
_ABSENT = -1


@dataclass
class CodeGrid:
    """The positions of a map."""

    codes: np.ndarray  # ndarray of shape (n_rows, n_columns): Bin codes
    null: list  # Codes of positions without a die
    rows: int  # Size of the frame that the file declares, else that it draws
    columns: int
    n_absent: int = 0  # Positions of the frame that the file does not hold
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RowReader:
    """Reads the rows of one map."""

    kind: BinType  # Their notation
    null: str | None  # The code of a position without a die, as the file writes it
    blanks: bool  # Whether blanks around a row are positions, not layout
    incomplete: bool  # Whether the last row may be cut short
    where: str  # The wafer, for messages

    def grid(self, rows: Sequence[str], n_rows: int | None, n_columns: int | None) -> CodeGrid:
        """Read the rows and hold them to the size that the file declares."""
        if len(rows) == 1 and n_rows and n_columns and 1 < n_rows <= MAX_SIDE >= n_columns:
            whole = self._try_rows(rows, n_rows * n_columns)
            if whole is not None:
                codes = whole[0].reshape(n_rows, n_columns)
                return CodeGrid(codes, self._list_nulls(), n_rows, n_columns)
        notes = []
        if n_rows is not None and n_columns == len(rows) != n_rows:
            turned = self._try_rows(rows, n_rows)
            if turned is not None:
                notes = [
                    f"{self.where}: the numbers of rows and columns, {n_rows} and {n_columns}, "
                    "are taken the other way round, as the map is drawn."
                ]
                n_rows, n_columns = n_columns, n_rows
        codes, n_cut = self.read_rectangle(rows, n_rows, n_columns)
        frame_rows = n_rows or len(rows)
        n_absent = n_cut + (frame_rows - len(rows)) * codes.shape[1]
        if n_absent:
            notes.append(
                f"{self.where}: {n_absent} of {frame_rows * codes.shape[1]} positions of the map "
                "are missing."
            )
        return CodeGrid(codes, self._list_nulls(), frame_rows, codes.shape[1], n_absent, notes)

    def read_rectangle(
        self, rows: Sequence[str], n_rows: int | None, n_columns: int | None
    ) -> tuple[np.ndarray, int]:
        """Read one text per row of dies; also give how many positions the last row lacks."""
        self._check_rows(len(rows), n_rows)
        return self._stack(self._parse_rows(rows, n_columns))

    def _list_nulls(self) -> list:
        null = [] if self.null is None else [self.kind.parse(self.null, self.where)]
        if self.kind.base == 0:
            return [*null, " " * self.kind.width, ""]
        return [*null, _ABSENT]

    def _check_rows(self, found: int, declared: int | None) -> None:
        if declared is not None and found != declared:
            claim = f"the header claims {declared} rows, the file has {found}."
            if found > declared:
                raise Problem(f"{claim} Correct the header.", self.where)
            if not self.incomplete or declared > MAX_SIDE:
                raise Problem(f"{claim} {FETCH_OR_INCOMPLETE}", self.where)
        if not 1 <= found <= MAX_SIDE:
            raise Problem(f"it has {found} rows of dies; 1 to {MAX_SIDE} are allowed.", self.where)

    def _try_rows(self, rows: Sequence[str], n_columns: int) -> list[np.ndarray] | None:
        try:
            parsed = replace(self, incomplete=False)._parse_rows(rows, n_columns)
        except Problem:
            return None
        return parsed if all(row.size == n_columns for row in parsed) else None

    def _parse_rows(self, rows: Sequence[str], n_columns: int | None) -> list[np.ndarray]:
        if self.kind.base == 0:
            rows = clean_letter_rows(rows, self, n_columns)
        parsed: list[np.ndarray] = []
        for number, text in enumerate(rows):
            last = self.incomplete and number == len(rows) - 1 > 0
            here = f"{self.where}, row {number}"
            try:
                row = self.kind.parse_row(text, here)
            except Problem:
                if not last:
                    raise
                # Cut within a code.
                row = parsed[0][:0]
            expected = n_columns or (parsed[0].size if parsed else row.size)
            if row.size > expected or (row.size < expected and not last):
                raise _make_width_problem(row.size, expected, here)
            parsed.append(row)
        return parsed

    def _stack(self, parsed: list[np.ndarray]) -> tuple[np.ndarray, int]:
        """Give the read_rectangle, and how many positions the last row lacks."""
        size = parsed[0].size
        if not 1 <= size <= MAX_SIDE:
            raise Problem(
                f"it has {size} columns; 1 to {MAX_SIDE} are allowed.", f"{self.where}, row 0"
            )
        n_cut = size - parsed[-1].size
        if n_cut:
            absent = np.full(n_cut, "" if self.kind.base == 0 else _ABSENT, parsed[0].dtype)
            parsed[-1] = np.concatenate([parsed[-1], absent])
        return np.stack(parsed), n_cut


def _make_width_problem(found: int, expected: int, where: str) -> Problem:
    return Problem(f"it has {found} dies, expected {expected}. Is it cut short?", where)


# --- coordinates --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Direction:
    """How a file counts the positions of its map, which is drawn as the wafer is seen."""

    x_right: bool = True  # Whether x grows to the right, and y downwards
    y_down: bool = True
    from_right: bool = False  # Whether the position 0, 0 is on the right, and at the bottom
    from_bottom: bool = False

    def x(self, column: np.ndarray | int, n_columns: int) -> np.ndarray | int:
        """Give the coordinate of a column, counted from the left."""
        steps = column - (n_columns - 1 if self.from_right else 0)
        return steps if self.x_right else -steps

    def y(self, row: np.ndarray | int, n_rows: int) -> np.ndarray | int:
        """Give the coordinate of a row, counted from the top."""
        steps = row - (n_rows - 1 if self.from_bottom else 0)
        return steps if self.y_down else -steps


def make_grid_part(
    facts: WaferFacts,
    grid: CodeGrid,
    bins: BinList,
    options: ReadOptions,
    direction: Direction | None = None,
) -> WaferPart:
    """List the dies of a rectangular map."""
    bins.null = grid.null
    direction = direction or Direction()
    row, column = np.nonzero(~is_any(grid.codes, grid.null))
    sides = grid.rows, grid.columns
    low_x = min(int(direction.x(side, sides[1])) for side in (0, sides[1] - 1))
    low_y = min(int(direction.y(side, sides[0])) for side in (0, sides[0] - 1))
    facts.extent = (low_x, low_y, *sides)
    facts.x_right, facts.y_down = direction.x_right, direction.y_down
    facts.n_missing = grid.n_absent
    part = make_part(
        facts,
        np.asarray(direction.x(column, sides[1])),
        np.asarray(direction.y(row, sides[0])),
        grid.codes[row, column],
        bins,
        options,
    )
    part.notes[:0] = grid.notes
    return part


# --- letters ------------------------------------------------------------------------------------


def clean_letter_rows(rows: Sequence[str], reader: RowReader, n_columns: int | None) -> list[str]:
    """Take the blanks out that stand between symbols; a blank that is left is not a die."""
    width = reader.kind.width
    if n_columns is None:
        return _split_undeclared(rows, reader)
    wide = n_columns * width
    ways: list[Callable[[str], str | None]] = [
        lambda row: _match_plain(row, wide),
        lambda row: _drop_separators(row, width),
        lambda row: _join_tokens(row, width),
    ]
    if reader.blanks and wide <= MAX_SIDE * width:
        ways.insert(1, lambda row: _pad_row(row, wide))
    for way in ways:
        found = [way(row) for row in rows]
        cut = reader.incomplete and len(found) > 1
        exact = found[:-1] if cut else found
        if all(text is not None and len(text) == wide for text in exact):
            last = found[-1]
            if last is None:
                # Cut short: a plain row keeps its blanks, in another way they separate.
                last = rows[-1].strip() if way is ways[0] else "".join(rows[-1].split())
            return [*(text or "" for text in found[:-1]), last]
    raise _make_letters_problem(rows, ways, wide, reader)


def _split_undeclared(rows: Sequence[str], reader: RowReader) -> list[str]:
    """Tell separators where every second character of every row is a blank."""
    width = reader.kind.width
    if reader.null is None or reader.null.strip():
        separated = [_drop_separators(row, width) for row in rows]
        if any(len(row.strip()) > width for row in rows) and None not in separated:
            return [text or "" for text in separated]
    stripped = [row.strip() for row in rows]
    longest = max((len(row) for row in rows), default=0)
    if reader.blanks:
        return [row.ljust(longest) for row in rows]
    if len({len(row) for row in stripped}) > 1 and len({len(row) for row in rows}) == 1:
        return list(rows)
    return stripped


def _match_plain(row: str, wide: int) -> str | None:
    return next((text for text in (row, row.strip()) if len(text) == wide), None)


def _pad_row(row: str, wide: int) -> str | None:
    """Give back the blanks that editors take from the end of a line."""
    return None if len(row.rstrip()) > wide else row.rstrip().ljust(wide)


def _drop_separators(row: str, width: int) -> str | None:
    text = row.strip()
    step = width + 1
    if (len(text) + 1) % step or text[width::step].strip():
        return None
    if width == 1:
        return text[::2]
    return "".join(text[start : start + width] for start in range(0, len(text), step))


def _join_tokens(row: str, width: int) -> str | None:
    tokens = row.split()
    return "".join(tokens) if all(len(token) == width for token in tokens) else None


def _make_letters_problem(
    rows: Sequence[str], ways: Sequence[Callable], wide: int, reader: RowReader
) -> Problem:
    """Name the first row that fits in no way, else the first that differs from row 0."""
    width = reader.kind.width
    fits = [[len(way(row) or "") == wide for way in ways] for row in rows]
    first = next((n for n, row in enumerate(fits) if not any(row)), None)
    if first is None:
        first = next((n for n, row in enumerate(fits) if row != fits[0]), 0)
    text = rows[first].strip()
    found = len(text) // width
    here = f"{reader.where}, row {first}"
    letters = len("".join(text.split())) // width
    if letters == found:
        return _make_width_problem(found, wide // width, here)
    return Problem(
        f"it has {found} dies with the blanks and {letters} without, expected {wide // width}. Is "
        "it cut short?",
        here,
    )
