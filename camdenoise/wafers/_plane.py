"""A die grid as a round wafer: where its dies lie, in wafer radii.

Dies are not square, wafers are round, so the grid is stretched to the square from -1 to 1. Lengths
and areas then mean the same on all products.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

N_ZONES, N_RINGS, N_SECTORS = 13, 8, 8


def positions(n_dies: int) -> np.ndarray:
    """Return where the dies along an axis have their centres.

    Examples
    --------
    >>> positions(4).tolist()
    [-0.75, -0.25, 0.25, 0.75]
    """
    return (2 * np.arange(n_dies) + 1 - n_dies) / n_dies


def die_of_pixel(n_dies: int, n_pixels: int) -> np.ndarray:
    """Return for each of `n_pixels` along an axis the die whose area holds its centre."""
    return ((np.arange(n_pixels) + 0.5) * n_dies / n_pixels).astype(np.intp)


@lru_cache(maxsize=512)
def zones(height: int, width: int) -> np.ndarray:
    """Give each cell the number of its zone.

    The grid is cut into 5 x 5 equal parts. The inner 3 x 3 are zones 0 to 8, row by row; the frame
    around them is cut along the diagonals into 9 above, 10 right, 11 below, 12 left. A cell on a
    diagonal belongs to the sector before it, clockwise.

    Returns
    -------
    ndarray of intp, shape (height, width)

    Examples
    --------
    >>> zones(5, 5)
    array([[12,  9,  9,  9,  9],
           [12,  0,  1,  2, 10],
           [12,  3,  4,  5, 10],
           [12,  6,  7,  8, 10],
           [11, 11, 11, 11, 10]])
    """
    y, x = np.meshgrid(positions(height), positions(width), indexing="ij")
    inner_y, inner_x = (np.floor(2.5 * (axis + 1)) - 1 for axis in (y, x))
    inside = (np.maximum(inner_y, inner_x) <= 2) & (np.minimum(inner_y, inner_x) >= 0)
    # Rounded, so that a cell on a diagonal does not go with the last bit.
    quarters = np.round(np.arctan2(y, x) / (np.pi / 2), 9)
    sector = np.ceil(quarters + 0.5) % 4
    return _fixed(np.where(inside, 3 * inner_y + inner_x, 9 + sector))


@lru_cache(maxsize=512)
def rings(height: int, width: int) -> np.ndarray:
    """Give each cell the number of its ring: eight of equal width, from the centre out.

    Returns
    -------
    ndarray of intp, shape (height, width)
        Cells beyond the wafer's radius are in the last ring.

    Examples
    --------
    >>> rings(4, 4)
    array([[7, 6, 6, 7],
           [6, 2, 2, 6],
           [6, 2, 2, 6],
           [7, 6, 6, 7]])
    """
    radius = np.hypot(positions(height)[:, np.newaxis], positions(width))
    # Rounded, so that a die on a border does not go with the last bit.
    return _fixed(np.minimum(np.floor(np.round(N_RINGS * radius, 9)), N_RINGS - 1))


@lru_cache(maxsize=512)
def sectors(height: int, width: int) -> np.ndarray:
    """Give each cell the number of its sector: eight of 45 degrees, clockwise.

    Returns
    -------
    ndarray of intp, shape (height, width)
        The middle of sector 0 points to row 0; a die in the centre is in it. A cell on a border
        belongs to the sector after it.

    Examples
    --------
    >>> sectors(3, 3)
    array([[7, 0, 1],
           [6, 0, 2],
           [5, 4, 3]])
    """
    upward, rightward = 0 - positions(height)[:, np.newaxis], positions(width)
    # Rounded, so that a die on a border does not go with the last bit.
    turns = np.round(np.arctan2(rightward, upward) / (2 * np.pi), 9)
    return _fixed(np.floor(N_SECTORS * turns + 0.5) % N_SECTORS)


def _fixed(numbers: np.ndarray) -> np.ndarray:
    whole = numbers.astype(np.intp)
    whole.flags.writeable = False
    return whole
