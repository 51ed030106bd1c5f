"""Temperature, the probability of a die, and the threshold: against brute force, and end to end."""

import copy
from functools import cache

import numpy as np
import pandas as pd
import pytest
from conftest import TINY
from scipy.special import expit, logit, softmax
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold

import camdenoise.denoising._calibration as calibration_module
from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.classification._calibration import (
    PlattScaling,
    fit_platt,
    fit_temperature,
    tempered_softmax,
)
from camdenoise.datasets import make_wafer_maps
from camdenoise.datasets._training_sets import make_calibration_wafers
from camdenoise.denoising import DenoiserCalibration, TargetRecall, TargetSpecificity
from camdenoise.denoising._threshold import (
    THRESHOLDS,
    best_expected_f1,
    threshold_curve,
    threshold_for,
)
from camdenoise.metrics import die_scores
from camdenoise.wafers._classes import ClassRoles

CLASSES = ["none", "Center", "Edge-Ring"]
#: A net that has learnt little of where patterns are, so that something is left to calibrate.
BRIEF = TINY | {"synthetic_ratio": 0.2}

#: Columns of the table of thresholds, and of `die_scores`.
RATES = {"f1": "f1", "recall": "recall", "specificity": "specificity"}


@cache
def labelled_wafers():
    return make_wafer_maps(210, classes=CLASSES, noise_rate=(0.02, 0.1), random_state=0)


@cache
def brief_classifier(backbone="wafer_unet"):
    wafers = labelled_wafers()
    return WaferClassifier(backbone, **BRIEF).fit(wafers.maps[:150], wafers.target[:150])


def frozen(backbone="wafer_unet", **options):
    """A denoiser around the brief classifier, and calibrated on all labelled wafers."""
    denoiser = CamDenoiser(FrozenEstimator(brief_classifier(backbone)), random_state=0, **options)
    return denoiser.fit(labelled_wafers().maps, labelled_wafers().target)


@pytest.fixture(scope="module")
def calibrated():
    return frozen()


# Temperature


def test_no_other_temperature_makes_the_true_classes_likelier():
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


def test_few_wafers_that_are_all_right_do_not_make_it_certain():
    logits = np.zeros((30, 3))
    logits[:, 1] = 5
    probability = tempered_softmax(logits, fit_temperature(logits, np.ones(30, int)))[0]
    # One wafer in 31 with a class at random: two times in three it is another one.
    assert probability[1] == pytest.approx(1 - (2 / 3) / 31, abs=1e-3)


@pytest.mark.parametrize("symmetric", [False, True])
def test_calibration_lowers_the_loss_and_takes_logits_apart(symmetric):
    clf = copy.copy(brief_classifier("wafer_resnet")).set_params(symmetric_prediction=symmetric)
    wafers = labelled_wafers()
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


def test_calibrating_twice_is_calibrating_once_and_fit_starts_anew():
    clf, wafers = copy.copy(brief_classifier("wafer_resnet")), labelled_wafers()
    clf.calibrate(wafers.maps[150:], wafers.target[150:])
    first = clf.temperature_
    assert clf.calibrate(wafers.maps[150:], wafers.target[150:]).temperature_ == first
    clf.set_params(max_epochs=1).fit(wafers.maps[:20], wafers.target[:20])
    assert clf.temperature_ == 1


def test_labels_to_calibrate_on_have_to_be_the_classifier_s():
    clf, maps = copy.copy(brief_classifier("wafer_resnet")), labelled_wafers().maps
    with pytest.raises(ValueError, match="label 'Donut' of wafer 2 is no class.*Leave such wafers"):
        clf.calibrate(maps[:3], ["none", "Center", "Donut"])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        clf.calibrate(maps[:3], ["none", "Center"])
    with pytest.raises(ValueError, match="1d array"):
        clf.calibrate(maps[:3], None)
    assert clf.temperature_ == 1


@pytest.mark.parametrize("backbone", ["wafer_resnet", "wafer_unet"])
def test_the_denoiser_gives_the_classifier_s_probabilities(backbone):
    clf, wafers = copy.copy(brief_classifier(backbone)), labelled_wafers()
    clf.temperature_ = 3.0
    clf.set_params(precision="float32")
    denoiser = CamDenoiser(FrozenEstimator(clf)).fit(wafers.maps[:2])
    why, proba = denoiser.explain(wafers.maps), clf.predict_proba(wafers.maps)
    for e, probabilities in zip(why, proba, strict=True):
        wanted = probabilities[clf.classes_.tolist().index(e.label)]
        assert e.probability == pytest.approx(wanted, abs=1e-5)


