"""Train the nets that denoisers of the bench are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from camdenoise import WaferClassifier, load_model, save_model
from camdenoise.learned import UNetDenoiser
from study.denoisers import ALL_CLASSES, PATTERNS, UNET, WITH_NONE
from study.files import write_table
from study.stages.bench_wafers import PATTERNLESS, planted_of_role
from study.stages.models import MODEL
from study.wafers import load, pick

TRAINED_ON, UNET_FILE = "trained_on.csv", "unet.joblib"


def train_classifier(
    folder: Path,
    needed: dict[str, Path],
    *,
    wanted: str,
    seed: int,
    folds: list[int],
    per_class: int,
    parameters: dict[str, Any],
) -> None:
    """Train a classifier for the CAMs on labeled wafers of the training folds.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    wanted : {"patterns", "patterns and none", "all classes, with evidence"}
        Its classes.
    seed : int
        For the choice of wafers, weights, order and augmentation.
    folds : list of int
        The training folds.
    per_class : int
        Most wafers of a class.
    parameters : dict
        Of `WaferClassifier`.
    """
    wafers = load(needed["bench-wafers"])
    left_out = {PATTERNS: PATTERNLESS, WITH_NONE: PATTERNLESS[1:], ALL_CLASSES: ()}[wanted]
    there = np.isin(wafers.fold, folds) & ~np.isin(wafers.target, left_out)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(there))
    rank = pd.Series(wafers.target[rows]).groupby(wafers.target[rows]).cumcount().to_numpy()
    rows = np.sort(rows[rank < per_class])
    clf = WaferClassifier(**parameters, random_state=seed)
    clf.fit(pick(wafers.maps, rows), wafers.target[rows])
    save_model(clf, folder / MODEL)
    about = {"wafer": rows, "label": wafers.target[rows]}
    write_table(folder / TRAINED_ON, pd.DataFrame(about))


def train_denoiser(
    folder: Path, needed: dict[str, Path], *, seed: int, parameters: dict[str, Any]
) -> None:
    """Train the U-Net on the planted wafers of the training folds, whose truth it sees.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    seed : int
        For weights, order and symmetries.
    parameters : dict
        Of the denoiser.
    """
    planted = planted_of_role(needed, "training")
    denoiser = UNetDenoiser(**parameters, random_state=seed)
    joblib.dump(denoiser.fit(planted.maps, truth=planted.truth), folder / UNET_FILE)


def load_trained(wanted: str | None, needed: dict[str, Path]) -> Any:
    """Read the net that an entry asks for: a classifier, or a denoiser; None where it asks none."""
    if wanted is None:
        return None
    folder = next(folder for name, folder in needed.items() if "-train-" in name)
    return joblib.load(folder / UNET_FILE) if wanted == UNET else load_model(folder / MODEL)
