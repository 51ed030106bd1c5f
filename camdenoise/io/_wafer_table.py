"""Wafers as Arrow tables: a row per wafer, its cells as bytes, and what else is known of it.

A binary column costs a tenth of the time of a list column, and any tool that reads Parquet gets at
the rest of the table without touching the cells.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from camdenoise.wafers._maps import FAIL, MAX_SIDE
from camdenoise.wafers._ragged import RaggedWaferMaps

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
        *("verdict", "verdict_probability", "predicted", "probability", "entropy", "patterns"),
        *("abstained", "partial", "error", MARKS),
        "novel",  # before there were verdicts
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


def find_results(names: Iterable[str]) -> list[str]:
    """List the columns that hold results."""
    return [name for name in names if is_result(str(name))]


# --- columns of bytes -----------------------------------------------------------------------------


#: Binary columns of Arrow count their bytes in 32 bits.
MOST_BYTES = 2**31 - 1


def make_binary_column(pieces: Sequence[Any]) -> pa.Array:
    """Make a column of bytes out of bytes or contiguous arrays of uint8; None becomes null.

    Examples
    --------
    >>> make_binary_column([b"ab", None, np.array([[99]], np.uint8)]).to_pylist()
    [b'ab', None, b'c']
    """
    filled = [b"" if piece is None else piece for piece in pieces]
    ends = np.cumsum([0, *(memoryview(piece).nbytes for piece in filled)])
    if ends[-1] > MOST_BYTES:
        raise ValueError(
            f"{len(pieces)} wafer maps hold {ends[-1]} cells, more than a record batch can; take "
            "smaller batches."
        )
    valid = None
    if any(piece is None for piece in pieces):
        valid = pa.array([piece is not None for piece in pieces]).buffers()[1]
    buffers = [valid, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(filled))]
    return pa.Array.from_buffers(pa.binary(), len(pieces), buffers)


def view_bytes(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Give where each value of a binary column begins and ends, and the bytes of all, uncopied.

    Examples
    --------
    >>> starts, flat = view_bytes(pa.array([b"ab", b"c"], pa.binary())[1:])
    >>> flat[starts[0] : starts[1]].tobytes()
    b'c'
    """
    _, offsets, values = column.buffers()
    starts = np.zeros(1, np.int32)
    if offsets is not None and len(column):
        starts = np.frombuffer(offsets, np.int32)[column.offset :][: len(column) + 1]
    return starts, np.empty(0, np.uint8) if values is None else np.frombuffer(values, np.uint8)


# --- record batches -------------------------------------------------------------------------------


class WaferBatchError(ValueError):
    """A record batch that holds no wafer maps; the message says what to do."""


def wafer_batch(maps: Sequence[np.ndarray], keys: pd.DataFrame | None = None) -> pa.RecordBatch:
    r"""Put wafer maps and what else is known of each wafer into one record batch.

    Parameters
    ----------
    maps : sequence of ndarray of uint8, shape (height, width)
        Die codes.
    keys : DataFrame or None, default=None
        A row per wafer; its index is left out, and so are columns named as those of a map.

    Returns
    -------
    pyarrow.RecordBatch
        The columns of `keys`, then ``rows``, ``cols`` (int32) and ``cells`` (binary).

    Raises
    ------
    ValueError
        For another number of keys than of maps.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from camdenoise.stream import wafer_batch
    >>> batch = wafer_batch([np.array([[1, 2]], np.uint8)], pd.DataFrame({"lot": ["A"]}))
    >>> batch.to_pylist()
    [{'lot': 'A', 'rows': 1, 'cols': 2, 'cells': b'\x01\x02'}]
    """
    if keys is not None and len(keys) != len(maps):
        raise ValueError(f"got {len(keys)} rows of keys for {len(maps)} wafer maps.")
    columns: dict[str, pa.Array] = {}
    if keys is not None:
        kept = keys.drop(columns=[name for name in MAP if name in keys])
        table = pa.Table.from_pandas(kept, preserve_index=False)
        columns = {
            name: pa.concat_arrays(column.chunks)
            if column.num_chunks
            else pa.array([], column.type)
            for name, column in zip(table.schema.names, table.columns, strict=True)
        }
    maps = [np.ascontiguousarray(grid, np.uint8) for grid in maps]
    shapes = np.array([grid.shape for grid in maps], np.int32).reshape(-1, 2)
    columns |= {ROWS: pa.array(shapes[:, 0]), COLS: pa.array(shapes[:, 1])}
    columns[CELLS] = make_binary_column(maps)
    return pa.RecordBatch.from_pydict(columns)


