"""Tables of predicted classes: accuracy, macro F1 and each class, with intervals over lots."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from camdenoise.metrics import class_report
from study.denoisers import RAW
from study.stages.backbones import FACTS
from study.stages.models import PREDICTIONS
from study.tables.common import FOLD_AND_SEED, gather, interval

ACCURACY, MACRO = "accuracy", "macro F1"


def raw_predictions(folders: dict[str, Path]) -> pd.DataFrame:
    """Predictions of the classifiers trained on raw wafers, every test wafer once per seed."""
    return gather(folders, f"models-{FOLD_AND_SEED}-all", PREDICTIONS)


def after_predictions(folders: dict[str, Path]) -> pd.DataFrame:
    """Predictions on denoised wafers, with those on raw ones of the same folds before them."""
    after = [
        gather(folders, f"{stage}-{FOLD_AND_SEED}-.*", PREDICTIONS)
        for stage in ("before_after", "controls")
    ]
    if all(part.empty for part in after):
        return after[0]
    raw = raw_predictions(folders).assign(denoiser=RAW)
    return pd.concat([raw, *after], ignore_index=True)


def report_of(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score the predicted classes, see `class_report`."""
    return class_report(predictions["label"], predictions["predicted"], predictions["group"])


def classification_table(predictions: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Accuracy, macro F1 and each class's F1 of every variant, pooled over its folds and seeds.

    Parameters
    ----------
    predictions : DataFrame
        As `study.stages.models.predictions` makes them, with the columns `by`.
    by : list of str
        Columns that tell variants apart.

    Returns
    -------
    DataFrame
        `by`, ``metric`` (`ACCURACY`, `MACRO` or a class), ``wafers`` (different ones that it is
        measured on), ``mean``, ``low``, ``high``.
    """
    tables = []
    for names, part in predictions.groupby(by, sort=False):
        report = report_of(part).rename({"accuracy": ACCURACY, "macro": MACRO})
        report.loc[ACCURACY, "f1"] = report.loc[ACCURACY, "recall"]
        labels = part.drop_duplicates("wafer")["label"]
        wafers = labels.value_counts().reindex(report.index, fill_value=0)
        wafers[[ACCURACY, MACRO]] = len(labels)
        table = report[["f1", "low", "high"]].rename(columns={"f1": "mean"})
        table.insert(0, "wafers", wafers)
        table = table.loc[[ACCURACY, MACRO, *report.index[:-2]]].reset_index(names="metric")
        tables.append(table.assign(**dict(zip(by, names, strict=True))))
    columns = [*by, "metric", "wafers", "mean", "low", "high"]
    return pd.concat(tables, ignore_index=True)[columns]


def accuracy_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy with its interval and macro F1 of each variant, which ``denoiser`` names."""
    table = classification_table(predictions, ["denoiser"]).set_index("denoiser")
    accuracy = table.loc[table["metric"] == ACCURACY, ["mean", "low", "high"]]
    macro = table.loc[table["metric"] == MACRO, "mean"].rename("macro_f1")
    return accuracy.join(macro).reset_index()


def class_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall and F1 (with its 95 % interval over lots) of each class on raw wafers."""
    report = report_of(predictions).drop(index=["macro", "accuracy"])
    report = report[report["n_wafers"] > 0].reset_index(names="class")
    return report.rename(columns={"n_wafers": "wafers"})


def accuracy_gain(predictions: pd.DataFrame, name: str) -> dict[str, float]:
    """Accuracy on denoised less accuracy on raw wafers, paired, with its 95 % interval."""
    right = predictions.assign(right=(predictions["label"] == predictions["predicted"]) * 1.0)
    keys = ["fold", "seed", "group", "wafer"]
    by_wafer = right.pivot_table(index=keys, columns="denoiser", values="right")
    gain = (by_wafer[name] - by_wafer[RAW]).dropna().rename("gain").reset_index()
    return interval(gain, "gain")


def seed_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and macro F1 of every net by seed: what an interval over lots does not hold."""
    table = classification_table(predictions, ["protocol", "backbone", "seed"])
    table = table[table["metric"].isin([ACCURACY, MACRO])]
    keys = ["protocol", "backbone", "seed"]
    wide = table.pivot(index=keys, columns="metric", values="mean").reset_index()
    return wide.rename_axis(columns=None)


def size_table(folders: dict[str, Path]) -> pd.DataFrame:
    """Seeds, training wafers, parameters and mean training time of each net and protocol."""
    facts = gather(folders, "backbones-.*", FACTS)
    groups = facts.groupby(["protocol", "backbone"], sort=False)
    return groups.agg(
        **{
            "seeds": ("seed", "nunique"),
            "training wafers": ("training wafers", "first"),
            "parameters": ("parameters", "first"),
            "seconds": ("seconds", "mean"),
        }
    ).reset_index()


def curve_table(predictions: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Accuracy and macro F1 of each denoiser at each point of a curve, with intervals.

    Parameters
    ----------
    predictions : DataFrame
        With the columns ``denoiser`` and `by`.
    by : list of str
        What makes a point of the curve.

    Returns
    -------
    DataFrame
        As `classification_table`, and the gain in accuracy over raw wafers at the same point,
        paired: ``gain``, ``gain_low``, ``gain_high``.
    """
    table = classification_table(predictions, ["denoiser", *by])
    table = table[table["metric"].isin([ACCURACY, MACRO])]
    gains = []
    for names, part in predictions.groupby(by):
        for name in part["denoiser"].unique():
            gain = accuracy_gain(part, name)
            row = {"denoiser": name, "metric": ACCURACY} | dict(zip(by, names, strict=True))
            row |= {"gain": gain["mean"], "gain_low": gain["low"], "gain_high": gain["high"]}
            gains.append(row)
    return table.merge(pd.DataFrame(gains), on=["denoiser", "metric", *by], how="left")


def discovery_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean of each score over held-out classes and seeds; ``low`` and ``high`` are the extremes."""
    long = scores.melt(
        ["features", "clustering", "denoiser", "held out", "seed"],
        ["purity", "nmi", "recall"],
        "metric",
    )
    groups = long.groupby(["features", "clustering", "denoiser", "metric"], sort=False)["value"]
    return (
        groups.agg(["mean", "min", "max"])
        .reset_index()
        .rename(columns={"min": "low", "max": "high"})
    )
