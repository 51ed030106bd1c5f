"""Choose what the classifier sees by measurement: variants under group-wise cross-validation.

Every variant is trained and tested on the same folds of real wafers, groups (``chunk``, which
stands in for the lot) kept whole. One line of JSON per variant and fold is appended as it is done,
so an interrupted run goes on where it stopped; the table is printed from those lines.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from camdenoise import Augmentation, WaferClassifier
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps
from camdenoise.metrics import class_report

#: Name -> parameters that differ from the defaults.
VARIANTS: dict[str, dict] = {
    "default": {},
    "float32": {"precision": "float32"},
    "no symmetries": {"augmentation": Augmentation(symmetries=False)},
    "48 px": {"input_size": 48},
    "balanced": {"class_weight": "balanced"},
    "all symmetries at test time": {"symmetric_prediction": True},
}


def evaluate(wafers: Bunch, fold: int, parameters: dict, epochs: int) -> dict:
    """Train on the other folds, test on this one."""
    folds = wafers.frame["fold"].to_numpy()
    train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
    classifier = WaferClassifier(max_epochs=epochs, random_state=0, progress=True, **parameters)
    start = time.perf_counter()
    classifier.fit([wafers.maps[row] for row in train], wafers.target[train])
    seconds = time.perf_counter() - start
    truth = wafers.target[test]
    found = classifier.predict([wafers.maps[row] for row in test])
    report = class_report(truth, found)
    return {
        "accuracy": report.loc["accuracy", "recall"],
        "macro F1": report.loc["macro", "f1"],
        **report["f1"].drop(["macro", "accuracy"]).to_dict(),
        "seconds per epoch": seconds / epochs,
    }


def main(arguments: list[str] | None = None) -> None:
    """Evaluate what is missing in the results file, then print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="npz file of real wafers, or its folder")
    parser.add_argument("--out", type=Path, required=True, help="results, a .jsonl file")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3])
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args(arguments)
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    results = [json.loads(line) for line in lines]
    done = {(row["variant"], row["fold"], row["epochs"]) for row in results}
    wafers = load_wafer_maps(options.data, classes=PATTERN_CLASSES)
    for fold in options.folds:
        for variant in options.variants:
            key = {"variant": variant, "fold": fold, "epochs": options.epochs}
            if tuple(key.values()) not in done:
                row = key | evaluate(wafers, fold, VARIANTS[variant], options.epochs)
                results.append(row)
                with open(options.out, "a") as stream:
                    stream.write(json.dumps(row) + "\n")
    table = pd.DataFrame(results).drop(columns="fold")
    means = table.groupby(["variant", "epochs"], sort=False).mean()
    means.insert(0, "folds", table.groupby(["variant", "epochs"]).size())
    print(means.round(3).to_string())


if __name__ == "__main__":
    main()
