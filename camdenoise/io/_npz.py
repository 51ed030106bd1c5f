"""Wafer maps on disk: one npz file of flat arrays, read and written without pickle.

Maps of different size cannot share one array, so the dies of all wafers lie end to end in
``cells``: wafer i takes ``cells[offset[i]:offset[i + 1]]``, in ``height[i]`` rows of ``width[i]``
dies. ``label`` and any further array hold one value per wafer, ``truth`` one truth value per cell;
single values are notes about the whole file.
"""

from __future__ import annotations

import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from camdenoise.io._atomic import atomic_write
from camdenoise.io._file_kinds import detect_kind
from camdenoise.wafers._maps import FAIL, WaferMaps, check_wafer_maps

_LAYOUT = ("cells", "offset", "height", "width", "label")
FILE_IN_FOLDER = "wm811k_dev.npz"
# Arguments of numpy.savez_compressed, which would swallow columns of these names.
_SAVEZ_OPTIONS = ("file", "allow_pickle")
_GROUP_COLUMNS = ("chunk", "lot", "shape_run")
#: What reading a damaged npz file raises; numpy parses an array's header as Python source, and
#: zipfile trusts what the file says of itself.
DAMAGE = (
    ValueError, TypeError, LookupError, ArithmeticError, OSError, EOFError, RuntimeError,
    MemoryError, SyntaxError, struct.error, zipfile.BadZipFile, zlib.error, tokenize.TokenError,
)  # fmt: skip


def _make_error(fault: str) -> ValueError:
    """Make the error for a wrong file: the remedy is the same for all faults."""
    return ValueError(f"{fault} Fetch the file again, or rebuild it with save_wafer_maps.")


def _check_layout(arrays: dict[str, np.ndarray]) -> None:
    """Refuse arrays that contradict each other or hold anything but die codes."""
    if missing := [name for name in _LAYOUT if name not in arrays]:
        raise _make_error(f"arrays {missing} are missing; found {sorted(arrays)}.")
    # Later checks rely on the earlier ones.
    for find in (_find_wrong_types, _find_wrong_text, _find_wrong_lengths, _find_wrong_truth):
        for fault in find(arrays):
            raise _make_error(fault)


def _find_wrong_types(arrays: dict[str, np.ndarray]) -> Iterator[str]:
    cells = arrays["cells"]
    if cells.dtype != np.uint8 or cells.ndim != 1:
        yield f"cells must be a 1-D uint8 array, got {cells.ndim}-D {cells.dtype}."
    wrong = np.flatnonzero(cells > FAIL)
    if wrong.size:
        yield (
            f"cells holds the value {cells[wrong[0]]} at position {wrong[0]} (and "
            f"{wrong.size - 1} more); allowed are 0 (no die), 1 (pass) and 2 (fail)."
        )
    for name in ("offset", "height", "width"):
        values = arrays[name]
        if values.ndim != 1 or values.dtype.kind not in "iu":
            yield f"{name} must be a 1-D array of integers, got {values.ndim}-D {values.dtype}."


def _find_wrong_text(arrays: dict[str, np.ndarray]) -> Iterator[str]:
    """Find code points that are not characters: pandas and files cannot hold them."""
    for name, values in arrays.items():
        if values.dtype.kind != "U" or values.dtype.itemsize == 0:
            continue
        points = np.atleast_1d(np.ascontiguousarray(values)).view(values.dtype.str[0] + "u4")
        wrong = points[(points > 0x10FFFF) | ((points >= 0xD800) & (points <= 0xDFFF))]
        if wrong.size:
            yield f"{name} holds what is not text (code point {wrong[0]:#x})."


