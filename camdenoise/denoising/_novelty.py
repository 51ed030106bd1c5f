"""Wafers unlike all that a denoiser knows: by the distance to their nearest neighbours.

A net names one of its classes whatever it is shown, and is sure of it. How far a wafer is from all
those with known patterns tells more, by what the net says of them before it names a class.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from camdenoise.datasets._patterns import PATTERN_CLASSES

# The distance to the nearest alone would be short wherever one odd wafer is known.
_NEIGHBORS = 10
# Known wafers: so many, drawn as they come, and of a rare class as many as this if there are.
_REFERENCES, _OF_A_RARE_CLASS = 1000, 100
#: With fewer known wafers nothing is called novel.
FEWEST_KNOWN = 50
# Rows at a time, so that a table of distances stays small.
_ROWS = 256


@dataclass(frozen=True)
class Novelty:
    """Wafers with known patterns, and how far each is from the others.

    Attributes
    ----------
    references : ndarray of float16, shape (n_known, n_features)
        What the net says of them: the features that its class scores weigh.
    distances : ndarray of float32, shape (n_known,)
        How far each is from the tenth nearest of the others, in rising order; a feature counts
        in units of its standard deviation over the known wafers.

    References
    ----------
    .. [1] Y. Sun, Y. Ming, X. Zhu, Y. Li, "Out-of-Distribution Detection with Deep Nearest
       Neighbors", ICML 2022, arXiv:2204.06507.
    """

    references: np.ndarray
    distances: np.ndarray

    def furthest(self, rate: float) -> float:
        """Return the distance beyond which this share of the known wafers lies."""
        return float(np.quantile(self.distances, 1 - rate, method="higher"))

    def distance(self, features: np.ndarray) -> np.ndarray:
        """Return how far wafers are from the tenth nearest of the known ones, shape (n_wafers,)."""
        return self._to_neighbor(self._scaled(features), _NEIGHBORS)

    @cached_property
    def _scale(self) -> tuple[np.ndarray, np.ndarray]:
        known = self.references.astype(np.float32)
        deviation = known.std(axis=0)
        return known.mean(axis=0), np.where(deviation > 0, deviation, 1)

    @cached_property
    def _known(self) -> np.ndarray:
        return self._scaled(self.references)

    def _scaled(self, features: np.ndarray) -> np.ndarray:
        mean, deviation = self._scale
        return (np.asarray(features, np.float32) - mean) / deviation

    def _to_neighbor(self, points: np.ndarray, number: int) -> np.ndarray:
        squares = (self._known**2).sum(axis=1)
        found = np.empty(len(points), np.float32)
        for start in range(0, len(points), _ROWS):
            some = points[start : start + _ROWS]
            away = squares - 2 * some @ self._known.T + (some**2).sum(axis=1, keepdims=True)
            nearest = np.partition(away, number - 1, axis=1)[:, number - 1]
            found[start : start + _ROWS] = np.sqrt(np.maximum(nearest, 0))
        return found


def known_wafers(features: np.ndarray) -> Novelty | None:
    """Measure how far known wafers are from each other; None where they are few.

    Parameters
    ----------
    features : ndarray of float, shape (n_known, n_features)

    Examples
    --------
    >>> known = known_wafers(np.random.default_rng(0).normal(size=(200, 3)))
    >>> near, far = known.distance(np.array([[0.0, 0, 0], [9, 9, 9]]))
    >>> bool(near < known.furthest(0.01) < far)
    True
    """
    if len(features) < FEWEST_KNOWN:
        return None
    alone = Novelty(np.asarray(features, np.float16), np.zeros(0, np.float32))
    # The nearest of all is each wafer itself.
    distances = alone._to_neighbor(alone._known, _NEIGHBORS + 1)
    return Novelty(alone.references, np.sort(distances))


def rows_to_know(labels: np.ndarray) -> np.ndarray:
    """Choose wafers with a pattern to know: of each class its share of a thousand, or a hundred.

    Examples
    --------
    >>> labels = np.array(["Center"] * 3000 + ["Scratch"] * 60 + ["none"] * 500)
    >>> rows = rows_to_know(labels)
    >>> np.unique(labels[rows], return_counts=True)[1].tolist()
    [980, 60]
    """
    of_classes = [np.flatnonzero(labels == name) for name in PATTERN_CLASSES]
    n_wafers = sum(map(len, of_classes))
    chosen = [np.array([], int)]
    for rows in of_classes:
        wanted = max(_OF_A_RARE_CLASS, round(_REFERENCES * len(rows) / max(1, n_wafers)))
        places = np.linspace(0, len(rows) - 1, min(wanted, len(rows)))
        chosen.append(rows[np.round(places).astype(int)])
    return np.sort(np.concatenate(chosen))
