"""The median filter, compared with a slow one."""

import numpy as np
import pytest
from filter_cases import random_maps
from slow_dies import around, where_fails

from camdenoise.filters import (
    MedianFilter,
)


def slow_median(grid, size):
    def decide(y, x):
        dies = [grid[cell] for cell in around(grid, y, x, size // 2) if grid[cell] != 0]
        return dies.count(2) > len(dies) / 2

    return where_fails(grid, decide)


@pytest.mark.parametrize("size", [1, 3, 5, 25])
def test_median_filter_equals_slow_computation(size):
    maps = random_maps()
    for grid, e in zip(maps, MedianFilter(size).explain(maps), strict=True):
        np.testing.assert_array_equal(e.kept, slow_median(grid, size))
