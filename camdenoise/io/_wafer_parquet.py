"""Wafers in a Parquet file: a row per wafer, its cells as bytes, beside what else is known of it.

A binary column costs a tenth of the time of a list column, and any tool that reads Parquet gets at
the rest of the table without touching the cells.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from camdenoise.io._binary_column import MOST_BYTES, bytes_of
from camdenoise.wafers._maps import MAX_SIDE
from camdenoise.wafers._ragged import RaggedWaferMaps

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
    """A Parquet file that is no table of wafers; the message says what to do."""


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


def source_of(file: Path) -> dict[str, Any] | None:
    """Tell what a wafer table was made from; None for a file that is no such table."""
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
        self.about = source_of(file) or {}
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
            f"{self._name} is no table of wafers: {problem}. Delete it and load the original file "
            "again."
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

    def _group_cells(self, group: int, first: int, keep: np.ndarray, sizes: np.ndarray):
        """Cells of the wanted rows of one row group, end to end."""
        try:
            if sizes.sum() > MOST_BYTES:
                raise self._error(f"rows {first} and on are too many for one row group")
            column = self._file.read_row_group(group, ["cells"], use_threads=False)["cells"]
            wanted = column.filter(pa.array(keep)).combine_chunks()
        except (OSError, UnicodeError, pa.ArrowException) as error:
            raise self._error(f"it cannot be read ({str(error)[:200]})") from error
        offsets, values = bytes_of(wanted)
        wrong = np.flatnonzero(np.diff(offsets) != sizes[keep])
        if wanted.null_count or wrong.size:
            row = first + np.flatnonzero(keep)[wrong[:1]].sum()
            raise self._error(f"row {row} has not as many cells as its rows and columns say")
        flat = values[offsets[0] : offsets[-1]]
        if flat.max(initial=0) > 2:
            raise self._error(f"rows {first} to {first + len(keep) - 1} hold values over 2")
        return flat
