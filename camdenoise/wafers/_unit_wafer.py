"""What wafers of different grids have in common: values averaged on one grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camdenoise.wafers._maps import NO_DIE
from camdenoise.wafers._plane import die_of_pixel


def unit_wafer_mean(
    values: Sequence[np.ndarray], maps: Sequence[np.ndarray], size: int = 41
) -> np.ndarray:
    """Average per-die values over wafers of different grids, on one common grid.

    Parameters
    ----------
    values : sequence of ndarray, one per wafer, each of its map's shape
        Anything known of each die: kept fails, saliency.
    maps : sequence of ndarray, shape (height, width)
        The wafer maps, which say where there are dies.
    size : int, default=41
        Side of the common grid. Each of its cells reads the die under its centre.

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
        there = (np.asarray(grid) != NO_DIE)[np.ix_(rows, columns)]
        total += np.where(there, np.asarray(value, float)[np.ix_(rows, columns)], 0)
        count += there
    seen = 2 * count >= max(1, len(maps))
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=seen & (count > 0))
