"""Calibration of a denoiser on wafers that its classifier has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.cam._on_dies import CamAttribution, EvidenceAttribution
from camdenoise.classification._calibration import PlattScaling, fit_platt
from camdenoise.datasets._training_sets import CalibrationSet, make_calibration_wafers
from camdenoise.denoising._decision import AGGREGATIONS, choose_classes, detection_scores
from camdenoise.denoising._detection import PatternDetector
from camdenoise.denoising._novelty import FEWEST_KNOWN, NoveltyDetector, choose_known
from camdenoise.denoising._threshold import CURVE, threshold_curve
from camdenoise.wafers._classes import ClassRoles
from camdenoise.wafers._maps import FAIL

# A share of 4 % of this many wafers has a standard error of .4 points.
_ENOUGH_TO_CALIBRATE = 2000
# Planted wafers of each of the three kinds, over all classes.
_N_PLANTED = 150


@dataclass(frozen=True, eq=False)
class DenoiserCalibration:
    """What a `CamDenoiser` measured on wafers that its classifier has not seen.

    Attributes
    ----------
    background_scores : ndarray of float, shape (n_wafers,)
        Detection scores of wafers without a pattern, in rising order.
    platt : PlattScaling or None
        Slope and intercept of the logistic curve that turns a die's evidence into the probability
        that it belongs to a pattern.
    threshold_curve : DataFrame or None
        For each ``threshold`` the mean ``recall``, ``specificity`` and ``f1`` on the planted wafers
        in which a pattern is detected: over the wafers of a class, then over classes, then over the
        kinds "planted", "diffuse" and "two" of `make_planted_wafers`.
    references : ndarray of float16, shape (n_known, n_features), or None
        Features of wafers with known patterns.
    distances : ndarray of float32, shape (n_known,), or None
        Distance of each to the tenth nearest of the others, in rising order.

    Examples
    --------
    >>> from camdenoise import CamDenoiser
    >>> from camdenoise.denoising import DenoiserCalibration
    >>> calibration = CamDenoiser.from_pretrained().calibration_
    >>> again = DenoiserCalibration.from_dict(calibration.to_dict())
    >>> again.platt == calibration.platt
    True
    """

    background_scores: np.ndarray
    platt: PlattScaling | None = None
    threshold_curve: pd.DataFrame | None = None
    references: np.ndarray | None = None
    distances: np.ndarray | None = None

    @classmethod
    def empty(cls) -> DenoiserCalibration:
        """Return the calibration of a denoiser that was not calibrated."""
        return cls(np.zeros(0))

    def to_dict(self) -> dict[str, Any]:
        """Return the calibration as lists and numbers; `references` and `distances` as arrays."""
        curve = self.threshold_curve
        return {
            "background_scores": self.background_scores.tolist(),
            "platt": None if self.platt is None else list(self.platt),
            "threshold_curve": None if curve is None else curve[list(CURVE)].to_dict("list"),
            "references": self.references,
            "distances": self.distances,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DenoiserCalibration:
        """Check what `to_dict` gave, and make a calibration of it.

        Raises
        ------
        ValueError, TypeError, KeyError
            For values that are not a calibration.
        """
        platt, curve = values["platt"], values["threshold_curve"]
        if platt is not None:
            platt = PlattScaling(*map(float, platt))
            if not (0 < platt.slope < np.inf and np.isfinite(platt.intercept)):
                raise ValueError(f"its calibration of dies is {tuple(platt)}.")
        if curve is not None:
            curve = pd.DataFrame(curve, columns=list(CURVE), dtype=float)
            if curve.empty or not curve.stack().between(0, 1).all():
                raise ValueError("its table of thresholds has other values than shares.")
        scores = np.array(values["background_scores"], float)
        if scores.ndim != 1 or not np.isfinite(scores).all() or (np.diff(scores) < 0).any():
            raise ValueError("its scores of wafers without a pattern are not rising numbers.")
        references, distances = values.get("references"), values.get("distances")
        if references is None and distances is None:
            return cls(scores, platt, curve)
        references, distances = np.asarray(references), np.asarray(distances)
        if (
            references.ndim != 2
            or distances.shape != references.shape[:1]
            or len(distances) < FEWEST_KNOWN
            or not (np.isfinite(references).all() and np.isfinite(distances).all())
        ):
            raise ValueError("its known wafers are not features and distances of wafers.")
        return cls(scores, platt, curve, references, distances)

    def novelty_detector(self, novelty_rate: float | None) -> NoveltyDetector | None:
        """Return the detector of novel wafers; None without a rate or without known wafers."""
        if novelty_rate is None or self.references is None or self.distances is None:
            return None
        return NoveltyDetector.from_references(novelty_rate, self.references, self.distances)

    def calibrate(self, saliency: np.ndarray) -> np.ndarray:
        """Return the calibrated saliency, of any shape; the same where there is no `platt`."""
        return saliency if self.platt is None else self.platt(saliency)


def thin(rows: np.ndarray) -> np.ndarray:
    """Return evenly spaced ones of very many rows."""
    return rows[:: max(1, -(-len(rows) // _ENOUGH_TO_CALIBRATE))]


def calibrate_denoiser(
    attribution: EvidenceAttribution | CamAttribution,
    roles: ClassRoles,
    background: Sequence[np.ndarray],
    unseen: Sequence[np.ndarray],
    labels: np.ndarray,
    *,
    aggregation: str | None,
    false_alarm_rate: float | None,
    with_novelty: bool,
    with_curve: bool,
    rng: np.random.RandomState,
) -> DenoiserCalibration:
    """Measure what a denoiser needs to know of its classifier.

    Parameters
    ----------
    attribution : EvidenceAttribution or CamAttribution
        Scores dies. Detection, Platt scaling and novelty are for evidence maps only.
    roles : ClassRoles
        What the classes stand for.
    background : sequence of ndarray of uint8, shape (height, width)
        Wafers without a pattern.
    unseen : sequence of ndarray of uint8, shape (height, width)
        Wafers that the classifier has not seen; patterns are read off them and planted. May be
        empty.
    labels : ndarray of shape (n_unseen,)
        Their labels.
    aggregation : {"component", None}
        As in `CamDenoiser`.
    false_alarm_rate : float or None
        As in `CamDenoiser`.
    with_novelty, with_curve : bool
        Measure known wafers, and the threshold curve.
    rng : RandomState
        For the planted wafers.
    """
    detector, scores = None, np.zeros(0)
    if isinstance(attribution, EvidenceAttribution):
        found = attribution.attribute(background)
        scores = np.sort(detection_scores(background, found, roles))
        detector = PatternDetector(false_alarm_rate).fit(scores)
    elif not with_curve:
        return DenoiserCalibration(scores)
    if not len(unseen):
        return DenoiserCalibration(scores)
    planted = _plant(unseen, labels, roles, rng)
    attributions = attribution.attribute(planted.maps)
    platt = None if detector is None else _fit_platt(planted, attributions)
    calibration = DenoiserCalibration(scores, platt)
    codes = choose_classes(planted.maps, attributions, roles, detector)
    curve = _measure_thresholds(
        planted, attributions, roles.has_pattern[codes], calibration, aggregation
    )
    known: tuple[Any, Any] = (None, None)
    if with_novelty and detector is not None:
        patterns = tuple(np.array(roles.classes, object)[roles.has_pattern])
        real = attribution.attribute([unseen[row] for row in choose_known(labels, patterns)])
        known = _measure_known_wafers(real + attributions)
    return DenoiserCalibration(scores, platt, curve, *known)


def _plant(unseen, labels: np.ndarray, roles: ClassRoles, rng) -> CalibrationSet:
    """Plant patterns on wafers whose label the classifier knows, or that have no pattern."""
    usable = [*roles.classes, *roles.none]
    rows = [row for row, label in enumerate(labels.tolist()) if label in usable]
    return make_calibration_wafers(
        [unseen[row] for row in rows], labels[rows], roles, _N_PLANTED, rng
    )


def _of_fails(values: Sequence[np.ndarray], maps: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the values of the failing dies of each map."""
    return [value[grid == FAIL] for value, grid in zip(values, maps, strict=True)]


