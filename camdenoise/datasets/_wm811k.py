"""WM-811K: 811,457 wafer maps of a real fab, 172,950 of them labeled with a failure pattern."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.utils import Bunch

from camdenoise.datasets._patterns import CLASSES
from camdenoise.io._lswmd_convert import convert_safely, refuse_other_kinds
from camdenoise.io._npz import runs_of_grids
from camdenoise.io._wafer_parquet import WaferTable, source_of

FILES_IN_FOLDER = ("LSWMD.pkl", "WM811K.pkl")
# Version of the layout of a converted file, part of its key.
_LAYOUT_VERSION = 1
# Bytes at each end of a file that are hashed for its key.
_ENDS = 2**20
_NAMES = {"label": "label", "rows": "height", "cols": "width", "lot": "lot", "wafer": "wafer"}
_NAMES |= {"die_size": "die_size", "split": "split"}


def _locate(path: str | os.PathLike) -> Path:
    path = Path(path)
    files = [path / name for name in FILES_IN_FOLDER] if path.is_dir() else [path]
    for file in files:
        if file.is_file():
            return file
    raise FileNotFoundError(
        f"No WM-811K file at {path}. Pass LSWMD.pkl or WM811K.pkl, or the folder that holds it."
    )


def _key(source: Path) -> dict:
    """Describe the content of a file by its size, time and ends, without reading all of it."""
    status = source.stat()
    with open(source, "rb") as file:
        ends = file.read(_ENDS)
        file.seek(max(status.st_size - _ENDS, 0))
        ends += file.read(_ENDS)
    return {
        "layout": _LAYOUT_VERSION,
        "name": source.name,
        "size": status.st_size,
        "modified": status.st_mtime_ns,
        "ends": hashlib.blake2b(ends, digest_size=16).hexdigest(),
    }


def _convert(source: Path, cache: str | os.PathLike | None, progress: bool) -> Path:
    """Return the Parquet file that was converted from `source`; convert it if necessary."""
    folder = source.parent if cache is None else Path(cache)
    target = folder / f"{source.name}.camdenoise.parquet"
    refuse_other_kinds(source)
    key = _key(source)
    if source_of(target) != key:
        if not folder.is_dir():
            raise FileNotFoundError(f"No folder {folder} to keep {target.name} in; make it first.")
        if not os.access(folder, os.W_OK):
            raise PermissionError(
                f"Cannot write {target.name} to {folder}. Pass a folder for it as cache=."
            )
        convert_safely(source, target, key, progress=progress)
    return target


def _is_parquet(file: Path) -> bool:
    with open(file, "rb") as stream:
        return stream.read(4) == b"PAR1"


def _check_parquet(file: Path) -> Path:
    """Refuse a Parquet file that no earlier call has made."""
    try:
        columns = pq.read_schema(file).names
    except (OSError, ValueError, pa.ArrowException):
        # The error of the later read describes the damage.
        return file
    if source_of(file) is None:
        raise ValueError(
            f"{file} is a Parquet file that load_wm811k did not make; its columns are "
            f"{', '.join(columns)[:200]}. Read it with camdenoise.io.read_maps."
        )
    return file


def _frame(table: WaferTable) -> pd.DataFrame:
    columns = {ours: table.columns[theirs].to_pandas() for theirs, ours in _NAMES.items()}
    frame = pd.DataFrame(columns)
    for name in ("label", "split"):
        frame[name] = frame[name].fillna("")
    return frame.assign(order=np.arange(len(frame)))


def _groups(frame: pd.DataFrame) -> np.ndarray:
    """Give each lot a number; without lots, each run of wafers with the same grid."""
    if len(frame) and frame["lot"].isna().all():
        return runs_of_grids(frame)
    return pd.factorize(frame["lot"])[0]


def load_wm811k(
    path: str | os.PathLike,
    *,
    labeled: bool = True,
    drop: Sequence[str] = ("Random", "Near-full", "none"),
    cache: str | os.PathLike | None = None,
    progress: bool = True,
) -> Bunch:
    """Load WM-811K from one of its two pickles, without running code from them.

    ``LSWMD.pkl`` (Kaggle) and ``WM811K.pkl`` (MIR lab) are pickled DataFrames, and unpickling a
    file runs its code. Here a restricted unpickler reads it once: it allows only the names that
    such a DataFrame needs, in a process with limited memory and time. The result is kept as a
    Parquet file, which later calls load within seconds.

    Parameters
    ----------
    path : path-like
        ``LSWMD.pkl`` or ``WM811K.pkl``, a folder that holds one, or the Parquet file that an
        earlier call has made.
    labeled : bool, default=True
        Keep the labeled wafers only (172,950). False keeps all 811,457; the label of the others
        is "".
    drop : sequence of str, default=("Random", "Near-full", "none")
        Classes to leave out; the default keeps the six patterns with a cause. Wafers without a
        label are not a class.
    cache : path-like, default=None
        Existing folder for the Parquet file. None: the folder of the pickle. The file is made
        again if the pickle has changed (size, time, first and last megabyte).
    progress : bool, default=True
        Show a progress bar while converting, if the output is a terminal.

    Returns
    -------
    sklearn.utils.Bunch
        With these attributes, all in the row order of the original table:

        - ``maps`` : `RaggedWaferMaps` of uint8, shape (n_wafers,); 0 no die, 1 pass, 2 fail.
          Reads as a list of read-only 2-D arrays, at the cost of their cells only.
        - ``target`` : ndarray of str, shape (n_wafers,)
        - ``groups`` : ndarray of int, shape (n_wafers,); the lot, for cross-validation by group.
          Without the column ``lotName``: runs of consecutive wafers with the same grid.
        - ``frame`` : DataFrame with ``label``, ``height``, ``width`` (in dies), ``lot``,
          ``wafer`` (number in its lot), ``die_size`` (dies on the wafer, as given), ``split``
          ("Training", "Test" or "") and ``order`` (row in the original table). What the file
          does not have is a missing value here.
        - ``truth`` : None; nobody knows which fails a real pattern caused.
        - ``about`` : dict with the name and size of the original file.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no folder `cache`.
    PermissionError
        Where the Parquet file cannot be written; pass `cache`.
    ValueError
        For a file that is refused (the message names what it asked for), is damaged, wants more
        memory than a file of its size needs, or holds an unknown label, code or lot (the message
        names the row); for a file of another kind (it names the function that reads it), or one
        without any label where `labeled` is True; for an unknown class in `drop`.

    See Also
    --------
    load_mixed_wm38 : wafers with several patterns at once.

    Notes
    -----
    Of the columns, only ``waferMap`` is required. Tables that people saved again, without
    ``waferIndex`` or ``lotName`` for instance, are read, too.

    Converting takes a minute or some and 3 GB of memory, once; ``docs/wm811k.md`` has the figures.
    3.8 % of the maps occur more than once, mostly in different lots; they are kept, as would be a
    wafer number that occurs twice in a lot. The vendor's split separates lots, and its test lots
    are later ones: it is by far the harder task.

    References
    ----------
    .. [1] M.-J. Wu, J.-S. R. Jang, J.-L. Chen, "Wafer Map Failure Pattern Recognition and
       Similarity Ranking for Large-Scale Data Sets", IEEE Trans. Semicond. Manuf. 28(1), 2015.
    .. [2] MIR-WM811K: Dataset for wafer map failure pattern recognition, 2015,
       http://mirlab.org/dataset/public/.

    Examples
    --------
    >>> from camdenoise.datasets import load_wm811k
    >>> wafers = load_wm811k("LSWMD.pkl")  # doctest: +SKIP
    >>> len(wafers.maps), wafers.maps[0].shape  # doctest: +SKIP
    (24504, (45, 48))
    """
    wanted = set(drop if not isinstance(drop, str) else [drop])
    if wanted - set(CLASSES):
        raise ValueError(f"drop names {sorted(wanted - set(CLASSES))}; the classes are {CLASSES}.")
    source = _locate(path)
    file = _check_parquet(source) if _is_parquet(source) else _convert(source, cache, progress)
    with WaferTable(file) as table:
        frame = _frame(table)
        label = frame["label"].to_numpy(dtype=str)
        if labeled and len(label) and not (label != "").any():
            raise ValueError(
                f"{source} has a label for none of its {len(label)} wafers (column failureType). "
                "Pass labeled=False to load them without."
            )
        keep = ~np.isin(label, list(wanted)) & ((label != "") | (not labeled))
        maps = table.maps(keep)
    frame = frame[keep].reset_index(drop=True)
    return Bunch(
        maps=maps,
        target=label[keep],
        groups=_groups(frame),
        frame=frame,
        truth=None,
        about=table.about,
    )
