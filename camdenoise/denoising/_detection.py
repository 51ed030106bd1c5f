"""Pattern detection: find wafers with a pattern at a given rate of false alarms."""

from __future__ import annotations

import numpy as np
from scipy.special import logit

from camdenoise.wafers._maps import FAIL

#: Smallest probability and smallest number of fails, so that their logarithms are finite.
SMALLEST = 1e-9
# Least probability of a pattern if no background scores were measured.
_LEAST_PROBABILITY = 0.5


def detection_score(grid: np.ndarray, saliency: np.ndarray, probability: float) -> float:
    """Return the evidence that a wafer has a pattern.

    Class scores describe the whole wafer and miss faint patterns. Evidence on dies finds faint
    patterns, but also false ones. Together they separate wafers with and without a pattern better.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.
    saliency : ndarray of float, shape (height, width)
        Probability that each die, if it fails, belongs to a pattern.
    probability : float
        Probability that the wafer has a pattern.

    Returns
    -------
    float
        Logarithm of the odds of a pattern times the expected number of its fails; very low for a
        wafer without fails.

    Examples
    --------
    >>> grid, saliency = np.array([[2, 2, 1]]), np.array([[0.9, 0.1, 0.9]])
    >>> round(detection_score(grid, saliency, 0.5), 3)  # one fail expected, at even odds
    0.0
    """
    n_expected = float(saliency[grid == FAIL].sum())
    return float(
        logit(np.clip(probability, SMALLEST, 1 - SMALLEST)) + np.log(n_expected + SMALLEST)
    )


class PatternDetector:
    """Detect patterns at a given rate of false alarms.

    Parameters
    ----------
    false_alarm_rate : float or None
        Share of the wafers without a pattern on which one may be detected. None: a pattern is
        detected on every wafer.

    Attributes
    ----------
    threshold_ : float or None
        Least score of a detection; None without background scores.

    Examples
    --------
    >>> detector = PatternDetector(0.05).fit(np.arange(100.0))
    >>> detector.predict(np.array([50.0, 120.0]), np.array([0.9, 0.9]), np.array([0.0, 0.0]))
    array([False,  True])
    """

    def __init__(self, false_alarm_rate: float | None):
        self.false_alarm_rate = false_alarm_rate

    def fit(self, background_scores: np.ndarray) -> PatternDetector:
        """Choose the threshold that few wafers without a pattern reach.

        Parameters
        ----------
        background_scores : ndarray of float, shape (n_wafers,)
            Detection scores of wafers without a pattern; may be empty.
        """
        self.threshold_: float | None = None
        if self.false_alarm_rate is not None and len(background_scores):
            highest = np.quantile(background_scores, 1 - self.false_alarm_rate, method="higher")
            # Just above it, so that ties of equal wafers do not exceed the rate.
            self.threshold_ = float(np.nextafter(highest, np.inf))
        return self

    def predict(
        self, scores: np.ndarray, p_pattern: np.ndarray, p_everywhere: np.ndarray
    ) -> np.ndarray:
        """Tell which wafers have a pattern.

        Parameters
        ----------
        scores : ndarray of float, shape (n_wafers,)
            Detection scores.
        p_pattern, p_everywhere : ndarray of float, shape (n_wafers,)
            Probability of all patterns together, and of fails everywhere.

        Returns
        -------
        ndarray of bool, shape (n_wafers,)
        """
        if self.false_alarm_rate is None:
            return np.ones(len(scores), bool)
        if self.threshold_ is None:
            return p_pattern >= _LEAST_PROBABILITY
        # Many fails score high, even if they are everywhere.
        return (scores >= self.threshold_) & (p_pattern >= p_everywhere)
