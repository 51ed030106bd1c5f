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
        The score that was thresholded, on the die grid; 0 without a die. Its unit depends on the
        method. CAM: share of the wafer's largest evidence. Evidence maps: probability that the
        die, if it fails, belongs to a pattern.
    kept : ndarray of bool, shape (height, width)
        Fails that belong to the pattern.
    removed : ndarray of bool, shape (height, width)
        Fails that do not. They are failing dies all the same.
    label : str, int or None
        The class that was explained, as plain Python has it; None for a method without classes.
    probability : float
        The classifier's probability of `label`; NaN without a classifier.
    entropy : float
        Entropy of the probabilities of all classes, in bits; NaN without a classifier.
    abstained : bool
        True where the method declined to decide and kept every fail.
    novel : bool
        True if it abstained because the wafer is unlike the training wafers. `label` is then the
        nearest class, even if its probability is low.
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


def build_explanation(
    grid: np.ndarray, keep: np.ndarray, saliency: np.ndarray, **facts: Any
) -> Explanation:
    """Build an `Explanation` that keeps the fails of `grid` where `keep` holds."""
    fails = grid == FAIL
    on_dies = np.where(grid > 0, saliency, 0).astype(np.float32)
    return Explanation(on_dies, fails & keep, fails & ~keep, **facts)


def abstain(grid: np.ndarray, saliency: np.ndarray | None = None, **facts: Any) -> Explanation:
    """Build an `Explanation` that keeps every fail because no decision could be made."""
    saliency = np.zeros(grid.shape) if saliency is None else saliency
    return build_explanation(grid, np.ones(grid.shape, bool), saliency, abstained=True, **facts)


def result_row(grid: np.ndarray, explanation: Explanation) -> dict[str, Any]:
    """Return the columns that all tables of results have for one decided wafer.

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
