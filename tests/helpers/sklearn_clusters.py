"""Fails that a clustering of scikit-learn puts into clusters."""

import numpy as np


def clustered(grid, model, fewest):
    """What a clustering of scikit-learn does not call noise."""
    kept, fails = np.zeros(grid.shape, bool), np.argwhere(grid == 2)
    if len(fails) >= fewest:
        kept[tuple(fails.T)] = model.fit_predict(fails) >= 0
    return kept