# The probability of a die


def test_platt_scaling_finds_the_curve_that_made_the_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=40_000)
    truth = rng.random(len(x)) < expit(0.7 * x - 0.4)
    slope, intercept = platt = fit_platt(expit(x), truth)
    assert slope == pytest.approx(0.7, abs=0.05) and intercept == pytest.approx(-0.4, abs=0.05)
    # At the least log loss both derivatives are zero: right on average, and along the evidence.
    off = platt(expit(x)) - truth
    assert off.mean() == pytest.approx(0, abs=1e-4)
    assert (off * x).mean() == pytest.approx(0, abs=1e-4)


def test_platt_scaling_is_a_line_in_log_odds_and_keeps_the_order():
    probability = np.array([0, 1e-9, 0.1, 0.5, 0.9, 1], np.float32)
    scaled = PlattScaling(2.0, 1.0)(probability)
    np.testing.assert_allclose(logit(scaled[2:5]), 2 * logit([0.1, 0.5, 0.9]) + 1, rtol=1e-5)
    assert (np.diff(scaled) >= 0).all() and scaled[0] > 0 and np.isfinite(scaled).all()


def test_platt_scaling_of_worthless_evidence_is_none():
    probability = np.linspace(0.01, 0.99, 50)
    assert fit_platt(probability, np.ones(50, bool)) is None
    assert fit_platt(probability, np.zeros(50, bool)) is None
    assert fit_platt(probability, probability < 0.5) is None


# The threshold


def test_threshold_curve_is_what_keeping_by_each_threshold_scores():
    rng = np.random.default_rng(0)
    grids = [rng.choice([1, 2], (6, 7)).astype(np.uint8) for _ in range(12)]
    fails = [grid == 2 for grid in grids]
    truth = [(rng.random(fail.shape) < 0.4) & fail for fail in fails]
    evidence = [rng.random(mask.shape).round(2) * 0.9 + 0.05 * mask for mask in truth]
    strata = [("a", "x"), ("a", "y"), ("b", "x"), ("a", "x")] * 3
    on_fails = ([part[f] for part, f in zip(of, fails, strict=True)] for of in (evidence, truth))
    table = threshold_curve(*on_fails, strata)
    assert table["threshold"].tolist() == THRESHOLDS.tolist()
    for row in table.iloc[::7].to_dict("records"):
        kept = [f & (e >= row["threshold"]) for e, f in zip(evidence, fails, strict=True)]
        kept = [k if k.any() else f for k, f in zip(kept, fails, strict=True)]
        scores = die_scores(grids, truth, kept)
        sort = pd.Series(["".join(s) for s in strata])
        for name, column in RATES.items():
            ax, ay, bx = (scores[column][sort == s].mean() for s in ("ax", "ay", "bx"))
            assert row[name] == pytest.approx(((ax + ay) / 2 + bx) / 2)


TABLE = pd.DataFrame(
    {
        "threshold": [0.0, 0.2, 0.5, 0.8, 1.0],
        "recall": [1.0, 0.95, 0.9, 0.6, 1.0],
        "specificity": [0.0, 0.5, 0.8, 0.95, 0.0],
        "f1": [0.5, 0.7, 0.8, 0.65, 0.5],
    }
)


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (TargetRecall(0.95), 0.2),
        (TargetRecall(0.9), 0.5),
        (TargetRecall(1.0), 0.0),
        (TargetRecall(0.0), 0.8),
        (TargetSpecificity(0.5), 0.2),
        (TargetSpecificity(0.51), 0.5),
        (TargetSpecificity(0.0), 0.0),
    ],
)
def test_threshold_of_a_target_by_hand(target, wanted):
    assert threshold_for(target, TABLE) == wanted


def test_a_target_out_of_reach_is_told():
    with pytest.warns(UserWarning, match=r"TargetSpecificity\(value=0.99\) is not reached.*0\.950"):
        assert threshold_for(TargetSpecificity(0.99), TABLE) == 0.8


# The denoiser


def planted_for(denoiser):
    wafers = labelled_wafers()
    rng, roles = np.random.RandomState(0), ClassRoles(("Center", "Edge-Ring", "none"))
    n_planted = calibration_module._N_PLANTED
    return make_calibration_wafers(wafers.maps, wafers.target, roles, n_planted, rng)


@pytest.mark.parametrize("refine", [None, "component"])
def test_the_table_is_what_explain_does_on_the_planted_wafers(refine):
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


