"""Results out: one row per wafer, one row per die, map files that lie over the original ones."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from camdenoise.io._atomic import atomic_write
from camdenoise.io._die_file import COLUMNS
from camdenoise.io._die_table import to_die_table
from camdenoise.wafers._explanation import Explanation, result_row

#: Bins of `pattern_overlay`, for BinDescription.
OVERLAY_BINS = {
    1: "pass",
    2: "fail, part of the pattern",
    3: "fail, not part of the pattern",
    4: "fail, not decided",
}
#: What run made the parts of a folder, and at its end what was counted: JSON in the metadata of the
#: Parquet files, so that a folder holds nothing else and every tool that reads folders reads it.
RUN_KEY, SUMMARY_KEY = b"camdenoise.run", b"camdenoise.summary"
#: What was assumed when a table of wafers was made from other files.
NOTES_KEY = b"camdenoise.notes"


def wafer_results(wafers: Bunch, explanations: Iterable[Explanation]) -> pd.DataFrame:
    """List what was decided about each wafer, in one row to join with other data of it.

    Parameters
    ----------
    wafers : Bunch
        From `from_die_table`.
    explanations : sequence of Explanation
        What a denoiser's ``explain(wafers.maps)`` gave.

    Returns
    -------
    DataFrame
        The columns of ``wafers.frame``, then ``verdict`` and ``verdict_probability``, ``predicted``
        (class), ``probability``, ``n_kept`` (all fails where no pattern is claimed),
        ``n_removed``, ``patterns`` (JSON: kept fails of each pattern), ``abstained``, ``partial``
        (whether less than most of the wafer was tested) and ``error``.

    Raises
    ------
    ValueError
        For a number of explanations other than that of the wafers.

    Examples
    --------
    >>> import pandas as pd
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.io import from_die_table, wafer_results
    >>> table = pd.DataFrame({"wafer": 1, "x": [0, 1, 2], "y": [0, 0, 0], "bin": [4, 1, 1]})
    >>> wafers = from_die_table(table, by="wafer")
    >>> results = wafer_results(wafers, MedianFilter().explain(wafers.maps))
    >>> results[["wafer", "n_fails", "n_kept", "n_removed"]]
       wafer  n_fails  n_kept  n_removed
    0      1        1       0          1
    """
    explanations = list(explanations)
    if len(explanations) != len(wafers.frame):
        raise ValueError(f"got {len(explanations)} explanations for {len(wafers.frame)} wafers.")
    rows = [result_row(grid, each) for grid, each in zip(wafers.maps, explanations, strict=True)]
    found = pd.DataFrame(rows, index=wafers.frame.index).drop(columns="n_fails")
    return wafers.frame.assign(**found, error=[each.error for each in explanations])


def pattern_overlay(wafers: Bunch, explanations: Iterable[Explanation]) -> pd.DataFrame:
    """Make the die table of a map file that shows what was decided, to lie over the original.

    The original file keeps its bins: a removed fail is still a failing die.

    Parameters
    ----------
    wafers : Bunch
        From `from_die_table`.
    explanations : sequence of Explanation
        What a denoiser's ``explain(wafers.maps)`` gave.

    Returns
    -------
    DataFrame
        A die table for `write_sinf` and `write_g85`. Its bins: 1 pass; 2 a fail that is part of
        the pattern; 3 a fail that is not; 4 a fail of a wafer on which no decision was made. Only
        bin 1 passes.

    Raises
    ------
    ValueError
        For explanations of other wafers.

    Examples
    --------
    >>> import pandas as pd
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.io import from_die_table, pattern_overlay
    >>> table = pd.DataFrame({"wafer": "7", "x": [0, 1, 2], "y": [0, 0, 0], "bin": [4, 1, 1]})
    >>> wafers = from_die_table(table, by="wafer")
    >>> pattern_overlay(wafers, MedianFilter().explain(wafers.maps))
      lot wafer  x  y  bin  passed
    0         7  0  0    3   False
    1         7  1  0    1    True
    2         7  2  0    1    True
    """
    # Where no pattern is claimed, a kept fail is not part of one.
    said = [replace(e, kept=e.kept & e.claims_pattern, removed=e.random) for e in explanations]
    dies = to_die_table(wafers, said)
    placement = wafers.placement
    by = placement.by
    codes = dies["bin"].where(dies["passed"], 4)
    codes = codes.mask(dies["kept"], 2).mask(dies["removed"], 3)
    overlay = {
        "lot": dies[by[0]].astype(str) if len(by) > 1 else "",
        "wafer": dies[by[-1]].astype(str) if by else "1",
        "x": dies[placement.x],
        "y": dies[placement.y],
        "bin": codes.astype("int32"),
        "passed": dies["passed"],
    }
    return pd.DataFrame(overlay)[list(COLUMNS)]


def write_results(path: str | os.PathLike, tables: pd.DataFrame | Iterable[pd.DataFrame]) -> None:
    """Write a table, or one that comes in pieces, as Parquet or CSV, whole or not at all.

    Parameters
    ----------
    path : path-like
        The file to write, ending in ``.parquet``, ``.csv`` or ``.csv.gz``; an existing one is
        replaced only once the new one is complete.
    tables : DataFrame or iterable of DataFrame
        Rows to write, without their index. Pieces must have the same columns; they are written as
        they come, so that they need not fit into the memory together.

    Raises
    ------
    ValueError
        For another ending, no table, and pieces that differ in their columns.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> from camdenoise.io import write_results
    >>> pieces = (pd.DataFrame({"wafer": [n], "n_removed": [n * n]}) for n in range(3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_results(pathlib.Path(folder, "results.csv"), pieces)
    ...     print(pathlib.Path(folder, "results.csv").read_text())
    wafer,n_removed
    0,0
    1,1
    2,4
    """
    name = Path(path).name.lower()
    writer = next((w for ending, w in _WRITERS.items() if name.endswith(ending)), None)
    if writer is None:
        raise ValueError(f"results are written to {list(_WRITERS)}, got {Path(path).name!r}.")
    pieces = iter([tables] if isinstance(tables, pd.DataFrame) else tables)
    first = next(pieces, None)
    if first is None:
        raise ValueError("there is no table to write.")
    with atomic_write(path) as stream, writer(stream, first) as write:
        write(first)
        for piece in pieces:
            if list(piece.columns) != list(first.columns):
                raise ValueError(
                    f"a piece has the columns {list(piece.columns)}, the first one had "
                    f"{list(first.columns)}."
                )
            write(piece)


@contextmanager
def _csv(stream: BinaryIO, first: pd.DataFrame) -> Iterator[Callable[[pd.DataFrame], None]]:
    text = io.TextIOWrapper(stream, "utf-8", newline="")
    first.iloc[:0].to_csv(text, index=False)
    try:
        yield lambda piece: piece.to_csv(text, index=False, header=False)
    finally:
        text.detach()


@contextmanager
def _csv_gz(stream: BinaryIO, first: pd.DataFrame) -> Iterator[Callable[[pd.DataFrame], None]]:
    # Without a time stamp, so that the same results give the same file.
    with gzip.GzipFile(fileobj=stream, mode="wb", filename="", mtime=0) as packed:
        with _csv(packed, first) as write:  # type: ignore[arg-type]
            yield write


@contextmanager
def _parquet(stream: BinaryIO, first: pd.DataFrame) -> Iterator[Callable[[pd.DataFrame], None]]:
    import pyarrow as pa
    from pyarrow import parquet

    schema = _wide_types(pa.Schema.from_pandas(first, preserve_index=False))

    def write(piece: pd.DataFrame) -> None:
        try:
            writer.write_table(pa.Table.from_pandas(piece, schema=schema, preserve_index=False))
        except pa.ArrowException as error:
            raise ValueError(
                f"a piece has other types of columns than the first one ({error}). Convert them "
                "with astype."
            ) from error

    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        yield write


def _wide_types(schema: Any) -> Any:
    """Let later pieces have more categories than the first, and text where that had nothing."""
    import pyarrow as pa

    for number, column in enumerate(schema):
        if pa.types.is_dictionary(column.type):
            wide = pa.dictionary(pa.int32(), column.type.value_type)
            schema = schema.set(number, column.with_type(wide))
        elif pa.types.is_null(column.type):
            schema = schema.set(number, column.with_type(pa.string()))
    return schema


_WRITERS = {".parquet": _parquet, ".csv": _csv, ".csv.gz": _csv_gz}


def list_parts(folder: str | os.PathLike) -> list[Path]:
    """List the parts of a folder of results, in order."""
    return sorted(Path(folder).glob("part-*.parquet"))


def read_note(part: Path, key: bytes) -> Any:
    """Read what a part says of its run or of the counts at its end; None where it says nothing."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return json.loads((parquet.read_metadata(part).metadata or {})[key])
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return None


def read_results(path: str | os.PathLike) -> pd.DataFrame:
    """Read a folder of results that `camdenoise denoise` or `classify` wrote, with the maps.

    Parameters
    ----------
    path : path-like
        The folder, or one of its parts.

    Returns
    -------
    DataFrame
        One row per wafer, in the order of the input. ``marks`` (of denoise) or ``cells`` (of
        classify) hold the maps as ndarray of uint8, shape (rows, cols); None where a wafer could
        not be read. `stream.MARKS` tells the codes of marks.

    Raises
    ------
    FileNotFoundError
        Where there is no such folder, or no part in it.

    Notes
    -----
    ``pandas.read_parquet(path)`` and other tools that read folders of Parquet give the same table
    with maps as bytes.

    Examples
    --------
    >>> import tempfile
    >>> from functools import partial
    >>> from camdenoise.filters import ComponentSizeFilter
    >>> from camdenoise.io import read_results
    >>> from camdenoise.stream import denoise_batches, wafer_batch, write_parts
    >>> transform = partial(denoise_batches, denoiser=ComponentSizeFilter(min_size=2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_parts(folder, [wafer_batch([[[1, 2], [2, 1]]])], transform)
    ...     results = read_results(folder)
    >>> results["marks"][0]
    array([[1, 2],
           [2, 1]], dtype=uint8)
    """
    path = Path(path)
    if not path.is_dir():
        parts = [path]
    else:
        parts = list_parts(path)
        if not parts:
            raise FileNotFoundError(f"no part-*.parquet in {path}. Is it a folder of results?")
    try:
        table = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
    except (ValueError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path} is not a result of camdenoise: {error}") from error
    for name in {"marks", "cells"} & set(table.columns):
        table[name] = [
            None if cells is None else np.frombuffer(cells, np.uint8).reshape(rows, cols)
            for cells, rows, cols in zip(table[name], table["rows"], table["cols"], strict=True)
        ]
    return table
