"""Masks of dies, and the maps that a classifier sees of them."""

from __future__ import annotations

import numpy as np

from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import FAIL, NO_DIE, PASS

# Share of the wafer's largest saliency from which on a die is in the region of the mask.
_STRONG = 0.5


def marked_map(wafer_map: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """Build the map on which the marked dies fail and all others pass.

    Parameters
    ----------
    wafer_map : ndarray of uint8, shape (height, width)
        Says where there are dies.
    marked : ndarray of bool, shape (height, width)

    Returns
    -------
    ndarray of uint8, shape (height, width)

    Examples
    --------
    >>> marked_map(np.array([[0, 1, 2, 2]]), np.array([[True, True, True, False]]))
    array([[0, 2, 2, 1]], dtype=uint8)
    """
    dies = np.where(marked, FAIL, PASS)
    return np.where(wafer_map == NO_DIE, NO_DIE, dies).astype(np.uint8)


def strongest_fails(
    wafer_map: np.ndarray, score: np.ndarray, n_fails: int, rng: np.random.Generator
) -> np.ndarray:
    """Mark the fails of the highest scores; equal ones come in random order.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> strongest_fails(np.array([[2, 1, 2, 2]]), np.array([[0.2, 0.9, 0.8, 0.5]]), 2, rng)
    array([[False, False,  True,  True]])
    """
    fails = np.flatnonzero(wafer_map == FAIL)
    order = np.lexsort((rng.random(len(fails)), -score.ravel()[fails]))
    mask = np.zeros(wafer_map.shape, bool)
    mask.ravel()[fails[order[:n_fails]]] = True
    return mask


def nearness(wafer_map: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Score each die by how near it is to one drawn at random, on the round wafer."""
    dies = np.argwhere(wafer_map != NO_DIE)
    center = dies[rng.integers(len(dies))] if len(dies) else np.zeros(2)
    (y, x), (height, width) = np.indices(wafer_map.shape), wafer_map.shape
    return -np.hypot((y - center[0]) / height, (x - center[1]) / width)


def region(wafer_map: np.ndarray, explanation: Explanation) -> np.ndarray:
    """Mark the dies in the strong half of the saliency, whether they fail or not."""
    return (explanation.saliency >= _STRONG * explanation.saliency.max()) & (wafer_map != NO_DIE)