def wafers_of(batch: pa.RecordBatch) -> tuple[list[np.ndarray | None], list[str | None]]:
    r"""Take the wafer maps out of a record batch.

    Parameters
    ----------
    batch : pyarrow.RecordBatch
        With the columns ``cells`` (binary), ``rows`` and ``cols`` (whole numbers).

    Returns
    -------
    maps : list of ndarray of uint8, shape (height, width), or None
        Read-only views into the batch; None for a row that holds no map.
    errors : list of str or None
        Why it holds none.

    Raises
    ------
    WaferBatchError
        For a batch without these columns.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from camdenoise.stream import wafers_of
    >>> columns = {"cells": [b"\x01\x02", b"\x01"], "rows": [1, 2], "cols": [2, 2]}
    >>> maps, errors = wafers_of(pa.RecordBatch.from_pydict(columns))
    >>> maps[0].tolist(), errors[1]
    ([[1, 2]], '1 cells for 2 x 2 dies')
    """
    cells, heights, widths = _read_columns(batch)
    maps: list[np.ndarray | None] = []
    errors: list[str | None] = []
    starts, flat = view_bytes(cells)
    for row, (height, width) in enumerate(zip(heights, widths, strict=True)):
        n_cells = int(starts[row + 1] - starts[row])
        error = None
        if height is None or width is None or not cells[row].is_valid:
            error = "cells, rows or cols is missing"
        elif height == width == n_cells == 0:
            error = "it has no map: no die has coordinates"
        elif not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
            error = f"{height} x {width} dies; a side may have 1 to {MAX_SIDE}"
        elif n_cells != height * width:
            error = f"{n_cells} cells for {height} x {width} dies"
        errors.append(error)
        cell_codes = flat[starts[row] : starts[row + 1]]
        maps.append(None if error else cell_codes.reshape(height or 0, width or 0))
    return maps, errors


def collect_wafers(
    batches: Iterable[pa.RecordBatch],
) -> tuple[list[np.ndarray | None], list[str | None], pd.DataFrame]:
    """Read all batches: the maps, the reason where a row holds none, and the other columns."""
    maps: list[np.ndarray | None] = []
    errors: list[str | None] = []
    frames = []
    for batch in batches:
        grids, reasons = wafers_of(batch)
        maps += grids
        errors += reasons
        frames.append(batch.drop_columns(list(MAP)).to_pandas())
    return maps, errors, pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _read_columns(batch: pa.RecordBatch) -> tuple[pa.Array, list[int | None], list[int | None]]:
    missing = [name for name in MAP if name not in batch.schema.names]
    if missing:
        raise WaferBatchError(
            f"no column {', '.join(missing)} among {', '.join(batch.schema.names)}. A table of "
            "wafers has a row per wafer with cells (one byte per die, row by row), rows and cols."
        )
    try:
        cells = batch.column(CELLS).cast(pa.binary())
        sides = [batch.column(name).cast(pa.int64()).to_pylist() for name in (ROWS, COLS)]
    except pa.ArrowException as error:
        types = ", ".join(f"{name} {batch.schema.field(name).type}" for name in MAP)
        raise WaferBatchError(
            f"cells must be binary, rows and cols whole numbers; they are {types}."
        ) from error
    return cells, sides[0], sides[1]


def add_result_fields(
    schema: pa.Schema, results: pa.Schema, keep: tuple[str, ...] = ()
) -> pa.Schema:
    """Tell the columns of results: those of the wafers without earlier results, then new ones."""
    left_out = {CELLS, *find_results(schema.names), *results.names} - set(keep)

    return pa.schema([*(field for field in schema if field.name not in left_out), *results])


