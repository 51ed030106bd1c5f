"""Measure how far a classifier's probabilities, and its denoiser's, can be taken at their word.

    python -m study evaluate calibration --model MODEL --data DATA.npz --out FOLDER

The wafers of a fold that the model was not trained on are split in two, whole groups together. The
first half calibrates; all figures are of the second one.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.utils import Bunch

from camdenoise import CamDenoiser, Explanation, WaferClassifier, load_model
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, make_planted_wafers
from camdenoise.denoising import TargetRecall, TargetSpecificity
from camdenoise.metrics import calibration_error, die_reliability, die_report
from camdenoise.plotting import plot_reliability
from camdenoise.wafers import FAIL
from study.evaluate.common import KINDS, FoldPart, halves_of_fold, make_parser, save_tables
from study.figures.style import save_picture

BEFORE, AFTER = "before", "after"
UNCALIBRATED, OURS = "uncalibrated, auto", "calibrated, auto"


def denoisers(clf: WaferClassifier, half: FoldPart) -> dict[str, CamDenoiser]:
    """Fit denoisers on the half that calibrates; the first calibrates only when to claim."""
    variants = {
        UNCALIBRATED: {"validation_fraction": 0},
        "calibrated, 0.5": {"threshold": 0.5},
        OURS: {},
        "recall .95": {"threshold": TargetRecall(0.95)},
        "specificity .9": {"threshold": TargetSpecificity(0.9)},
    }
    return {
        name: CamDenoiser(FrozenEstimator(clf), random_state=0, **options).fit(
            half.maps, half.target
        )
        for name, options in variants.items()
    }


def score_classes(classifiers: dict[str, WaferClassifier], half: FoldPart) -> pd.DataFrame:
    """Compare how sure the classifiers are with how often they are right."""
    found = {}
    for name, clf in classifiers.items():
        probabilities = clf.predict_proba(half.maps)
        best = clf.classes_[probabilities.argmax(axis=1)]
        found[name] = {
            "temperature": clf.temperature_,
            "log loss": log_loss(half.target, probabilities, labels=clf.classes_),
            "mean probability": probabilities.max(axis=1).mean(),
            "accuracy": (best == half.target).mean(),
        }
    return pd.DataFrame(found).T


def score_claims(denoiser: CamDenoiser, half: FoldPart) -> dict[str, float]:
    """Count claims on wafers without a pattern, and wafers with one that are cleared."""
    denoiser = copy(denoiser).set_params(no_pattern="remove")
    none, patterns = half.labeled("none"), half.labeled(*PATTERN_CLASSES)
    of_none, of_patterns = denoiser.explain(none), denoiser.explain(patterns)
    n_fails = sum((grid == FAIL).sum() for grid in none)
    return {
        "detection_threshold_": denoiser.detection_threshold_,
        "claims on none": np.mean([e.claims_pattern for e in of_none]),
        "fails of none kept": sum(e.kept.sum() for e in of_none) / n_fails,
        "none left alone": np.mean([e.abstained for e in of_none]),
        "patterns not claimed": np.mean([not e.claims_pattern for e in of_patterns]),
        "patterns cleared": np.mean([not e.kept.any() for e in of_patterns]),
    }


def reliability(planted: dict[str, Bunch], why: dict[str, list[Explanation]]) -> pd.DataFrame:
    """Tabulate the dies of all kinds of planted wafers in `why` together."""
    maps = [grid for kind in why for grid in planted[kind].maps]
    truth = [mask for kind in why for mask in planted[kind].truth]
    return die_reliability(maps, truth, [e.saliency for kind in why for e in why[kind]])


def score_dies(planted: dict[str, Bunch], why: dict[str, list[Explanation]]) -> dict[str, float]:
    """Score a denoiser on planted wafers: means over classes, or pairs of classes, of a kind."""
    found = {"all, calibration error": calibration_error(reliability(planted, why))}
    for kind, wafers in planted.items():
        kept = [e.kept for e in why[kind]]
        macro = die_report(wafers.maps, wafers.truth, kept, wafers.target).loc["macro"]
        found |= {f"{kind}, {rate}": macro[rate] for rate in ("f1", "recall", "specificity")}
        error = calibration_error(reliability(planted, {kind: why[kind]}))
        found[f"{kind}, calibration error"] = error
    return found


def measure(
    classifiers: dict[str, WaferClassifier],
    data: Bunch,
    first: FoldPart,
    second: FoldPart,
    n_planted: int,
) -> dict[str, pd.DataFrame]:
    """Make all tables."""
    fitted = denoisers(classifiers[AFTER], first)
    planted = {
        kind: make_planted_wafers(data, n_planted, kind=kind, rows=second.rows, random_state=1)
        for kind in KINDS
    }
    why = {
        name: {kind: denoiser.explain(planted[kind].maps) for kind in KINDS}
        for name, denoiser in fitted.items()
    }
    of_dies = {
        name: {"threshold": fitted[name].threshold_} | score_dies(planted, why[name])
        for name in fitted
    }
    return {
        "classes": score_classes(classifiers, second),
        "claims": pd.DataFrame({OURS: score_claims(fitted[OURS], second)}),
        "dies": pd.DataFrame(of_dies),
        BEFORE: reliability(planted, why[UNCALIBRATED]),
        AFTER: reliability(planted, why[OURS]),
    }


def draw(tables: dict[str, pd.DataFrame], file: Path) -> None:
    """Draw the reliability of all planted wafers before and after calibration."""
    figure, ax = plt.subplots(figsize=(4.2, 4), layout="constrained")
    plot_reliability(tables, ax=ax)
    save_picture(figure, file)


def main(arguments: list[str] | None = None) -> None:
    """Calibrate on one half, measure on the other, write tables and a figure."""
    parser = make_parser("calibration", __doc__)
    parser.add_argument("--planted", type=int, default=480, help="wafers of each kind")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    data = load_wafer_maps(options.data)
    first, second = halves_of_fold(data, options.fold)
    classifiers = {name: load_model(options.model) for name in (BEFORE, AFTER)}
    classifiers[AFTER].calibrate(first.maps, first.target)
    tables = measure(classifiers, data, first, second, options.planted)
    draw({name: tables[name] for name in (BEFORE, AFTER)}, options.out / "reliability.png")
    print(f"{len(first.rows)} wafers calibrate, {len(second.rows)} test\n")
    save_tables(tables, options.out)
