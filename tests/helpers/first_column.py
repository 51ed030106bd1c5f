"""A classifier that looks at the first column only, and wafers for it."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class FirstColumn(ClassifierMixin, BaseEstimator):
    """Says "line" with the share of the first column's dies that fail."""

    def __init__(self):
        self.classes_ = np.array(["else", "line"])
        self.asked = []

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        self.asked += [len(X)]
        line = [(grid[:, 0] == 2).sum() / max(1, (grid[:, 0] > 0).sum()) for grid in X]
        return np.transpose([1 - np.array(line), line])


def wafer(height=4, width=3, others=4):
    """A first column of fails and some other fails."""
    grid = np.ones((height, width), np.uint8)
    grid[:, 0] = 2
    grid[:, 1:].flat[:others] = 2
    return grid


def first_column(grid):
    return np.where(np.arange(grid.shape[1]) == 0, 1.0, 0.0) * np.ones(grid.shape)
