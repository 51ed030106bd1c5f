"""From wafer maps of any size to a square model input, and from a square saliency back to dies.

Every pixel of the input shows one die (nearest resize). Both directions use this geometry: which
die a pixel shows, and where in the square a die has its center. Wafers of one grid are handled
together, as array indexing and two small matrix products.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from camdenoise.wafers._geometry import die_of_pixel


def choose_sizes(shapes: Sequence[tuple[int, int]], sizes: int | Sequence[int]) -> np.ndarray:
    """Choose for each wafer the smallest square with a pixel for each die, else the largest.

    Examples
    --------
    >>> choose_sizes([(25, 27), (60, 40), (146, 146)], (32, 64)).tolist()
    [32, 64, 64]
    """
    ascending = np.unique(sizes)
    longest = np.array([max(shape) for shape in shapes], dtype=np.intp)
    return ascending[np.searchsorted(ascending[:-1], longest)]


def _rows_by_shape(shapes: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[int]]:
    rows = defaultdict(list)
    for row, (height, width) in enumerate(shapes):
        rows[height, width].append(row)
    return rows


def encode_maps(maps: Sequence[np.ndarray], size: int) -> torch.Tensor:
    """Resize wafer maps to one square, nearest die, codes kept.

    Parameters
    ----------
    maps : sequence of ndarray of uint8, shape (height, width)
        Checked wafer maps.
    size : int
        Side of the square in pixels.

    Returns
    -------
    Tensor of uint8, shape (n_maps, size, size)

    Examples
    --------
    >>> encode_maps([np.array([[0, 1], [2, 1]], np.uint8)], 4)[0].tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 1, 1], [2, 2, 1, 1]]
    """
    square = np.empty((len(maps), size, size), np.uint8)
    for shape, rows in _rows_by_shape([grid.shape for grid in maps]).items():
        ys, xs = (die_of_pixel(n_dies, size) for n_dies in shape)
        same = np.stack([maps[row] for row in rows])
        square[rows] = same[:, ys][:, :, xs]
    return torch.from_numpy(square)


def encode_dies(shapes: Sequence[tuple[int, int]], size: int) -> torch.Tensor:
    """Return which die each pixel row and column of the encoded maps shows.

    Parameters
    ----------
    shapes : sequence of (height, width)
        Die grid of each wafer.
    size : int
        Side of the square in pixels.

    Returns
    -------
    Tensor of int64, shape (n_maps, 2, size)
        Die rows of the pixel rows, die columns of the pixel columns.

    Examples
    --------
    >>> encode_dies([(2, 4)], 4).tolist()
    [[[0, 0, 1, 1], [0, 1, 2, 3]]]
    """
    dies = np.empty((len(shapes), 2, size), np.int64)
    for row, shape in enumerate(shapes):
        dies[row] = [die_of_pixel(n_dies, size) for n_dies in shape]
    return torch.from_numpy(dies)


def one_hot(codes: torch.Tensor) -> torch.Tensor:
    """Turn die codes into one plane per code: float32 (n, 3, size, size), channels last."""
    planes = codes.new_empty((*codes.shape, 3), dtype=torch.float32)
    for code in range(3):
        planes[..., code] = codes == code
    return planes.permute(0, 3, 1, 2)


@lru_cache(maxsize=128)
def interpolation_matrix(n_dies: int, size: int, grid: int) -> np.ndarray:
    """Return the bilinear weights that read a `grid`-cell axis at the centers of the dies.

    The wafer fills an axis of `size` input pixels; the axis of the saliency has `grid` cells over
    the same pixels. Half-pixel centers, as ``align_corners=False``.
    """
    pixel = (np.arange(n_dies) + 0.5) * size / n_dies
    cell = np.clip(pixel * grid / size - 0.5, 0, grid - 1)
    low = np.minimum(cell.astype(np.intp), max(grid - 2, 0))
    weights = np.zeros((n_dies, grid), np.float32)
    weights[np.arange(n_dies), low] += 1 - (cell - low)
    weights[np.arange(n_dies), np.minimum(low + 1, grid - 1)] += cell - low
    weights.flags.writeable = False
    return weights


@lru_cache(maxsize=128)
def averaging_matrix(n_dies: int, size: int) -> np.ndarray:
    """Return the weights that average an axis of `size` pixels over the pixels of each die.

    A die too small for a pixel of its own gets the one that holds its center.
    """
    shown, near = die_of_pixel(n_dies, size), die_of_pixel(size, n_dies)
    weights = np.zeros((n_dies, size), np.float32)
    weights[shown, np.arange(size)] = 1
    without = np.flatnonzero(weights.sum(axis=1) == 0)
    weights[without, near[without]] = 1
    weights /= weights.sum(axis=1, keepdims=True)
    weights.flags.writeable = False
    return weights


def mean_on_dies(values: np.ndarray, shapes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Average the pixels of each die.

    For maps of the input's resolution, in which a pixel belongs to one die. `to_die_grid`
    interpolates coarse maps.

    Parameters
    ----------
    values : ndarray of float32, shape (n_maps, size, size)
        One value per pixel of the model's input.
    shapes : sequence of (height, width)
        Die grid of each wafer.

    Returns
    -------
    list of ndarray of float32, shape (height, width)
        One per wafer, at its own size.

    Examples
    --------
    >>> mean_on_dies(np.array([[[1, 3], [5, 7]]], np.float32), [(1, 2)])[0].tolist()
    [[3.0, 5.0]]
    """
    size = values.shape[-1]
    on_dies: list[Any] = [None] * len(shapes)
    for shape, rows in _rows_by_shape(shapes).items():
        read_y, read_x = (averaging_matrix(n_dies, size) for n_dies in shape)
        for row, means in zip(rows, read_y @ values[rows] @ read_x.T, strict=True):
            on_dies[row] = means
    return on_dies


def to_die_grid(
    saliency: np.ndarray, shapes: Sequence[tuple[int, int]], size: int
) -> list[np.ndarray]:
    """Read square saliencies at the center of every die, bilinearly.

    Parameters
    ----------
    saliency : ndarray of float32, shape (n_maps, grid, grid)
        One coarse map per wafer, covering the model's whole input.
    shapes : sequence of (height, width)
        Die grid of each wafer.
    size : int
        Side of the model's input in pixels.

    Returns
    -------
    list of ndarray of float32, shape (height, width)
        One per wafer, at its own size.
    """
    on_dies: list[Any] = [None] * len(shapes)
    grid = saliency.shape[-1]
    for shape, rows in _rows_by_shape(shapes).items():
        read_y, read_x = (interpolation_matrix(n_dies, size, grid) for n_dies in shape)
        for row, values in zip(rows, read_y @ saliency[rows] @ read_x.T, strict=True):
            on_dies[row] = values
    return on_dies
