"""A die grid as a round wafer: where its dies lie, in wafer radii.

Dies are not square, wafers are round, so the grid is stretched to the square from -1 to 1. Lengths
and areas then mean the same on all products. y points to the last row, x to the last column.

Angles go clockwise, because y points down, and have two origins. In formulas (`polar`) they start
at the right, as in mathematics. For readers (`angle_from_top`, `sectors`) they start at row 0, as
on a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage

from camdenoise.wafers._maps import NO_DIE

N_ZONES, N_RINGS, N_SECTORS = 13, 8, 8


def positions(n_dies: int) -> np.ndarray:
    """Return where the dies along an axis have their centers.

    Examples
    --------
    >>> positions(4).tolist()
    [-0.75, -0.25, 0.25, 0.75]
    """
    return (2 * np.arange(n_dies) + 1 - n_dies) / n_dies


def grid_positions(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return y and x of the center of each cell, two arrays of shape (height, width)."""
    y, x = np.meshgrid(positions(height), positions(width), indexing="ij")
    return y, x


def polar(y: ArrayLike, x: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance from the wafer's center, and the angle from the right, -pi to pi."""
    return np.hypot(y, x), np.arctan2(y, x)


def angle_from_top(y: ArrayLike, x: ArrayLike) -> np.ndarray:
    """Return the angle from the top, -pi to pi; 0 in the center.

    Examples
    --------
    >>> np.degrees(angle_from_top(np.array([-1, 0, 1, 0]), np.array([0, 1, 0, 0]))).tolist()
    [0.0, 90.0, 180.0, 0.0]
    """
    # Not -y: the angle of a negative zero is 180 degrees.
    return np.arctan2(x, np.subtract(0, y))


def die_of_pixel(n_dies: int, n_pixels: int) -> np.ndarray:
    """Return for each of `n_pixels` along an axis the die whose area holds its center."""
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
    y, x = grid_positions(height, width)
    inner_y, inner_x = (np.floor(2.5 * (axis + 1)) - 1 for axis in (y, x))
    inside = (np.maximum(inner_y, inner_x) <= 2) & (np.minimum(inner_y, inner_x) >= 0)
    # Rounded, so that rounding errors do not decide about a cell on a diagonal.
    quarters = np.round(polar(y, x)[1] / (np.pi / 2), 9)
    sector = np.ceil(quarters + 0.5) % 4
    return _freeze(np.where(inside, 3 * inner_y + inner_x, 9 + sector))


@lru_cache(maxsize=512)
def rings(height: int, width: int) -> np.ndarray:
    """Give each cell the number of its ring: eight of equal width, from the center out.

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
    radius = polar(*grid_positions(height, width))[0]
    # Rounded, so that rounding errors do not decide about a die on a border.
    return _freeze(np.minimum(np.floor(np.round(N_RINGS * radius, 9)), N_RINGS - 1))


@lru_cache(maxsize=512)
def sectors(height: int, width: int) -> np.ndarray:
    """Give each cell the number of its sector: eight of 45 degrees, clockwise.

    Returns
    -------
    ndarray of intp, shape (height, width)
        The middle of sector 0 points to row 0; a die in the center is in it. A cell on a border
        belongs to the sector after it.

    Examples
    --------
    >>> sectors(3, 3)
    array([[7, 0, 1],
           [6, 0, 2],
           [5, 4, 3]])
    """
    angle = angle_from_top(*grid_positions(height, width))
    # Rounded, as in `rings`.
    turns = np.round(angle / (2 * np.pi), 9)
    return _freeze(np.floor(N_SECTORS * turns + 0.5) % N_SECTORS)


@lru_cache(maxsize=128)
def equal_cells(height: int, width: int, n_rings: int, n_sectors: int) -> np.ndarray:
    """Give each die the number of its cell: rings cut by sectors, all cells of equal area.

    They serve to count fails; the `rings` for readers have equal width.

    Returns
    -------
    ndarray of intp, shape (height, width)
        ``ring * n_sectors + sector``. Sectors start at the right and go clockwise. Corners beyond
        the wafer are in the last ring.

    Examples
    --------
    >>> equal_cells(2, 2, 1, 4).tolist()
    [[2, 3], [1, 0]]
    """
    y, x = grid_positions(height, width)
    ring = np.minimum((n_rings * (x**2 + y**2)).astype(np.intp), n_rings - 1)
    turn = polar(y, x)[1] / (2 * np.pi) % 1
    return _freeze(ring * n_sectors + np.minimum((n_sectors * turn).astype(np.intp), n_sectors - 1))


@lru_cache(maxsize=256)
def inside_ellipse(height: int, width: int) -> np.ndarray:
    """Tell which cells have their center inside of the ellipse that fits into the map.

    Parameters
    ----------
    height, width : int
        Rows and columns of the map.

    Returns
    -------
    ndarray of bool, shape (height, width)
        Read-only.
    """
    return _freeze(polar(*grid_positions(height, width))[0] <= 1, bool)


@dataclass(frozen=True)
class Disc:
    """A round wafer on a die grid, in polar coordinates.

    Attributes
    ----------
    dies : ndarray of bool, shape (height, width)
        Where there is a die.
    radius : ndarray of float, shape (height, width)
        Distance from the center; 1 at the rim of the grid.
    angle : ndarray of float, shape (height, width)
        In radians, -pi to pi.
    x, y : ndarray of float, shape (height, width)
        Position in wafer radii, -1 to 1.
    rim : ndarray of float, shape (height, width)
        Distance from the nearest place without a die, in dies; 1 for the outermost dies.
    """

    dies: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    x: np.ndarray
    y: np.ndarray
    rim: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        height, width = self.dies.shape
        return height, width


def measure_disc(dies: np.ndarray) -> Disc:
    """Compute the polar coordinates of a wafer, which should fill its grid."""
    y, x = grid_positions(*dies.shape)
    depth = ndimage.distance_transform_edt(np.pad(dies, 1))[1:-1, 1:-1]
    return Disc(dies, *polar(y, x), x, y, depth)


def unit_wafer_mean(
    values: Sequence[np.ndarray], maps: Sequence[np.ndarray], size: int = 41
) -> np.ndarray:
    """Average per-die values over wafers of different grids, on one common grid.

    Parameters
    ----------
    values : sequence of ndarray, one per wafer, each of its map's shape
        A value of each die, such as kept fails or saliency.
    maps : sequence of ndarray, shape (height, width)
        The wafer maps.
    size : int, default=41
        Side of the common grid. Each of its cells reads the die under its center.

    Returns
    -------
    ndarray of float, shape (size, size)
        Mean over the wafers that have a die there; NaN where fewer than half of them have.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.plotting import unit_wafer_mean
    >>> maps = [np.array([[1, 2]]), np.array([[2, 1], [1, 1]])]
    >>> unit_wafer_mean([m == 2 for m in maps], maps, size=2)
    array([[0.5, 0.5],
           [0. , 0.5]])
    """
    total, count = np.zeros((size, size)), np.zeros((size, size), int)
    for value, grid in zip(values, maps, strict=True):
        rows, columns = (die_of_pixel(side, size) for side in grid.shape)
        has_die = (np.asarray(grid) != NO_DIE)[np.ix_(rows, columns)]
        total += np.where(has_die, np.asarray(value, float)[np.ix_(rows, columns)], 0)
        count += has_die
    enough = 2 * count >= max(1, len(maps))
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=enough & (count > 0))


def _freeze(numbers: np.ndarray, dtype: type = np.intp) -> np.ndarray:
    """Convert to a read-only array, which a cache can share."""
    frozen: np.ndarray = numbers.astype(dtype)
    frozen.flags.writeable = False
    return frozen