def drop_results(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Take wafers out of a table of results: marks become cells again, decisions are left out."""
    if CELLS not in batch.schema.names and MARKS in batch.schema.names:
        batch = batch.append_column(CELLS, _restore_cells(batch.column(MARKS)))
    taken = find_results(batch.schema.names)
    return batch.drop_columns(taken) if taken else batch


def _restore_cells(marks: pa.Array) -> pa.Array:
    """Show a removed fail as the failing die that it is."""
    starts, flat = view_bytes(marks.cast(pa.binary()))
    codes = np.minimum(flat, FAIL)
    return make_binary_column(
        [
            codes[starts[row] : starts[row + 1]] if marks[row].is_valid else None
            for row in range(len(marks))
        ]
    )


# --- Parquet files --------------------------------------------------------------------------------


# Bytes that are read ahead.
_READ_AHEAD = 2**20


def open_to_stream(file: str | os.PathLike | IO[bytes]) -> pq.ParquetFile:
    """Open a Parquet file whose batches are gone through once.

    By itself pyarrow reads ahead whole row groups and keeps their bytes until the last batch was
    asked for: in the end, all of the file.
    """
    return pq.ParquetFile(file, pre_buffer=False, buffer_size=_READ_AHEAD)


#: Four times the cells of WM-811K.
MOST_CELLS = 2**33

SCHEMA = pa.schema(
    [
        ("cells", pa.binary()),
        ("rows", pa.uint16()),
        ("cols", pa.uint16()),
        ("lot", pa.string()),
        ("wafer", pa.int16()),
        ("die_size", pa.float64()),
        ("split", pa.string()),
        ("label", pa.string()),
    ]
)
_OTHER_COLUMNS = [name for name in SCHEMA.names if name != "cells"]
_REPEATING = ["lot", "split", "label"]
_SOURCE = b"camdenoise.source"


class WaferTableError(ValueError):
    """A Parquet file that is not a table of wafers; the message says what to do."""


def write_wafers(file: Path, batches: Iterable[pa.RecordBatch], source: dict[str, Any]) -> int:
    """Write batches of rows to a new file, down to the disk."""
    schema = SCHEMA.with_metadata({_SOURCE: json.dumps(source)})
    n_rows = 0
    with open(file, "xb") as stream:
        options: dict[str, Any] = {"use_dictionary": _REPEATING, "write_statistics": _REPEATING}
        options |= {"compression": "zstd", "write_page_checksum": True}
        with pq.ParquetWriter(stream, schema, **options) as writer:
            for batch in batches:
                writer.write_batch(batch, row_group_size=max(1, batch.num_rows))
                n_rows += batch.num_rows
        stream.flush()
        os.fsync(stream.fileno())
    return n_rows


def read_source(file: Path) -> dict[str, Any] | None:
    """Tell what a wafer table was made from; None for a file that is not such a table."""
    try:
        metadata = pq.read_schema(file).metadata or {}
        source = json.loads(metadata[_SOURCE])
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return None
    return source if isinstance(source, dict) else None


class WaferTable:
    """An open wafer table: everything but the cells at once, the cells of the rows one wants."""

    def __init__(self, file: Path):
        self._name = str(file)
        self.about = read_source(file) or {}
        try:
            self._file = pq.ParquetFile(file, page_checksum_verification=True)
            if not self._file.schema_arrow.equals(SCHEMA):
                raise self._error("it has other columns")
            self.columns = self._file.read(_OTHER_COLUMNS)
        except (OSError, UnicodeError, pa.ArrowException) as error:
            raise self._error(f"it cannot be read ({str(error)[:200]})") from error
        if self.columns["rows"].null_count or self.columns["cols"].null_count:
            raise self._error("a wafer has no rows or columns")
        self.heights, self.widths = (
            self.columns[name].to_numpy().astype(np.int64) for name in ("rows", "cols")
        )
        self._check_sides()

    def __enter__(self) -> WaferTable:
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()

    def _error(self, problem: str) -> WaferTableError:
        return WaferTableError(
            f"{self._name} is not a table of wafers: {problem}. Delete it and load the original "
            "file again."
        )

    def _check_sides(self) -> None:
        sides = np.stack([self.heights, self.widths])
        if sides.size and not 1 <= sides.min() <= sides.max() <= MAX_SIDE:
            row = np.argmax((sides < 1) | (sides > MAX_SIDE)) % len(self.heights)
            raise self._error(f"row {row} is of {self.heights[row]} x {self.widths[row]} dies")
        if (self.heights * self.widths).sum() > MOST_CELLS:
            raise self._error(f"its maps have over {MOST_CELLS} cells")

    def maps(self, keep: np.ndarray) -> RaggedWaferMaps:
        """Read the maps of some rows."""
        sizes = self.heights * self.widths
        cells = np.empty(int(sizes[keep].sum()), np.uint8)
        end = first = 0
        for group in range(self._file.num_row_groups):
            n_rows = self._file.metadata.row_group(group).num_rows
            here = slice(first, first + n_rows)
            if keep[here].any():
                part = self._group_cells(group, first, keep[here], sizes[here])
                cells[end : end + part.size] = part
                end += part.size
            first += n_rows
        return RaggedWaferMaps(cells, self.heights[keep], self.widths[keep])

    def _group_cells(
        self, group: int, first: int, keep: np.ndarray, sizes: np.ndarray
    ) -> np.ndarray:
        """Cells of the wanted rows of one row group, end to end."""
        try:
            if sizes.sum() > MOST_BYTES:
                raise self._error(f"rows {first} and on are too many for one row group")
            column = self._file.read_row_group(group, ["cells"], use_threads=False)["cells"]
            wanted = column.filter(pa.array(keep)).combine_chunks()
        except (OSError, UnicodeError, pa.ArrowException) as error:
            raise self._error(f"it cannot be read ({str(error)[:200]})") from error
        offsets, values = view_bytes(wanted)
        wrong = np.flatnonzero(np.diff(offsets) != sizes[keep])
        if wanted.null_count or wrong.size:
            row = first + np.flatnonzero(keep)[wrong[:1]].sum()
            raise self._error(f"row {row} has not as many cells as its rows and columns say")
        flat = values[offsets[0] : offsets[-1]]
        if flat.max(initial=0) > 2:
            raise self._error(f"rows {first} to {first + len(keep) - 1} hold values over 2")
        return flat
