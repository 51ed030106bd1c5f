"""Transfer a pattern from one wafer to the dies of another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from camdenoise.datasets._extraction import FEWEST_FAILS
from camdenoise.wafers._geometry import die_of_pixel

#: Ways to turn a pattern that keep rows as rows, because dies are not square.
TURNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda mask: mask,
    "rotated": lambda mask: mask[::-1, ::-1],
    "mirrored left-right": lambda mask: mask[:, ::-1],
    "mirrored up-down": lambda mask: mask[::-1],
}

# Largest ratio of the sides of two similar grids.
_SIMILAR = 1.4
# Least share of a pattern that has to lie on dies.
_LEAST_SHARE = 0.9
# Most pieces that a pattern may gain when it is resized.
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


def resize_nearest(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a mask: each new cell takes the old cell that holds its center.

    Examples
    --------
    >>> resize_nearest(np.array([[True, False]]), (1, 4))
    array([[ True,  True, False, False]])
    """
    rows, columns = (die_of_pixel(*sizes) for sizes in zip(mask.shape, shape, strict=True))
    return mask[np.ix_(rows, columns)]


def _count_pieces(mask: np.ndarray) -> int:
    return ndimage.label(mask, np.ones((3, 3)))[1]


def plant(mask: np.ndarray, dies: np.ndarray) -> np.ndarray | None:
    """Resize a pattern to another wafer's grid and keep the part on its dies.

    Parameters
    ----------
    mask : ndarray of bool
        The pattern on its own grid, which it should fill as `dies` fills the other.
    dies : ndarray of bool, shape (height, width)
        Where the other wafer has dies.

    Returns
    -------
    ndarray of bool, shape (height, width), or None
        None if the pattern would be damaged: too few fails, too many of them off the dies, or
        broken into pieces because the smaller grid lacks rows and columns.
    """
    resized = resize_nearest(mask, dies.shape)
    planted = resized & dies
    if planted.sum() < max(FEWEST_FAILS, _LEAST_SHARE * resized.sum()):
        return None
    if _count_pieces(planted) > _count_pieces(mask) + _MORE_PIECES:
        return None
    return planted
