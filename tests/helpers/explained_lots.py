"""Wafers with explanations to plot, and what plots show of them."""

import matplotlib

matplotlib.use("Agg")
import numpy as np

from camdenoise import Explanation

#: Wafers with dies that pass and fail, and cells without a die.
GRID = np.array([[0, 2, 1, 1], [2, 2, 1, 1], [1, 1, 2, 0]], np.uint8)
SMALL_GRID = np.array([[0, 2, 1], [2, 2, 1], [1, 1, 2]], np.uint8)
NOTHING = np.zeros((0, 0), bool)
UNREADABLE = Explanation(NOTHING, NOTHING, NOTHING, abstained=True, error="value 9 at row 0")


def explanation(grid, keep, **about):
    fails = grid == 2
    return Explanation(keep.astype(np.float32), fails & keep, fails & ~keep, **about)


def shown(ax):
    return ax.images[0].to_rgba(ax.images[0].get_array(), bytes=True)
