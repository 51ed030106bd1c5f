"""Whether a wafer's neighbors are of its class, before and after denoising.

    python -m study evaluate retrieval --model MODEL --data DATA.npz

Wafers of the fold that the model was not trained on, as `study.bundle` leaves it; up to so
many of each class with a pattern, drawn at random. Each looks for its ten nearest neighbors in
other lots, by where its fails are. mAP@10 with 95 % intervals over lots, all fails and only those
that a denoiser keeps.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps
from camdenoise.filters import ComponentSizeFilter, LargestComponentFilter, MedianFilter
from camdenoise.metrics import bootstrap_interval
from camdenoise.similarity import WaferEmbedding, mean_average_precision, similar_wafers
from camdenoise.wafers import FAIL
from study.evaluate.common import always_decide, draw_of_fold, make_parser
from study.wafers import pick

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
    # A wafer without neighbors counts as 0.
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


def main(arguments: list[str] | None = None) -> None:
    """Print a table for each sense of "alike"."""
    parser = make_parser("retrieval", __doc__)
    parser.add_argument("--per-class", type=int, default=300)
    options = parser.parse_args(arguments)
    data = load_wafer_maps(options.data)
    rows = draw_of_fold(data, options.fold, PATTERN_CLASSES, options.per_class)
    maps, labels = pick(data.maps, rows), data.target[rows]
    lots = np.asarray(data.groups)[rows]
    print(pd.Series(labels).value_counts().to_string(), f"in {len(np.unique(lots))} lots\n")
    denoisers = {
        "median filter": MedianFilter(),
        "component size": ComponentSizeFilter(),
        "largest component": LargestComponentFilter(),
        "CamDenoiser": always_decide(options.model),
    }
    masks = {"all fails": [grid == FAIL for grid in maps]}
    masks |= {name: [e.kept for e in way.explain(maps)] for name, way in denoisers.items()}
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
