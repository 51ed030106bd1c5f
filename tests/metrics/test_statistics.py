"""Bootstrap intervals, sign-flip tests and Holm's correction."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from camdenoise.metrics import (
    bootstrap_interval,
    holm,
    sign_flip_test,
)

NAN = float("nan")


def test_bootstrap_of_a_mean_is_near_normal_interval():
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = bootstrap_interval(values, random_state=0)
    expected = stats.norm.interval(0.95, values.mean(), values.std() / np.sqrt(400))
    np.testing.assert_allclose([low, high], expected, atol=0.03)


def test_bootstrap_covers_true_mean_at_stated_rate():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        low, high = bootstrap_interval(
            rng.exponential(1, 50), n_resamples=400, confidence=0.9, random_state=seed
        )
        hits += low <= 1 <= high
    assert 0.83 <= hits / 200 <= 0.95


def test_bootstrap_widens_with_confidence():
    values = np.arange(101.0)
    low, high = bootstrap_interval(values, np.max, random_state=0)
    wider_low, wider_high = bootstrap_interval(values, np.max, confidence=0.99, random_state=0)
    assert 90 < wider_low < low < high == wider_high == 100
    assert bootstrap_interval(np.ones(9), random_state=0) == (1, 1)


def test_bootstrap_skips_nan_and_repeats_with_its_seed():
    values = [0.1, NAN, 0.5, 0.9, NAN]
    first = bootstrap_interval(values, random_state=1)
    assert first == bootstrap_interval([0.1, 0.5, 0.9], random_state=1)
    many = np.random.default_rng(0).random(60)
    assert bootstrap_interval(many, random_state=1) != bootstrap_interval(many, random_state=2)


@pytest.mark.parametrize("values_at_a_time", [300, 10])
def test_large_bootstrap_runs_in_batches(values_at_a_time, monkeypatch):
    values = np.random.default_rng(0).random(100)
    at_once = bootstrap_interval(values, n_resamples=50, random_state=0)
    monkeypatch.setattr("camdenoise.metrics._statistics._BATCH_VALUES", values_at_a_time)
    assert bootstrap_interval(values, n_resamples=50, random_state=0) == pytest.approx(at_once)


def test_bootstrap_draws_whole_groups_within_strata():
    values, groups = [0.0, 1, 2, 30, 40, 50], ["a", "a", "b", "a", "b", "b"]
    strata = [0, 0, 0, 1, 1, 1]
    # Of two groups a resample has both, or twice the first, or twice the second.
    first, second = ([0.5, 1.0, 2.0], [30, 40, 45])
    ends = (first[0] + second[0]) / 2, (first[2] + second[2]) / 2
    assert bootstrap_interval(values, groups=groups, strata=strata, random_state=0) == ends
    slow = bootstrap_interval(values, np.median, groups=groups, strata=strata, random_state=0)
    assert slow == ((0.5 + 30) / 2, (2 + 45) / 2)


def test_fast_group_mean_equals_slow_one():
    rng = np.random.default_rng(0)
    values, groups = rng.random(50), rng.integers(0, 12, 50)
    fast = bootstrap_interval(values, groups=groups, n_resamples=99, random_state=3)
    slow = bootstrap_interval(
        values, lambda drawn: drawn.mean(), groups=groups, n_resamples=99, random_state=3
    )
    assert fast == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize(
    ("values", "groups"), [([0.3], None), ([NAN, 0.3], None), ([], None), ([0.1, 0.2], [5, 5])]
)
def test_bootstrap_of_one_group_is_nan(values, groups):
    assert np.isnan(bootstrap_interval(values, groups=groups)).all()


def test_bootstrap_errors_name_the_argument():
    with pytest.raises(ValueError, match=r"one number per wafer, got shape \(1, 2\)"):
        bootstrap_interval([[0.1, 0.2]])
    with pytest.raises(ValueError, match="groups has 1 entries for 2 wafer maps"):
        bootstrap_interval([0.1, 0.2], groups=[1])


def test_sign_flips_of_groups_equal_brute_force():
    rng = np.random.default_rng(0)
    values, strata = rng.normal(0.3, 1, 30), np.repeat(["a", "b", "b"], 10)
    groups = np.repeat(np.arange(10), 3)  # the fourth one lies in both strata
    values[4] = NAN

    def macro(signs):
        flipped = values * np.asarray(signs)[groups]
        return np.mean([np.nanmean(flipped[strata == name]) for name in ("a", "b")])

    observed = abs(macro(np.ones(10)))
    as_far = [abs(macro(signs)) >= observed - 1e-12 for signs in product((-1, 1), repeat=10)]
    found = sign_flip_test(values, groups=groups, strata=strata)
    assert 0.05 < found < 0.95 and found == pytest.approx(np.mean(as_far))
    alone = sign_flip_test(values, strata=strata, random_state=0)
    assert abs(found - alone) > 0.01


def test_sign_flips_keep_the_false_alarm_rate():
    rng = np.random.default_rng(0)
    alarms, careless = 0, 0
    for seed in range(200):
        values = np.repeat(rng.normal(size=12), 5) + 0.1 * rng.normal(size=60)
        groups = np.repeat(np.arange(12), 5)
        alarms += sign_flip_test(values, groups=groups, n_resamples=200, random_state=seed) < 0.05
        careless += sign_flip_test(values, n_resamples=200, random_state=seed) < 0.05
    assert alarms <= 18 and careless > 40


def test_sign_flips_need_two_groups_and_all_labels():
    with pytest.raises(ValueError, match="at least two groups, got 1"):
        sign_flip_test([0.1, 0.2], groups=[3, 3])
    with pytest.raises(ValueError, match="groups has 1 entries for 2 wafer maps"):
        sign_flip_test([0.1, 0.2], groups=[3])
    with pytest.raises(ValueError, match="strata has 3 entries for 2 wafer maps"):
        sign_flip_test([0.1, 0.2], strata=[3, 3, 3])


def test_holm_equals_the_step_down_procedure():
    rng = np.random.default_rng(0)
    for _ in range(50):
        p_values, level = rng.random(6) ** 3, 0.05
        rejected = np.zeros(6, bool)
        for step, number in enumerate(np.argsort(p_values)):
            if p_values[number] > level / (6 - step):
                break
            rejected[number] = True
        np.testing.assert_array_equal(holm(p_values) <= level, rejected)
    assert holm([0.9, 0.8]).max() <= 1 and len(holm([])) == 0