def _fit_platt(planted: CalibrationSet, attributions: Sequence) -> PlattScaling | None:
    """Fit the curve from the evidence of a die to the probability that it is of a pattern."""
    if not attributions:
        return None
    saliency = _of_fails([found.saliency for found in attributions], planted.maps)
    return fit_platt(
        np.concatenate(saliency), np.concatenate(_of_fails(planted.truth, planted.maps))
    )


def _measure_thresholds(
    planted: CalibrationSet,
    attributions: Sequence,
    detected: np.ndarray,
    calibration: DenoiserCalibration,
    aggregation: str | None,
) -> pd.DataFrame | None:
    """Measure recall, specificity and F1 of thresholds on wafers in which a pattern is detected."""
    rows = np.flatnonzero(detected).tolist()
    if not rows:
        return None
    aggregate = AGGREGATIONS[aggregation]
    maps = [planted.maps[row] for row in rows]
    saliency = [
        aggregate(grid, calibration.calibrate(attributions[row].saliency))
        for grid, row in zip(maps, rows, strict=True)
    ]
    truth = [planted.truth[row] for row in rows]
    return threshold_curve(
        _of_fails(saliency, maps), _of_fails(truth, maps), [planted.strata[row] for row in rows]
    )


def _measure_known_wafers(attributions: Sequence) -> tuple[Any, Any]:
    """Return features of known wafers and their distances; nothing where they are too few."""
    features = np.array([found.features for found in attributions])
    if len(features) < FEWEST_KNOWN:
        return None, None
    novelty = NoveltyDetector(0.0).fit(features)
    return novelty.references_, novelty.distances_
