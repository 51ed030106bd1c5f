"""Lay a pattern from one wafer on the dies of another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from camdenoise.datasets._extraction import FEWEST_FAILS

#: Ways to turn a pattern that leave the rows rows, so that the shape of the dies stays as it is.
TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda mask: mask,
    "rotated": lambda mask: mask[::-1, ::-1],
    "mirrored left-right": lambda mask: mask[:, ::-1],
    "mirrored up-down": lambda mask: mask[::-1],
}

# Grids are similar where neither side differs by more than this factor.
_SIMILAR = 1.4
# How much of a pattern may miss the dies, and into how many more pieces it may break, before the
# planting counts as failed.
_LEAST_SHARE = 0.9
_MORE_PIECES = 2


def similar_grids(shapes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Tell which grids (height, width) are close enough to exchange patterns.

    Examples
    --------
    >>> similar_grids(np.array([[30, 30], [60, 30]]), np.array([[33, 37]]))
    array([[ True],
           [False]])
    """
    ratio = shapes[:, None, :] / others[None, :, :]
    return (np.maximum(ratio, 1 / ratio) <= _SIMILAR).all(axis=2)


def _nearest(size: int, new_size: int) -> np.ndarray:
    return ((np.arange(new_size) + 0.5) * size / new_size).astype(int)


def resize_nearest(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize by taking for each new cell the old one that holds its middle.

    Examples
    --------
    >>> resize_nearest(np.array([[True, False]]), (1, 4))
    array([[ True,  True, False, False]])
    """
    rows, columns = (_nearest(*sizes) for sizes in zip(mask.shape, shape, strict=True))
    return mask[np.ix_(rows, columns)]


def _count_pieces(mask: np.ndarray) -> int:
    return ndimage.label(mask, np.ones((3, 3)))[1]


def plant(mask: np.ndarray, dies: np.ndarray) -> np.ndarray | None:
    """Resize a pattern to another wafer's grid and leave out what misses its dies.

    Parameters
    ----------
    mask : ndarray of bool
        The pattern on its own grid, which it should fill as `dies` fills the other.
    dies : ndarray of bool, shape (height, width)
        Where the other wafer has dies.

    Returns
    -------
    ndarray of bool, shape (height, width), or None
        None where the pattern would come out maimed: too few fails, much of it beside the dies, or
        torn into pieces by rows and columns that the smaller grid has no room for.
    """
    resized = resize_nearest(mask, dies.shape)
    planted = resized & dies
    if planted.sum() < max(FEWEST_FAILS, _LEAST_SHARE * resized.sum()):
        return None
    if _count_pieces(planted) > _count_pieces(mask) + _MORE_PIECES:
        return None
    return planted
