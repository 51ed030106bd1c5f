"""MixedWM38: 38,015 wafer maps with up to four patterns at once."""

from __future__ import annotations

import itertools
import math
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from camdenoise.io._npz import DAMAGE, array_header, refuse_other_kinds
from camdenoise.wafers._maps import FAIL, MAX_SIDE

#: The basic patterns, in the order of the file's label columns.
MIXED_PATTERNS = (
    "Center", "Donut", "Edge-Loc", "Edge-Ring", "Loc", "Near-full", "Scratch", "Random"
)  # fmt: skip
FILE_IN_FOLDER = "Wafer_Map_Datasets.npz"

_MAPS, _LABELS = "arr_0.npy", "arr_1.npy"
# Code of a fail on 105 Near-full maps of the published file.
_STRAY_FAIL = 3
# Largest array in bytes: more than twice the published file with 64-bit numbers.
_MOST_BYTES = 2**31
# Maps that are checked at a time, to save memory.
_MAPS_AT_ONCE = 2_000


def _combinations() -> tuple[str, ...]:
    """List the combinations: at most one of Center and Donut, one edge, a Loc and a Scratch."""
    centers, edges = ("", "Center", "Donut"), ("", "Edge-Loc", "Edge-Ring")
    parts = itertools.product(centers, edges, ("", "Loc"), ("", "Scratch"))
    mixed = ("+".join(filter(None, names)) or "none" for names in parts)
    return tuple(sorted((*mixed, "Near-full", "Random"), key=lambda name: (name.count("+"), name)))


#: The 38 combinations of patterns; "none" for a wafer without any.
MIXED_CLASSES = _combinations()


def _locate(path: str | os.PathLike) -> Path:
    path = Path(path)
    file = path / FILE_IN_FOLDER if path.is_dir() else path
    if not file.is_file():
        raise FileNotFoundError(
            f"No MixedWM38 file at {file}. Pass {FILE_IN_FOLDER}, or the folder that holds it."
        )
    return file


def _check_headers(maps: tuple, labels: tuple) -> None:
    (shape, kind), (label_shape, label_kind) = maps, labels
    fits = len(shape) == 3 and 1 <= min(shape[1:]) <= max(shape[1:]) <= MAX_SIDE
    small = math.prod(shape) * kind.itemsize <= _MOST_BYTES
    if not (fits and small and kind.kind in "biuf"):
        raise ValueError(
            f"arr_0 is {kind} {shape}; expected numbers (n_wafers, 52, 52), at most "
            f"{_MOST_BYTES} bytes."
        )
    if label_kind.kind not in "biuf" or label_shape != (shape[0], len(MIXED_PATTERNS)):
        raise ValueError(
            f"arr_1 is {label_kind} {label_shape}; expected numbers "
            f"({shape[0]}, {len(MIXED_PATTERNS)}), one row per wafer."
        )


