"""The filter that keeps the largest component."""

import numpy as np
import pytest
from filter_cases import random_maps
from slow_dies import steps_from, where_fails

from camdenoise.filters import (
    LargestComponentFilter,
)


def slow_largest_component(grid, connectivity):
    size = {tuple(f): len(steps_from(grid, *f, connectivity)) for f in np.argwhere(grid == 2)}
    return where_fails(grid, lambda y, x: size[y, x] == max(size.values()))


@pytest.mark.parametrize("connectivity", [4, 8])
def test_largest_component_filter_equals_slow_one(connectivity):
    maps = random_maps()
    found = LargestComponentFilter(connectivity=connectivity).explain(maps)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, slow_largest_component(grid, connectivity))
