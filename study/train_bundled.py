"""Train the model that the package brings along, and measure the same recipe on held-out wafers.

    python -m study.train_bundled --data DATA.npz --hold-out 0 --out FOLDER
    python -m study.train_bundled --data DATA.npz --out FOLDER

The first leaves a fold out and scores on it; the second trains on all wafers. Both write the model
and a JSON file beside it; what exists already is not done again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, f1_score

from camdenoise import CamDenoiser, WaferClassifier, load_model, save_model
from camdenoise._files import write_whole
from camdenoise.datasets import load_wafer_maps, make_planted_wafers
from camdenoise.datasets._patterns import PATTERN_CLASSES
from camdenoise.metrics import die_scores
from study.plan import digest

KINDS = ("planted", "diffuse", "two")
# Many wafers of the rare classes repeat, so a class's weight grows with the root of its rarity.
RARITY = 0.4


def recipe(target: np.ndarray, epochs: int, seed: int) -> WaferClassifier:
    """Build the untrained classifier."""
    counts = pd.Series(target).value_counts()
    weights = (counts.mean() / counts) ** RARITY
    return WaferClassifier(
        "wafer_unet",
        input_size=(48, 64, 96),
        max_epochs=epochs,
        learning_rate=4e-3,
        batch_size=64,
        practice=0.7,
        class_weight={label: float(weight) for label, weight in weights.items()},
        progress=True,
        random_state=seed,
    )


def scores(clf: WaferClassifier, wafers, rows: np.ndarray, n_planted: int) -> dict:
    """Score a classifier and its denoiser on wafers that it has not seen."""
    target, maps = wafers.target[rows], [wafers.maps[row] for row in rows]
    proba = clf.predict_proba(maps)
    six = np.isin(target, PATTERN_CLASSES)
    columns = np.flatnonzero(np.isin(clf.classes_, PATTERN_CLASSES))
    named = clf.classes_[columns][proba[six][:, columns].argmax(axis=1)]
    found = {
        "six_class_accuracy": accuracy_score(target[six], named),
        "six_class_macro_f1": f1_score(target[six], named, average="macro"),
        "accuracy": accuracy_score(target, clf.classes_[proba.argmax(axis=1)]),
        "n_wafers": len(rows),
    }
    # At a rate of 1 a pattern is always claimed. The wafers set the rates, too, but not the
    # decision about dies, which is tested on planted wafers made of the same ones.
    denoisers = {
        name: CamDenoiser(FrozenEstimator(clf), false_alarm_rate=rate, calibration_fraction=0).fit(
            maps, target
        )
        for name, rate in {"kept": 0.05, "evidence": 1.0}.items()
    }
    for kind in KINDS:
        planted = make_planted_wafers(wafers, n_planted, kind=kind, rows=rows, random_state=1)
        for name, denoiser in denoisers.items():
            kept = [e.kept for e in denoiser.explain(planted.maps)]
            table = die_scores(planted.maps, planted.truth, kept)
            by_class = table["f1"].groupby(planted.target).mean()
            found[f"{kind}_f1_{name}"] = by_class.mean()
            if kind != "two":
                found |= {f"{kind}_f1_{name}_{label}": f1 for label, f1 in by_class.items()}
    return {name: round(float(value), 4) for name, value in found.items()}


def main() -> None:
    """Train, save, and score what was held out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--hold-out", type=int, default=None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--planted", type=int, default=480)
    options = parser.parse_args()
    wafers = load_wafer_maps(options.data)
    held_out = wafers.frame["fold"].to_numpy() == options.hold_out
    train = np.flatnonzero(~held_out)
    options.out.mkdir(parents=True, exist_ok=True)
    name = "all" if options.hold_out is None else f"without-fold-{options.hold_out}"
    file = options.out / f"{name}.safetensors"
    if not file.exists():
        clf = recipe(wafers.target[train], options.epochs, options.seed)
        clf.fit([wafers.maps[row] for row in train], wafers.target[train])
        save_model(clf, file)
    about = {"data": digest(options.data), "epochs": options.epochs, "seed": options.seed}
    if held_out.any():
        about |= scores(load_model(file), wafers, np.flatnonzero(held_out), options.planted)
    with write_whole(options.out / f"{name}.json") as stream:
        stream.write(json.dumps(about, indent=1).encode())
    print(json.dumps(about, indent=1))


if __name__ == "__main__":
    main()
