"""Why each fail of a wafer was kept or removed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from camdenoise.wafers._coverage import is_partial
from camdenoise.wafers._maps import FAIL
from camdenoise.wafers._verdict import CLAIMS, NONE, UNKNOWN


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
        Fails that belong to the pattern; all fails where the method abstained.
    removed : ndarray of bool, shape (height, width)
        Fails that do not. They are failing dies all the same.
    label : str, int or None
        The class that was explained, as plain Python has it; None for a method without classes.
        Of an unknown pattern the nearest class.
    probability : float
        The classifier's probability of `label`; NaN without a classifier.
    verdict : str or None
        What is said of the wafer: "pattern", one known pattern; "mixed", several; "unknown
        pattern", a pattern that no training wafer has; "everywhere", such as Random and
        Near-full; "none"; "unsure", a pattern is likelier than none, but to claim it would exceed
        the rate of false alarms; "partial", not enough of the wafer was tested; "error". None for
        a method without classes.
    verdict_probability : float
        Probability of all classes that the verdict stands for: of all patterns, of no pattern, of
        fails everywhere. NaN where there is none.
    patterns : dict of str to ndarray of bool, shape (height, width)
        The kept fails of each pattern, the one with most fails first; together they are `kept`.
        Empty where no pattern is claimed.
    entropy : float
        Entropy of the probabilities of all classes, in bits; NaN without a classifier.
    abstained : bool
        True where the method declined to decide and kept every fail.
    novelty : float
        Distance to the training wafers in units of the limit: above 1 the pattern is unknown. NaN
        where it was not measured.
    probabilities : ndarray of float64, shape (n_classes,), or None
        Of all classes, in the order of the classifier's `classes_`.
    error : str or None
        Why the map could not be read, with ``on_error="keep"``; the masks are empty then.
    """

    saliency: np.ndarray = field(repr=False)
    kept: np.ndarray = field(repr=False)
    removed: np.ndarray = field(repr=False)
    label: Any = None
    probability: float = float("nan")
    verdict: str | None = None
    verdict_probability: float = float("nan")
    patterns: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    entropy: float = float("nan")
    abstained: bool = False
    novelty: float = float("nan")
    probabilities: np.ndarray | None = field(default=None, repr=False)
    error: str | None = None

    @property
    def novel(self) -> bool:
        """Whether the wafer has a pattern that no training wafer has."""
        return self.verdict == UNKNOWN

    @property
    def claims_pattern(self) -> bool:
        """Whether `kept` are the fails of a pattern."""
        return not self.abstained if self.verdict is None else self.verdict in CLAIMS

    @property
    def random(self) -> np.ndarray:
        """Fails that are said to be random: those removed, and all of a wafer without a pattern."""
        return self.kept | self.removed if self.verdict == NONE else self.removed


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
        ``verdict``, ``verdict_probability``, ``predicted``, ``probability``, ``n_fails``,
        ``n_kept``, ``n_removed``, ``patterns`` (JSON: kept fails of each), ``abstained`` and
        ``partial``.
    """
    counts = {name: int(mask.sum()) for name, mask in explanation.patterns.items()}
    return {
        "verdict": explanation.verdict,
        "verdict_probability": explanation.verdict_probability,
        "predicted": explanation.label,
        "probability": explanation.probability,
        "n_fails": int((grid == FAIL).sum()),
        "n_kept": int(explanation.kept.sum()),
        "n_removed": int(explanation.removed.sum()),
        "patterns": json.dumps(counts, ensure_ascii=False) if counts else None,
        "abstained": explanation.abstained,
        "partial": is_partial(grid),
    }
