"""Train the nets that denoisers of the bench are given; keep them without pickle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load_file, save_file

from camdenoise import WaferClassifier, load_model, save_model
from camdenoise.learned import AutoencoderDenoiser, BlindSpotDenoiser, UNetDenoiser
from camdenoise.nets._unet import UNet
from study.bench.entries import (
    ALL_CLASSES,
    AUTOENCODER,
    BLIND_SPOT,
    PATTERNS,
    UNET,
    WITH_NONE,
)
from study.bench.wafers import PATTERNLESS, plants_of
from study.models import MODEL
from study.wafers import load, pick

TRAINED_ON, PARAMETERS = "trained_on.csv", "parameters.json"
_LEARNED = {
    UNET: UNetDenoiser,
    AUTOENCODER: AutoencoderDenoiser,
    BLIND_SPOT: BlindSpotDenoiser,
}


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
    """Train a classifier for the CAMs on labelled wafers of the training folds.

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
    pd.DataFrame(about).to_csv(folder / TRAINED_ON, index=False)


def train_denoiser(
    folder: Path, needed: dict[str, Path], *, wanted: str, seed: int, parameters: dict[str, Any]
) -> None:
    """Train a denoiser on the planted wafers of the training folds; one alone sees their truth.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    wanted : {"U-Net", "autoencoder", "blind spot"}
        Which one.
    seed : int
        For weights, order and symmetries.
    parameters : dict
        Of the denoiser.
    """
    plants = plants_of(needed, "training")
    denoiser = _LEARNED[wanted](**parameters, random_state=seed)
    masks = {"truth": plants.truth} if wanted == UNET else {}
    denoiser.fit(plants.maps, **masks)
    weights = denoiser.module_.state_dict()
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / MODEL)
    (folder / PARAMETERS).write_text(json.dumps(denoiser.get_params()))


def load_trained(wanted: str | None, needed: dict[str, Path]) -> Any:
    """Read the net that an entry asks for: a classifier, or a denoiser; None where it asks none."""
    if wanted is None:
        return None
    folder = next(folder for name, folder in needed.items() if "-train-" in name)
    if wanted not in _LEARNED:
        return load_model(folder / MODEL)
    denoiser = _LEARNED[wanted](**json.loads((folder / PARAMETERS).read_text()))
    net = UNet(denoiser.width, skips=wanted != AUTOENCODER)
    net.load_state_dict(load_file(folder / MODEL))
    denoiser.module_ = net.eval()
    return denoiser
