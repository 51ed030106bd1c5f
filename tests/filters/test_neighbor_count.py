"""The filter by the number of failing neighbors."""

import numpy as np
import pytest
from filter_cases import random_maps
from slow_dies import around

from camdenoise.filters import (
    NeighborCountFilter,
)


def slow_neighbor_count(grid, min_neighbors, rounds):
    left = grid.copy()
    for _ in range(rounds):
        before = left.copy()
        for y, x in np.argwhere(before == 2):
            failing = sum(before[cell] == 2 for cell in around(grid, y, x, 1)) - 1
            if failing < min_neighbors:
                left[y, x] = 1
    return left == 2


@pytest.mark.parametrize("rounds", [1, 2, 50])
@pytest.mark.parametrize("min_neighbors", range(9))
def test_neighbor_count_filter_equals_slow_computation(min_neighbors, rounds):
    maps = random_maps()
    found = NeighborCountFilter(min_neighbors, rounds).explain(maps)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, slow_neighbor_count(grid, min_neighbors, rounds))
