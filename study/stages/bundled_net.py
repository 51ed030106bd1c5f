"""The net that the package brings along: its recipe, and its training with or without a fold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from camdenoise import WaferClassifier, save_model
from camdenoise.datasets import load_wafer_maps
from study.stages.models import MODEL
from study.wafers import N_FOLDS, folds_of, pick

# Many wafers of the rare classes repeat, so a class's weight grows with the root of its rarity.
RARITY = 0.4
# Sizes in training, and afterwards. One between the larger two saves a third of the work on wafers
# of 65 to 80 dies and makes no score worse; below 48, which the net never saw, it names classes
# wrongly.
TRAINED_AT, SHOWN_AT = (48, 64, 96), (48, 64, 80, 96)


def make_classifier(target: np.ndarray, epochs: int, seed: int) -> WaferClassifier:
    """Build the untrained classifier."""
    counts = pd.Series(target).value_counts()
    weights = (counts.mean() / counts) ** RARITY
    return WaferClassifier(
        "wafer_unet",
        input_size=TRAINED_AT,
        features="wafer",
        max_epochs=epochs,
        learning_rate=4e-3,
        batch_size=64,
        synthetic_ratio=0.7,
        class_weight={label: float(weight) for label, weight in weights.items()},
        progress=True,
        random_state=seed,
    )


def train(
    folder: Path,
    needed: dict[str, Path],
    *,
    data: str,
    digest: str,
    left_out: int | None,
    epochs: int,
    seed: int,
) -> None:
    """Train on all wafers but those of a fold, and save the net.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    data, digest : str
        The file of wafers, and what it hashes to.
    left_out : int or None
        The fold that is not trained on.
    epochs, seed : int
        As in `make_classifier`.
    """
    wafers = load_wafer_maps(data)
    rows = np.arange(len(wafers.maps))
    if left_out is not None:
        rows = np.flatnonzero(folds_of(wafers, N_FOLDS) != left_out)
    clf = make_classifier(wafers.target[rows], epochs, seed)
    clf.fit(pick(wafers.maps, rows), wafers.target[rows])
    save_model(clf.set_params(progress=False), folder / MODEL)
