"""Temperature, the probability of a die, and the threshold: against brute force, and end to end."""

import copy

import numpy as np
import pandas as pd
import pytest
from brief_classifiers import CLASSES, brief_classifier, frozen, labeled_wafers
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold
from small_models import TINY

import camdenoise.denoising._calibration as calibration_module
from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.datasets._training_sets import make_calibration_wafers
from camdenoise.denoising import DenoiserCalibration, TargetRecall, TargetSpecificity
from camdenoise.denoising._threshold import (
    best_expected_f1,
)
from camdenoise.metrics import die_scores
from camdenoise.wafers._classes import ClassRoles

#: Columns of the table of thresholds, and of `die_scores`.
RATES = {"f1": "f1", "recall": "recall", "specificity": "specificity"}


@pytest.fixture(scope="module")
def calibrated():
    return frozen()


# Temperature


@pytest.mark.parametrize("backbone", ["wafer_resnet", "wafer_unet"])
def test_explain_gives_the_classifiers_probabilities(backbone):
    clf, wafers = copy.copy(brief_classifier(backbone)), labeled_wafers()
    clf.temperature_ = 3.0
    clf.set_params(precision="float32")
    denoiser = CamDenoiser(FrozenEstimator(clf)).fit(wafers.maps[:2])
    why, proba = denoiser.explain(wafers.maps), clf.predict_proba(wafers.maps)
    for e, probabilities in zip(why, proba, strict=True):
        wanted = probabilities[clf.classes_.tolist().index(e.label)]
        assert e.probability == pytest.approx(wanted, abs=1e-5)


# The denoiser


def planted_for(denoiser):
    wafers = labeled_wafers()
    rng, roles = np.random.RandomState(0), ClassRoles(("Center", "Edge-Ring", "none"))
    n_planted = calibration_module._N_PLANTED
    return make_calibration_wafers(wafers.maps, wafers.target, roles, n_planted, rng)


@pytest.mark.parametrize("refine", [None, "component"])
def test_threshold_curve_matches_explain(refine):
    denoiser = frozen(aggregation=refine)
    planted = planted_for(denoiser)
    assert {kind for kind, _ in planted.strata} == {"planted", "diffuse", "two"}
    for position in (20, 60, 80, 125):
        row = denoiser.calibration_.threshold_curve.iloc[position]
        why = frozen(aggregation=refine, threshold=row["threshold"]).explain(planted.maps)
        claimed = [i for i, e in enumerate(why) if e.label != "none"]
        assert len(claimed) > 30
        maps, truth, kept, strata = (
            [part[i] for i in claimed]
            for part in (planted.maps, planted.truth, [e.kept for e in why], planted.strata)
        )
        scores = die_scores(maps, truth, kept)
        kind, label = map(list, zip(*strata, strict=True))
        means = scores.groupby([kind, label]).mean().groupby(level=0).mean()
        for name, column in RATES.items():
            assert row[name] == pytest.approx(means[column].mean())


def test_target_rates_are_reached_on_planted_wafers(calibrated):
    curve = calibrated.calibration_.threshold_curve
    table = curve.set_index("threshold")
    for kind in (TargetRecall, TargetSpecificity):
        name, other = kind.reaches, kind.best
        for target in (0.3, 0.6):
            chosen = frozen(threshold=kind(target))
            pd.testing.assert_frame_equal(chosen.calibration_.threshold_curve, curve)
            assert table[name][chosen.threshold_] >= target
            assert table[other][chosen.threshold_] == table[other][table[name] >= target].max()


def test_calibrated_saliency_has_true_mean_and_order(calibrated):
    planted = planted_for(calibrated)
    why = calibrated.explain(planted.maps)
    fails = [grid == 2 for grid in planted.maps]
    saliency = np.concatenate([e.saliency[f] for e, f in zip(why, fails, strict=True)])
    truth = np.concatenate([t[f] for t, f in zip(planted.truth, fails, strict=True)])
    assert saliency.mean() == pytest.approx(truth.mean(), abs=1e-3)
    raw = frozen(validation_fraction=0)
    assert raw.calibration_.platt is raw.calibration_.threshold_curve is None
    before = np.concatenate(
        [e.saliency[f] for e, f in zip(raw.explain(planted.maps), fails, strict=True)]
    )
    assert abs(before.mean() - truth.mean()) > 0.01
    np.testing.assert_allclose(saliency, calibrated.calibration_.platt(before), atol=1e-5)
    assert (np.diff(saliency[np.argsort(before, kind="stable")]) >= -1e-6).all()


