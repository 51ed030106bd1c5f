"""Test nets on wafers some of whose dies were flipped at random, denoised or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from camdenoise import load_model
from study.denoisers import MODELS, RAW, kept_by, stage_of
from study.files import write_table
from study.stages.before_after import denoised
from study.stages.models import MODEL, PREDICTIONS, predictions
from study.wafers import load, pick


def flipped(wafer_map: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Turn a share of the dies, drawn at random, from pass to fail and from fail to pass.

    Parameters
    ----------
    wafer_map : ndarray of uint8, shape (height, width)
    rate : float
        Probability of a die to be flipped.
    rng : Generator

    Returns
    -------
    ndarray of uint8, shape (height, width)
        Cells without a die stay so.
    """
    flips = (wafer_map > 0) & (rng.random(wafer_map.shape) < rate)
    return np.where(flips, 3 - wafer_map, wafer_map).astype(np.uint8)


def predict_flipped(
    folder: Path,
    needed: dict[str, Path],
    *,
    fold: int,
    seed: int,
    rates: list[float],
    nets: dict[str, str],
    explainer: str,
) -> None:
    """Write the predictions of nets trained on wafers as they are, for flipped test wafers.

    A denoiser sees the flipped wafer, and the net that explains it is the one trained on raw
    wafers. What comes out goes to the net trained on wafers denoised in the same way.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    fold, seed : int
        Which nets to use; the wafers are those of the test fold.
    rates : list of float
        Shares of the dies to flip. All methods see the same flips.
    nets : dict of str to str
        For denoisers and controls, the tasks that trained a net on wafers denoised by them.
    explainer : str
        The stage whose net our denoiser is around.
    """
    wafers = load(needed["wafers"])
    rows = np.flatnonzero(wafers.fold == fold)
    explaining = {
        stage: load_model(needed[f"{stage}-{fold}-{seed}-all"] / MODEL)
        for stage in {MODELS, explainer}
    }
    raw = explaining[MODELS]
    classifiers = {name: load_model(needed[task] / MODEL) for name, task in nets.items()}
    tables = []
    for rate in rates:
        rng = np.random.default_rng(seed)
        maps = [flipped(grid, rate, rng) for grid in pick(wafers.maps, rows)]
        tables.append(predictions(raw, wafers, rows, maps).assign(denoiser=RAW, rate=rate))
        for name, clf in classifiers.items():
            kept = kept_by(name, explaining[stage_of(name, explainer)], maps, seed)
            seen = [denoised(*pair) for pair in zip(maps, kept, strict=True)]
            tables.append(predictions(clf, wafers, rows, seen).assign(denoiser=name, rate=rate))
    write_table(folder / PREDICTIONS, pd.concat(tables).assign(fold=fold, seed=seed))
