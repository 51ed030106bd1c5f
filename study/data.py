"""Real wafers in any of their forms, as the npz file that the study reads."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from camdenoise.datasets import load_wm811k, save_wafer_maps
from camdenoise.io import sha256
from camdenoise.stream import open_source, wafers_of
from study.graph import Task, run_all, slug

#: The file that a folder of real wafers holds, as `load_wafer_maps` looks for it.
FILE_IN_FOLDER = "wm811k_dev.npz"
# How the kinds of files begin.
_ZIP, _PICKLE, _PARQUET = b"PK", b"\x80", b"PAR1"


def data_file(data: str, out: Path) -> Path:
    """Find real wafers; convert those of a pickle or a Parquet file to an npz file, once.

    Parameters
    ----------
    data : str
        An npz file, a folder with one in it, LSWMD.pkl, WM811K.pkl, or Parquet with a row per
        wafer and a column ``label``, and perhaps ``lot`` or ``chunk``.
    out : Path
        Folder of tasks, for the npz file.

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
    converting = Task(
        f"data-{slug(file.stem)}", convert, {"data": str(file), "digest": sha256(file)}
    )
    return run_all([converting], out)[converting.name] / f"{file.stem}.npz"


def convert(folder: Path, needed: dict[str, Path], *, data: str, digest: str) -> None:
    """Write the wafers of a pickle or a Parquet file to an npz file.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    data, digest : str
        The file, and what it hashes to.
    """
    with open(data, "rb") as stream:
        pickled = stream.read(1) == _PICKLE
    maps, keys = _of_pickle(Path(data), folder) if pickled else _of_parquet(Path(data))
    save_wafer_maps(folder / f"{Path(data).stem}.npz", maps, keys["label"], **_groups(keys))


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
