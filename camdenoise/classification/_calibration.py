"""Calibration of probabilities: temperature scaling and Platt scaling, fitted on unseen data.

A net that fits its training data well is overconfident. Both methods fit one or two numbers, which
change probabilities but not their order, so that they need little data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax

# Limits of a temperature; beyond them there are too few wafers.
_LOWEST, _HIGHEST = 0.05, 20.0
# Smallest distance of a probability from 0 and 1 that the evidence's float32 resolves.
NEAREST = 1e-7


def tempered_softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities of logits that are divided by a temperature first.

    Parameters
    ----------
    logits : ndarray of float64, shape (..., n_classes)
    temperature : float
        1 keeps the probabilities as they are; a larger one moves them towards each other.

    Returns
    -------
    ndarray of float64, shape (..., n_classes)

    Examples
    --------
    >>> tempered_softmax(np.array([2 * np.log(3.0), 0.0]), 2.0).round(2)
    array([0.75, 0.25])
    """
    return softmax(logits / temperature, axis=-1)


def fit_temperature(logits: np.ndarray, codes: np.ndarray) -> float:
    """Find the temperature under which the true classes are likeliest (temperature scaling).

    Parameters
    ----------
    logits : ndarray of float64, shape (n_wafers, n_classes)
        Of wafers that the net has not seen.
    codes : ndarray of int, shape (n_wafers,)
        Their true classes.

    Returns
    -------
    float
        Between 0.05 and 20.

    Notes
    -----
    If all wafers are classified correctly, the best temperature is 0. So one wafer is added, like
    the others on average, with a class drawn at random.

    References
    ----------
    .. [1] C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599.
    """
    wafers = np.arange(len(codes))

    def loss(log_temperature: float) -> float:
        of_classes = log_softmax(logits / np.exp(log_temperature), axis=-1)
        return -(of_classes[wafers, codes].sum() + of_classes.mean())

    found = minimize_scalar(loss, bounds=np.log([_LOWEST, _HIGHEST]), method="bounded")
    return float(np.exp(found.x))


class PlattScaling(NamedTuple):
    """A logistic curve from a die's evidence to the probability that it belongs to the pattern.

    Attributes
    ----------
    slope : float
        Factor on the log-odds, above 0, so that no two dies change places.
    intercept : float
        What is added to them.

    References
    ----------
    .. [1] J. Platt, "Probabilistic Outputs for Support Vector Machines and Comparisons to
       Regularized Likelihood Methods", Advances in Large Margin Classifiers, 1999.

    Examples
    --------
    >>> PlattScaling(slope=1.0, intercept=0.0)(np.array([0.25, 0.5]))
    array([0.25, 0.5 ])
    """

    slope: float
    intercept: float

    def __call__(self, probability: np.ndarray) -> np.ndarray:
        """Return the calibrated probability for an uncalibrated one, of any shape."""
        return expit(self.slope * _log_odds(probability) + self.intercept)


def fit_platt(probability: np.ndarray, truth: np.ndarray) -> PlattScaling | None:
    """Fit Platt scaling to dies of which the truth is known.

    Parameters
    ----------
    probability : ndarray of float, shape (n_dies,)
        Uncalibrated.
    truth : ndarray of bool, shape (n_dies,)
        Which of them belong to the pattern.

    Returns
    -------
    PlattScaling or None
        None without dies of both kinds, or if a higher probability does not make the truth
        likelier.
    """
    # Imported here because it takes a sixth of a second, which denoising does not need.
    from sklearn.linear_model import LogisticRegression

    if truth.all() or not truth.any():
        return None
    model = LogisticRegression().fit(_log_odds(probability)[:, np.newaxis], truth)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    return PlattScaling(slope, intercept) if slope > 0 else None


def _log_odds(probability: np.ndarray) -> np.ndarray:
    return logit(np.clip(np.asarray(probability, np.float64), NEAREST, 1 - NEAREST))
