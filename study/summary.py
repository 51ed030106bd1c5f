"""Tidy tables out of the parts' results: what the report shows, and what a reader can check."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from camdenoise.faithfulness import RANDOM
from camdenoise.metrics import bootstrap_interval, class_report
from study import faithfulness
from study.denoisers import DENOISERS, NOTHING, OURS
from study.models import PREDICTIONS
from study.truth import SCORES

RAW = "raw wafers"
#: What a saliency has to beat: dies in random order, and regions of a CAM with random weights.
REFERENCES = (RANDOM, faithfulness.RANDOM_CAM)


def _gather(folders: dict[str, Path], stage: str, file: str, suffix: str = "") -> pd.DataFrame:
    """Read one table of all tasks of a stage, with the fold and seed of each."""
    tables = []
    for name, folder in folders.items():
        if name.startswith(f"{stage}-") and name.endswith(suffix):
            _, fold, seed, *_ = name.split("-")
            table = pd.read_csv(folder / file, keep_default_na=False, na_values=[""])
            tables.append(table.assign(fold=int(fold), seed=int(seed)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def raw_predictions(folders: dict[str, Path]) -> pd.DataFrame:
    """Predictions of the classifiers trained on raw wafers, every test wafer once per seed."""
    return _gather(folders, "models", PREDICTIONS, "-all")


def after_predictions(folders: dict[str, Path]) -> pd.DataFrame:
    """Predictions on denoised wafers, with those on raw ones of the same folds before them."""
    after = [_gather(folders, stage, PREDICTIONS) for stage in ("before_after", "controls")]
    if all(part.empty for part in after):
        return after[0]
    raw = raw_predictions(folders).assign(denoiser=RAW)
    return pd.concat([raw, *after], ignore_index=True)


def die_level(folders: dict[str, Path]) -> pd.DataFrame:
    """Die-level scores, one row per wafer and denoiser."""
    return _gather(folders, "truth", SCORES)


def interval(wafers: pd.DataFrame, column: str, strata: str | None = None) -> dict[str, float]:
    """Average over wafers, then over strata, with a 95 % bootstrap interval over their groups."""
    values = wafers[column].astype(float)
    of_strata = None if strata is None else wafers[strata]
    mean = values.mean() if strata is None else values.groupby(of_strata).mean().mean()
    low, high = bootstrap_interval(values, groups=wafers["group"], strata=of_strata, random_state=0)
    return {"mean": float(mean), "low": low, "high": high}


def report_of(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score the predicted classes, see `class_report`."""
    return class_report(predictions["label"], predictions["predicted"], predictions["group"])


def accuracy_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy (with a 95 % bootstrap interval over lots) and macro F1 of each variant."""
    rows = []
    for name, part in predictions.groupby("denoiser", sort=False):
        report = report_of(part)
        mean, low, high = report.loc["accuracy", ["recall", "low", "high"]]
        row = {"denoiser": name, "mean": mean, "low": low, "high": high}
        rows.append(row | {"macro_f1": report.loc["macro", "f1"]})
    return pd.DataFrame(rows)


def class_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall and F1 (with its 95 % interval over lots) of each class on raw wafers."""
    report = report_of(predictions).drop(index=["macro", "accuracy"])
    report = report[report["n_wafers"] > 0].reset_index(names="class")
    return report.rename(columns={"n_wafers": "wafers"})


def die_f1_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean die-level F1 of each kind, denoiser and class, and macro, with 95 % intervals."""
    rows = []
    for (kind, name), wafers in scores.dropna(subset="f1").groupby(["kind", "denoiser"]):
        parts = dict(iter(wafers.groupby("label"))) | {"macro": wafers}
        for label, part in parts.items():
            about = {"kind": kind, "denoiser": name, "class": label, "wafers": len(part)}
            rows.append(about | interval(part, "f1", strata="label"))
    return _in_order(pd.DataFrame(rows))


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    order = {name: number for number, name in enumerate(DENOISERS)}
    return table.sort_values("denoiser", key=lambda names: names.map(order), kind="stable")


def die_rates_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Other die-level rates of each denoiser, averaged over wafers and then over classes."""
    rates = ["precision", "recall", "iou", "specificity", "average_precision"]
    by_class = scores.groupby(["kind", "denoiser", "label"])[rates].mean()
    return _in_order(by_class.groupby(["kind", "denoiser"]).mean().reset_index())