def _find_wrong_lengths(arrays: dict[str, np.ndarray]) -> Iterator[str]:
    offset, n_cells = arrays["offset"], arrays["cells"].size
    if offset.size == 0 or offset[0] != 0 or offset[-1] != n_cells:
        ends = f"from {offset[0]} to {offset[-1]}" if offset.size else "nowhere"
        yield f"offset runs {ends}; it must run from 0 to the {n_cells} cells."
    if arrays["label"].dtype.kind != "U":
        yield f"label must hold text, got {arrays['label'].dtype}."
    n_wafers = offset.size - 1
    for name, values in arrays.items():
        if name not in ("cells", "offset", "truth") and values.shape not in ((), (n_wafers,)):
            yield (
                f"{name} has shape {values.shape}, but offset tells of {n_wafers} wafers; there "
                "must be one value per wafer."
            )
    sizes = np.diff(offset.astype(np.int64))
    # Sides in 16 bits would overflow when multiplied.
    height, width = (arrays[name].astype(np.int64) for name in ("height", "width"))
    wrong = np.flatnonzero((sizes != height * width) | (height < 1) | (width < 1))
    for row in wrong[:1]:
        yield (
            f"wafer {row}: offset gives it {sizes[row]} cells, but its grid is {height[row]} x "
            f"{width[row]}."
        )


def _find_wrong_truth(arrays: dict[str, np.ndarray]) -> Iterator[str]:
    truth, cells = arrays.get("truth"), arrays["cells"]
    if truth is None:
        return
    if truth.dtype != np.bool_ or truth.shape != cells.shape:
        yield f"truth must be bool with one value per cell, got {truth.dtype} {truth.shape}."
    wrong = np.flatnonzero(truth & (cells != FAIL))
    if wrong.size:
        yield f"truth marks cell {wrong[0]}, which is not a fail (and {wrong.size - 1} more)."


def _locate(path: str | os.PathLike) -> Path:
    """Turn a file or a folder into the file, or say what was looked for."""
    path = Path(path)
    file = path / FILE_IN_FOLDER if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"No wafer map file at {file}. Pass the .npz file, or a folder that holds "
            f"{FILE_IN_FOLDER}."
        )
    return file


def refuse_other_kinds(file: Path) -> None:
    """Say what a file is, and what reads it, where its first bytes tell that it is not npz."""
    kind = detect_kind(file)
    if kind is not None and not kind.what.startswith(("an npz", "a damaged zip")):
        raise ValueError(f"{file} is {kind.what}, not an npz file. {kind.remedy}")


def _read_arrays(file: Path) -> dict[str, np.ndarray]:
    """Take each array out once (an open npz decompresses anew at every access)."""
    refuse_other_kinds(file)
    try:
        archive = np.load(file, allow_pickle=False)
    except DAMAGE as error:
        # numpy takes what it does not know for a pickle, and recommends to allow it.
        reason = "its first bytes are of no known kind" if "pickle" in str(error) else error
        raise _make_error(f"{file} is not a readable npz file ({reason}).") from error
    with archive:
        return {name: _read_array(archive, name, file) for name in archive.files}