def test_threshold_of_each_wafer_maximizes_expected_f1(calibrated):
    assert calibrated.threshold_ is None
    planted = planted_for(calibrated)
    fixed = frozen(threshold=0.5).explain(planted.maps)
    n_other = 0
    for grid, e, other in zip(planted.maps, calibrated.explain(planted.maps), fixed, strict=True):
        if not e.abstained:
            threshold, _ = best_expected_f1(e.saliency[grid == 2])
            np.testing.assert_array_equal(e.kept, (grid == 2) & (e.saliency >= threshold))
            n_other += (e.kept != other.kept).any()
    assert n_other > 50


def test_calibration_repeats_and_keeps_classifier(calibrated):
    again = frozen()
    assert again.calibration_.platt == calibrated.calibration_.platt
    assert again.detection_threshold_ == calibrated.detection_threshold_
    pd.testing.assert_frame_equal(
        again.calibration_.threshold_curve, calibrated.calibration_.threshold_curve
    )
    assert brief_classifier().temperature_ == 1


def test_threshold_of_a_cam_is_one_half_by_default():
    plain = frozen("wafer_resnet")
    assert plain.threshold_ == 0.5
    assert plain.calibration_.platt is plain.calibration_.threshold_curve is None
    chosen = frozen("wafer_resnet", threshold=TargetRecall(0.8))
    table = chosen.calibration_.threshold_curve.set_index("threshold")
    assert chosen.calibration_.platt is None and table["recall"][chosen.threshold_] >= 0.8
    assert table["specificity"][chosen.threshold_] > 0


@pytest.mark.parametrize("threshold", ["best", -0.1, 2, True, TargetRecall(1.5), None])
def test_threshold_must_be_a_number_or_target(threshold):
    with pytest.raises(ValueError, match="threshold must be 'auto', a number from 0 to 1, Target"):
        frozen(threshold=threshold)


# What is held out


class Recorder(WaferClassifier):
    """Remembers which wafers it was trained on, with which weights, and calibrated on."""

    def fit(self, X, y, sample_weight=None):
        self.trained_, self.weight_ = [id(grid) for grid in X], sample_weight
        return super().fit(X, y, sample_weight)

    def calibrate(self, X, y):
        self.calibrated_ = [id(grid) for grid in X]
        return super().calibrate(X, y)


def fit_recorder(wafers, rows=None, backbone="wafer_unet", fraction=0.3, **params):
    rows = np.arange(len(wafers.maps)) if rows is None else rows
    clf = Recorder(backbone, **TINY | {"max_epochs": 1, "synthetic_ratio": 0.0})
    denoiser = CamDenoiser(clf, validation_fraction=fraction, random_state=0)
    return denoiser.fit([wafers.maps[row] for row in rows], wafers.target[rows], **params)


def rows_of(ids, wafers):
    place = {id(grid): row for row, grid in enumerate(wafers.maps)}
    return np.array([place[i] for i in ids])


def test_classifier_is_calibrated_on_unseen_wafers():
    wafers = labeled_wafers()
    weight = np.arange(1.0, 211)
    clf = fit_recorder(wafers, sample_weight=weight).estimator_
    trained, aside = rows_of(clf.trained_, wafers), rows_of(clf.calibrated_, wafers)
    assert sorted([*trained, *aside]) == list(range(210))
    assert pd.Series(wafers.target[aside]).value_counts().to_dict() == dict.fromkeys(CLASSES, 21)
    np.testing.assert_array_equal(clf.weight_, weight[trained])


def test_false_alarm_rate_comes_from_held_out_wafers():
    wafers = labeled_wafers()
    denoiser = fit_recorder(wafers)
    clf = denoiser.estimator_
    aside = rows_of(clf.calibrated_, wafers)
    none = [wafers.maps[row] for row in aside if wafers.target[row] == "none"]
    claims = denoiser.calibration_.background_scores
    assert len(claims) == 21 and (np.diff(claims) >= 0).all()
    # 5 % of 21 wafers: one of them may be above.
    assert claims[-2] < denoiser.detection_threshold_ <= claims[-1]
    claimed = [e.claims_pattern for e in denoiser.explain(none)]
    assert sum(claimed) == 1


def test_groups_are_held_out_whole():
    wafers = labeled_wafers()
    groups = np.arange(210) % 10
    clf = fit_recorder(wafers, groups=groups).estimator_
    trained, aside = rows_of(clf.trained_, wafers), rows_of(clf.calibrated_, wafers)
    assert len(set(groups[aside])) == 3 and not set(groups[aside]) & set(groups[trained])
    # A class that one group has alone is trained on.
    alone = np.where(wafers.target == "Center", 0, 1 + groups)
    clf = fit_recorder(wafers, groups=alone, fraction=0.5).estimator_
    assert 0 in alone[rows_of(clf.trained_, wafers)]


