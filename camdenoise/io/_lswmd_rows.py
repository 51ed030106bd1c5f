"""From the columns of WM-811K's DataFrame to checked rows, a batch at a time.

The two releases differ: labels are plain text or nested in arrays (``[['none']]``), missing ones
are 0, an empty array, None or NaN, and Kaggle's file spells the split ``trianTestLabel``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from camdenoise.io._lswmd_pickle import Column
from camdenoise.io._stubs import Array, PickleError, as_bytes, refuse
from camdenoise.io._wafer_table import MOST_CELLS, SCHEMA, make_binary_column, view_bytes
from camdenoise.wafers._labels import unwrap_label
from camdenoise.wafers._maps import MAX_SIDE

LABELS = (
    "Center", "Donut", "Edge-Loc", "Edge-Ring", "Loc", "Near-full", "Random", "Scratch", "none"
)  # fmt: skip
SPLITS = ("Training", "Test")

_MAPS = "waferMap"
_COLUMNS = (_MAPS, "dieSize", "lotName", "waferIndex", "failureType")
_SPLIT_COLUMNS = ("trianTestLabel", "trainTestLabel")
_LARGEST_CODE = 2
_LONGEST_LOT = 100
_BATCH_ROWS = 16_384
_BATCH_CELLS = 2**26


def find_columns(columns: dict[str, Column]) -> dict[str, Column | None]:
    """Pick the columns that make up WM-811K, the split under its right name.

    Only the maps are required. A column that is missing, as in files that people saved again, is
    None.
    """
    if _MAPS not in columns:
        refuse(f"it has no column {_MAPS}, which holds the maps; found {', '.join(columns)[:500]}.")
    split = next((name for name in _SPLIT_COLUMNS if name in columns), _SPLIT_COLUMNS[1])
    return {name: columns.get(name) for name in _COLUMNS} | {"split": columns.get(split)}


def unwrap(value: Any) -> str:
    """Return the text of a label, however it is nested; "" for a missing one."""
    label = unwrap_label(value, _open_label)
    if label is None or type(label) in (int, float) and label == 0:
        return ""
    if type(label) is not str:
        raise TypeError
    return label


def _open_label(value: Any) -> list[Any] | None:
    """Open a label that is not text itself; None for a number."""
    if type(value) is Array:
        objects = value.parts[1].holds_objects
        return value.objects() if objects else value.numpy().ravel()[:2].tolist()
    if type(value) is bytes:
        return [value.decode("latin-1")]
    if type(value) in (list, tuple):
        return list(value)
    if type(value) in (int, float):
        return None
    raise TypeError


def _look_up(name: str, value: Any, row: int, allowed: dict[str, str | None]) -> str | None:
    """Look a label up; case does not matter."""
    try:
        text = unwrap(value)
        return allowed[text.lower()]
    except (TypeError, PickleError):
        problem = "cannot be read"
    except KeyError:
        problem = f"is {text[:50]!r}"
    refuse(f"row {row}: {name} {problem}; expected {', '.join(filter(None, allowed.values()))}.")


def _make_lookup(names: tuple[str, ...]) -> dict[str, str | None]:
    return {name.lower(): name for name in names} | {"": None}


def _read_lot(value: Any, row: int) -> str:
    try:
        lot = unwrap(value)
    except (TypeError, PickleError):
        lot = ""
    if not 0 < len(lot) <= _LONGEST_LOT or not lot.isprintable():
        refuse(f"row {row}: lotName is not a short text.")
    return lot


def _read_numbers(name: str, column: Column) -> np.ndarray:
    """Read a column of numbers."""
    if isinstance(column, list):
        for row, value in enumerate(column):
            if type(value) not in (int, float) or abs(value) > 2**53:
                refuse(f"row {row}: {name} is {type(value).__name__}, expected a number.")
        return np.array(column, np.float64)
    if column.dtype.kind not in "iuf" or column.ndim != 1:
        refuse(f"{name} holds {column.dtype}, expected numbers.")
    return column.astype(np.float64)


def _read_whole_numbers(name: str, column: Column, most: int) -> np.ndarray:
    numbers = _read_numbers(name, column)
    wrong = np.flatnonzero(~((numbers >= 0) & (numbers <= most) & (numbers == np.floor(numbers))))
    if wrong.size:
        row = wrong[0]
        refuse(f"row {row}: {name} is {numbers[row]:g}, expected a whole number up to {most}.")
    return numbers.astype(np.int64)


def _read_cells(value: Any, row: int) -> tuple[bytes | bytearray, int, int]:
    """One map's cells, rows and columns; the codes are checked a batch at a time."""
    if type(value) is not Array:
        refuse(f"row {row}: waferMap is {type(value).__name__}, expected a 2-D array.")
    shape, dtype, fortran, data = value.parts
    if len(shape) != 2 or not 1 <= min(shape) <= max(shape) <= MAX_SIDE:
        refuse(f"row {row}: waferMap has shape {shape}, expected two sides of 1 to {MAX_SIDE}.")
    if dtype.code == "u1" and not fortran:
        content = as_bytes(data)
        if len(content) != shape[0] * shape[1]:
            refuse(f"row {row}: waferMap of shape {shape} has {len(content)} cells.")
        return content, *shape
    return _recode(value, row).tobytes(), *shape


