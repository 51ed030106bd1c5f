"""Why each fail of a wafer was kept or removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from camdenoise.wafers._coverage import is_partial
from camdenoise.wafers._maps import FAIL


@dataclass(frozen=True)
class Explanation:
    """Why each fail of one wafer was kept or removed.

    Attributes
    ----------
    saliency : ndarray of float32, shape (height, width)
        The score that was thresholded, on the die grid; 0 where there is no die. Comparable
        within a wafer; its unit is the method's (CAM: share of the wafer's largest evidence;
        evidence maps: probability that the die, where it fails, belongs to a pattern).
    kept : ndarray of bool, shape (height, width)
        Fails that belong to the pattern.
    removed : ndarray of bool, shape (height, width)
        Fails that do not. They are failing dies all the same.
    label : str, int or None
        The class that was explained, as plain Python has it; None for a method without classes.
    probability : float
        The classifier's probability of `label`; NaN without a classifier.
    entropy : float
        Of the probabilities of all classes, in bits; NaN without a classifier.
    abstained : bool
        True where the method declined to decide and kept every fail.
    novel : bool
        True where it did so because the wafer is unlike all that it knows; `label` is then the
        class that comes nearest, whatever its probability.
    error : str or None
        Why the map could not be read, with ``on_error="keep"``; the masks are empty then.
    """

    saliency: np.ndarray = field(repr=False)
    kept: np.ndarray = field(repr=False)
    removed: np.ndarray = field(repr=False)
    label: Any = None
    probability: float = float("nan")
    entropy: float = float("nan")
    abstained: bool = False
    novel: bool = False
    error: str | None = None


def explain_by(grid: np.ndarray, keep: np.ndarray, saliency: np.ndarray, **about) -> Explanation:
    """Build an `Explanation` that keeps the fails of `grid` where `keep` holds."""
    fails = grid == FAIL
    shown = np.where(grid > 0, saliency, 0).astype(np.float32)
    return Explanation(shown, fails & keep, fails & ~keep, **about)


def abstain(grid: np.ndarray, saliency: np.ndarray | None = None, **about) -> Explanation:
    """Build an `Explanation` that keeps every fail because no decision could be made."""
    saliency = np.zeros(grid.shape) if saliency is None else saliency
    return explain_by(grid, np.ones(grid.shape, bool), saliency, abstained=True, **about)


def result_row(grid: np.ndarray, explanation: Explanation) -> dict[str, Any]:
    """Return what all tables of results hold of one decided wafer.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.
    explanation : Explanation
        Its explanation, without an error.

    Returns
    -------
    dict
        ``predicted``, ``probability``, ``n_fails``, ``n_kept``, ``n_removed``, ``abstained``,
        ``novel`` and ``partial``.
    """
    return {
        "predicted": explanation.label,
        "probability": explanation.probability,
        "n_fails": int((grid == FAIL).sum()),
        "n_kept": int(explanation.kept.sum()),
        "n_removed": int(explanation.removed.sum()),
        "abstained": explanation.abstained,
        "novel": explanation.novel,
        "partial": is_partial(grid),
    }
