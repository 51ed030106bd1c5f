"""Tidy tables out of the comparison's results."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from study.comparison import discovery, resolution
from study.comparison.backbones import FACTS
from study.models import PREDICTIONS
from study.summary import accuracy_gain, interval_of, report_of

ACCURACY, MACRO = "accuracy", "macro F1"


def gather(folders: dict[str, Path], stage: str, file: str) -> pd.DataFrame:
    """Read one table of all tasks of a stage."""
    tables = [
        pd.read_csv(folder / file, keep_default_na=False, na_values=[""])
        for name, folder in folders.items()
        if name.split("-")[0] == stage and (folder / file).exists()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def classification_table(predictions: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Accuracy, macro F1 and each class's F1 of every variant, pooled over its folds and seeds.

    Parameters
    ----------
    predictions : DataFrame
        As `study.models.predictions` makes them, with the columns `by`.
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


def seed_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and macro F1 of every net by seed: what an interval over lots does not hold."""
    table = classification_table(predictions, ["protocol", "backbone", "seed"])
    table = table[table["metric"].isin([ACCURACY, MACRO])]
    keys = ["protocol", "backbone", "seed"]
    wide = table.pivot(index=keys, columns="metric", values="mean").reset_index()
    return wide.rename_axis(columns=None)


def backbone_predictions(folders: dict[str, Path]) -> pd.DataFrame:
    """Predictions of every net under every protocol."""
    return gather(folders, "backbones", PREDICTIONS)


def size_table(folders: dict[str, Path]) -> pd.DataFrame:
    """Seeds, training wafers, parameters and mean training time of each net and protocol."""
    facts = gather(folders, "backbones", FACTS)
    groups = facts.groupby(["protocol", "backbone"], sort=False)
    return groups.agg(
        **{
            "seeds": ("seed", "nunique"),
            "training wafers": ("training wafers", "first"),
            "parameters": ("parameters", "first"),
            "seconds": ("seconds", "mean"),
        }
    ).reset_index()


def learning_predictions(folders: dict[str, Path]) -> pd.DataFrame:
    """Predictions of nets trained on shares of the wafers, or for fewer epochs."""
    return gather(folders, "learning", PREDICTIONS)


def noise_predictions(folders: dict[str, Path]) -> pd.DataFrame:
    """Predictions for wafers some of whose dies were flipped."""
    return gather(folders, "noise", PREDICTIONS)


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


def discovery_scores(folders: dict[str, Path]) -> pd.DataFrame:
    """How well clusters agree with the labels, one row per held-out class and way to cluster."""
    return gather(folders, "discovery", discovery.SCORES)


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


def resolution_table(folders: dict[str, Path]) -> pd.DataFrame:
    """Areas under the curves by method and grid, and the paired difference to RandomCAM there."""
    scores = gather(folders, "resolution", resolution.SCORES)
    if scores.empty:
        return scores
    keys = ["fold", "seed", "group", "wafer"]
    rows = []
    for (metric, grid), part in scores.groupby(["metric", "grid"]):
        by_wafer = part.set_index([*keys, "method"])["value"].unstack()
        for method in part["method"].unique():
            row = {"metric": metric, "method": method, "grid": grid}
            row |= interval_of(by_wafer[method])
            gain = interval_of(by_wafer[method] - by_wafer[resolution.RANDOM_CAM])
            rows.append(row | {f"gain_{name}": value for name, value in gain.items()})
    return pd.DataFrame(rows)
