"""Train on shares of the wafers and for fewer epochs, denoised or not: learning curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from camdenoise import WaferClassifier
from study.denoisers import NOTHING, RAW
from study.files import write_table
from study.stages.before_after import denoised
from study.stages.denoise import load_masks
from study.stages.models import PREDICTIONS, predictions
from study.wafers import load, pick


def share_of(target: np.ndarray, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Draw a share of these rows within each class; a larger share holds every smaller one.

    Parameters
    ----------
    target : ndarray of str, shape (n_wafers,)
        Labels of all wafers.
    rows : ndarray of int
        Those to draw from.
    share : float
        Of each class, rounded up, and two at least.
    seed : int

    Returns
    -------
    ndarray of int
        Sorted.
    """
    rng = np.random.default_rng(seed)
    drawn = []
    for name in np.unique(target[rows]):
        of_class = rng.permutation(rows[target[rows] == name])
        drawn.append(of_class[: max(2, int(np.ceil(share * len(of_class))))])
    return np.sort(np.concatenate(drawn))


def train(
    folder: Path,
    needed: dict[str, Path],
    *,
    fold: int,
    seed: int,
    name: str,
    source: str,
    share: float,
    epochs: int,
    classifier: dict[str, Any],
) -> None:
    """Train on a share of the training wafers, predict the test wafers.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    fold, seed : int
        As in `study.stages.models`.
    name : str
        What the wafers were denoised by, a control among them, or raw ones.
    source : str
        The task that made its masks.
    share : float
        Of the training wafers.
    epochs : int
        Passes over them.
    classifier : dict
        Parameters of `WaferClassifier`.
    """
    wafers = load(needed["wafers"])
    method = NOTHING if name == RAW else name
    masks = load_masks(needed[source], method, wafers.maps)
    maps = [denoised(*pair) for pair in zip(wafers.maps, masks, strict=True)]
    rows = share_of(wafers.target, np.flatnonzero(wafers.fold != fold), share, seed)
    test = np.flatnonzero(wafers.fold == fold)
    options = classifier | {"max_epochs": epochs, "random_state": seed}
    clf = WaferClassifier(**options, progress=True).fit(pick(maps, rows), wafers.target[rows])
    table = predictions(clf, wafers, test, pick(maps, test))
    about = {"denoiser": name, "share": share, "epochs": epochs, "fold": fold, "seed": seed}
    write_table(folder / PREDICTIONS, table.assign(**about, trained=len(rows)))
