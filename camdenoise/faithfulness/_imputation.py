"""Impute removed dies from the dies around them, so that a removal leaves no trace."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from camdenoise.wafers._maps import FAIL, NO_DIE, PASS

# Weights of the neighbors at a die's sides and at its corners (Rong et al. 2022).
_SIDE, _CORNER = 1 / 6, 1 / 12
# A pull towards the wafer's fail rate, felt only where no known die is within reach.
_PULL = 1e-6


def fail_probability(grid: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Estimate for removed dies how likely they fail, from those that are left.

    Each removed die has the weighted mean of its neighbors, removed ones among them, so all are
    found together from one linear system. Neighbors off the wafer have no vote.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.
    removed : ndarray of bool, shape (height, width)
        Dies to estimate.

    Returns
    -------
    ndarray of float, shape (height, width)
        Between 0 and 1; 0 or 1 for dies that are known; 0 where there is no die.

    Examples
    --------
    >>> row = np.array([[2, 1, 1, 1]], np.uint8)
    >>> fail_probability(row, np.array([[False, True, True, False]])).round(2)
    array([[1.  , 0.67, 0.33, 0.  ]])
    """
    # A border without dies keeps the cells of one row from being neighbors of the next row's end.
    die, fail, unknown = (
        np.pad(mask, 1).ravel() for mask in (grid != NO_DIE, grid == FAIL, removed)
    )
    width = grid.shape[1] + 2
    bands = np.zeros((width + 2, die.size))
    bands[0] = np.where(unknown, _PULL, 1)
    sums = np.where(unknown, _PULL * fail.sum() / max(1, die.sum()), fail)
    votes = ((1, _SIDE), (width - 1, _CORNER), (width, _SIDE), (width + 1, _CORNER))
    for step, vote in votes:
        first, second = slice(None, -step), slice(step, None)
        vote = vote * (die[first] & die[second])
        for one, other in ((first, second), (second, first)):
            bands[0, one] += vote * unknown[one]
            sums[one] += vote * (unknown[one] & ~unknown[other] & fail[other])
        bands[step, first] = -vote * (unknown[first] & unknown[second])
    solved = solveh_banded(bands, sums, lower=True, check_finite=False)
    return solved.reshape(grid.shape[0] + 2, width)[1:-1, 1:-1].clip(0, 1)


def impute(grid: np.ndarray, removed: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Replace removed dies by passes and fails drawn with the estimated probability.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.
    removed : ndarray of bool, shape (height, width)
        Dies to replace.
    noise : ndarray of float, shape (height, width)
        Uniform between 0 and 1; a die fails where this is below its probability.

    Returns
    -------
    ndarray of uint8, shape (height, width)
    """
    fails = noise < fail_probability(grid, removed)
    return np.where(removed, np.where(fails, FAIL, PASS), grid).astype(np.uint8)