def _recode(value: Array, row: int) -> np.ndarray:
    """Convert a map of any other number type to uint8."""
    grid = value.numpy()
    codes = grid.astype(np.uint8) if grid.dtype.kind in "biuf" else np.zeros(0)
    if codes.shape != grid.shape or not (codes == grid).all():
        refuse(f"row {row}: waferMap holds something else than 0, 1 and 2.")
    return codes


def _check_codes(codes: np.ndarray, sizes: list[int], first: int) -> None:
    if codes.max(initial=0) > _LARGEST_CODE:
        place = int(np.argmax(codes > _LARGEST_CODE))
        row = first + int(np.searchsorted(np.cumsum(sizes), place, side="right"))
        refuse(
            f"row {row}: waferMap holds the value {codes[place]}; allowed are 0 (no die), "
            "1 (pass) and 2 (fail)."
        )


def _map_batches(maps: list[Any]) -> Iterator[tuple[int, pa.Array, list[int], list[int]]]:
    """Group consecutive maps: first row, their cells, heights and widths."""
    row = total = 0
    while row < len(maps):
        first, size = row, 0
        pieces: list[bytes | bytearray] = []
        heights, widths = [], []
        while row < len(maps) and len(pieces) < _BATCH_ROWS and size < _BATCH_CELLS:
            content, height, width = _read_cells(maps[row], row)
            pieces.append(content)
            heights.append(height)
            widths.append(width)
            size += height * width
            row += 1
        total += size
        if total > MOST_CELLS:
            refuse(f"its maps have over {MOST_CELLS} cells, many times those of WM-811K.")
        column = make_binary_column(pieces)
        _check_codes(view_bytes(column)[1], [len(piece) for piece in pieces], first)
        yield first, column, heights, widths


def row_batches(
    columns: dict[str, Column], on_progress: Callable[[int, int], None]
) -> Iterator[pa.RecordBatch]:
    """Check WM-811K's columns and give them out in batches of rows."""
    found = find_columns(columns)
    maps = found[_MAPS]
    if not isinstance(maps, list):
        refuse("its column waferMap holds numbers, not arrays.")
    wafer = die_size = None
    if (index := found["waferIndex"]) is not None:
        wafer = _read_whole_numbers("waferIndex", index, 2**15 - 1)
    if (size := found["dieSize"]) is not None:
        die_size = _read_numbers("dieSize", size)
    labels, splits, lots = _make_lookup(LABELS), _make_lookup(SPLITS), found["lotName"]
    for first, cells, heights, widths in _map_batches(maps):
        rows = range(first, first + len(heights))
        values = {
            "rows": heights,
            "cols": widths,
            "label": _read(found["failureType"], rows, "failureType", labels),
            "split": _read(found["split"], rows, "split", splits),
            "lot": [None if lots is None else _read_lot(lots[row], row) for row in rows],
            "wafer": _take_part(wafer, rows),
            "die_size": _take_part(die_size, rows),
        }
        yield pa.record_batch(
            [cells, *(pa.array(values[f.name], f.type) for f in list(SCHEMA)[1:])], schema=SCHEMA
        )
        on_progress(rows.stop, len(maps))


def _read(
    column: Column | None, rows: range, name: str, allowed: dict[str, str | None]
) -> list[str | None]:
    """Look some rows of a column up; nothing is known where the file lacks the column."""
    if column is None:
        return [None] * len(rows)
    return [_look_up(name, column[row], row, allowed) for row in rows]


def _take_part(numbers: np.ndarray | None, rows: range) -> np.ndarray | list[None]:
    return [None] * len(rows) if numbers is None else numbers[rows.start : rows.stop]
