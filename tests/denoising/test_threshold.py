"""The set of fails with the greatest expected F1."""

from itertools import product

import numpy as np
import pytest

from camdenoise.denoising._threshold import best_expected_f1


def score(kept: np.ndarray, probability: np.ndarray) -> float:
    return 2 * probability[kept].sum() / (kept.sum() + probability.sum())


@pytest.mark.parametrize("seed", range(20))
def test_no_other_set_scores_higher(seed):
    rng = np.random.default_rng(seed)
    probability = rng.beta(0.5, 0.8, size=rng.integers(1, 9))
    threshold, f1 = best_expected_f1(probability)
    every_set = [np.array(kept) for kept in product([False, True], repeat=len(probability))]
    assert f1 == pytest.approx(max(score(kept, probability) for kept in every_set if kept.any()))
    assert f1 == pytest.approx(score(probability >= threshold, probability))


def test_the_threshold_is_half_of_the_f1():
    # With many fails neighbouring thresholds are as good as the best.
    probability = np.random.default_rng(0).uniform(size=20_000)
    threshold, f1 = best_expected_f1(probability)
    assert threshold == pytest.approx(f1 / 2, abs=1e-3)


def test_ties_stay_together_and_nothing_gives_nothing():
    assert best_expected_f1(np.full(5, 0.4)) == (0.4, pytest.approx(2 * 2 / 7))
    assert best_expected_f1(np.array([])) == (float("inf"), 0.0)
