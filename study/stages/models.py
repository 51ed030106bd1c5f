"""Train a classifier on a part of the wafers; keep it with its predictions for the test fold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camdenoise import WaferClassifier, save_model
from study.files import write_table
from study.wafers import FILE, halves, load, pick

MODEL = "model.safetensors"
#: Tasks of further wafers to train on, which are not denoised: without a pattern, and with one.
BACKGROUNDS, MORE = "backgrounds", "more"
PREDICTIONS = "predictions.csv"
#: Parts of the training wafers: all, and all but one half.
PARTS = ("all", "without0", "without1")


def train(
    folder: Path,
    needed: dict[str, Path],
    *,
    fold: int,
    seed: int,
    part: str,
    classifier: dict[str, Any],
) -> None:
    """Train on the part's wafers, predict those of the test fold.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`. Where `BACKGROUNDS` or `MORE` is needed, its wafers are trained on
        as well, but for those of the fold that tests and of groups with wafers that are left out.
    fold : int
        The fold that tests.
    seed : int
        For weights, order and augmentation.
    part : {"all", "without0", "without1"}
        Which of the training wafers to use.
    classifier : dict
        Parameters of `WaferClassifier`.
    """
    wafers = load(needed["wafers"])
    half = halves(wafers, fold)
    left_out = {"all": -2, "without0": 0, "without1": 1}[part]
    rows = np.flatnonzero((half != -1) & (half != left_out))
    clf = WaferClassifier(**classifier, random_state=seed, progress=True)
    maps, target = pick(wafers.maps, rows), wafers.target[rows]
    unseen = wafers.groups[(half == -1) | (half == left_out)]
    for source in (name for name in (BACKGROUNDS, MORE) if name in needed):
        if not (needed[source] / FILE).exists():
            continue
        more = load(needed[source])
        others = np.flatnonzero((more.fold != fold) & ~np.isin(more.groups, unseen))
        maps, target = maps + pick(more.maps, others), np.append(target, more.target[others])
    clf.fit(maps, target)
    save_model(clf.set_params(progress=False), folder / MODEL)
    test = np.flatnonzero(half == -1)
    write_table(folder / PREDICTIONS, predictions(clf, wafers, test))
    write_table(folder / "history.csv", pd.DataFrame(clf.history_))


def predictions(clf: WaferClassifier, wafers, rows: np.ndarray, maps=None) -> pd.DataFrame:
    """One row per wafer: where it is from, its label, what was predicted, how sure."""
    maps = pick(wafers.maps, rows) if maps is None else maps
    probability = clf.predict_proba(maps)
    best = probability.argmax(axis=1)
    about = {
        "wafer": rows,
        "group": wafers.groups[rows],
        "label": wafers.target[rows],
        "predicted": clf.classes_[best],
    }
    by_class = {f"p({name})": probability[:, i] for i, name in enumerate(clf.classes_)}
    return pd.DataFrame(about | by_class)
