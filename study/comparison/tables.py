"""Tidy tables out of the comparison's results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from camdenoise.metrics import bootstrap_interval
from study.comparison import discovery, resolution
from study.comparison.backbones import FACTS
from study.models import PREDICTIONS
from study.summary import accuracy_gain, interval

ACCURACY, MACRO = "accuracy", "macro F1"

# Of each class (last axis but one): right, of the class, said to be of it.
_Score = Callable[[np.ndarray], np.ndarray]


def gather(folders: dict[str, Path], stage: str, file: str) -> pd.DataFrame:
    """Read one table of all tasks of a stage."""
    tables = [
        pd.read_csv(folder / file, keep_default_na=False, na_values=[""])
        for name, folder in folders.items()
        if name.split("-")[0] == stage and (folder / file).exists()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def counts_by_group(predictions: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Count for each group and class the wafers named right, those of it, those said to be of it.

    Returns
    -------
    classes : list of str
    counts : ndarray of int, shape (n_groups, n_classes, 3)
    """
    classes = sorted(set(predictions["label"]) | set(predictions["predicted"]))
    group = pd.factorize(predictions["group"])[0]
    true, said = (pd.Index(classes).get_indexer(predictions[c]) for c in ("label", "predicted"))
    counts = np.zeros((group.max() + 1, len(classes), 3), int)
    np.add.at(counts, (group, true, 0), true == said)
    np.add.at(counts, (group, true, 1), 1)
    np.add.at(counts, (group, said, 2), 1)
    return classes, counts


def _accuracy(totals: np.ndarray) -> np.ndarray:
    return totals[..., 0].sum(axis=-1) / totals[..., 1].sum(axis=-1)


def _f1(totals: np.ndarray) -> np.ndarray:
    return 2 * totals[..., 0] / np.maximum(totals[..., 1] + totals[..., 2], 1)


def score_with_interval(counts: np.ndarray, score: _Score) -> dict[str, float]:
    """Score the sum of all groups, with a 95 % bootstrap interval over groups.

    Without two groups there is no interval.
    """
    mean = float(score(counts.sum(axis=0)))
    if len(counts) < 2:
        return {"mean": mean, "low": np.nan, "high": np.nan}

    def of_drawn(groups: np.ndarray, axis: int) -> np.ndarray:
        n_groups = len(counts)
        drawn = np.moveaxis(groups, axis, -1).astype(int).reshape(-1, n_groups)
        places = drawn + n_groups * np.arange(len(drawn))[:, None]
        times = np.bincount(places.ravel(), minlength=drawn.size).reshape(drawn.shape)
        return score(np.tensordot(times, counts, axes=1)).reshape(groups.shape[:-1])

    low, high = bootstrap_interval(np.arange(len(counts)), of_drawn, random_state=0)
    return {"mean": mean, "low": low, "high": high}


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
    rows = []
    for names, part in predictions.groupby(by, sort=False):
        classes, counts = counts_by_group(part)
        scores: dict[str, _Score] = {ACCURACY: _accuracy, MACRO: lambda t: _f1(t).mean(axis=-1)}
        scores |= {name: lambda t, i=i: _f1(t)[..., i] for i, name in enumerate(classes)}
        wafers = part.drop_duplicates("wafer")["label"].value_counts()
        for metric, score in scores.items():
            about = dict(zip(by, names, strict=True)) | {"metric": metric}
            about["wafers"] = int(wafers.get(metric, 0 if metric in classes else wafers.sum()))
            rows.append(about | score_with_interval(counts, score))
    return pd.DataFrame(rows)


def seed_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy and macro F1 of every net by seed: what an interval over lots does not hold."""
    rows = []
    keys = ["protocol", "backbone", "seed"]
    for names, part in predictions.groupby(keys, sort=False):
        totals = counts_by_group(part)[1].sum(axis=0)
        scores = {ACCURACY: float(_accuracy(totals)), MACRO: float(_f1(totals).mean())}
        rows.append(dict(zip(keys, names, strict=True)) | scores)
    return pd.DataFrame(rows)


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
            row |= _mean_of(by_wafer[method])
            gain = _mean_of(by_wafer[method] - by_wafer[resolution.RANDOM_CAM])
            rows.append(row | {f"gain_{name}": value for name, value in gain.items()})
    return pd.DataFrame(rows)


def _mean_of(values: pd.Series) -> dict[str, float]:
    return interval([values.dropna().rename("value").reset_index()], "value")
