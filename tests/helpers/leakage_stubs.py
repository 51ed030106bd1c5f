"""Wafers with a block at one side, estimators that record or leak, and masks of controls."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from camdenoise.leakage import CONTROLS
from camdenoise.wafers._explanation import build_explanation


def two_sided_wafers(n=300, side=20, seed=0):
    """Wafers with a block of fails at the left or at the right, and many others anywhere."""
    rng = np.random.default_rng(seed)
    maps, sides = [], rng.permutation(["left", "right"] * (n // 2))
    for name in sides:
        grid = 1 + (rng.random((side, side)) < 0.12).astype(np.uint8)
        top, left = rng.integers(side - 2), rng.integers(side // 2 - 2)
        left += 0 if name == "left" else side // 2
        grid[top : top + 3, left : left + 3] = 2
        maps.append(grid)
    return maps, sides


class PixelClassifier(ClassifierMixin, BaseEstimator):
    """A linear classifier of which dies fail; noise is hard on it."""

    def fit(self, X, y):
        self.model_ = LogisticRegression(C=0.1).fit(self._features(X), y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(self._features(X))

    def _features(self, X):
        return np.stack([(grid == 2).ravel() for grid in X]).astype(float)


class StampingDenoiser(BaseEstimator):
    """Find the block, and tell its side by keeping the fails above or below: nothing else."""

    def __init__(self, cv=2):
        self.cv = cv

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def explain(self, X, targets=None):
        if targets is None:
            targets = [self._side_of_block(grid) for grid in X]
        return [
            build_explanation(
                grid, self._half(grid, target), self._half(grid, target), label=target
            )
            for grid, target in zip(X, targets, strict=True)
        ]

    def _half(self, grid, target):
        above = np.arange(len(grid))[:, None] < len(grid) // 2
        return np.broadcast_to(above == (target == "left"), grid.shape)

    def _side_of_block(self, grid):
        windows = np.lib.stride_tricks.sliding_window_view(grid == 2, (3, 3)).sum(axis=(2, 3))
        column = np.unravel_index(windows.argmax(), windows.shape)[1]
        return "left" if column < grid.shape[1] // 2 - 1 else "right"


class RecordingDenoiser(StampingDenoiser):
    """Remember what each clone was trained on and asked for; wafers are told apart by identity."""

    clones: list = []

    def fit(self, X, y):
        self.seen, self.asked = {id(grid) for grid in X}, []
        RecordingDenoiser.clones.append(self)
        return super().fit(X, y)

    def explain(self, X, targets=None):
        self.asked += [id(grid) for grid in X]
        return super().explain(X, targets)


class RecordingClassifier(PixelClassifier):
    """Remember the maps that each clone was trained on."""

    shown: list = []

    def fit(self, X, y):
        RecordingClassifier.shown.append(X)
        return super().fit(X, y)


def predictions(**right):
    rows = [
        {"fold": 0, "wafer": wafer, "group": wafer, "condition": name.replace("_", " ")}
        | {"label": "a", "predicted": "a" if wafer < n else "b"}
        for name, n in right.items()
        for wafer in range(100)
    ]
    return pd.DataFrame(rows)


def masks(name, fit, seed=0):
    return CONTROLS[name].masks(fit, np.random.default_rng(seed))