def _read_arrays(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read both arrays, after a check of their headers."""
    with zipfile.ZipFile(file) as archive:
        missing = {_MAPS, _LABELS} - set(archive.namelist())
        if missing:
            raise ValueError(f"{sorted(missing)} missing; found {archive.namelist()[:10]}.")
        headers = []
        for name in (_MAPS, _LABELS):
            with archive.open(name) as stream:
                headers.append(array_header(stream))  # type: ignore[arg-type]
        _check_headers(*headers)
    with np.load(file, allow_pickle=False) as arrays:
        return _codes(arrays["arr_0"]), arrays["arr_1"]


def _codes(values: np.ndarray) -> np.ndarray:
    """Turn the maps into die codes of one byte each, the stray value 3 into a fail."""
    codes = np.empty(values.shape, np.uint8)
    for first in range(0, len(values), _MAPS_AT_ONCE):
        part = values[first : first + _MAPS_AT_ONCE]
        wrong = ~np.isin(part, (0, 1, FAIL, _STRAY_FAIL))
        if wrong.any():
            row, y, x = np.argwhere(wrong)[0]
            raise ValueError(
                f"wafer {first + row}: value {part[row, y, x]} at row {y}, column {x}; expected "
                "0 (no die), 1 (pass), 2 or 3 (fail)."
            )
        codes[first : first + len(part)] = np.minimum(part, FAIL)
    return codes


def _names(labels: np.ndarray) -> np.ndarray:
    """Name the combination of each row of labels."""
    wrong = ~np.isin(labels, (0, 1)).all(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"wafer {row}: label {labels[row].tolist()}; expected zeros and ones.")
    distinct, first, codes = np.unique(
        labels.astype(np.uint8), axis=0, return_index=True, return_inverse=True
    )
    names = [
        "+".join(itertools.compress(MIXED_PATTERNS, combination)) or "none"
        for combination in distinct
    ]
    for name, row in zip(names, first, strict=True):
        if name not in MIXED_CLASSES:
            raise ValueError(f"wafer {row}: {name} is none of the 38 combinations of MixedWM38.")
    return np.array(names, dtype=str)[codes.ravel()] if names else np.empty(0, "U1")


def load_mixed_wm38(path: str | os.PathLike) -> Bunch:
    """Load MixedWM38, wafers with up to four patterns each, without pickle.

    Parameters
    ----------
    path : path-like
        ``Wafer_Map_Datasets.npz`` with the arrays ``arr_0`` (maps) and ``arr_1`` (labels), or the
        folder that holds it.

    Returns
    -------
    sklearn.utils.Bunch
        With these attributes, all in the row order of the file:

        - ``maps`` : ndarray of uint8, shape (n_wafers, 52, 52); 0 no die, 1 pass, 2 fail. The
          value 3, which 105 Near-full maps hold, is set to 2.
        - ``target`` : ndarray of str, shape (n_wafers,); one of the 38 combinations, such as
          "Center+Edge-Loc"; "none" for no pattern.
        - ``labels`` : ndarray of uint8, shape (n_wafers, 8); 1 where the wafer has the pattern.
        - ``label_names`` : tuple of str; the patterns of these columns.
        - ``groups`` : None; the file has no lots.
        - ``frame`` : DataFrame with ``label``, ``height``, ``width`` and ``n_patterns``.
        - ``truth`` : None; it is not known which fails a pattern caused.
        - ``about`` : dict with the file's name.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For a file that is damaged, needs pickle, is far larger than MixedWM38, or holds another
        value or combination; the message names the wafer.

    See Also
    --------
    load_wm811k : Real wafers, of which many of these maps are made.

    Notes
    -----
    Most of the maps were generated by a GAN from real ones, to balance the classes. They are not
    independent of WM-811K: do not train on the one and test on the other.

    References
    ----------
    .. [1] J. Wang, C. Xu, Z. Yang, J. Zhang, X. Li, "Deformable Convolutional Networks for
       Efficient Mixed-Type Wafer Defect Pattern Recognition", IEEE Trans. Semicond. Manuf. 33(4),
       2020, doi:10.1109/TSM.2020.3020985.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from camdenoise.datasets import load_mixed_wm38
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "Wafer_Map_Datasets.npz")
    ...     np.savez(file, np.ones((2, 52, 52), int), [[1, 0, 1, 0, 0, 0, 0, 0], [0] * 8])
    ...     wafers = load_mixed_wm38(file)
    >>> wafers.target.tolist()
    ['Center+Edge-Loc', 'none']
    """
    file = _locate(path)
    refuse_other_kinds(file)
    try:
        maps, labels = _read_arrays(file)
        target = _names(labels)
    except DAMAGE as error:
        raise ValueError(f"{file} is not a MixedWM38 file: {error}") from error
    n_wafers, height, width = maps.shape
    labels = labels.astype(np.uint8)
    frame = pd.DataFrame(
        {"label": target, "height": height, "width": width, "n_patterns": labels.sum(axis=1)}
    )
    return Bunch(
        maps=maps,
        target=target,
        labels=labels,
        label_names=MIXED_PATTERNS,
        groups=None,
        frame=frame,
        truth=None,
        about={"name": file.name},
    )
