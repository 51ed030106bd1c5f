"""Temperature and Platt scaling, compared with brute force."""

import copy

import numpy as np
import pytest
from brief_classifiers import brief_classifier, labeled_wafers
from scipy.special import expit, logit, softmax
from sklearn.metrics import log_loss

from camdenoise.classification._calibration import (
    PlattScaling,
    fit_platt,
    fit_temperature,
    tempered_softmax,
)


def test_fit_temperature_maximizes_the_likelihood():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=4, size=(400, 5))
    shares = softmax(logits / 2.5, axis=-1).cumsum(1)
    codes = (rng.random((400, 1)) > shares).sum(1)

    def loss(temperature):
        probabilities = softmax(logits / temperature, axis=-1)
        return -np.log(probabilities[np.arange(400), codes]).mean()

    found = fit_temperature(logits, codes)
    best = min(np.geomspace(0.05, 20, 600), key=loss)
    assert found == pytest.approx(best, rel=0.03) and loss(found) < loss(1.0)


def test_temperature_of_few_correct_wafers_is_bounded():
    logits = np.zeros((30, 3))
    logits[:, 1] = 5
    probability = tempered_softmax(logits, fit_temperature(logits, np.ones(30, int)))[0]
    # One wafer in 31 with a class at random: two times in three it is another one.
    assert probability[1] == pytest.approx(1 - (2 / 3) / 31, abs=1e-3)


@pytest.mark.parametrize("symmetric", [False, True])
def test_calibrate_lowers_loss_and_accepts_logits(symmetric):
    clf = copy.copy(brief_classifier("wafer_resnet")).set_params(symmetric_prediction=symmetric)
    wafers = labeled_wafers()
    maps, target = wafers.maps[150:], wafers.target[150:]
    assert clf.temperature_ == 1
    before = clf.predict_proba(maps)
    assert clf.calibrate(maps, target) is clf and clf.temperature_ != 1
    after = clf.predict_proba(maps)
    # The loss that is fitted has one wafer more, whose class is drawn at random.
    smoothed = [
        len(target) * log_loss(target, p) - np.log(p).mean(axis=0).mean() for p in (before, after)
    ]
    assert smoothed[1] < smoothed[0]
    np.testing.assert_allclose(after, softmax(np.log(before) / clf.temperature_, axis=1))
    assert (clf.predict(maps) == clf.classes_[before.argmax(1)]).all()
    np.testing.assert_allclose(after.sum(1), 1)


def test_calibrate_is_idempotent_and_fit_resets_it():
    clf, wafers = copy.copy(brief_classifier("wafer_resnet")), labeled_wafers()
    clf.calibrate(wafers.maps[150:], wafers.target[150:])
    first = clf.temperature_
    assert clf.calibrate(wafers.maps[150:], wafers.target[150:]).temperature_ == first
    clf.set_params(max_epochs=1).fit(wafers.maps[:20], wafers.target[:20])
    assert clf.temperature_ == 1


def test_calibrate_refuses_labels_of_other_classes():
    clf, maps = copy.copy(brief_classifier("wafer_resnet")), labeled_wafers().maps
    message = "label 'Donut' of wafer 2 is not a class.*Leave such wafers"
    with pytest.raises(ValueError, match=message):
        clf.calibrate(maps[:3], ["none", "Center", "Donut"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.calibrate(maps[:3], ["none", "Center"])
    with pytest.raises(ValueError, match="1d array"):
        clf.calibrate(maps[:3], None)
    assert clf.temperature_ == 1


def test_platt_scaling_recovers_the_true_curve():
    rng = np.random.default_rng(0)
    x = rng.normal(size=40_000)
    truth = rng.random(len(x)) < expit(0.7 * x - 0.4)
    slope, intercept = platt = fit_platt(expit(x), truth)
    assert slope == pytest.approx(0.7, abs=0.05) and intercept == pytest.approx(-0.4, abs=0.05)
    # At the least log loss both derivatives are zero: right on average, and along the evidence.
    off = platt(expit(x)) - truth
    assert off.mean() == pytest.approx(0, abs=1e-4)
    assert (off * x).mean() == pytest.approx(0, abs=1e-4)


def test_platt_scaling_is_linear_in_log_odds():
    probability = np.array([0, 1e-9, 0.1, 0.5, 0.9, 1], np.float32)
    scaled = PlattScaling(2.0, 1.0)(probability)
    np.testing.assert_allclose(logit(scaled[2:5]), 2 * logit([0.1, 0.5, 0.9]) + 1, rtol=1e-5)
    assert (np.diff(scaled) >= 0).all() and scaled[0] > 0 and np.isfinite(scaled).all()


def test_platt_scaling_of_useless_evidence_is_none():
    probability = np.linspace(0.01, 0.99, 50)
    assert fit_platt(probability, np.ones(50, bool)) is None
    assert fit_platt(probability, np.zeros(50, bool)) is None
    assert fit_platt(probability, probability < 0.5) is None
