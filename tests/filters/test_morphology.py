"""Opening, closing and reconstruction, compared with slow ones."""

from itertools import product

import numpy as np
import pytest
from filter_cases import random_maps
from slow_dies import steps_from, where_fails

from camdenoise.filters import (
    MorphologyFilter,
)


def squares(grid, size):
    """The dies of each square, also of those that reach over the edge, with dies in half of it."""
    for top, left in product(*(range(1 - size, side) for side in grid.shape)):
        cells = product(range(top, top + size), range(left, left + size))
        inside = [(y, x) for y, x in cells if 0 <= y < grid.shape[0] and 0 <= x < grid.shape[1]]
        dies = [cell for cell in inside if grid[cell] != 0]
        if 2 * len(dies) >= size**2:
            yield dies


def slow_opening(grid, size):
    solid = [dies for dies in squares(grid, size) if all(grid[die] == 2 for die in dies)]
    return where_fails(grid, lambda y, x: any((y, x) in dies for dies in solid))


def slow_closing(grid, size):
    empty = [dies for dies in squares(grid, size) if all(grid[die] == 1 for die in dies)]
    filled = grid.copy()
    for y, x in np.argwhere(grid == 1):
        if not any((y, x) in dies for dies in empty):
            filled[y, x] = 2
    return slow_opening(filled, size) & (grid == 2)


def slow_reconstruction(grid, size):
    opened = slow_opening(grid, size)
    return where_fails(grid, lambda y, x: any(opened[cell] for cell in steps_from(grid, y, x, 8)))


SLOW_MORPHOLOGY = {
    "opening": slow_opening,
    "closing": slow_closing,
    "reconstruction": slow_reconstruction,
}


@pytest.mark.parametrize("operation", SLOW_MORPHOLOGY)
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_morphology_filter_equals_slow_computation(operation, size):
    maps = random_maps(30)
    for grid, e in zip(maps, MorphologyFilter(operation, size).explain(maps), strict=True):
        np.testing.assert_array_equal(e.kept, SLOW_MORPHOLOGY[operation](grid, size))
