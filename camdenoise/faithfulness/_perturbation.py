"""Change the dies of a wafer step by step, in the order of a saliency or at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from camdenoise.faithfulness._imputation import impute
from camdenoise.wafers._maps import FAIL, NO_DIE, PASS, WaferMaps, check_wafer_maps

#: Name of the random saliency in tables.
RANDOM = "random"


def die_order(chosen: np.ndarray, saliency: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Return the flat positions of the chosen dies, most salient first, ties in order of `ties`.

    Examples
    --------
    >>> saliency, ties = np.array([[0.5, 0.9, 0.5, 0.7]]), np.array([[0.2, 0.3, 0.1, 0.4]])
    >>> die_order(np.array([[True, True, True, False]]), saliency, ties)
    array([1, 2, 0])
    """
    dies = np.flatnonzero(chosen)
    return dies[np.lexsort((ties.flat[dies], -saliency.flat[dies]))]


def _counts(n_dies: int, n_steps: int) -> np.ndarray:
    return np.rint(np.linspace(0, n_dies, n_steps + 1)).astype(int)


def _set_pass(grid: np.ndarray, fails: np.ndarray) -> np.ndarray:
    variant = grid.copy()
    variant.flat[fails] = PASS
    return variant


def _deletion(grid, saliency, n_steps, rng) -> list[np.ndarray]:
    order = die_order(grid == FAIL, saliency, rng.random(grid.shape))
    return [_set_pass(grid, order[:count]) for count in _counts(len(order), n_steps)]


def _insertion(grid, saliency, n_steps, rng) -> list[np.ndarray]:
    order = die_order(grid == FAIL, saliency, rng.random(grid.shape))
    return [_set_pass(grid, order[count:]) for count in _counts(len(order), n_steps)]


def _road_morf(grid, saliency, n_steps, rng) -> list[np.ndarray]:
    ties, noise = rng.random((2, *grid.shape))
    order = die_order(grid != NO_DIE, saliency, ties)
    variants = []
    # Without the last step, which would leave no die to guess the others from.
    for count in _counts(len(order), n_steps)[:-1]:
        removed = np.zeros(grid.shape, bool)
        removed.flat[order[:count]] = True
        variants.append(impute(grid, removed, noise))
    return variants


def _road_lerf(grid, saliency, n_steps, rng) -> list[np.ndarray]:
    return _road_morf(grid, -saliency, n_steps, rng)


_KINDS: dict[str, Callable[..., list[np.ndarray]]] = {
    "deletion": _deletion,
    "insertion": _insertion,
    "road_morf": _road_morf,
    "road_lerf": _road_lerf,
}

#: The kinds of curve there are.
CURVES = tuple(_KINDS)


def n_points(kind: str, n_steps: int) -> int:
    """Return how many variants of a wafer a curve has."""
    return n_steps if kind.startswith("road") else n_steps + 1


def variants(
    kind: str, grid: np.ndarray, saliency: np.ndarray, n_steps: int, seed: int
) -> list[np.ndarray]:
    """Return the variants of one wafer map for one curve.

    Parameters
    ----------
    kind : str
        One of `CURVES`.
    grid : ndarray of uint8, shape (height, width)
        The wafer map.
    saliency : ndarray of float, shape (height, width)
        Its saliency.
    n_steps : int
        Number of steps from nothing changed to everything.
    seed : int
        For ties and guesses. They depend on nothing else, so methods are compared with the same.

    Returns
    -------
    list of ndarray of uint8, shape (height, width)
        `n_points` of them.
    """
    return _KINDS[kind](grid, saliency, n_steps, np.random.default_rng(seed))


def random_saliency(maps: WaferMaps, *, random_state: Any = None) -> list[np.ndarray]:
    """Draw a saliency that orders the dies of each wafer at random.

    Parameters
    ----------
    maps : collection of wafer maps
        The wafers, which only say where there are dies.
    random_state : int, RandomState instance or None, default=None
        For the draw.

    Returns
    -------
    list of ndarray of float64, shape (height, width)
        Uniform between 0 and 1; 0 where there is no die.

    Raises
    ------
    WaferMapError
        For a map that cannot be read.

    See Also
    --------
    camdenoise.cam.randomcam : Looks at the net's activations, and so at the wafer.

    Examples
    --------
    >>> from camdenoise.faithfulness import random_saliency
    >>> random_saliency([[[0, 1], [2, 1]]], random_state=0)[0].round(2)
    array([[0.  , 0.72],
           [0.6 , 0.54]])
    """
    rng = check_random_state(random_state)
    return [rng.uniform(size=grid.shape) * (grid != NO_DIE) for grid in check_wafer_maps(maps)]