def test_groups_reach_every_fold_of_fit_transform():
    wafers, seen = labeled_wafers(), []

    class Watching(Recorder):
        def calibrate(self, X, y):
            seen.append((set(self.trained_), {id(grid) for grid in X}))
            return super().calibrate(X, y)

    groups = np.arange(210) % 10
    clf = Watching("wafer_unet", **TINY | {"max_epochs": 1, "synthetic_ratio": 0.0})
    denoiser = CamDenoiser(clf, validation_fraction=0.5, cv=GroupKFold(3), random_state=0)
    denoiser.fit_transform(wafers.maps, wafers.target, groups=groups)
    assert len(seen) >= 3  # in one fold at most they are too few
    for trained, aside in seen:
        of_both = [set(groups[rows_of(ids, wafers)]) for ids in (trained, aside)]
        assert not of_both[0] & of_both[1]


@pytest.mark.parametrize(
    "case", ["few wafers", "no none", "no pattern", "no evidence", "fraction 0"]
)
def test_too_few_calibration_wafers_train_instead(case):
    wafers = copy.copy(labeled_wafers())
    rows, options = np.arange(210), {}
    if case == "few wafers":
        rows = rows[:60]
    if case == "no none":
        rows = np.flatnonzero(wafers.target != "none")
    if case == "no pattern":
        wafers.target = np.where(wafers.target == "none", "none", "Random")
    if case == "no evidence":
        options = {"backbone": "wafer_resnet"}
    if case == "fraction 0":
        options = {"fraction": 0}
    denoiser = fit_recorder(wafers, rows, **options)
    assert len(denoiser.estimator_.trained_) == len(rows)
    assert not hasattr(denoiser.estimator_, "calibrated_")
    assert denoiser.estimator_.temperature_ == 1
    assert denoiser.calibration_.platt is denoiser.calibration_.threshold_curve is None
    wants_evidence = case in ("few wafers", "no none", "fraction 0")
    assert denoiser.threshold_ == (None if wants_evidence else 0.5)
    assert len(denoiser.transform(wafers.maps[:5])) == 5


def test_target_without_calibration_wafers_is_refused():
    denoiser = CamDenoiser(FrozenEstimator(brief_classifier()), threshold=TargetRecall(0.9))
    wafers = labeled_wafers()
    with pytest.raises(ValueError, match=r"TargetRecall\(value=0.9\) needs .* 20 without"):
        denoiser.fit(wafers.maps[:30], wafers.target[:30])
    with pytest.raises(ValueError, match=r"TargetRecall\(value=0.9\) needs"):
        denoiser.fit(wafers.maps)


def test_calibration_plants_no_unknown_classes(monkeypatch):
    wafers, seen = labeled_wafers(), []
    known = np.where(wafers.target == "Center", "Donut", wafers.target)

    def spy(maps, target, *options):
        seen.extend(target)
        return make_calibration_wafers(maps, target, *options)

    monkeypatch.setattr(calibration_module, "make_calibration_wafers", spy)
    CamDenoiser(FrozenEstimator(brief_classifier()), random_state=0).fit(wafers.maps, known)
    assert set(seen) == {"none", "Edge-Ring"}


# Claims


def test_calibration_dict_restores_another_denoiser(calibrated):
    maps = labeled_wafers().maps
    values = calibrated.calibration_.to_dict()
    again = CamDenoiser.from_calibration(
        calibrated.estimator_, DenoiserCalibration.from_dict(values), random_state=0
    )
    for one, other in zip(calibrated.explain(maps), again.explain(maps), strict=True):
        assert (one.label, one.abstained) == (other.label, other.abstained)
        np.testing.assert_array_equal(one.kept, other.kept)


@pytest.mark.parametrize(
    "change",
    [
        {"platt": [-1.0, 0.0]},
        {"background_scores": [2.0, 1.0]},
        {"background_scores": [np.nan]},
        {"references": np.zeros((60, 3))},
        {"references": np.zeros((3, 3)), "distances": np.zeros(3)},
        {"threshold_curve": {"threshold": [2.0], "recall": [1], "specificity": [1], "f1": [1]}},
    ],
)
def test_calibration_with_wrong_values_is_refused(change, calibrated):
    with pytest.raises(ValueError, match="^its "):
        DenoiserCalibration.from_dict(calibrated.calibration_.to_dict() | change)
