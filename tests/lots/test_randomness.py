"""The test of spatial randomness."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from camdenoise import WaferMapError
from camdenoise.lots import spatial_randomness_test

GRIDS = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 2))
)


def random_wafer(rng, n_fails=40):
    wafer = np.ones((20, 20), np.uint8)
    wafer[np.hypot(*np.meshgrid(*[np.arange(20) - 9.5] * 2)) > 10] = 0
    wafer[tuple(rng.permutation(np.argwhere(wafer == 1))[:n_fails].T)] = 2
    return wafer


@given(GRIDS)
@settings(max_examples=40, deadline=None)
def test_touching_pairs_are_counted_once(wafer):
    at = np.argwhere(wafer == 2)
    apart = np.abs(at[:, None] - at[None]).max(axis=2)
    found = spatial_randomness_test(wafer, n_permutations=9)
    assert found.statistic == (apart == 1).sum() / 2
    assert 0.1 <= found.p_value <= 1


def test_p_values_are_uniform_for_random_fails():
    rng = np.random.default_rng(0)
    p = [spatial_randomness_test(random_wafer(rng), n_permutations=99).p_value for _ in range(400)]
    for share in (0.05, 0.1, 0.25, 0.5):
        found, error = np.mean(np.array(p) <= share), np.sqrt(share * (1 - share) / 400)
        # Counts tie, so p-values are rather too large; one value of the count has some 8 %.
        assert share - 0.08 - 3 * error < found < share + 3 * error
    assert np.mean(np.array(p) <= 0.05) > 0.01


def test_cluster_is_found_and_impossible_tests_are_not():
    wafer = random_wafer(np.random.default_rng(1))
    wafer[8:12, 8:12] = 2
    found = spatial_randomness_test(wafer)
    assert found.p_value == 0.001 and found.expected < found.statistic
    assert found == spatial_randomness_test(wafer)
    for nothing in (np.ones((5, 5)), np.full((5, 5), 2), np.zeros((3, 3)), [[2]], [[1]]):
        assert spatial_randomness_test(nothing, n_permutations=19).p_value == 1
    with pytest.raises(WaferMapError, match="value 7"):
        spatial_randomness_test([[7]])
    with pytest.raises(ValueError, match="at least 1"):
        spatial_randomness_test([[1]], n_permutations=0)
