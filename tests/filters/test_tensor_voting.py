"""Tensor voting, compared with slow sums."""

import numpy as np
import pytest
from filter_cases import random_maps

from camdenoise.filters import (
    TensorVotingFilter,
)


def slow_tensors(grid, y, x, scale):
    """Eigenvalues, in ascending order, of the sum of the votes that a die gets."""
    total = np.zeros((2, 2))
    for fail in np.argwhere(grid == 2):
        way = np.array([y, x]) - fail
        squared = float(way @ way)
        if 0 < np.abs(way).max() <= np.ceil(3 * scale):
            total += np.exp(-squared / scale**2) * (np.eye(2) - np.outer(way, way) / squared)
    return np.linalg.eigvalsh(total)


@pytest.mark.parametrize("scale", [0.7, 1.5, 5.0])
def test_tensor_voting_filter_equals_slow_sums(scale):
    maps = random_maps(10)
    for grid, e in zip(maps, TensorVotingFilter(scale, 0.4).explain(maps), strict=True):
        fails = np.argwhere(grid == 2)
        values = np.array([slow_tensors(grid, *fail, scale) for fail in fails]).reshape(-1, 2)
        measures = [values[:, 1] - values[:, 0], values[:, 0]]
        largest = [max(m.max(initial=0), 1e-9) for m in measures]
        share = np.max([m / top for m, top in zip(measures, largest, strict=True)], axis=0)
        np.testing.assert_allclose(e.saliency[grid == 2], share, atol=1e-6)
        clear = np.abs(share - 0.4) > 1e-6
        np.testing.assert_array_equal(e.kept[grid == 2][clear], (share > 0.4)[clear])


def test_tensor_votes_separate_curve_from_region():
    line, block = np.ones((11, 11), int), np.ones((11, 11), int)
    line[5], block[3:8, 3:8] = 2, 2
    (low, high), (ball, _) = (slow_tensors(grid, 5, 5, 2.0) for grid in (line, block))
    assert low < 1e-9 < high and ball > 0.5
    assert TensorVotingFilter(2.0).explain([line])[0].kept.sum() == 11
