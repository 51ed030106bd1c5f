"""How much of a wafer was tested: a map whose dies end in the middle is not a small wafer."""

from __future__ import annotations

import numpy as np

from camdenoise.wafers._geometry import inside_ellipse
from camdenoise.wafers._maps import NO_DIE

#: Least share of the map's ellipse with dies on a whole wafer. Of 41,485 labeled wafers of WM-811K,
#: whole ones cover .85 or more, and 21 wafers of which every fifth die was tested cover .21.
MIN_COVERAGE = 0.75
# Shortest side, in dies, of a map that is compared; the ellipse of smaller ones is too coarse.
_SMALLEST_SIDE = 8


def coverage(grid: np.ndarray) -> float:
    """Return the share of the cells inside of the map's ellipse that hold a die.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> grid = np.ones((20, 20), np.uint8)
    >>> grid[10:] = 0
    >>> coverage(grid)
    0.5
    """
    inside = inside_ellipse(*grid.shape)
    n_inside = int(np.count_nonzero(inside))
    return int(np.count_nonzero(grid[inside])) / max(1, n_inside)


def is_partial(grid: np.ndarray) -> bool:
    """Tell whether less than most of a wafer was tested.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map in the frame of its product.

    Returns
    -------
    bool
        False for maps with a side below 8 dies, which are too coarse to tell.
    """
    return min(grid.shape) >= _SMALLEST_SIDE and coverage(grid) < MIN_COVERAGE


def reaches_untested(grid: np.ndarray, dies: np.ndarray) -> bool:
    """Tell whether dies lie next to the untested part, where their pattern may go on.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.
    dies : ndarray of bool, shape (height, width)
        Such as the fails of a pattern.

    Returns
    -------
    bool
        Whether a cell without a die, inside of the map's ellipse, is at most two cells away.
    """
    from scipy.ndimage import binary_dilation

    untested = inside_ellipse(*grid.shape) & (grid == NO_DIE)
    near = binary_dilation(untested, np.ones((3, 3), bool), iterations=2)
    return bool((near & dies).any())