def test_targets_are_reached_on_the_table(calibrated):
    curve = calibrated.calibration_.threshold_curve
    table = curve.set_index("threshold")
    for kind in (TargetRecall, TargetSpecificity):
        name, other = kind.reaches, kind.best
        for target in (0.3, 0.6):
            chosen = frozen(threshold=kind(target))
            pd.testing.assert_frame_equal(chosen.calibration_.threshold_curve, curve)
            assert table[name][chosen.threshold_] >= target
            assert table[other][chosen.threshold_] == table[other][table[name] >= target].max()


def test_saliency_is_right_on_average_on_the_planted_wafers_and_ranks_as_before(calibrated):
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


def test_each_wafer_has_the_threshold_of_its_greatest_expected_f1(calibrated):
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


def test_calibration_repeats_and_leaves_a_frozen_classifier_alone(calibrated):
    again = frozen()
    assert again.calibration_.platt == calibrated.calibration_.platt
    assert again.detection_threshold_ == calibrated.detection_threshold_
    pd.testing.assert_frame_equal(
        again.calibration_.threshold_curve, calibrated.calibration_.threshold_curve
    )
    assert brief_classifier().temperature_ == 1


def test_a_cam_takes_one_half_unless_it_is_given_a_target():
    plain = frozen("wafer_resnet")
    assert plain.threshold_ == 0.5
    assert plain.calibration_.platt is plain.calibration_.threshold_curve is None
    chosen = frozen("wafer_resnet", threshold=TargetRecall(0.8))
    table = chosen.calibration_.threshold_curve.set_index("threshold")
    assert chosen.calibration_.platt is None and table["recall"][chosen.threshold_] >= 0.8
    assert table["specificity"][chosen.threshold_] > 0


@pytest.mark.parametrize("threshold", ["best", -0.1, 2, True, TargetRecall(1.5), None])
def test_a_threshold_is_a_share_or_a_target(threshold):
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


def test_the_classifier_is_calibrated_on_a_share_of_each_class_that_it_has_not_seen():
    wafers = labelled_wafers()
    weight = np.arange(1.0, 211)
    clf = fit_recorder(wafers, sample_weight=weight).estimator_
    trained, aside = rows_of(clf.trained_, wafers), rows_of(clf.calibrated_, wafers)
    assert sorted([*trained, *aside]) == list(range(210))
    assert pd.Series(wafers.target[aside]).value_counts().to_dict() == dict.fromkeys(CLASSES, 21)
    np.testing.assert_array_equal(clf.weight_, weight[trained])


def test_the_false_alarm_rate_is_that_of_held_out_wafers():
    wafers = labelled_wafers()
    denoiser = fit_recorder(wafers)
    clf = denoiser.estimator_
    aside = rows_of(clf.calibrated_, wafers)
    none = [wafers.maps[row] for row in aside if wafers.target[row] == "none"]
    claims = denoiser.calibration_.background_scores
    assert len(claims) == 21 and (np.diff(claims) >= 0).all()
    # 5 % of 21 wafers: one of them may be above.
    assert claims[-2] < denoiser.detection_threshold_ <= claims[-1]
    claimed = [e.label != "none" for e in denoiser.explain(none)]
    assert sum(claimed) == 1


def test_groups_are_held_out_whole():
    wafers = labelled_wafers()
    groups = np.arange(210) % 10
    clf = fit_recorder(wafers, groups=groups).estimator_
    trained, aside = rows_of(clf.trained_, wafers), rows_of(clf.calibrated_, wafers)
    assert len(set(groups[aside])) == 3 and not set(groups[aside]) & set(groups[trained])
    # A class that one group has alone is trained on.
    alone = np.where(wafers.target == "Center", 0, 1 + groups)
    clf = fit_recorder(wafers, groups=alone, fraction=0.5).estimator_
    assert 0 in alone[rows_of(clf.trained_, wafers)]


def test_groups_reach_every_fold_of_fit_transform():
    wafers, seen = labelled_wafers(), []

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
def test_with_too_little_to_calibrate_on_all_wafers_train(case):
    wafers = copy.copy(labelled_wafers())
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


def test_a_target_without_wafers_to_calibrate_on_is_refused():
    denoiser = CamDenoiser(FrozenEstimator(brief_classifier()), threshold=TargetRecall(0.9))
    wafers = labelled_wafers()
    with pytest.raises(ValueError, match=r"TargetRecall\(value=0.9\) needs .* 20 without"):
        denoiser.fit(wafers.maps[:30], wafers.target[:30])
    with pytest.raises(ValueError, match=r"TargetRecall\(value=0.9\) needs"):
        denoiser.fit(wafers.maps)


