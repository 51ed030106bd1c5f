"""Whether real patterns are found again by wafers without labels.

    python -m study evaluate discovery --model MODEL --data DATA.npz

Wafers of the fold that the model was not trained on, up to so many of each class and as many
labeled `none`, are mixed and clustered by `discover_patterns`: once by all fails, once by those
that a filter or the denoiser keeps. For each proposed pattern: how many wafers, how stable, which
label most of them carry and how many of them do.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps
from camdenoise.filters import LargestComponentFilter
from camdenoise.similarity import WaferEmbedding, discover_patterns
from camdenoise.wafers import FAIL
from study.evaluate.common import always_decide, draw_of_fold, make_parser
from study.wafers import pick


def proposals(maps, masks, labels: np.ndarray, any_orientation: bool) -> pd.DataFrame:
    """Return a row per proposed pattern."""
    embedding = WaferEmbedding(any_orientation=any_orientation)
    rows = []
    for pattern in discover_patterns(maps, embedding=embedding, masks=masks, random_state=0):
        counts = pd.Series(labels[pattern.members]).value_counts()
        rows.append(
            {
                "wafers": pattern.n_wafers,
                "stability": pattern.stability,
                "label": counts.index[0],
                "of that label": counts.iloc[0] / pattern.n_wafers,
                "of all with it": counts.iloc[0] / (labels == counts.index[0]).sum(),
            }
        )
    return pd.DataFrame(rows)


def main(arguments: list[str] | None = None) -> None:
    """Print a table for each way to choose the fails that count."""
    parser = make_parser("discovery", __doc__)
    parser.add_argument("--per-class", type=int, default=150)
    options = parser.parse_args(arguments)
    data = load_wafer_maps(options.data)
    rows = draw_of_fold(data, options.fold, [*PATTERN_CLASSES, "none"], options.per_class)
    maps, labels = pick(data.maps, rows), data.target[rows]
    print(pd.Series(labels).value_counts().to_string(), "\n")
    denoisers = {
        "largest component": LargestComponentFilter(),
        "CamDenoiser": always_decide(options.model),
    }
    ways = {"all fails": [grid == FAIL for grid in maps]}
    ways |= {name: [e.kept for e in way.explain(maps)] for name, way in denoisers.items()}
    for any_orientation in (False, True):
        for name, masks in ways.items():
            found = proposals(maps, masks, labels, any_orientation)
            print(name, "(any orientation)" if any_orientation else "")
            print(found.round(2).to_string(index=False) if len(found) else "nothing", "\n")
