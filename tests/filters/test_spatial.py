"""The spatial filter, compared with a slow one."""

import numpy as np
import pytest
from filter_cases import random_maps
from slow_dies import around, where_fails

from camdenoise.filters import (
    SpatialFilter,
)


def slow_spatial(grid, size, threshold):
    weight = {1: [1], 3: [1, 2, 1], 5: [1, 4, 6, 4, 1], 7: [1, 6, 15, 20, 15, 6, 1]}[size]
    reach = size // 2

    def decide(y, x):
        of_cell = {
            (v, u): weight[v - y + reach] * weight[u - x + reach]
            for v, u in around(grid, y, x, reach)
            if grid[v, u] != 0
        }
        of_fails = sum(w for cell, w in of_cell.items() if grid[cell] == 2)
        return of_fails >= threshold * sum(of_cell.values())

    return where_fails(grid, decide)


@pytest.mark.parametrize("threshold", [0, 0.375, 0.5, 1])
@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_spatial_filter_equals_slow_computation(size, threshold):
    maps = random_maps()
    for grid, e in zip(maps, SpatialFilter(size, threshold).explain(maps), strict=True):
        np.testing.assert_array_equal(e.kept, slow_spatial(grid, size, threshold))
