"""Out-of-distribution detection: find wafers unlike all wafers with known patterns.

A net predicts one of its classes for any wafer, often with a high probability. The distance of a
wafer's features to those of the known wafers is a better score.
"""

from __future__ import annotations

import numpy as np

from camdenoise.denoising._detection import SMALLEST

# Rank of the neighbor for the distance; the first would be too near to a single odd known wafer.
_NEIGHBORS = 10
#: Fewest known wafers; with fewer, no wafer is novel.
FEWEST_KNOWN = 50
# Number of known wafers; each class has its share, but up to 100 of a rare class.
_REFERENCES, _OF_A_RARE_CLASS = 1000, 100
# Wafers at a time, so that a table of distances stays below a few megabytes.
_ROWS = 256


class NoveltyDetector:
    """Find wafers by the distance to their nearest neighbors among known ones [1]_.

    Parameters
    ----------
    novelty_rate : float
        Share of the known wafers that would be called novel.

    Attributes
    ----------
    references_ : ndarray of float16, shape (n_known, n_features)
        Features of the known wafers.
    distances_ : ndarray of float32, shape (n_known,)
        Distance of each to the tenth nearest of the others, in rising order; a feature counts in
        units of its standard deviation over the known wafers.

    References
    ----------
    .. [1] Y. Sun, Y. Ming, X. Zhu, Y. Li, "Out-of-Distribution Detection with Deep Nearest
       Neighbors", ICML 2022, arXiv:2204.06507.

    Examples
    --------
    >>> known = np.random.default_rng(0).normal(size=(200, 3))
    >>> NoveltyDetector(0.01).fit(known).predict(np.array([[0.0, 0, 0], [9, 9, 9]]))
    array([False,  True])
    """

    def __init__(self, novelty_rate: float):
        self.novelty_rate = novelty_rate

    def fit(self, features: np.ndarray) -> NoveltyDetector:
        """Measure the distances of known wafers, shape (n_known, n_features), to each other."""
        self._set_references(np.asarray(features, np.float16))
        # The nearest of all is each wafer itself.
        self.distances_ = np.sort(self._to_neighbor(self._known, _NEIGHBORS + 1))
        return self

    @classmethod
    def from_references(
        cls, novelty_rate: float, references: np.ndarray, distances: np.ndarray
    ) -> NoveltyDetector:
        """Make a fitted detector of `references_` and `distances_` that were measured before."""
        detector = cls(novelty_rate)
        detector._set_references(references)
        detector.distances_ = distances
        return detector

    def score_samples(self, features: np.ndarray) -> np.ndarray:
        """Return the distance of wafers to their tenth nearest known one, shape (n_wafers,)."""
        return self._to_neighbor(self._scaled(features), _NEIGHBORS)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Tell which wafers are novel: further than all but `novelty_rate` of the known ones."""
        return self.measure(features) > 1

    def measure(self, features: np.ndarray) -> np.ndarray:
        """Return the distances of wafers in units of the limit, shape (n_wafers,)."""
        limit = np.quantile(self.distances_, 1 - self.novelty_rate, method="higher")
        return self.score_samples(features) / max(float(limit), SMALLEST)

    def _set_references(self, references: np.ndarray) -> None:
        self.references_ = references
        known = references.astype(np.float32)
        deviation = known.std(axis=0)
        self._mean, self._deviation = known.mean(axis=0), np.where(deviation > 0, deviation, 1)
        self._known = self._scaled(references)
        self._squares = (self._known**2).sum(axis=1)

    def _scaled(self, features: np.ndarray) -> np.ndarray:
        return (np.asarray(features, np.float32) - self._mean) / self._deviation

    def _to_neighbor(self, points: np.ndarray, number: int) -> np.ndarray:
        found = np.empty(len(points), np.float32)
        for start in range(0, len(points), _ROWS):
            some = points[start : start + _ROWS]
            squares = self._squares - 2 * some @ self._known.T
            squares += (some**2).sum(axis=1, keepdims=True)
            nearest = np.partition(squares, number - 1, axis=1)[:, number - 1]
            found[start : start + _ROWS] = np.sqrt(np.maximum(nearest, 0))
        return found


def choose_known(labels: np.ndarray, patterns: tuple) -> np.ndarray:
    """Choose rows of known wafers: of each pattern its share of a thousand, or a hundred.

    Examples
    --------
    >>> labels = np.array(["Center"] * 3000 + ["Scratch"] * 60 + ["none"] * 500)
    >>> rows = choose_known(labels, ("Center", "Scratch"))
    >>> np.unique(labels[rows], return_counts=True)[1].tolist()
    [980, 60]
    """
    of_classes = [np.flatnonzero(labels == name) for name in patterns]
    n_wafers = sum(map(len, of_classes))
    chosen = [np.array([], int)]
    for rows in of_classes:
        n_chosen = max(_OF_A_RARE_CLASS, round(_REFERENCES * len(rows) / max(1, n_wafers)))
        positions = np.linspace(0, len(rows) - 1, min(n_chosen, len(rows)))
        chosen.append(rows[np.round(positions).astype(int)])
    return np.sort(np.concatenate(chosen))
