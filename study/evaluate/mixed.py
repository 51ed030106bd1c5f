"""How well kept fails are divided among the patterns of a wafer that has two.

    python -m study evaluate mixed --model MODEL --data DATA.npz

Two patterns are planted on wafers of the fold that the model was not trained on, as
`study.bundle` leaves it. Of the kept fails that belong to one pattern alone, which share
goes to that pattern? Compared with: all of them to the pattern with most fails.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from camdenoise.datasets import load_wafer_maps, make_planted_wafers
from study.evaluate.common import always_decide, make_parser, rows_of_fold


def score(masks: dict[str, np.ndarray], kept: np.ndarray, truth: dict[str, np.ndarray]) -> dict:
    """Score one wafer; `truth` has a mask for each of its patterns."""
    alone = sum(of.astype(int) for of in truth.values()) == 1
    right = sum(int((masks[name] & truth[name] & alone).sum()) for name in truth if name in masks)
    fails = {name: int((kept & of & alone).sum()) for name, of in truth.items()}
    n_kept = sum(fails.values())
    return {
        "right": right / n_kept if n_kept else np.nan,
        "all to the larger": max(fails.values()) / n_kept if n_kept else np.nan,
        "both named": set(truth) == set(masks),
        "patterns named": len(masks),
    }


def main(arguments: list[str] | None = None) -> None:
    """Print a table."""
    parser = make_parser("mixed", __doc__)
    parser.add_argument("--planted", type=int, default=480)
    options = parser.parse_args(arguments)
    data = load_wafer_maps(options.data)
    denoiser = always_decide(options.model)
    of_fold = {"rows": rows_of_fold(data, options.fold), "random_state": 1}
    planted = make_planted_wafers(data, options.planted, kind="two", **of_fold)
    why = denoiser.explain(planted.maps)
    scores = []
    for e, label, truth in zip(why, planted.frame["label"], planted.pattern_truth, strict=True):
        of_patterns = dict(zip(label.split("+"), truth, strict=True))
        scores.append({"label": label} | score(e.patterns, e.kept, of_patterns))
    table = pd.DataFrame(scores).groupby("label").mean()
    table.loc["all"] = table.mean()
    print(table.round(3).to_string())
    single = make_planted_wafers(data, options.planted, **of_fold)
    one = [len(e.patterns) == 1 for e in denoiser.explain(single.maps)]
    print(f"one pattern planted: one named on {np.mean(one):.3f} of the wafers")
