"""Our nets beside hand-made features, on lots and on products that nobody trained on.

    python -m study.rivals --data DATA.npz --out FOLDER
    python -m study.rivals --data DATA.npz --out FOLDER --classifiers wafer_resnet \
        --protocols products --folds 0

Three protocols: ``lots`` keeps groups of wafers together (`load_wafer_maps` tells which), in four
folds; ``products`` keeps whole products together, in four folds; ``later`` trains on the first half
of the wafers and tests on later ones of products that were not among those. The predictions of
each classifier and fold are kept in FOLDER/predictions, and what is there is not done again, so an
interrupted run goes on; ``scores.csv`` is made of all that are there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
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
from camdenoise.io._atomic import atomic_write, digest
from study.graph import slug
from study.summary import report_of
from study.train_bundled import recipe
from study.wafers import folds_of, pick

N_FOLDS = 4
#: On the features; the support vector machine is the paper's choice.
ON_FEATURES: dict[str, Callable[[int], Any]] = {
    "majority": lambda seed: DummyClassifier(strategy="most_frequent"),
    "support vectors": lambda seed: make_pipeline(StandardScaler(), SVC(C=10)),
    "random forest": lambda seed: RandomForestClassifier(300, random_state=seed),
    "gradient boosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
}
#: Epochs of the nets where the command does not tell.
NETS = {"wafer_resnet": 5, "wafer_unet": 3}


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


def splits(wafers: Bunch) -> Iterator[Split]:
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


class Rivals:
    """Train a classifier by its name on a split, and predict the wafers that test."""

    def __init__(self, wafers: Bunch, epochs: int | None, seed: int):
        self.wafers = wafers
        self.epochs = epochs
        self.seed = seed

    def predict(self, name: str, split: Split) -> np.ndarray:
        """Return the class of each test wafer."""
        target = self.wafers.target
        if name in ON_FEATURES:
            model = ON_FEATURES[name](self.seed)
            model.fit(self.features[split.train], target[split.train])
            return model.predict(self.features[split.test])
        epochs = NETS[name] if self.epochs is None else self.epochs
        if name == "wafer_resnet":
            rows = split.train
            net = WaferClassifier(max_epochs=epochs, progress=True, random_state=self.seed)
        else:
            # It learns on planted patterns as well, and for that needs wafers without one.
            rows = np.concatenate([split.train, split.other])
            net = recipe(target[rows], epochs, self.seed)
        net.fit(pick(self.wafers.maps, rows), target[rows])
        proba = net.predict_proba(pick(self.wafers.maps, split.test))
        six = np.flatnonzero(np.isin(net.classes_, PATTERN_CLASSES))
        return net.classes_[six[proba[:, six].argmax(axis=1)]]

    @cached_property
    def features(self) -> np.ndarray:
        """Features of the wafers with a pattern, NaN for others; no row depends on another."""
        rows = np.flatnonzero(np.isin(self.wafers.target, PATTERN_CLASSES))
        found = WaferFeatures().transform(pick(self.wafers.maps, rows))
        table = np.full((len(self.wafers.maps), found.shape[1]), np.nan)
        table[rows] = found
        return table


def predictions(rivals: Rivals, name: str, split: Split) -> pd.DataFrame:
    """One row per test wafer: what it is, what was predicted, what it was kept together with."""
    about = {"wafer": split.test, "group": split.group[split.test]}
    about["label"] = rivals.wafers.target[split.test]
    about["predicted"] = rivals.predict(name, split)
    where = {"protocol": split.protocol, "fold": str(split.fold), "classifier": name}
    return pd.DataFrame(where | about)


def score(table: pd.DataFrame) -> pd.DataFrame:
    """Score predictions, with 95 % intervals over groups: wafers of a group are not independent."""
    report = report_of(table).rename({"macro": "macro F1"})
    report.loc["accuracy", "f1"] = report.loc["accuracy", "recall"]
    report = report.loc[["accuracy", "macro F1", *report.index[:-2]], ["f1", "low", "high"]]
    scores = report.rename(columns={"f1": "value"}).reset_index(names="score")
    return scores.assign(n_wafers=len(table), n_groups=table["group"].nunique())


def score_all(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Score each fold, and all together where none is missing."""
    every = pd.concat(tables)
    parts = [every]
    for _, some in every.groupby(["protocol", "classifier"]):
        if some["fold"].nunique() == N_FOLDS:
            parts.append(some.assign(fold="all"))
    keys = ["protocol", "fold", "classifier"]
    scored = [
        score(some).assign(**dict(zip(keys, key, strict=True)))
        for key, some in pd.concat(parts).groupby(keys, sort=False)
    ]
    columns = [*keys, "score", "value", "low", "high", "n_wafers", "n_groups"]
    return pd.concat(scored)[columns]


def shown(scores: pd.DataFrame) -> pd.DataFrame:
    """Lay the scores out to be read: a row per classifier."""
    text = scores.apply("{value:.3f} [{low:.3f}, {high:.3f}]".format_map, axis=1)
    wide = scores.assign(text=text).set_index(
        ["protocol", "fold", "n_wafers", "classifier", "score"]
    )
    names = scores["score"].unique()
    return wide["text"].unstack()[names].sort_index()


def _check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse to put predictions of other wafers or settings beside those in the folder."""
    file = folder / "settings.json"
    if file.exists() and json.loads(file.read_text()) != settings:
        raise SystemExit(f"{folder} holds the results of {file.read_text()}. Choose another --out.")
    with atomic_write(file) as stream:
        stream.write(json.dumps(settings).encode())


def _predict_missing(rivals: Rivals, names: list[str], split: Split, folder: Path) -> None:
    for name in names:
        file = folder / f"{split.protocol}-{split.fold}-{slug(name)}.csv"
        if not file.exists():
            table = predictions(rivals, name, split)
            with atomic_write(file) as stream:
                table.to_csv(stream, index=False)


def main(arguments: list[str] | None = None) -> None:
    """Predict what is missing, then score all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="npz file of real wafers")
    parser.add_argument("--out", type=Path, required=True)
    protocols, names = ("lots", "products", "later"), [*ON_FEATURES, *NETS]
    parser.add_argument("--protocols", nargs="+", choices=protocols, default=protocols)
    parser.add_argument("--folds", nargs="+", type=int, default=range(N_FOLDS))
    parser.add_argument("--classifiers", nargs="+", choices=names, default=list(ON_FEATURES))
    parser.add_argument("--epochs", type=int, help=f"of the nets; else {NETS}")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    folder = options.out / "predictions"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"data": digest(options.data), "epochs": options.epochs, "seed": options.seed}
    _check_settings(options.out, settings)
    wafers = load_wafer_maps(options.data)
    rivals = Rivals(wafers, options.epochs, options.seed)
    for split in splits(wafers):
        if split.protocol in options.protocols and split.fold in options.folds:
            _predict_missing(rivals, options.classifiers, split, folder)
    done = [pd.read_csv(file, dtype={"fold": str}) for file in sorted(folder.glob("*.csv"))]
    scores = score_all(done)
    scores.to_csv(options.out / "scores.csv", index=False, float_format="%.6f")
    print(shown(scores).to_string())


if __name__ == "__main__":
    main()
