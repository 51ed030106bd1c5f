"""Score a classifier and its denoiser on a fold that neither was trained on.

    python -m study evaluate held_out --model MODEL --data DATA.npz --out FOLDER

How often a pattern is claimed where there is none is measured by halves of the fold's groups, each
calibrated on the other. The few numbers of the calibration that the planted wafers are scored with
are of the whole fold, because a half lacks some patterns.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch

from camdenoise import CamDenoiser, WaferClassifier, load_model
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, make_planted_wafers
from camdenoise.denoising import DenoiserCalibration
from camdenoise.metrics import bootstrap_interval, class_report, die_scores
from camdenoise.plotting import plot_wafer_map
from camdenoise.wafers import FAIL
from study.evaluate.common import (
    KINDS,
    FoldPart,
    halves_of_fold,
    make_parser,
    rows_of_fold,
    save_tables,
)
from study.figures.style import save_picture

#: Upper ends of ranges of the background's rate.
RATES = (0.03, 0.07, 0.14, 0.20)
ALWAYS = "a pattern is always claimed"
CLAIMED = "false alarms are limited"
_N_WORST = 24
#: Share of wafers without a pattern on which one may be claimed. On lots other than those that
#: calibrate it is somewhat more, and 5 % is to be kept there.
FALSE_ALARMS = 0.04
#: Share of the known wafers that may be taken for novel, and from how many wafers those are drawn.
NOVELTY, N_KNOWN = 0.02, 8000


def score_classes(clf: WaferClassifier, half: FoldPart) -> pd.DataFrame:
    """Score the class names: all nine, and the six with a pattern when it is known to be one."""
    probability = clf.predict_proba(half.maps)
    has_pattern = np.isin(half.target, PATTERN_CLASSES)
    of_patterns = np.isin(clf.classes_, PATTERN_CLASSES)
    among = probability[has_pattern][:, of_patterns].argmax(axis=1)
    answers = {
        "six classes": (half.target[has_pattern], clf.classes_[of_patterns][among]),
        "all classes": (half.target, clf.classes_[probability.argmax(axis=1)]),
    }
    rows = []
    for name, (truth, answer) in answers.items():
        report = class_report(truth, answer)
        accuracy = report.loc["accuracy"].rename({"recall": "accuracy"})
        row = {"of": name, "n": len(truth), **accuracy[["accuracy", "low", "high"]]}
        row["macro F1"] = report.loc["macro", "f1"]
        by_class = report[report["n_wafers"] > 0].drop(index=["macro", "accuracy"])["f1"]
        rows.append(row | by_class.add_prefix("F1 ").to_dict())
    return pd.DataFrame(rows).set_index("of")


def score_none(denoiser: CamDenoiser, half: FoldPart) -> pd.DataFrame:
    """Tell for each wafer labeled `none` whether a pattern is claimed, and what `remove` keeps."""
    none = half.labeled("none")
    why = denoiser.set_params(no_pattern="remove").explain(none)
    denoiser.set_params(no_pattern="abstain")
    return pd.DataFrame(
        {
            "claimed": [e.claims_pattern for e in why],
            "fails": [int((grid == FAIL).sum()) for grid in none],
            "kept": [int(e.kept.sum()) for e in why],
        }
    )


def score_dies(denoiser: CamDenoiser, planted: Bunch) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Score the kept fails of each planted wafer; give them, too."""
    kept = [e.kept for e in denoiser.explain(planted.maps)]
    scores = die_scores(planted.maps, planted.truth, kept)
    weaker = [masks[masks.sum(axis=(1, 2)).argmin()] for masks in planted.pattern_truth]
    scores["retention_weaker"] = die_scores(planted.maps, weaker, kept)["recall"]
    about = planted.frame[["label", "background_rate"]].reset_index(drop=True)
    return pd.concat([about, scores], axis=1), kept


def known_to(clf: WaferClassifier, data: Bunch, rows: np.ndarray) -> DenoiserCalibration:
    """Measure how far wafers that the classifier was trained on are from each other."""
    some = np.random.default_rng(0).permutation(rows)[:N_KNOWN]
    denoiser = CamDenoiser(FrozenEstimator(clf), novelty_rate=NOVELTY, random_state=0)
    return denoiser.fit([data.maps[row] for row in some], data.target[some]).calibration_


def with_known(
    calibration: DenoiserCalibration, known: DenoiserCalibration | None
) -> DenoiserCalibration:
    """Return a calibration with the known wafers of another one."""
    references = None if known is None else known.references
    distances = None if known is None else known.distances
    return replace(calibration, references=references, distances=distances)


def calibrated(
    clf: WaferClassifier,
    half: FoldPart,
    false_alarms: float,
    known: DenoiserCalibration | None = None,
) -> CamDenoiser:
    """Calibrate a denoiser around the classifier as it is, with the wafers that it knows."""
    denoiser = CamDenoiser(FrozenEstimator(clf), false_alarm_rate=false_alarms, random_state=0)
    denoiser.fit(half.maps, half.target)
    return CamDenoiser.from_calibration(
        clf,
        with_known(denoiser.calibration_, known),
        false_alarm_rate=false_alarms,
        novelty_rate=None if known is None else NOVELTY,
        random_state=0,
    )


