"""Round wafers whose dies fail where a function of the position says so."""

import numpy as np


def with_fails(size, where):
    """A wafer whose dies fail where a function of the position (y down, x right) says so."""
    y, x = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")
    grid = np.where(x**2 + y**2 <= 1, 1, 0).astype(np.uint8)
    y, x = np.meshgrid(*[(2 * np.arange(size) + 1) / size - 1] * 2, indexing="ij")
    grid[where(y, x) & (grid == 1)] = 2
    return grid
