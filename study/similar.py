"""Whether a wafer's neighbours are of its class, before and after denoising.

    python -m study.similar --model FOLDER/without-fold-0.safetensors --data DATA.npz

Wafers of the fold that the model was not trained on, as `study.train_bundled` leaves it; up to so
many of each class with a pattern, drawn at random. Each looks for its ten nearest neighbours in
other lots, by where its fails are. mAP@10 with 95 % intervals over lots, all fails beside those
that a denoiser keeps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch

from camdenoise import CamDenoiser, load_model
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps
from camdenoise.filters import ComponentSizeFilter, LargestComponentFilter, MedianFilter
from camdenoise.metrics import bootstrap_interval
from camdenoise.similarity import WaferEmbedding, mean_average_precision, similar_wafers
from camdenoise.wafers._maps import FAIL
from study.calibration import N_FOLDS
from study.wafers import folds_of

N_NEIGHBORS = 10


def precision_of_queries(vectors: np.ndarray, labels: np.ndarray, lots: np.ndarray) -> pd.Series:
    """Return the average precision of each wafer."""
    found = similar_wafers(vectors, n_neighbors=N_NEIGHBORS, groups=lots)
    by_wafer = [
        mean_average_precision(of_query, labels).iloc[0] for _, of_query in found.groupby("query")
    ]
    return pd.Series(by_wafer, index=np.unique(found["query"])).reindex(range(len(labels)))


def in_several(labels: np.ndarray, lots: np.ndarray) -> np.ndarray:
    """Tell of which wafers there are others of the class in other chunks."""
    n_lots = pd.Series(lots).groupby(labels).nunique()
    return n_lots[labels].to_numpy() > 1


def summary(precision: pd.DataFrame, labels: np.ndarray, lots: np.ndarray) -> pd.DataFrame:
    """Return for each way the score by class and in all, with its interval over lots."""
    # A wafer without neighbours counts as 0.
    precision = precision.fillna(0)
    table = precision.groupby(labels).mean().T
    table["macro"] = table.mean(axis=1)
    gain = precision.sub(precision.iloc[:, 0], axis=0)
    for values, names in ((precision, ("low", "high")), (gain, ("gain low", "gain high"))):
        ends = [
            bootstrap_interval(values[way], groups=lots, strata=labels, random_state=0)
            for way in precision
        ]
        table[list(names)] = ends
    return table


def wafers_of_fold(data: Bunch, fold: int, classes, per_class: int, rng) -> np.ndarray:
    """Draw rows of a fold, up to so many of each class."""
    of_fold = np.flatnonzero(folds_of(data, N_FOLDS) == fold)
    return np.concatenate(
        [rng.permutation(of_fold[data.target[of_fold] == name])[:per_class] for name in classes]
    )


def main(arguments: list[str] | None = None) -> None:
    """Print a table for each sense of "alike"."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--per-class", type=int, default=300)
    options = parser.parse_args(arguments)
    data = load_wafer_maps(options.data)
    rng = np.random.default_rng(0)
    rows = wafers_of_fold(data, options.fold, PATTERN_CLASSES, options.per_class, rng)
    maps, labels = [data.maps[row] for row in rows], data.target[rows]
    lots = np.asarray(data.groups)[rows]
    print(pd.Series(labels).value_counts().to_string(), f"in {len(np.unique(lots))} lots\n")
    model = FrozenEstimator(load_model(options.model))
    always = CamDenoiser(model, false_alarm_rate=None).fit(maps[:1])
    masks = {
        "all fails": [grid == FAIL for grid in maps],
        "median filter": [why.kept for why in MedianFilter().fit(maps).explain(maps)],
        "component size": [why.kept for why in ComponentSizeFilter().fit(maps).explain(maps)],
        "largest component": [why.kept for why in LargestComponentFilter().fit(maps).explain(maps)],
        "CamDenoiser": [why.kept for why in always.explain(maps)],
    }
    for any_orientation in (False, True):
        embedding = WaferEmbedding(any_orientation=any_orientation).fit(maps)
        precision = pd.DataFrame(
            {
                name: precision_of_queries(embedding.transform_masks(of_way), labels, lots)
                for name, of_way in masks.items()
            }
        )
        scored = in_several(labels, lots)
        table = summary(precision[scored], labels[scored], lots[scored])
        print("any orientation" if any_orientation else "as it lies")
        print(table.round(3).to_string(), "\n")


if __name__ == "__main__":
    main()
