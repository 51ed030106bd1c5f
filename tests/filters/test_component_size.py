"""The filter by component size, compared with a slow one."""

import numpy as np
import pytest
from filter_cases import random_maps
from slow_dies import steps_from, where_fails

from camdenoise.filters import (
    ComponentSizeFilter,
)


def slow_component_size(grid, min_size, connectivity):
    return where_fails(grid, lambda y, x: len(steps_from(grid, y, x, connectivity)) >= min_size)


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("min_size", [1, 2, 4, 9])
def test_component_size_filter_equals_slow_computation(min_size, connectivity):
    maps = random_maps()
    found = ComponentSizeFilter(min_size, connectivity=connectivity).explain(maps)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, slow_component_size(grid, min_size, connectivity))
