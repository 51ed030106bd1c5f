"""From scores of dies to a decision about each failing die."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import xlogy

from camdenoise.cam._on_dies import DieScores
from camdenoise.denoising._detection import PatternDetector, detection_score
from camdenoise.denoising._division import divide_fails
from camdenoise.denoising._novelty import NoveltyDetector
from camdenoise.denoising._threshold import best_expected_f1
from camdenoise.wafers._classes import ClassRoles
from camdenoise.wafers._components import component_sums, fail_components
from camdenoise.wafers._coverage import is_partial, reaches_untested
from camdenoise.wafers._explanation import Explanation, abstain, build_explanation
from camdenoise.wafers._labels import plain_label
from camdenoise.wafers._maps import FAIL
from camdenoise.wafers._verdict import (
    EVERYWHERE,
    MIXED,
    NONE,
    PARTIAL,
    PATTERN,
    UNKNOWN,
    UNSURE,
)

# Least probability of a class without a pattern for all fails of the wafer to be removed.
_CONFIDENT = 0.5


def die_evidence(grid: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Score each die by its own saliency."""
    return saliency


def component_evidence(grid: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Score the fails of a connected component by their summed saliency.

    The sum is a share of the largest sum on the wafer. A coarse CAM finds the right component, but
    not its border.
    """
    labels, n_components = fail_components(grid)
    sums = component_sums(labels, saliency, n_components)
    peak = sums.max()
    return (sums / peak if peak > 0 else sums)[labels]


#: Evidence of each die, between 0 and 1, by `aggregation`. A fail is kept from the threshold on.
AGGREGATIONS = {None: die_evidence, "component": component_evidence}


def detection_scores(
    grids: Sequence[np.ndarray], scores: Sequence[DieScores], roles: ClassRoles
) -> np.ndarray:
    """Return the `detection_score` of each wafer, shape (n_wafers,)."""
    found = [
        detection_score(grid, of_wafer.saliency, of_wafer.probabilities[roles.has_pattern].sum())
        for grid, of_wafer in zip(grids, scores, strict=True)
    ]
    return np.array(found, float)


def choose_classes(
    grids: Sequence[np.ndarray],
    scores: Sequence[DieScores],
    roles: ClassRoles,
    detector: PatternDetector | None,
) -> np.ndarray:
    """Choose the class of each wafer, shape (n_wafers,).

    Without a detector the likeliest class is chosen; with one the likeliest pattern where a pattern
    is detected, else the likeliest other class.
    """
    if not len(scores):
        return np.zeros(0, int)
    probabilities = np.stack([of_wafer.probabilities for of_wafer in scores])
    if detector is None:
        return probabilities.argmax(axis=1)
    detected = detector.predict(
        detection_scores(grids, scores, roles),
        probabilities[:, roles.has_pattern].sum(axis=1),
        probabilities[:, roles.is_everywhere].sum(axis=1),
    )
    patterns = np.where(roles.has_pattern, probabilities, 0).argmax(axis=1)
    others = np.where(roles.has_pattern, 0, probabilities).argmax(axis=1)
    return np.where(detected, patterns, others)


@dataclass(frozen=True, eq=False)
class DecisionRule:
    """Decide for each fail of a wafer whether it belongs to the pattern.

    Attributes
    ----------
    roles : ClassRoles
        What the classes stand for.
    patterns : tuple of str
        Names of the patterns whose evidence the scores have.
    calibrate : callable
        Turns a saliency into a calibrated one.
    aggregate : callable
        One of `AGGREGATIONS`.
    threshold : float or None
        Least evidence of a kept fail; None for the threshold of the greatest expected F1 of each
        wafer.
    clears_none : bool
        Remove all fails of a wafer that is likely without a pattern, instead of abstaining.
    detector : PatternDetector or None
        Tells which wafers have a pattern; None: the likeliest class counts.
    novelty : NoveltyDetector or None
        Tells which wafers are unlike all known ones; None: no wafer is novel.
    decides_always : bool
        Decide on every wafer, as if each had a pattern and none were novel.
    """

    roles: ClassRoles
    patterns: tuple[str, ...]
    calibrate: Callable[[np.ndarray], np.ndarray]
    aggregate: Callable[[np.ndarray, np.ndarray], np.ndarray]
    threshold: float | None
    clears_none: bool
    detector: PatternDetector | None = None
    novelty: NoveltyDetector | None = None
    decides_always: bool = False

    def decide(
        self,
        grids: Sequence[np.ndarray],
        scores: Sequence[DieScores],
        targets: np.ndarray | None = None,
    ) -> list[Explanation]:
        """Decide about wafers: choose the class of each, find novel ones, keep or remove each fail.

        Parameters
        ----------
        grids : sequence of ndarray of uint8, shape (height, width)
            Wafer maps.
        scores : sequence of DieScores
            Their scores.
        targets : ndarray of int, shape (n_wafers,), default=None
            Class codes to explain on every wafer; None: those that the scores show.
        """
        always = targets is not None or self.decides_always
        codes = targets
        if codes is None:
            codes = choose_classes(grids, scores, self.roles, self.detector)
        novelty = self._measure_novelty(scores, self.roles.has_pattern[codes] & (not always))
        divides = targets is None
        return [
            self.explain(grid, of_wafer, code, always=always, novelty=distance, divides=divides)
            for grid, of_wafer, code, distance in zip(grids, scores, codes, novelty, strict=True)
        ]

    def choose_patterns(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the code of the likeliest pattern of each wafer."""
        return np.where(self.roles.has_pattern, probabilities, -1).argmax(axis=1)

    def _measure_novelty(self, scores: Sequence[DieScores], has_pattern: np.ndarray) -> np.ndarray:
        """Return the distance of the wafers with a pattern to the known ones, NaN for others."""
        distances = np.full(len(scores), np.nan)
        if self.novelty is not None and has_pattern.any():
            features = np.stack([of_wafer.features for of_wafer in scores])
            distances[has_pattern] = self.novelty.measure(features[has_pattern])
        return distances

    def explain(
        self,
        grid: np.ndarray,
        scores: DieScores,
        code: int,
        *,
        always: bool = False,
        novelty: float = np.nan,
        divides: bool = True,
    ) -> Explanation:
        """Decide about one wafer.

        Parameters
        ----------
        grid : ndarray of uint8, shape (height, width)
            Wafer map.
        scores : DieScores
            Its scores.
        code : int
            The class that is explained.
        always : bool, default=False
            Decide also where the class has no pattern or the wafer was tested in part.
        novelty : float, default=nan
            Distance to the known wafers in units of the limit.
        divides : bool, default=True
            Divide the kept fails among the patterns on the wafer; else all are of the class.
        """
        saliency, probabilities = self.calibrate(scores.saliency), scores.probabilities
        facts: dict[str, Any] = {
            "entropy": float(-xlogy(probabilities, probabilities).sum() / np.log(2)),
            "novelty": float(novelty),
            "probabilities": probabilities,
        }
        if not (grid == FAIL).any():
            # What a net says of a wafer without fails is arbitrary.
            if not always and self.roles.is_none.any():
                code = int(np.where(self.roles.is_none, probabilities, -1).argmax())
            return abstain(grid, saliency, **facts | self._say(NONE, code, probabilities))
        if not always and not self.roles.has_pattern[code]:
            return self._explain_other(grid, saliency, code, facts)
        keep = self._keep(grid, saliency)
        facts |= self._say(UNSURE, code, probabilities)
        if not (keep & (saliency > 0)).any():
            return abstain(grid, saliency, **facts)
        if not always and is_partial(grid) and reaches_untested(grid, keep):
            # The pattern may continue where nothing was tested, and be another one.
            return abstain(grid, saliency, **facts | self._say(PARTIAL, code, probabilities))
        label = str(self.roles.classes[code])
        facts["patterns"] = {label: keep}
        if divides and scores.by_pattern is not None:
            facts["patterns"] = divide_fails(keep, scores.by_pattern, self.patterns)
        facts["verdict"] = MIXED if len(facts["patterns"]) > 1 else PATTERN
        if novelty > 1:
            facts["verdict"] = UNKNOWN
        return build_explanation(grid, keep, saliency, **facts)

    def _explain_other(
        self, grid: np.ndarray, saliency: np.ndarray, code: int, facts: dict
    ) -> Explanation:
        """Explain a wafer on which no pattern is claimed."""
        p = facts["probabilities"]
        p_pattern, p_everywhere, p_none = (
            p[of_group].sum()
            for of_group in (self.roles.has_pattern, self.roles.is_everywhere, self.roles.is_none)
        )
        if self.roles.is_everywhere[code]:
            return abstain(grid, saliency, **facts | self._say(EVERYWHERE, code, p))
        if is_partial(grid):
            return abstain(grid, saliency, **facts | self._say(PARTIAL, code, p))
        if p_pattern > max(p_everywhere, p_none):
            likeliest = int(np.where(self.roles.has_pattern, p, -1).argmax())
            return abstain(grid, saliency, **facts | self._say(UNSURE, likeliest, p))
        facts |= self._say(NONE, code, p)
        if self.clears_none and facts["probability"] >= _CONFIDENT:
            return build_explanation(grid, np.zeros(grid.shape, bool), saliency, **facts)
        return abstain(grid, saliency, **facts)

    def _say(self, verdict: str, code: int, probabilities: np.ndarray) -> dict[str, Any]:
        """Return what is said of a wafer: the verdict, the class, and how probable both are."""
        of_group = {EVERYWHERE: self.roles.is_everywhere, NONE: self.roles.is_none}
        stands_for = of_group.get(verdict, self.roles.has_pattern)
        return {
            "verdict": verdict,
            "verdict_probability": np.nan
            if verdict == PARTIAL
            else float(probabilities[stands_for].sum()),
            "label": plain_label(self.roles.classes[code]),
            "probability": float(probabilities[code]),
        }

    def _keep(self, grid: np.ndarray, saliency: np.ndarray) -> np.ndarray:
        fails, evidence = grid == FAIL, self.aggregate(grid, saliency)
        threshold = self.threshold
        if threshold is None:
            threshold, _ = best_expected_f1(evidence[fails])
        return fails & (evidence >= threshold)
