"""Train an architecture under one of three protocols; keep its predictions, size and time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedGroupKFold, train_test_split
from sklearn.pipeline import make_pipeline

from camdenoise import WaferClassifier, save_model
from camdenoise.features import WaferFeatures
from study.files import write_table
from study.stages.models import MODEL, PREDICTIONS, predictions
from study.stages.original_protocol import PictureClassifier
from study.wafers import load, pick

FACTS = "facts.csv"
#: What the nets are compared with: what needs no wafer map, and what needs no net.
MAJORITY, FEATURES = "majority vote", "hand-made features"
BASELINES = (MAJORITY, FEATURES)

STRICT, PRODUCTS, ORIGINAL = "strict", "products", "original"
PROTOCOLS = {
    STRICT: "strict: die grid one-hot, eight symmetries, AdamW with one cycle; lots (or what "
    "stands in for them) are never split between training and test; copies of a map left out",
    PRODUCTS: "products: the same, but no die grid is in both training and test, which stands in "
    "for a product",
    ORIGINAL: "original: viridis pictures, Adam 1e-3, batches of 32, no augmentation, 70 to 30 "
    "drawn at random within each class, copies of a map included",
}


def train(
    folder: Path,
    needed: dict[str, Path],
    *,
    protocol: str,
    backbone: str,
    fold: int,
    seed: int,
    folds: int,
    classifier: dict[str, Any],
    image_size: int,
    keep: bool,
) -> None:
    """Train, predict the test wafers, tell how large the net is and how long it took.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`; the wafers are the only need.
    protocol : str
        One of `PROTOCOLS`.
    backbone : str
        As in `WaferClassifier`, or one of `BASELINES`.
    fold, seed : int
        Which fold tests (original: the seed draws the test wafers); the seed of the net.
    folds : int
        Number of folds that products are spread over.
    classifier : dict
        Parameters of `WaferClassifier`; of these the original protocol takes the epochs.
    image_size : int
        Side of the original protocol's pictures in pixels.
    keep : bool
        Whether to keep the net.
    """
    (source,) = needed.values()
    wafers = load(source)
    tested = tested_wafers(wafers, protocol, fold, seed, folds)
    rows, test = np.flatnonzero(~tested), np.flatnonzero(tested)
    clf = _make(protocol, backbone, seed, classifier, image_size)
    start = time.perf_counter()
    clf.fit(pick(wafers.maps, rows), wafers.target[rows])
    seconds = time.perf_counter() - start
    about = {"protocol": protocol, "backbone": backbone, "fold": fold, "seed": seed}
    table = predictions(clf, wafers, test)
    write_table(folder / PREDICTIONS, table.assign(**about))
    facts = about | {"training wafers": len(rows), "test wafers": len(test)}
    facts |= {"parameters": _size(clf), "seconds": seconds}
    write_table(folder / FACTS, pd.DataFrame([facts]))
    if keep:
        save_model(clf.set_params(progress=False), folder / MODEL)


def tested_wafers(wafers, protocol: str, fold: int, seed: int, folds: int) -> np.ndarray:
    """Mark the wafers that test."""
    if protocol == STRICT:
        return wafers.fold == fold
    rows = np.arange(len(wafers.maps))
    tested = np.zeros(len(rows), bool)
    if protocol == ORIGINAL:
        test = train_test_split(rows, test_size=0.3, stratify=wafers.target, random_state=seed)[1]
    else:
        grids = pd.factorize(pd.Series([grid.shape for grid in wafers.maps]))[0]
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
        test = list(splitter.split(rows, wafers.target, grids))[fold][1]
    tested[test] = True
    return tested


def _make(protocol: str, backbone: str, seed: int, classifier: dict[str, Any], image_size: int):
    if backbone == MAJORITY:
        return DummyClassifier()
    if backbone == FEATURES:
        # The best classifier on these features, see docs/features.md.
        return make_pipeline(WaferFeatures(), HistGradientBoostingClassifier(random_state=seed))
    if protocol == ORIGINAL:
        epochs = classifier["max_epochs"]
        options = {"image_size": image_size, "max_epochs": epochs, "random_state": seed}
        return PictureClassifier(backbone, **options)
    options = classifier | {"backbone": backbone}
    return WaferClassifier(**options, random_state=seed, progress=True)


def _size(clf) -> int:
    """Count the parameters of a net."""
    return sum(p.numel() for p in clf.module_.parameters()) if hasattr(clf, "module_") else 0
