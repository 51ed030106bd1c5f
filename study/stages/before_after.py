"""Train and test a classifier on denoised wafers, to set its accuracy beside that on raw ones.

A mask made for a class tells which class it was made for, whether or not there is a pattern. So no
gain counts before it is seen next to the controls.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from camdenoise import WaferClassifier, save_model
from camdenoise.leakage import marked_map
from study.denoisers import REGION
from study.files import write_table
from study.stages.denoise import load_masks
from study.stages.models import MODEL, PREDICTIONS, predictions
from study.wafers import load, pick


def denoised(wafer_map: np.ndarray, failing: np.ndarray, *, on_blank: bool = False) -> np.ndarray:
    """Build the map that the classifier sees.

    Parameters
    ----------
    wafer_map : ndarray of uint8, shape (height, width)
        The raw map.
    failing : ndarray of bool, shape (height, width)
        The dies that are still to fail.
    on_blank : bool, default=False
        Whether `failing` may mark passing dies too (the control without the wafer's fails).
    """
    if not on_blank and (failing & (wafer_map != 2)).any():
        raise ValueError("a denoiser can only remove fails")
    return marked_map(wafer_map, failing)


def train(
    folder: Path,
    needed: dict[str, Path],
    *,
    fold: int,
    seed: int,
    name: str,
    source: str,
    classifier: dict[str, Any],
) -> None:
    """Train on the denoised training wafers, write predictions for the denoised test wafers.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    fold, seed : int
        As in `study.stages.models`.
    name : str
        The denoiser or control.
    source : str
        The task that made its masks.
    classifier : dict
        Parameters of `WaferClassifier`.
    """
    wafers = load(needed["wafers"])
    masks = load_masks(needed[source], name, wafers.maps)
    pairs = zip(wafers.maps, masks, strict=True)
    maps = [denoised(grid, marked, on_blank=name == REGION) for grid, marked in pairs]
    rows, test = np.flatnonzero(wafers.fold != fold), np.flatnonzero(wafers.fold == fold)
    clf = WaferClassifier(**classifier, random_state=seed, progress=True)
    clf.fit(pick(maps, rows), wafers.target[rows])
    table = predictions(clf, wafers, test, pick(maps, test))
    table.insert(0, "denoiser", name)
    write_table(folder / PREDICTIONS, table)
    save_model(clf.set_params(progress=False), folder / MODEL)