def measure(
    clf: WaferClassifier, data: Bunch, fold: int, n_planted: int, false_alarms: float
) -> Bunch:
    """Score on all of a fold.

    Returns
    -------
    Bunch
        ``classes``: DataFrame; ``none``: DataFrame of one row per wafer; ``dies``: DataFrame of one
        row per planted wafer, by ``kind`` and ``when`` a pattern is claimed; ``worst``: planted
        wafers, their truth and what was kept, the lowest F1 first; ``denoiser``: calibrated on the
        whole fold.
    """
    first, second = halves_of_fold(data, fold)
    novelty = known_to(clf, data, np.setdiff1d(np.arange(len(data.maps)), rows_of_fold(data, fold)))
    none = [
        score_none(calibrated(clf, one, false_alarms, novelty), other)
        for one, other in ((first, second), (second, first))
    ]
    whole = FoldPart.of(data, np.concatenate([first.rows, second.rows]))
    careful = calibrated(clf, whole, false_alarms, novelty)
    eager = CamDenoiser.from_calibration(
        clf, careful.calibration_, random_state=0, false_alarm_rate=None
    )
    dies, wafers = [], []
    for kind in KINDS:
        planted = make_planted_wafers(data, n_planted, kind=kind, rows=whole.rows, random_state=1)
        for when, denoiser in ((CLAIMED, careful), (ALWAYS, eager)):
            scores, kept = score_dies(denoiser, planted)
            dies.append(scores.assign(kind=kind, when=when))
            wafers += zip(planted.maps, planted.truth, kept, strict=True)
    dies = pd.concat(dies, ignore_index=True)
    shown = dies[(dies["kind"] == "planted") & (dies["when"] == CLAIMED)]
    worst = shown.sort_values("f1", kind="stable").index[:_N_WORST]
    titles = [f"{dies['label'][row]} {dies['f1'][row]:.2f}" for row in worst]
    return Bunch(
        classes=score_classes(clf, whole),
        none=pd.concat(none, ignore_index=True),
        dies=dies,
        worst=[(title, *wafers[row]) for title, row in zip(titles, worst, strict=True)],
        denoiser=careful,
    )


def summary(dies: pd.DataFrame) -> pd.DataFrame:
    """Average the scores of planted wafers over those of a class, then over the classes."""
    rows = []
    for (kind, when), wafers in dies.groupby(["kind", "when"], sort=False):
        by_class = wafers.groupby("label")
        means = by_class[["f1", "recall", "specificity", "retention_weaker"]].mean()
        low, high = zip(
            *(bootstrap_interval(f1, random_state=0) for _, f1 in by_class["f1"]), strict=True
        )
        table = means.assign(low=low, high=high, n=by_class.size())
        table.loc["macro"] = means.mean()
        table.loc["macro", "n"] = len(wafers)
        rows.append(table.reset_index(names="label").assign(kind=kind, when=when))
    columns = ["kind", "when", "label", "n", "f1", "low", "high"]
    return pd.concat(rows, ignore_index=True)[
        [*columns, "recall", "specificity", "retention_weaker"]
    ]


def by_rate(dies: pd.DataFrame) -> pd.DataFrame:
    """Average F1 over classes, by ranges of the background's rate."""
    ranges = pd.cut(dies["background_rate"], [0, *RATES])
    cells = dies.groupby(["kind", "when", ranges, "label"], observed=True, sort=False)["f1"].mean()
    means = cells.groupby(level=[0, 1, 2], observed=True, sort=False).mean().unstack()
    return means[sorted(means)]


def summary_of_none(none: pd.DataFrame) -> pd.Series:
    """Count claims, and fails kept with ``no_pattern="remove"``."""
    low, high = bootstrap_interval(none["claimed"], random_state=0)
    return pd.Series(
        {
            "wafers": len(none),
            "claimed": none["claimed"].mean(),
            "low": low,
            "high": high,
            "fails kept": none["kept"].sum() / none["fails"].sum(),
        }
    )


def draw_worst(worst: list[tuple], file: Path) -> None:
    """Draw wafers in pairs: what the pattern is (red), and what was kept."""
    n_columns = 6
    figure, axes = plt.subplots(
        -(-len(worst) // n_columns), 2 * n_columns, figsize=(15, 6), layout="constrained"
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for (title, grid, truth, kept), (left, right) in zip(worst, axes.reshape(-1, 2), strict=False):
        plot_wafer_map(grid, removed=~truth, ax=left)
        plot_wafer_map(grid, removed=~kept, ax=right)
        left.set_title(f"{title}: truth", fontsize=8)
        right.set_title("kept", fontsize=8)
    save_picture(figure, file)


def save_scores(found: Bunch, out: Path) -> None:
    """Write the scores as CSV and print them; draw the wafers that went worst."""
    tables = {
        "classes": found.classes.T,
        "none": summary_of_none(found.none).to_frame("wafers labeled none"),
        "dies": summary(found.dies),
        "rates": by_rate(found.dies),
    }
    save_tables(tables, out)
    draw_worst(found.worst, out / "worst.png")


def main(arguments: list[str] | None = None) -> None:
    """Calibrate the classifier on the whole fold, score it, write the tables."""
    parser = make_parser("held_out", __doc__)
    parser.add_argument("--planted", type=int, default=480, help="wafers of each kind")
    parser.add_argument("--false-alarms", type=float, default=FALSE_ALARMS)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    data, clf = load_wafer_maps(options.data), load_model(options.model)
    held_out = FoldPart.of(data, rows_of_fold(data, options.fold))
    clf.calibrate(held_out.maps, held_out.target)
    save_scores(
        measure(clf, data, options.fold, options.planted, options.false_alarms), options.out
    )
