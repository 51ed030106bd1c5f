"""The filter by the longest shortest path of a component."""

import numpy as np
import pytest
from filter_cases import random_maps
from slow_dies import steps_from, where_fails

from camdenoise.filters import (
    ConnectedPathFilter,
)


def slow_connected_path(grid, min_length, connectivity):
    reached = {tuple(f): steps_from(grid, *f, connectivity) for f in np.argwhere(grid == 2)}
    farthest = {cell: max(steps.values()) for cell, steps in reached.items()}
    return where_fails(
        grid, lambda y, x: 1 + max(farthest[cell] for cell in reached[y, x]) >= min_length
    )


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("min_length", [1, 2, 3, 5])
def test_connected_path_filter_equals_slow_computation(min_length, connectivity):
    maps = random_maps()
    found = ConnectedPathFilter(min_length, connectivity=connectivity).explain(maps)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, slow_connected_path(grid, min_length, connectivity))


def test_longest_shortest_path_matches_known_shapes():
    spiral = np.full((9, 9), 1)
    spiral[0, :], spiral[:, 8], spiral[8, 1:], spiral[2:, 1], spiral[2, 1:7] = 2, 2, 2, 2, 2
    shapes = {17: np.full((1, 17), 2), 10: np.full((10, 10), 2), 31: spiral}
    for length, grid in shapes.items():
        (e,) = ConnectedPathFilter().explain([grid])
        assert set(np.unique(e.saliency[grid == 2])) == {length}