def array_header(stream: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    """Read what an array claims to be, without making room for it."""
    version = np.lib.format.read_magic(stream)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(stream)
    return shape, dtype


def _check_claim(archive: Any, name: str) -> None:
    """Refuse an array that claims more bytes than the file holds, before room is made for it."""
    member = archive.zip.getinfo(f"{name}.npy")
    with archive.zip.open(member) as stream:
        shape, dtype = array_header(stream)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise ValueError(f"it claims {dtype} {shape}, but holds {member.file_size} bytes")


def _read_array(archive: Any, name: str, file: Path) -> np.ndarray:
    try:
        _check_claim(archive, name)
        return np.asarray(archive[name])
    except DAMAGE as error:
        raise _make_error(
            f"array {name!r} of {file} cannot be read without pickle ({error})."
        ) from error


def _select(label: np.ndarray, classes: str | Sequence[str] | None) -> np.ndarray:
    """Rows of the wanted classes, in file order."""
    if classes is None:
        return np.arange(label.size)
    wanted = [classes] if isinstance(classes, str) else list(classes)
    absent = sorted(set(wanted) - set(np.unique(label).tolist()))
    if absent:
        raise ValueError(f"no wafer of class {absent}; the file has {np.unique(label).tolist()}.")
    return np.flatnonzero(np.isin(label, wanted))


def _cut_grids(
    flat: np.ndarray, arrays: dict[str, np.ndarray], rows: np.ndarray
) -> list[np.ndarray]:
    starts = arrays["offset"].astype(np.int64)
    height, width = arrays["height"], arrays["width"]
    return [flat[starts[r] : starts[r + 1]].reshape(int(height[r]), int(width[r])) for r in rows]


def _read_columns(arrays: dict[str, np.ndarray]) -> pd.DataFrame:
    order = ("label", "height", "width")
    rest = [n for n, a in arrays.items() if a.ndim == 1 and n not in (*_LAYOUT, "truth")]
    return pd.DataFrame({name: arrays[name] for name in (*order, *rest)})


def _find_groups(frame: pd.DataFrame) -> np.ndarray:
    """Find the groups for cross-validation; see `load_wafer_maps`."""
    for name in _GROUP_COLUMNS:
        if name in frame:
            values = frame[name].to_numpy()
            whole = values.dtype.kind in "iu"
            return np.asarray(values if whole else pd.factorize(values)[0], dtype=int)
    return number_grid_runs(frame)


def number_grid_runs(frame: pd.DataFrame) -> np.ndarray:
    """Give each run of consecutive wafers with the same ``height`` and ``width`` a number."""
    sides = frame[["height", "width"]].to_numpy()
    changes = (sides[1:] != sides[:-1]).any(axis=1)
    return np.concatenate([[0], np.cumsum(changes)])[: len(frame)]


def load_wafer_maps(
    path: str | os.PathLike, *, classes: str | Sequence[str] | None = None
) -> Bunch:
    """Load wafer maps, labels and all else that is known of each wafer from an npz file.

    The file is read without pickle, so that opening one from a stranger runs no code.

    Parameters
    ----------
    path : path-like
        The npz file, or a folder that holds ``wm811k_dev.npz``.
    classes : str, sequence of str or None, default=None
        Keep the wafers of these classes only; None keeps all.

    Returns
    -------
    sklearn.utils.Bunch
        With these attributes, all in the same row order:

        - ``maps`` : list of ndarray of uint8, shape (height, width); 0 no die, 1 pass, 2 fail.
          They are views into one array; copy before changing one.
        - ``target`` : ndarray of str, shape (n_wafers,)
        - ``groups`` : ndarray of int, shape (n_wafers,); wafers that should not be separated in
          cross-validation: column ``chunk`` of the file, else ``lot``, else ``shape_run``, else
          runs of consecutive wafers with the same grid.
        - ``frame`` : DataFrame with ``label``, ``height``, ``width`` (in dies) and every other
          per-wafer column of the file.
        - ``truth`` : list of ndarray of bool (fails that the pattern caused), or None where the
          file has none.
        - ``about`` : dict of the single values in the file, such as ``provenance``.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        For a file that is damaged, needs pickle or contradicts itself, and for a class that the
        file does not have.

    See Also
    --------
    save_wafer_maps : write such a file.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from camdenoise.datasets import load_wafer_maps, make_wafer_maps, save_wafer_maps
    >>> wafers = make_wafer_maps(4, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "wafers.npz")
    ...     save_wafer_maps(file, wafers.maps, wafers.target, lot=wafers.groups)
    ...     again = load_wafer_maps(file)
    >>> len(again.maps), again.frame.columns.tolist()
    (4, ['label', 'height', 'width', 'lot'])
    """
    file = _locate(path)
    arrays = _read_arrays(file)
    if {"arr_0", "arr_1"} <= set(arrays):
        raise ValueError(
            f"{file} holds the arrays arr_0 and arr_1, as MixedWM38 does. Read it with "
            "camdenoise.datasets.load_mixed_wm38."
        )
    try:
        _check_layout(arrays)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    rows = _select(arrays["label"], classes)
    frame = _read_columns(arrays)
    truth = arrays.get("truth")
    return Bunch(
        maps=_cut_grids(arrays["cells"], arrays, rows),
        target=arrays["label"][rows],
        groups=_find_groups(frame)[rows],
        frame=frame.iloc[rows].reset_index(drop=True),
        truth=None if truth is None else _cut_grids(truth, arrays, rows),
        about={name: values.item() for name, values in arrays.items() if values.ndim == 0},
    )


def _check_column(name: str, values: Any, n_wafers: int) -> np.ndarray:
    """One column as an array that needs no pickle."""
    column = np.asarray(values)
    if column.dtype == object and all(isinstance(v, str) for v in column.ravel()):
        column = column.astype(str)
    if column.dtype.kind not in "biufU":
        raise ValueError(
            f"column {name!r} is of type {column.dtype}, which needs pickle. Pass numbers, "
            "truth values or text."
        )
    if column.ndim and column.shape != (n_wafers,):
        raise ValueError(f"column {name!r} has shape {column.shape}, expected ({n_wafers},).")
    return column


def _flatten_truth(truth: Sequence[np.ndarray], maps: Sequence[np.ndarray]) -> np.ndarray:
    masks = [np.asarray(mask) for mask in truth]
    if len(masks) != len(maps):
        raise ValueError(f"truth has {len(masks)} masks for {len(maps)} wafer maps.")
    for row, (mask, grid) in enumerate(zip(masks, maps, strict=True)):
        if mask.shape != grid.shape or mask.dtype != np.bool_:
            raise ValueError(
                f"truth of wafer {row} is {mask.dtype} {mask.shape}, expected bool {grid.shape}."
            )
        if (mask & (grid != FAIL)).any():
            raise ValueError(f"truth of wafer {row} marks dies that do not fail.")
    return np.concatenate([mask.ravel() for mask in masks])


def save_wafer_maps(
    path: str | os.PathLike,
    maps: WaferMaps,
    target: Sequence[str],
    *,
    truth: Sequence[np.ndarray] | None = None,
    **columns: Any,
) -> None:
    """Save wafer maps to an npz file, whole or not at all.

    Parameters
    ----------
    path : path-like
        The file to write; an existing one is replaced only once the new one is complete.
    maps : list, tuple, object array or Series of 2-D maps, or 3-D array
        The wafers; codes 0 (no die), 1 (pass), 2 (fail).
    target : sequence of str, length n_wafers
        Their labels.
    truth : sequence of ndarray of bool, or None, default=None
        For each wafer the fails that the pattern caused.
    **columns : array-like of shape (n_wafers,), or a single value
        Anything else to keep, such as ``lot=...`` or ``provenance="..."``.

    Raises
    ------
    WaferMapError
        For a map that cannot be read.
    ValueError
        For lengths that do not match, a column that would need pickle or whose name the file
        format uses itself.

    See Also
    --------
    load_wafer_maps : read the file, with an example.
    """
    taken = sorted(set(columns) & {*_LAYOUT, *_SAVEZ_OPTIONS})
    if taken:
        raise ValueError(f"columns {taken} have names that the file format uses; rename them.")
    grids = check_wafer_maps(maps)
    arrays: dict[str, Any] = {
        "cells": np.concatenate([grid.ravel() for grid in grids]),
        "offset": np.cumsum([0, *(grid.size for grid in grids)], dtype=np.int64),
        "height": np.array([grid.shape[0] for grid in grids], np.int32),
        "width": np.array([grid.shape[1] for grid in grids], np.int32),
        "label": _check_column("target", np.asarray(target, dtype=object), len(grids)),
    }
    if truth is not None:
        arrays["truth"] = _flatten_truth(truth, grids)
    arrays |= {name: _check_column(name, values, len(grids)) for name, values in columns.items()}
    _check_layout(arrays)
    with atomic_write(path) as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
