"""Denoise every wafer by every method, each by a net that was not trained on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from camdenoise import WaferClassifier, load_model
from camdenoise.wafers import FAIL
from study.denoisers import DENOISERS, MODELS, NOTHING, OURS, explain, stage_of, without_repeats
from study.files import read_arrays, write_arrays, write_table
from study.stages.models import MODEL, PARTS
from study.wafers import halves, load, pick

MASKS, SALIENCY, SUMMARY = "masks.npz", "saliency.npz", "summary.csv"


def write_masks(
    folder: Path, needed: dict[str, Path], *, fold: int, seed: int, explainer: str
) -> None:
    """Write the mask of each method for each wafer, and our saliency of the test wafers.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    fold, seed : int
        Which nets to use.
    explainer : str
        The stage whose nets our denoiser is around; the other CAMs are of the models stage.
    """
    wafers = load(needed["wafers"])
    nets = {
        stage: unseen_by(needed, wafers, fold, f"{stage}-{fold}-{seed}")
        for stage in {MODELS, explainer}
    }
    masks, summaries = {}, []
    for name in without_repeats(DENOISERS[1:], explainer):
        marked: list[np.ndarray] = [np.empty(0)] * len(wafers.maps)
        for part, (clf, rows) in nets[stage_of(name, explainer)].items():
            why = dict(zip(rows.tolist(), explain(name, clf, pick(wafers.maps, rows)), strict=True))
            for row, explanation in why.items():
                marked[row] = explanation.kept
            if part == "all":
                summaries.append(_summary(name, why))
                if name == OURS:
                    _save_flat(folder / SALIENCY, saliency=[e.saliency for e in why.values()])
        masks[name] = marked
    save_masks(folder, masks)
    write_table(folder / SUMMARY, pd.concat(summaries))


def unseen_by(
    needed: dict[str, Path], wafers, fold: int, models: str
) -> dict[str, tuple[WaferClassifier, np.ndarray]]:
    """Load the nets of a fold, each with the rows of the wafers that it has not seen.

    Parameters
    ----------
    needed : dict of str to Path
        See `study.graph.Task`.
    wafers : Bunch
        As `study.wafers.load` gives them.
    fold : int
        The fold that tests.
    models : str
        What the names of the tasks that trained the nets begin with.
    """
    half = halves(wafers, fold)
    unseen = zip(PARTS, (-1, 0, 1), strict=True)
    return {
        part: (load_model(needed[f"{models}-{part}"] / MODEL), np.flatnonzero(half == number))
        for part, number in unseen
    }


def _summary(name: str, why: dict) -> pd.DataFrame:
    rows = [
        {
            "denoiser": name,
            "wafer": row,
            "explained": e.label,
            "probability": e.probability,
            "kept": int(e.kept.sum()),
            "removed": int(e.removed.sum()),
            "abstained": e.abstained,
        }
        for row, e in why.items()
    ]
    return pd.DataFrame(rows)


def save_masks(folder: Path, masks: dict[str, list[np.ndarray]]) -> None:
    """Write for each method the dies of every wafer that fail after it."""
    _save_flat(folder / MASKS, **masks)


def _save_flat(file: Path, **columns: list[np.ndarray]) -> None:
    flat = {name: np.concatenate([a.ravel() for a in arrays]) for name, arrays in columns.items()}
    write_arrays(file, flat)


def _unflatten(flat: np.ndarray, maps: list[np.ndarray]) -> list[np.ndarray]:
    ends = np.cumsum([grid.size for grid in maps])
    return [a.reshape(g.shape) for a, g in zip(np.split(flat, ends[:-1]), maps, strict=True)]


def load_masks(folder: Path, name: str, maps: list[np.ndarray]) -> list[np.ndarray]:
    """Return the dies that fail after denoising by this method, for every wafer."""
    if name == NOTHING:
        return [grid == FAIL for grid in maps]
    return _unflatten(read_arrays(folder / MASKS)[name], maps)


def load_saliency(folder: Path, test_maps: list[np.ndarray]) -> list[np.ndarray]:
    """Return our denoiser's saliency of the test wafers."""
    return _unflatten(read_arrays(folder / SALIENCY)["saliency"], test_maps)
