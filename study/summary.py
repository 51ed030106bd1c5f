"""Tidy tables out of the parts' results: what the report shows, and what a reader can check."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, f1_score

from camdenoise.metrics import bootstrap_interval
from study.denoisers import DENOISERS, NOTHING, OURS
from study.models import PREDICTIONS
from study.truth import SCORES

RAW = "raw wafers"


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
    after = _gather(folders, "before_after", PREDICTIONS)
    if after.empty:
        return after
    raw = raw_predictions(folders).assign(denoiser=RAW)
    return pd.concat([raw, after], ignore_index=True)


def die_level(folders: dict[str, Path]) -> pd.DataFrame:
    """Die-level scores, one row per wafer and denoiser."""
    return _gather(folders, "truth", SCORES)


def _interval(values: np.ndarray) -> dict[str, float]:
    low, high = bootstrap_interval(values, random_state=0) if len(values) > 1 else (np.nan,) * 2
    return {"mean": float(np.mean(values)), "low": low, "high": high}


def accuracy_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Accuracy (with a 95 % bootstrap interval over wafers) and macro F1 of each variant."""
    rows = []
    for name, part in predictions.groupby("denoiser", sort=False):
        right = (part["label"] == part["predicted"]).to_numpy(float)
        macro = f1_score(part["label"], part["predicted"], average="macro", zero_division=0)
        rows.append({"denoiser": name, **_interval(right), "macro_f1": macro})
    return pd.DataFrame(rows)


def class_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall and F1 of each class on raw wafers."""
    classes = sorted(set(predictions["label"]))
    counts = confusion_matrix(predictions["label"], predictions["predicted"], labels=classes)
    right, true, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    return pd.DataFrame(
        {
            "class": classes,
            "wafers": true,
            "precision": right / np.maximum(said, 1),
            "recall": right / np.maximum(true, 1),
            "f1": 2 * right / np.maximum(true + said, 1),
        }
    )


def die_f1_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean die-level F1 of each denoiser and class, and macro, with 95 % bootstrap intervals."""
    rows = []
    for name in DENOISERS:
        part = scores[scores["denoiser"] == name].dropna(subset="f1")
        for label, wafers in part.groupby("label"):
            f1 = wafers["f1"].to_numpy()
            rows.append({"denoiser": name, "class": label, "wafers": len(f1), **_interval(f1)})
        macro = _macro_interval([w["f1"].to_numpy() for _, w in part.groupby("label")])
        rows.append({"denoiser": name, "class": "macro", "wafers": len(part), **macro})
    return pd.DataFrame(rows)


def die_rates_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Other die-level rates of each denoiser, averaged over wafers and then over classes."""
    rates = ["precision", "retention", "iou", "noise_removal", "average_precision"]
    by_class = scores.groupby(["denoiser", "label"])[rates].mean()
    return by_class.groupby("denoiser").mean().loc[list(DENOISERS)].reset_index()


def _macro_interval(by_class: list[np.ndarray], n_resamples: int = 2000) -> dict[str, float]:
    """Mean over classes, resampling the wafers within each class."""
    rng = np.random.default_rng(0)
    resampled = np.mean(
        [v[rng.integers(len(v), size=(n_resamples, len(v)))].mean(axis=1) for v in by_class], axis=0
    )
    low, high = np.quantile(resampled, [0.025, 0.975])
    return {"mean": float(np.mean([v.mean() for v in by_class])), "low": low, "high": high}


def compare_with_best(scores: pd.DataFrame) -> dict:
    """Set our denoiser beside the best of the others by macro F1, wafer by wafer.

    Returns
    -------
    dict
        ``rival``, and the mean difference in macro F1 with its paired bootstrap interval.
    """
    by_wafer = scores.pivot_table(
        index=["label", "fold", "seed", "wafer"], columns="denoiser", values="f1"
    )
    macro = by_wafer.groupby("label").mean().mean()
    rival = macro.drop([OURS, NOTHING]).idxmax()
    gain = (by_wafer[OURS] - by_wafer[rival]).dropna()
    pairs = [values.to_numpy() for _, values in gain.groupby("label")]
    return {"rival": rival, "ours": macro[OURS], "rival_f1": macro[rival]} | _macro_interval(pairs)


def accuracy_gain(predictions: pd.DataFrame, name: str) -> dict[str, float]:
    """Accuracy on denoised less accuracy on raw wafers, paired, with its 95 % interval."""
    right = predictions.assign(right=predictions["label"] == predictions["predicted"])
    by_wafer = right.pivot_table(
        index=["fold", "seed", "wafer"], columns="denoiser", values="right"
    )
    return _interval((by_wafer[name] - by_wafer[RAW]).dropna().to_numpy(float))