def test_wafers_of_classes_that_the_classifier_does_not_know_are_not_planted(monkeypatch):
    wafers, seen = labelled_wafers(), []
    known = np.where(wafers.target == "Center", "Donut", wafers.target)

    def spy(maps, target, *options):
        seen.extend(target)
        return make_calibration_wafers(maps, target, *options)

    monkeypatch.setattr(calibration_module, "make_calibration_wafers", spy)
    CamDenoiser(FrozenEstimator(brief_classifier()), random_state=0).fit(wafers.maps, known)
    assert set(seen) == {"none", "Edge-Ring"}


# Abstention


def renamed(backbone, temperature=1.0):
    """The brief classifier, whose patterns are called by the names of wafers without one."""
    clf = copy.copy(brief_classifier(backbone))
    clf.classes_, clf.patterns_ = np.array(["Near-full", "Random", "none"]), ()
    clf.temperature_ = temperature
    return FrozenEstimator(clf)


@pytest.mark.parametrize("backbone", ["wafer_resnet", "wafer_unet"])
@pytest.mark.parametrize("no_pattern", ["abstain", "remove"])
def test_wafers_without_a_pattern_come_back_unchanged_or_are_cleared_as_none(backbone, no_pattern):
    maps = labelled_wafers().maps
    method = "evidence" if backbone == "wafer_unet" else "auto"
    denoiser = CamDenoiser(renamed(backbone), method=method, no_pattern=no_pattern).fit(maps[:2])
    why, clean = denoiser.explain(maps), denoiser.transform(maps)
    assert {e.label for e in why} == {"Near-full", "Random", "none"}
    for grid, e, after in zip(maps, why, clean, strict=True):
        cleared = no_pattern == "remove" and e.label == "none" and e.probability >= 0.5
        assert e.abstained != cleared
        np.testing.assert_array_equal(after, np.where(grid == 2, 1, grid) if cleared else grid)
        assert not (e.kept & (grid != 2)).any()


def test_a_none_is_cleared_only_where_it_is_sure():
    maps = labelled_wafers().maps
    options = {"no_pattern": "remove", "method": "evidence"}
    unsure = CamDenoiser(renamed("wafer_unet", 20.0), **options).fit(maps[:2]).explain(maps)
    assert {e.label for e in unsure} > {"none"}
    assert {e.probability >= 0.5 for e in unsure if e.label == "none"} == {False}
    assert all(e.abstained for e in unsure)


@pytest.mark.parametrize("threshold", ["auto", 1.0])
def test_where_no_fail_has_evidence_the_wafer_comes_back_flagged(threshold):
    denoiser = frozen(threshold=threshold)
    nothing = [np.ones((9, 9), int), np.zeros((3, 3), int), np.array([[1]])]
    for e in denoiser.explain(nothing, ["Center"] * 3):
        assert e.abstained and not e.kept.any() and not e.removed.any()
    if threshold == 1.0:
        maps = labelled_wafers().maps
        for grid, e in zip(maps, denoiser.explain(maps), strict=True):
            assert e.abstained and (e.kept == (grid == 2)).all()


# Claims


def test_a_claim_is_the_odds_of_a_pattern_times_the_fails_it_would_have():
    wafers = labelled_wafers()
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


def test_without_background_scores_a_pattern_is_likelier_than_not():
    wafers, clf = labelled_wafers(), brief_classifier()
    probability = 1 - clf.predict_proba(wafers.maps)[:, clf.classes_.tolist().index("none")]
    denoiser = CamDenoiser.from_calibration(clf, DenoiserCalibration.empty())
    assert denoiser.detection_threshold_ is None
    detected = [e.label != "none" for e in denoiser.explain(wafers.maps)]
    np.testing.assert_array_equal(detected, probability >= 0.5)


@pytest.mark.parametrize("backbone", ["wafer_unet", "wafer_resnet"])
def test_without_a_false_alarm_rate_every_wafer_is_decided(backbone):
    maps = labelled_wafers().maps
    why = frozen(backbone, false_alarm_rate=None, threshold=0.0).explain(maps)
    assert {e.label for e in why} == {"Center", "Edge-Ring"}
    assert not any(e.abstained for e, grid in zip(why, maps, strict=True) if (grid == 2).any())


def test_a_calibration_goes_through_a_dict_to_another_denoiser(calibrated):
    maps = labelled_wafers().maps
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
def test_a_calibration_with_wrong_values_is_refused(change, calibrated):
    with pytest.raises(ValueError, match="^its "):
        DenoiserCalibration.from_dict(calibrated.calibration_.to_dict() | change)
