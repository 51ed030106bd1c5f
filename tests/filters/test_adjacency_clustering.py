"""Adjacency clustering, compared with the energy of every wafer."""

from itertools import product

import numpy as np
import pytest
from filter_cases import random_maps
from slow_dies import around

from camdenoise.filters import (
    AdjacencyClusteringFilter,
)


def energy(grid, x, smoothness):
    """What adjacency clustering minimises, for one wafer `x` of zeros and ones."""
    total = 0.0
    for y, u in np.argwhere(grid != 0):
        near = [cell for cell in around(grid, y, u, 1) if grid[cell] != 0 and cell != (y, u)]
        weight = {cell: 1 / np.hypot(cell[0] - y, cell[1] - u) for cell in near}
        fidelity = sum(weight.values()) / (4 + 4 / np.sqrt(2))
        total += fidelity * (x[y, u] != (grid[y, u] == 2))
        total += smoothness * sum(w * (x[c] != x[y, u]) for c, w in weight.items()) / 2
    return total


def every_wafer(grid):
    for values in product([False, True], repeat=int((grid != 0).sum())):
        x = np.zeros(grid.shape, bool)
        x[grid != 0] = values
        yield x


@pytest.mark.parametrize("smoothness", [0, 0.15, 0.2, 0.3, 2])
def test_adjacency_clustering_is_optimal(smoothness):
    tiny = [grid[:3, :3] for grid in random_maps(25, seed=2)]
    for grid, e in zip(tiny, AdjacencyClusteringFilter(smoothness).explain(tiny), strict=True):
        found = (e.saliency >= 0.5) & (grid != 0)
        np.testing.assert_array_equal(e.kept, found & (grid == 2))
        least = min(energy(grid, x, smoothness) for x in every_wafer(grid))
        # Weights are rounded to 1 / 10000 of a die's fidelity.
        assert energy(grid, found, smoothness) == pytest.approx(least, abs=2e-3)


def test_adjacency_clustering_prices_each_removal():
    single, pair, line = (np.ones((9, 30), int) for _ in range(3))
    single[4, 15], pair[4, 14:16], line[4, 2:28] = 2, 2, 2
    for grid, price in [(single, 0.1464), (pair, 0.1716), (line, 0.204)]:
        for smoothness, left in [(price - 0.001, (grid == 2).sum()), (price + 0.001, 0)]:
            (e,) = AdjacencyClusteringFilter(smoothness).explain([grid])
            assert e.kept.sum() == left


def test_adjacency_clustering_treats_edge_like_middle():
    """A single fail goes at the same price wherever it is; without neighbors it stays."""
    grid = np.ones((7, 7), int)
    for cell in [(0, 0), (0, 3), (3, 3)]:
        with_fail = grid.copy()
        with_fail[cell] = 2
        assert AdjacencyClusteringFilter(0.145).explain([with_fail])[0].kept.any()
        assert not AdjacencyClusteringFilter(0.148).explain([with_fail])[0].kept.any()
    assert AdjacencyClusteringFilter(5).explain([[[2, 0, 1]]])[0].kept.any()
