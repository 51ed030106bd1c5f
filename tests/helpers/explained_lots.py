"""A lot with an oracle's explanations, and what plots show of it."""

import matplotlib

matplotlib.use("Agg")
import numpy as np

from camdenoise import Explanation


def explanation(grid, keep, **about):
    fails = grid == 2
    return Explanation(keep.astype(np.float32), fails & keep, fails & ~keep, **about)


def shown(ax):
    return ax.images[0].to_rgba(ax.images[0].get_array(), bytes=True)
