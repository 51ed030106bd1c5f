"""Tables of saliencies: how faithful each is, beside random ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from camdenoise.faithfulness import RANDOM
from study.files import read_arrays
from study.stages import faithfulness, resolution
from study.tables.common import FOLD_AND_SEED, find, gather, interval_of

#: What a saliency has to beat: dies in random order, and regions of a CAM with random weights.
REFERENCES = (RANDOM, faithfulness.RANDOM_CAM)
_KEYS = ["fold", "seed", "group", "wafer"]


def faithfulness_scores(folders: dict[str, Path], *parts: str) -> pd.DataFrame:
    """Scores of the parts of the faithfulness stage, one row per metric, method and wafer."""
    tables = [
        gather(folders, f"faithfulness-{FOLD_AND_SEED}-{part}", faithfulness.SCORES)
        for part in parts
    ]
    return pd.concat(tables, ignore_index=True)


def faithfulness_curves(folders: dict[str, Path]) -> dict[str, dict[str, np.ndarray]]:
    """Curves by kind and method, one row per wafer of any fold and seed."""
    curves: dict[str, dict[str, list]] = {}
    for _, folder in find(folders, f"faithfulness-{FOLD_AND_SEED}-curves"):
        for key, drawn in read_arrays(folder / faithfulness.CURVES).items():
            kind, method = key.split("/")
            curves.setdefault(kind, {}).setdefault(method, []).append(drawn)
    return {
        kind: {method: np.concatenate(parts) for method, parts in by_method.items()}
        for kind, by_method in curves.items()
    }


def faithfulness_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean of each metric and method, and its paired difference to both random saliencies."""
    rows = []
    for metric, of_metric in scores.groupby("metric", sort=False):
        by_wafer = of_metric.set_index([*_KEYS, "method"])["value"].unstack()
        for method in of_metric["method"].unique():
            row = {"metric": metric, "method": method, "wafers": int(by_wafer[method].count())}
            row |= interval_of(by_wafer[method])
            for reference in REFERENCES:
                gain = interval_of(by_wafer[method] - by_wafer[reference])
                row |= {f"{part} to {reference}": value for part, value in gain.items()}
            rows.append(row)
    return pd.DataFrame(rows)


def similarity_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean rank correlation of each CAM with itself, by the last stage that still remembers."""
    means = scores.groupby(["method", "metric"], sort=False)["value"].mean().unstack()
    return means[scores["metric"].unique()].reset_index()


def resolution_table(folders: dict[str, Path]) -> pd.DataFrame:
    """Areas under the curves by method and grid, and the paired difference to RandomCAM there."""
    scores = gather(folders, "resolution-.*", resolution.SCORES)
    if scores.empty:
        return scores
    rows = []
    for (metric, grid), part in scores.groupby(["metric", "grid"]):
        by_wafer = part.set_index([*_KEYS, "method"])["value"].unstack()
        for method in part["method"].unique():
            row = {"metric": metric, "method": method, "grid": grid}
            row |= interval_of(by_wafer[method])
            gain = interval_of(by_wafer[method] - by_wafer[resolution.RANDOM_CAM])
            rows.append(row | {f"gain_{name}": value for name, value in gain.items()})
    return pd.DataFrame(rows)
