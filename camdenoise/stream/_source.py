"""Files of wafers as record batches, each kind told by what the file begins with."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from camdenoise.io._container import read_head
from camdenoise.io._die_table import from_die_table
from camdenoise.io._lots import iter_lots
from camdenoise.io._parquet import open_to_stream
from camdenoise.io._problems import WaferFileError
from camdenoise.io._read import read_wafers
from camdenoise.stream._batches import CELLS, wafer_batch
from camdenoise.stream._denoise import RESULTS

_DIES = ("x", "y", "bin")


@dataclass(frozen=True)
class WaferSource:
    """Wafers of a file, as they are read.

    Attributes
    ----------
    kind : str
        What the file is.
    batches : iterable of pyarrow.RecordBatch
        With the columns of `wafer_batch` and the wafers' keys. To be gone through once.
    n_wafers : int or None
        How many there are, where the file says so before it is read.
    """

    kind: str
    batches: Iterable[pa.RecordBatch]
    n_wafers: int | None


def open_source(
    path: str | os.PathLike,
    *,
    batch_rows: int = 2048,
    pass_bins: Any = None,
    retest: str = "last",
) -> WaferSource:
    """Open a file of wafers of any known kind.

    Parameters
    ----------
    path : path-like
        Parquet with a row per wafer (``cells``, ``rows``, ``cols`` and any keys) or with a row per
        die (``x``, ``y``, ``bin`` and ``lot``, ``wafer``); CSV with a row per die; npz as
        `datasets.save_wafer_maps` writes it; STDF, SEMI G85 or E142, SINF, KLARF. Its name does
        not matter. Parquet is read as it goes, other files at once.
    batch_rows : int, default=2048
        Wafers per record batch at most.
    pass_bins, retest
        For files with a row per die: see `io.from_die_table`.

    Returns
    -------
    WaferSource

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    WaferFileError, ValueError
        For a file that is of none of these kinds, or damaged; of Parquet perhaps only while its
        batches are read.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no file of wafers at {path}.")
    dies = {"pass_bins": pass_bins, "retest": retest}
    head = read_head(path)
    if head.startswith(b"PAR1"):
        return _parquet(path, batch_rows, dies)
    if head.startswith(b"PK\x03\x04"):
        return _npz(path, batch_rows)
    if _is_die_csv(head):
        if b"\0" in head:
            raise WaferFileError(path, "it has zero bytes, as no CSV in UTF-8 has. Save it anew.")
        tables = [_read_csv(path)]
        return WaferSource("CSV, a row per die", _of_dies(path, tables, batch_rows, dies), None)
    return WaferSource(
        "tester or fab file", _of_dies(path, [read_wafers(path)], batch_rows, dies), None
    )


def _parquet(path, batch_rows: int, dies: dict[str, Any]) -> WaferSource:
    try:
        file = open_to_stream(path)
    except (OSError, pa.ArrowException) as error:
        raise WaferFileError(path, f"this Parquet file cannot be read ({error}).") from error
    names = file.schema_arrow.names
    if CELLS in names:
        batches = _reading(path, file.iter_batches(batch_rows))
        return WaferSource("Parquet, a row per wafer", batches, file.metadata.num_rows)
    if set(_DIES) <= set(names):
        lots = iter_lots(path)
        return WaferSource("Parquet, a row per die", _of_dies(path, lots, batch_rows, dies), None)
    raise WaferFileError(
        path,
        f"its columns are {', '.join(names)}. It needs cells, rows and cols (a row per wafer) or "
        "lot, wafer, x, y and bin (a row per die).",
    )


def _reading(path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        yield from batches
    except (OSError, pa.ArrowException) as error:
        raise WaferFileError(path, f"this Parquet file is damaged ({error}).") from error


def _npz(path, batch_rows: int) -> WaferSource:
    from camdenoise.datasets import load_wafer_maps

    wafers = load_wafer_maps(path)
    keys = wafers.frame.drop(columns=["height", "width"])
    return WaferSource("npz", _in_batches(wafers.maps, keys, batch_rows), len(wafers.maps))


def _of_dies(path, tables: Iterable[pd.DataFrame], batch_rows: int, options: dict[str, Any]):
    for table in tables:
        by = [name for name in ("lot", "wafer") if name in table]
        if not by:
            raise WaferFileError(path, "no column lot or wafer tells its wafers apart.")
        try:
            wafers = from_die_table(table, by=by, **options)
        except ValueError as error:
            raise WaferFileError(path, str(error)) from error
        # They are counted again, among the results.
        keys = wafers.frame.drop(columns=RESULTS.names, errors="ignore")
        yield from _in_batches(wafers.maps, keys, batch_rows)


def _in_batches(maps: list[np.ndarray], keys: pd.DataFrame, batch_rows: int):
    for start in range(0, len(maps), batch_rows):
        rows = slice(start, start + batch_rows)
        yield wafer_batch(maps[rows], keys.iloc[rows])


def _is_die_csv(head: bytes) -> bool:
    first = head.decode("utf-8-sig", "replace").splitlines()[:1]
    return bool(first) and set(_DIES) <= {name.strip().strip('"') for name in first[0].split(",")}


def _read_csv(path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype={"lot": str, "wafer": str}, skipinitialspace=True)
    except (ValueError, UnicodeError) as error:
        raise WaferFileError(path, f"this CSV file cannot be read ({error}).") from error
