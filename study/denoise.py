"""Denoise every wafer by every method, each by a net that was not trained on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from camdenoise import WaferClassifier, load_model
from study.denoisers import CONTROLS, DENOISERS, NOTHING, OURS, explain, mask
from study.models import MODEL, PARTS
from study.wafers import halves, load, pick

MASKS, SALIENCY, SUMMARY = "masks.npz", "saliency.npz", "summary.csv"


def run(folder: Path, needed: dict[str, Path], *, fold: int, seed: int) -> None:
    """Write the mask of each method for each wafer, and our saliency of the test wafers.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    fold, seed : int
        Which nets to use.
    """
    wafers = load(needed["wafers"])
    half = halves(wafers, fold)
    nets = {part: load_model(needed[f"models-{fold}-{seed}-{part}"] / MODEL) for part in PARTS}
    # Which wafers each net has not seen.
    unseen = {"all": half == -1, "without0": half == 0, "without1": half == 1}
    masks, summaries = {}, []
    for name in (*DENOISERS[1:], *CONTROLS):
        marked: list[np.ndarray] = [np.empty(0)] * len(wafers.maps)
        for part, rows in unseen.items():
            why = _explain(name, nets[part], wafers, np.flatnonzero(rows), seed)
            for row, explanation in why.items():
                marked[row] = mask(name, explanation, wafers.maps[row])
            if part == "all":
                summaries.append(_summary(name, why))
                if name == OURS:
                    _save_flat(folder / SALIENCY, saliency=[e.saliency for e in why.values()])
        masks[name] = marked
    _save_flat(folder / MASKS, **masks)
    pd.concat(summaries).to_csv(folder / SUMMARY, index=False)


def _explain(name: str, clf: WaferClassifier, wafers, rows: np.ndarray, seed: int) -> dict:
    """Explain the wafers of these rows; return an explanation by row."""
    found = explain(name, clf, pick(wafers.maps, rows), wafers.target[rows], seed)
    return dict(zip(rows.tolist(), found, strict=True))


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


def _save_flat(file: Path, **columns: list[np.ndarray]) -> None:
    flat = {name: np.concatenate([a.ravel() for a in arrays]) for name, arrays in columns.items()}
    with open(file, "wb") as stream:
        np.savez_compressed(stream, **flat)


def _unflatten(flat: np.ndarray, maps: list[np.ndarray]) -> list[np.ndarray]:
    ends = np.cumsum([grid.size for grid in maps])
    return [a.reshape(g.shape) for a, g in zip(np.split(flat, ends[:-1]), maps, strict=True)]


def load_masks(folder: Path, name: str, maps: list[np.ndarray]) -> list[np.ndarray]:
    """Return the dies that fail after denoising by this method, for every wafer."""
    if name == NOTHING:
        return [grid == 2 for grid in maps]
    with np.load(folder / MASKS, allow_pickle=False) as file:
        return _unflatten(file[name], maps)


def load_saliency(folder: Path, test_maps: list[np.ndarray]) -> list[np.ndarray]:
    """Return our denoiser's saliency of the test wafers."""
    with np.load(folder / SALIENCY, allow_pickle=False) as file:
        return _unflatten(file["saliency"], test_maps)
