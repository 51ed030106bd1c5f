"""The set of fails with the greatest expected F1."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from camdenoise.denoising import TargetRecall, TargetSpecificity
from camdenoise.denoising._threshold import (
    THRESHOLDS,
    best_expected_f1,
    threshold_curve,
    threshold_for,
)
from camdenoise.metrics import die_scores


def score(kept: np.ndarray, probability: np.ndarray) -> float:
    return 2 * probability[kept].sum() / (kept.sum() + probability.sum())


@pytest.mark.parametrize("seed", range(20))
def test_best_expected_f1_beats_every_other_set(seed):
    rng = np.random.default_rng(seed)
    probability = rng.beta(0.5, 0.8, size=rng.integers(1, 9))
    threshold, f1 = best_expected_f1(probability)
    every_set = [np.array(kept) for kept in product([False, True], repeat=len(probability))]
    assert f1 == pytest.approx(max(score(kept, probability) for kept in every_set if kept.any()))
    assert f1 == pytest.approx(score(probability >= threshold, probability))


def test_best_threshold_is_half_of_the_f1():
    # With many fails neighboring thresholds are as good as the best.
    probability = np.random.default_rng(0).uniform(size=20_000)
    threshold, f1 = best_expected_f1(probability)
    assert threshold == pytest.approx(f1 / 2, abs=1e-3)


def test_best_expected_f1_keeps_ties_together():
    assert best_expected_f1(np.full(5, 0.4)) == (0.4, pytest.approx(2 * 2 / 7))
    assert best_expected_f1(np.array([])) == (float("inf"), 0.0)


#: Columns of the table of thresholds, and of `die_scores`.
RATES = {"f1": "f1", "recall": "recall", "specificity": "specificity"}


def test_threshold_curve_equals_die_scores():
    rng = np.random.default_rng(0)
    grids = [rng.choice([1, 2], (6, 7)).astype(np.uint8) for _ in range(12)]
    fails = [grid == 2 for grid in grids]
    truth = [(rng.random(fail.shape) < 0.4) & fail for fail in fails]
    evidence = [rng.random(mask.shape).round(2) * 0.9 + 0.05 * mask for mask in truth]
    strata = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x")] * 3
    on_fails = ([part[f] for part, f in zip(of, fails, strict=True)] for of in (evidence, truth))
    table = threshold_curve(*on_fails, strata)
    assert table["threshold"].tolist() == THRESHOLDS.tolist()
    for row in table.iloc[::7].to_dict("records"):
        kept = [f & (e >= row["threshold"]) for e, f in zip(evidence, fails, strict=True)]
        kept = [k if k.any() else f for k, f in zip(kept, fails, strict=True)]
        scores = die_scores(grids, truth, kept)
        sort = pd.Series(["".join(s) for s in strata])
        for name, column in RATES.items():
            ax, ay, bx = (scores[column][sort == s].mean() for s in ("ax", "ay", "bx"))
            assert row[name] == pytest.approx(((ax + ay) / 2 + bx) / 2)


TABLE = pd.DataFrame(
    {
        "threshold": [0.0, 0.2, 0.5, 0.8, 1.0],
        "recall": [1.0, 0.95, 0.9, 0.6, 1.0],
        "specificity": [0.0, 0.5, 0.8, 0.95, 0.0],
        "f1": [0.5, 0.7, 0.8, 0.65, 0.5],
    }
)


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (TargetRecall(0.95), 0.2),
        (TargetRecall(0.9), 0.5),
        (TargetRecall(1.0), 0.0),
        (TargetRecall(0.0), 0.8),
        (TargetSpecificity(0.5), 0.2),
        (TargetSpecificity(0.51), 0.5),
        (TargetSpecificity(0.0), 0.0),
    ],
)
def test_threshold_for_target_matches_hand_calculation(target, wanted):
    assert threshold_for(target, TABLE) == wanted


def test_threshold_for_unreachable_target_warns():
    with pytest.warns(UserWarning, match=r"TargetSpecificity\(value=0.99\) is not reached.*0\.950"):
        assert threshold_for(TargetSpecificity(0.99), TABLE) == 0.8
