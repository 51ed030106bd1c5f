"""Noisy linear imputation, compared with a dense solution."""

import numpy as np
import pytest

from camdenoise.faithfulness._imputation import fail_probability, impute


def dense_estimate(grid, removed):
    """The same linear system, written down die by die."""
    dies = np.argwhere(grid > 0)
    system, sums = np.eye(len(dies)), np.array([float(grid[y, x] == 2) for y, x in dies])
    for row, die in enumerate(dies):
        if removed[tuple(die)]:
            distance = np.abs(dies - die)
            near = (distance.max(axis=1) == 1) / (6.0 * distance.sum(axis=1).clip(1))
            system[row] -= near / near.sum()
            sums[row] = 0
    estimate = np.zeros(grid.shape)
    estimate[tuple(dies.T)] = np.linalg.solve(system, sums)
    return estimate


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shape", [(9, 7), (4, 12), (6, 2)])
def test_imputation_solves_the_equations_of_the_paper(seed, shape):
    rng = np.random.default_rng(seed)
    grid = rng.choice([0, 1, 2], p=[0.1, 0.5, 0.4], size=shape).astype(np.uint8)
    grid[0], grid[:, 0] = 1, 2  # so that every die has a neighbor
    grid[1:-1, 1:-1] = np.maximum(grid[1:-1, 1:-1], 1)
    removed = (rng.random(shape) < 0.6) & (grid > 0)
    removed[0, 0] = False
    np.testing.assert_allclose(
        fail_probability(grid, removed), dense_estimate(grid, removed), atol=1e-4
    )


def test_imputation_works_at_the_edges():
    line = np.array([[2], [1], [1], [1]], np.uint8)  # one die wide
    middle = np.array([[False], [True], [True], [False]])
    np.testing.assert_allclose(
        fail_probability(line, middle)[:, 0], [1, 2 / 3, 1 / 3, 0], atol=1e-4
    )
    everything = np.ones((2, 3), bool)
    grid = np.array([[2, 1, 0], [0, 1, 1]], np.uint8)
    guess = fail_probability(grid, everything & (grid > 0))
    np.testing.assert_allclose(guess[grid > 0], 1 / 4)  # no die is known: the wafer's rate
    assert (guess[grid == 0] == 0).all()


def test_imputed_fail_rate_is_that_of_surroundings():
    rng = np.random.default_rng(0)
    grid = np.where(rng.random((60, 60)) < 0.3, 2, 1).astype(np.uint8)
    removed = rng.random(grid.shape) < 0.5
    guessed = impute(grid, removed, rng.random(grid.shape))
    np.testing.assert_array_equal(guessed[~removed], grid[~removed])
    assert (guessed[removed] == 2).mean() == pytest.approx(0.3, abs=0.03)
