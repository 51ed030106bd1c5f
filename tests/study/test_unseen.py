"""Patterns that nobody was told of, and neighbours that count."""

import numpy as np
import pytest

from study.similar import in_several, precision_of_queries
from study.unseen import UNSEEN, regrid, with_pattern


@pytest.mark.parametrize("name", UNSEEN)
def test_a_planted_pattern_adds_fails_and_changes_nothing_else(name):
    rng = np.random.default_rng(0)
    grid = rng.integers(0, 3, (40, 31)).astype(np.uint8)
    made = with_pattern(grid, UNSEEN[name], rng)
    changed = made != grid
    assert (grid[changed] == 1).all() and (made[changed] == 2).all()
    planted = changed.sum() / (grid == 1).sum()
    share = {"half wafer": 0.5, "stripes": 0.25, "checkerboard": 0.5, "reticle grid": 1 / 16}[name]
    assert planted == pytest.approx(0.9 * share, abs=0.04)


def test_a_half_wafer_is_one_side_of_a_line():
    made = with_pattern(np.ones((60, 60), np.uint8), UNSEEN["half wafer"], np.random.default_rng(1))
    y, x = np.argwhere(made == 2).mean(axis=0) - 29.5
    assert np.hypot(y, x) > 10


def test_a_wafer_on_another_grid_looks_the_same():
    grid = np.zeros((8, 8), np.uint8)
    grid[:4, 4:] = 2
    np.testing.assert_array_equal(regrid(grid, 4, 2), [[0, 2], [0, 2], [0, 0], [0, 0]])
    np.testing.assert_array_equal(regrid(regrid(grid, 16, 24), 8, 8), grid)


def test_classes_of_one_lot_have_no_neighbours_of_their_own():
    labels, lots = np.array(["a", "a", "b", "b"]), np.array([1, 2, 3, 3])
    assert in_several(labels, lots).tolist() == [True, True, False, False]
    vectors = np.array([[1.0, 0], [1, 0.1], [0, 1], [0, 1]])
    precision = precision_of_queries(vectors, labels, lots)
    assert precision.tolist() == [1.0, 1.0, 0.0, 0.0]
