"""Wafer maps as Arrow record batches: a row per wafer, its cells as bytes, its keys beside them.

A binary column costs a tenth of the time of a list column, and any tool that reads Parquet gets at
the keys without touching the cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from camdenoise.io._binary_column import binary_column, bytes_of
from camdenoise.io._columns import CELLS, COLS, MAP, MARKS, ROWS, results_among
from camdenoise.wafers._maps import FAIL, MAX_SIDE


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
    columns[CELLS] = binary_column(maps)
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
    cells, heights, widths = _columns(batch)
    maps: list[np.ndarray | None] = []
    errors: list[str | None] = []
    starts, flat = bytes_of(cells)
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


def _columns(batch: pa.RecordBatch) -> tuple[pa.Array, list[int | None], list[int | None]]:
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


def with_results(schema: pa.Schema, results: pa.Schema, keep: tuple[str, ...] = ()) -> pa.Schema:
    """Tell the columns of results: those of the wafers without earlier results, then new ones."""
    left_out = {CELLS, *results_among(schema.names), *results.names} - set(keep)

    return pa.schema([*(field for field in schema if field.name not in left_out), *results])


def without_results(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Take wafers out of a table of results: marks become cells again, decisions are left out."""
    if CELLS not in batch.schema.names and MARKS in batch.schema.names:
        batch = batch.append_column(CELLS, _cells_of_marks(batch.column(MARKS)))
    taken = results_among(batch.schema.names)
    return batch.drop_columns(taken) if taken else batch


def _cells_of_marks(marks: pa.Array) -> pa.Array:
    """Show a removed fail as the failing die that it is."""
    starts, flat = bytes_of(marks.cast(pa.binary()))
    codes = np.minimum(flat, FAIL)
    return binary_column(
        [
            codes[starts[row] : starts[row + 1]] if marks[row].is_valid else None
            for row in range(len(marks))
        ]
    )