def compare_with_best(scores: pd.DataFrame) -> dict:
    """Set our denoiser beside the best of the others by macro F1, wafer by wafer.

    Parameters
    ----------
    scores : DataFrame
        Die-level scores of wafers of one kind.

    Returns
    -------
    dict
        ``rival``, the macro F1 of both, and their mean difference with its paired interval.
    """
    keys = ["label", "fold", "seed", "group", "wafer"]
    by_wafer = scores.pivot_table(index=keys, columns="denoiser", values="f1")
    macro = by_wafer.groupby("label").mean().mean()
    rival = macro.drop([OURS, NOTHING]).idxmax()
    gain = (by_wafer[OURS] - by_wafer[rival]).dropna().rename("gain").reset_index()
    found = interval(gain, "gain", strata="label")
    return {"rival": rival, "ours": macro[OURS], "rival_f1": macro[rival]} | found


def accuracy_gain(predictions: pd.DataFrame, name: str) -> dict[str, float]:
    """Accuracy on denoised less accuracy on raw wafers, paired, with its 95 % interval."""
    right = predictions.assign(right=(predictions["label"] == predictions["predicted"]) * 1.0)
    keys = ["fold", "seed", "group", "wafer"]
    by_wafer = right.pivot_table(index=keys, columns="denoiser", values="right")
    gain = (by_wafer[name] - by_wafer[RAW]).dropna().rename("gain").reset_index()
    return interval(gain, "gain")


def faithfulness_scores(folders: dict[str, Path], *parts: str) -> pd.DataFrame:
    """Scores of the parts of the faithfulness stage, one row per metric, method and wafer."""
    tables = [_gather(folders, "faithfulness", faithfulness.SCORES, f"-{part}") for part in parts]
    return pd.concat(tables, ignore_index=True)


def faithfulness_curves(folders: dict[str, Path]) -> dict[str, dict[str, np.ndarray]]:
    """Curves by kind and method, one row per wafer of any fold and seed."""
    curves: dict[str, dict[str, list]] = {}
    for name, folder in folders.items():
        if name.startswith("faithfulness-") and name.endswith("-curves"):
            with np.load(folder / faithfulness.CURVES, allow_pickle=False) as file:
                for key in file.files:
                    kind, method = key.split("/")
                    curves.setdefault(kind, {}).setdefault(method, []).append(file[key])
    return {
        kind: {method: np.concatenate(parts) for method, parts in by_method.items()}
        for kind, by_method in curves.items()
    }


def faithfulness_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean of each metric and method, and its paired difference to both random saliencies."""
    keys = ["fold", "seed", "group", "wafer"]
    rows = []
    for metric, of_metric in scores.groupby("metric", sort=False):
        by_wafer = of_metric.set_index([*keys, "method"])["value"].unstack()
        for method in of_metric["method"].unique():
            row = {"metric": metric, "method": method, "wafers": int(by_wafer[method].count())}
            row |= interval_of(by_wafer[method])
            for reference in REFERENCES:
                gain = interval_of(by_wafer[method] - by_wafer[reference])
                row |= {f"{part} to {reference}": value for part, value in gain.items()}
            rows.append(row)
    return pd.DataFrame(rows)


def interval_of(values: pd.Series) -> dict[str, float]:
    """Average values whose index has the level "group", see `interval`."""
    return interval(values.rename("value").reset_index(), "value")


def similarity_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean rank correlation of each CAM with itself, by the last stage that still remembers."""
    means = scores.groupby(["method", "metric"], sort=False)["value"].mean().unstack()
    return means[scores["metric"].unique()].reset_index()
