"""The permutation test of components, compared with all placements."""

from itertools import combinations

import numpy as np
import pytest
from slow_dies import steps_from

from camdenoise.filters import (
    ComponentPermutationFilter,
    _component_permutation,
)


def exact_p_values(grid, connectivity):
    """Share of all ways to place the fails whose largest component is as large."""
    dies = [tuple(cell) for cell in np.argwhere(grid != 0)]
    largest = []
    for placed in combinations(dies, int((grid == 2).sum())):
        wafer = np.where(grid != 0, 1, 0)
        for cell in placed:
            wafer[cell] = 2
        largest.append(max(len(steps_from(wafer, *cell, connectivity)) for cell in placed))
    size = {tuple(f): len(steps_from(grid, *f, connectivity)) for f in np.argwhere(grid == 2)}
    return {cell: np.mean(np.array(largest) >= s) for cell, s in size.items()}


@pytest.mark.parametrize("connectivity", [4, 8])
def test_permutation_p_values_match_all_placements(connectivity):
    grid = np.array([[2, 2, 1, 0], [1, 2, 1, 2], [1, 1, 1, 1]])
    denoiser = ComponentPermutationFilter(0.5, 2000, connectivity=connectivity)
    (e,) = denoiser.explain([grid])
    for cell, p in exact_p_values(grid, connectivity).items():
        assert 1 - e.saliency[cell] == pytest.approx(p, abs=0.04)
        assert e.kept[cell] == (1 - e.saliency[cell] <= 0.5)


def test_permutation_filter_keeps_fails_at_rate_alpha():
    rng = np.random.default_rng(0)
    maps = 1 + (rng.random((300, 12, 12)) < 0.15).astype(int)
    kept = [e.kept.any() for e in ComponentPermutationFilter(0.2, 99).explain(maps)]
    assert 0.05 < np.mean(kept) < 0.27  # three standard errors above alpha; sizes tie, so less


def test_wafers_of_equal_dies_and_fails_share_shuffles(monkeypatch):
    asked = []

    def counting(dies, n_fails, *rest):
        asked.append(n_fails)
        return np.ones(19, int)

    monkeypatch.setattr(_component_permutation, "permuted_sizes", counting)
    one, other, more = np.array([[2, 1, 0]]), np.array([[1, 2, 0]]), np.array([[2, 2, 0]])
    ComponentPermutationFilter(n_permutations=19).explain([one, other, more, one])
    assert asked == [1, 2]


def test_random_state_decides_the_shuffles():
    grid = 1 + (np.random.default_rng(0).random((10, 10)) < 0.2)
    p = [
        1 - ComponentPermutationFilter(0.5, 99, random_state=s).explain([grid])[0].saliency
        for s in (0, 0, 1, np.random.RandomState(0))
    ]
    np.testing.assert_array_equal(p[0], p[1])
    assert (p[0] != p[2]).any() and p[3].shape == grid.shape
