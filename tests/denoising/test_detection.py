"""Detection scores, and the rate of false alarms."""

import copy

import numpy as np
import pytest
from brief_classifiers import brief_classifier, frozen, labeled_wafers
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser
from camdenoise.denoising import DenoiserCalibration


def test_detection_score_is_odds_times_expected_fails():
    wafers = labeled_wafers()
    clf = copy.copy(brief_classifier()).set_params(precision="float32")
    denoiser = CamDenoiser(FrozenEstimator(clf), validation_fraction=0, false_alarm_rate=None)
    denoiser.fit(wafers.maps, wafers.target)
    none = np.flatnonzero(wafers.target == "none")
    of_none = 1 - clf.predict_proba(wafers.maps)[:, clf.classes_.tolist().index("none")]
    claims = []
    for row in none:
        e = denoiser.explain([wafers.maps[row]])[0]
        n_expected = e.saliency[wafers.maps[row] == 2].sum()
        claims.append(np.log(of_none[row] / (1 - of_none[row]) * n_expected))
    np.testing.assert_allclose(denoiser.calibration_.background_scores, np.sort(claims), atol=1e-3)


def test_detection_without_scores_needs_half():
    wafers, clf = labeled_wafers(), brief_classifier()
    probability = 1 - clf.predict_proba(wafers.maps)[:, clf.classes_.tolist().index("none")]
    denoiser = CamDenoiser.from_calibration(clf, DenoiserCalibration.empty())
    assert denoiser.detection_threshold_ is None
    detected = [e.label != "none" for e in denoiser.explain(wafers.maps)]
    np.testing.assert_array_equal(detected, probability >= 0.5)


@pytest.mark.parametrize("backbone", ["wafer_unet", "wafer_resnet"])
def test_no_false_alarm_rate_decides_every_wafer(backbone):
    maps = labeled_wafers().maps
    why = frozen(backbone, false_alarm_rate=None, threshold=0.0).explain(maps)
    assert {e.label for e in why} == {"Center", "Edge-Ring"}
    assert not any(e.abstained for e, grid in zip(why, maps, strict=True) if (grid == 2).any())
