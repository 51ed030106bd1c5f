"""Hand-made features and our nets, on lots and on products that nobody trained on.

    python -m study evaluate baselines --data DATA.npz --out FOLDER
    python -m study evaluate baselines --data DATA.npz --out FOLDER --classifiers wafer_resnet \
        --protocols products --folds 0

Three protocols: ``lots`` keeps groups of wafers together (`load_wafer_maps` tells which), in four
folds; ``products`` keeps whole products together, in four folds; ``later`` trains on the first half
of the wafers and tests on later ones of products that were not among those. Each classifier and
fold is a task, so that an interrupted run goes on; ``scores.csv`` holds what the command asked for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import Bunch

from camdenoise import WaferClassifier
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, product_groups
from camdenoise.features import WaferFeatures
from camdenoise.io import sha256
from study.files import read_arrays, write_arrays, write_table
from study.graph import Task, run_all, slug
from study.stages.bundled_net import make_classifier
from study.stages.models import PREDICTIONS
from study.tables.classes import classification_table
from study.tables.common import gather
from study.wafers import N_FOLDS, folds_of, pick

PROTOCOLS = ("lots", "products", "later")
FEATURES = "features"
#: On the features; the support vector machine is the paper's choice.
ON_FEATURES: dict[str, Callable[[int], Any]] = {
    "majority": lambda seed: DummyClassifier(strategy="most_frequent"),
    "support vectors": lambda seed: make_pipeline(StandardScaler(), SVC(C=10)),
    "random forest": lambda seed: RandomForestClassifier(300, random_state=seed),
    "gradient boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
}
#: Epochs of the nets where the command does not tell.
NETS = {"wafer_resnet": 5, "wafer_unet": 3, "wafer_unet alone": 3}


@dataclass(frozen=True)
class Split:
    """Who trains and who tests.

    Attributes
    ----------
    protocol : {"lots", "products", "later"}
    fold : int
    train, test : ndarray of int
        Rows of wafers with one of the six patterns.
    other : ndarray of int
        Rows of wafers of other classes that may be trained on: of no group that is tested.
    group : ndarray of shape (n_wafers,)
        What is kept together, of every wafer.
    """

    protocol: str
    fold: int
    train: np.ndarray
    test: np.ndarray
    other: np.ndarray
    group: np.ndarray


def make_splits(wafers: Bunch) -> Iterator[Split]:
    """Split the wafers by all protocols."""
    six = np.isin(wafers.target, PATTERN_CLASSES)
    product = product_groups(wafers.maps)
    fold_of_lot = folds_of(wafers, N_FOLDS)
    for fold in range(N_FOLDS):
        yield _split("lots", fold, six, fold_of_lot == fold, wafers.groups)
    rows = np.flatnonzero(six)
    splitter = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=0)
    for fold, (_, test) in enumerate(splitter.split(rows, wafers.target[rows], product[rows])):
        tested = np.isin(product, product[rows[test]])
        yield _split("products", fold, six, tested, product)
    yield _later(wafers, six, product)


def _split(protocol: str, fold: int, six: np.ndarray, tested: np.ndarray, group) -> Split:
    chosen = (six & ~tested, six & tested, ~six & ~tested)
    return Split(protocol, fold, *map(np.flatnonzero, chosen), group)


def _later(wafers: Bunch, six: np.ndarray, product: np.ndarray) -> Split:
    order = wafers.frame["order"].to_numpy() if "order" in wafers.frame else np.arange(len(six))
    first = order <= np.median(order[six])
    test = six & ~first & ~np.isin(product, product[six & first])
    other = ~six & first & ~np.isin(product, product[test])
    return Split("later", 0, *map(np.flatnonzero, (six & first, test, other)), product)


def describe(folder: Path, needed: dict[str, Path], *, data: str, digest: str) -> None:
    """Write the features of the wafers with a pattern, NaN for others.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    data, digest : str
        The file of wafers, and what it hashes to.
    """
    wafers = load_wafer_maps(data)
    rows = np.flatnonzero(np.isin(wafers.target, PATTERN_CLASSES))
    found = WaferFeatures().transform(pick(wafers.maps, rows))
    table = np.full((len(wafers.maps), found.shape[1]), np.nan)
    table[rows] = found
    write_arrays(folder / f"{FEATURES}.npz", {FEATURES: table})


def predict(
    folder: Path,
    needed: dict[str, Path],
    *,
    data: str,
    digest: str,
    protocol: str,
    fold: int,
    name: str,
    epochs: int | None,
    seed: int,
) -> None:
    """Train a classifier on a split, and write its predictions of the wafers that test.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`; the features, where the classifier takes them.
    data, digest : str
        The file of wafers, and what it hashes to.
    protocol, fold
        Which split.
    name : str
        The classifier.
    epochs : int or None
        Of a net; its own number if None.
    seed : int
        For what is random in it.
    """
    wafers = load_wafer_maps(data)
    (split,) = (s for s in make_splits(wafers) if (s.protocol, s.fold) == (protocol, fold))
    if name in ON_FEATURES:
        features = read_arrays(needed[FEATURES] / f"{FEATURES}.npz")[FEATURES]
        model = ON_FEATURES[name](seed).fit(features[split.train], wafers.target[split.train])
        found = model.predict(features[split.test])
    else:
        found = _predict_by_net(name, wafers, split, epochs or NETS[name], seed)
    where = {"protocol": protocol, "fold": str(fold), "classifier": name}
    about = {"wafer": split.test, "group": split.group[split.test]}
    about |= {"label": wafers.target[split.test], "predicted": found}
    write_table(folder / PREDICTIONS, pd.DataFrame(where | about))


def _predict_by_net(name: str, wafers: Bunch, split: Split, epochs: int, seed: int) -> np.ndarray:
    """Return the class with a pattern that a net finds likeliest."""
    rows, target = split.train, wafers.target
    if name == "wafer_resnet":
        net = WaferClassifier(max_epochs=epochs, progress=True, random_state=seed)
    else:
        # It learns on planted patterns as well, and for that needs wafers without one.
        rows = np.concatenate([split.train, split.other])
        net = make_classifier(target[rows], epochs, seed)
        if name == "wafer_unet alone":
            net.set_params(features=None)
    net.fit(pick(wafers.maps, rows), target[rows])
    proba = net.predict_proba(pick(wafers.maps, split.test))
    six = np.flatnonzero(np.isin(net.classes_, PATTERN_CLASSES))
    return net.classes_[six[proba[:, six].argmax(axis=1)]]


def score(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score each fold, and all together where none is missing, with intervals over groups."""
    parts = [predictions.astype({"fold": str})]
    for _, some in predictions.groupby(["protocol", "classifier"]):
        if some["fold"].nunique() == N_FOLDS:
            parts.append(some.assign(fold="all"))
    return classification_table(pd.concat(parts), ["protocol", "fold", "classifier"])


def show(scores: pd.DataFrame) -> pd.DataFrame:
    """Lay the scores out to be read: a row per classifier."""
    text = scores.apply("{mean:.3f} [{low:.3f}, {high:.3f}]".format_map, axis=1)
    wide = scores.assign(text=text).set_index(["protocol", "fold", "classifier", "metric"])
    return wide["text"].unstack()[scores["metric"].unique()].sort_index()


def make_tasks(options: argparse.Namespace) -> list[Task]:
    """List the tasks of the classifiers and splits that the options ask for."""
    source = {"data": str(options.data), "digest": sha256(options.data)}
    tasks = []
    if set(options.classifiers) & set(ON_FEATURES):
        tasks.append(Task(FEATURES, describe, source, cost=10))
    for protocol in options.protocols:
        for fold in [0] if protocol == "later" else options.folds:
            for name in options.classifiers:
                which = {"protocol": protocol, "fold": fold, "name": name, "seed": options.seed}
                which |= source | {"epochs": options.epochs if name in NETS else None}
                needs = (FEATURES,) if name in ON_FEATURES else ()
                task = f"baseline-{protocol}-{fold}-{slug(name)}"
                tasks.append(Task(task, predict, which, needs, 1 if needs else 20))
    return tasks


def main(arguments: list[str] | None = None) -> None:
    """Predict what is missing, then score all."""
    lines = (__doc__ or "").splitlines()
    parser = argparse.ArgumentParser("python -m study evaluate baselines", description=lines[0])
    parser.add_argument("--data", type=Path, required=True, help="npz file of real wafers")
    parser.add_argument("--out", type=Path, required=True)
    names = [*ON_FEATURES, *NETS]
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=PROTOCOLS)
    parser.add_argument("--folds", nargs="+", type=int, default=range(N_FOLDS))
    parser.add_argument("--classifiers", nargs="+", choices=names, default=list(ON_FEATURES))
    parser.add_argument("--epochs", type=int, help=f"of the nets; else {NETS}")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    folders = run_all(make_tasks(options), options.out / "parts")
    scores = score(gather(folders, "baseline-.*", PREDICTIONS))
    write_table(options.out / "scores.csv", scores)
    print(show(scores).to_string())
