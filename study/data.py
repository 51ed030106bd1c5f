"""Real wafers in any of their forms, as the npz file that the study reads."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from camdenoise.datasets import load_wm811k, save_wafer_maps
from camdenoise.io._atomic import digest
from camdenoise.io._npz import FILE_IN_FOLDER
from camdenoise.stream import open_source, wafers_of

_ZIP, _PICKLE, _PARQUET = b"PK", b"\x80", b"PAR1"


def data_file(data: str, out: Path) -> Path:
    """Find real wafers; write those of a pickle or a Parquet file to an npz file, once.

    Parameters
    ----------
    data : str
        An npz file, a folder with one in it, LSWMD.pkl, WM811K.pkl, or Parquet with a row per
        wafer and a column ``label``, and perhaps ``lot`` or ``chunk``.
    out : Path
        Where the npz file is kept; its name has the digest of the original.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        For a file of another kind, or one without labels.
    """
    file = Path(data) / FILE_IN_FOLDER if Path(data).is_dir() else Path(data)
    if not file.is_file():
        raise FileNotFoundError(
            f"no wafers at {file}. Pass a file of wafers, or a folder that holds "
            f"{FILE_IN_FOLDER}; unset CAMDENOISE_DATA and leave out --data to use simulated wafers."
        )
    with open(file, "rb") as stream:
        start = stream.read(4)
    if start.startswith(_ZIP):
        return file
    if not start.startswith((_PICKLE, _PARQUET)):
        raise ValueError(f"{file} is neither npz nor Parquet nor one of WM-811K's pickles.")
    out.mkdir(parents=True, exist_ok=True)
    made = out / f"{file.stem}-{digest(file)[:12]}.npz"
    if not made.exists():
        maps, keys = _of_pickle(file, out) if start.startswith(_PICKLE) else _of_parquet(file)
        save_wafer_maps(made, maps, keys["label"], **_groups(keys))
    return made


def _of_pickle(file: Path, cache: Path):
    wafers = load_wm811k(file, drop=(), cache=cache)
    return wafers.maps, wafers.frame


def _of_parquet(file: Path):
    maps, frames = [], []
    for batch in open_source(file).batches:
        if "label" not in batch.schema.names:
            raise ValueError(f"{file} has no column label with the class of each wafer.")
        grids, errors = wafers_of(batch)
        keys = batch.drop_columns(["cells", "rows", "cols"]).to_pandas()
        labels = keys["label"].fillna("")
        there = [error is None and bool(label) for error, label in zip(errors, labels, strict=True)]
        maps += [grid for grid, known in zip(grids, there, strict=True) if known]
        frames.append(keys[there])
    return maps, pd.concat(frames, ignore_index=True)


def _groups(keys: pd.DataFrame) -> dict:
    """Keep what tells which wafers belong together, and the folds that the file brings."""
    return {
        name: keys[name].to_numpy(str) if keys[name].dtype.kind not in "iu" else keys[name]
        for name in ("lot", "chunk", "fold")
        if name in keys
    }
