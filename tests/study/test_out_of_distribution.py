"""Patterns without a name, other die grids, and neighbors that count."""

import numpy as np
import pytest

from study.evaluate.out_of_distribution import UNKNOWN_PATTERNS, with_pattern
from study.evaluate.retrieval import in_several, precision_of_queries
from study.wafers import regrid


@pytest.mark.parametrize("name", UNKNOWN_PATTERNS)
def test_with_pattern_adds_fails_only(name):
    rng = np.random.default_rng(0)
    grid = rng.integers(0, 3, (40, 31)).astype(np.uint8)
    made = with_pattern(grid, UNKNOWN_PATTERNS[name], rng)
    changed = made != grid
    assert (grid[changed] == 1).all() and (made[changed] == 2).all()
    planted = changed.sum() / (grid == 1).sum()
    share = {"half wafer": 0.5, "stripes": 0.25, "checkerboard": 0.5, "reticle grid": 1 / 16}[name]
    assert planted == pytest.approx(0.9 * share, abs=0.04)


def test_half_wafer_is_one_side_of_a_line():
    where, rng = UNKNOWN_PATTERNS["half wafer"], np.random.default_rng(1)
    made = with_pattern(np.ones((60, 60), np.uint8), where, rng)
    y, x = np.argwhere(made == 2).mean(axis=0) - 29.5
    assert np.hypot(y, x) > 10


def test_regrid_keeps_the_picture():
    grid = np.zeros((8, 8), np.uint8)
    grid[:4, 4:] = 2
    np.testing.assert_array_equal(regrid(grid, 4, 2), [[0, 2], [0, 2], [0, 0], [0, 0]])
    np.testing.assert_array_equal(regrid(regrid(grid, 16, 24), 8, 8), grid)


def test_in_several_leaves_out_classes_of_one_lot():
    labels, lots = np.array(["a", "a", "b", "b"]), np.array([1, 2, 3, 3])
    assert in_several(labels, lots).tolist() == [True, True, False, False]
    vectors = np.array([[1.0, 0], [1, 0.1], [0, 1], [0, 1]])
    precision = precision_of_queries(vectors, labels, lots)
    assert precision.tolist() == [1.0, 1.0, 0.0, 0.0]
