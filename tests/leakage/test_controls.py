"""Leakage controls: what their masks know."""

from copy import copy

import numpy as np
import pytest
from leakage_stubs import (
    StampingDenoiser,
    masks,
    two_sided_wafers,
)
from sklearn.frozen import FrozenEstimator
from small_models import TINY

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.filters import ComponentSizeFilter
from camdenoise.leakage import (
    BLIND,
    CONTROLS,
    DENOISED,
    RAW,
    CrossFit,
    leakage_report,
)
from camdenoise.leakage._controls import mean_masks, other_classes
from camdenoise.wafers._explanation import build_explanation


@pytest.fixture
def stamped():
    maps, target = two_sided_wafers(60)
    models = [(StampingDenoiser().fit(maps, target), np.arange(60))]
    return CrossFit(maps, target, np.arange(40), models)


@pytest.mark.parametrize("name", [name for name in CONTROLS if name != "mask alone"])
def test_controls_only_remove_fails(name, fit):
    for mask, grid in zip(masks(name, fit), fit.maps, strict=True):
        assert mask.dtype == bool and not (mask & (grid != 2)).any()


@pytest.mark.parametrize("name", ["class mean", "equal area", "random disc"])
def test_controls_keep_as_many_fails_as_the_denoiser(name, fit):
    found = masks(name, fit)
    assert [m.sum() for m in found] == [why.kept.sum() for why in fit.own]
    assert any((m != why.kept).any() for m, why in zip(found, fit.own, strict=True))


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_repeat_and_leave_wafers_unchanged(name, fit):
    before = [grid.copy() for grid in fit.maps]
    first, second = masks(name, fit), masks(name, fit)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    for grid, was in zip(fit.maps, before, strict=True):
        np.testing.assert_array_equal(grid, was)


def test_controls_remove_nothing_after_abstention(classifier, wafers):
    nothing = copy(classifier).set_params(everywhere_labels=classifier.classes_.tolist())
    denoiser = CamDenoiser(FrozenEstimator(nothing)).fit(wafers.maps)
    fit = CrossFit(wafers.maps[:9], wafers.target[:9], np.arange(5), [(denoiser, np.arange(9))])
    assert all(why.abstained for why in fit.own)
    for name in BLIND:
        for mask, grid in zip(masks(name, fit), fit.maps, strict=True):
            np.testing.assert_array_equal(mask, grid == 2)


def test_wrong_class_control_avoids_predicted_class(fit, monkeypatch):
    asked = []
    explain = CrossFit.explain
    monkeypatch.setattr(CrossFit, "explain", lambda self, t: asked.append(t) or explain(self, t))
    masks("wrong class", fit)
    predicted = [why.label for why in fit.own]
    assert not (asked[0] == predicted).any() and set(asked[0]) <= set(fit.classes)
    masks("true class", fit)
    assert (asked[1] == fit.target).all()


def test_wrong_class_control_draws_classes_evenly():
    classes = np.array(["a", "b", "c", "d"])
    drawn = other_classes(np.repeat("b", 3000), classes, np.random.default_rng(0))
    names, counts = np.unique(drawn, return_counts=True)
    assert names.tolist() == ["a", "c", "d"] and (abs(counts - 1000) < 100).all()


@pytest.mark.parametrize("abstained", [True, False])
def test_controls_keep_equal_counts_without_evidence(stamped, monkeypatch, abstained):
    """As with a net that was never trained, to which all fails are alike."""

    def nothing(self, targets):
        return [
            build_explanation(g, g > 0, np.zeros(g.shape), abstained=abstained) for g in self.maps
        ]

    monkeypatch.setattr(CrossFit, "explain", nothing)
    for mask, why in zip(masks("wrong class", stamped), stamped.own, strict=True):
        assert mask.sum() == why.kept.sum()


def test_class_mean_comes_from_training_wafers(stamped):
    means = mean_masks(stamped)
    predicted = np.array([why.label for why in stamped.own])
    for name in ("left", "right"):
        rows = [row for row in stamped.train if predicted[row] == name]
        mean = np.mean([stamped.own[row].kept for row in rows], axis=0)
        cells = (np.arange(41) + 0.5) * 20 / 41
        np.testing.assert_allclose(means[name], mean[np.ix_(cells.astype(int), cells.astype(int))])
    # Other test wafers, the same means.
    others = [grid if row < 40 else np.full((20, 20), 2) for row, grid in enumerate(stamped.maps)]
    again = mean_masks(CrossFit(others, stamped.target, stamped.train, stamped.models))
    np.testing.assert_array_equal(again["left"], means["left"])
    # The denoiser keeps the upper half of wafers of the left, and so does their mean.
    for mask, why in zip(masks("class mean", stamped), stamped.own, strict=True):
        rows = np.argwhere(mask)[:, 0]
        share = np.mean(rows < 10 if why.label == "left" else rows >= 10)
        assert share > 0.8


def test_class_mean_of_unseen_class_is_overall_mean(stamped):
    predicted = np.array([why.label for why in stamped.own])
    train = np.flatnonzero(predicted == "left")[:20]
    means = mean_masks(CrossFit(stamped.maps, stamped.target, train, stamped.models))
    np.testing.assert_array_equal(means["right"], means["left"])


def test_random_disc_keeps_the_fails_around_a_die(stamped):
    for mask, grid in zip(masks("random disc", stamped), stamped.maps, strict=True):
        inside, outside = np.argwhere(mask), np.argwhere((grid == 2) & ~mask)

        def is_center(die, inside=inside, outside=outside):
            near, far = (np.hypot(*(dies - die).T) for dies in (inside, outside))
            return near.max() <= far.min()

        assert any(is_center(np.array(die)) for die in np.ndindex(grid.shape))


def test_untrained_control_leaves_the_trained_net(fit, classifier):
    before = classifier.predict_proba(fit.maps)
    found = masks("random weights", fit)
    assert any((m != why.kept).any() for m, why in zip(found, fit.own, strict=True))
    np.testing.assert_array_equal(classifier.predict_proba(fit.maps), before)


def test_controls_accept_maps_without_fails_or_dies():
    maps = [np.ones((3, 3), np.uint8), np.zeros((2, 2), np.uint8), np.full((1, 1), 2, np.uint8)]
    target = np.array(["left", "right", "left"])
    filters = [(ComponentSizeFilter(2).fit(maps), np.arange(3))]
    fit = CrossFit(maps, target, np.arange(3), filters)
    for name in ("class mean", "equal area", "random disc", "mask alone"):
        assert [m.shape for m in masks(name, fit)] == [g.shape for g in maps]


@pytest.mark.slow
def test_all_controls_run_with_a_cam_denoiser(wafers):
    clf = WaferClassifier(**TINY)
    report = leakage_report(
        clf, CamDenoiser(WaferClassifier("wafer_unet", **TINY), cv=2), wafers.maps, wafers.target,
        cv=2, independent_backbone="test_resnet", random_state=0,
    )  # fmt: skip
    summary = report.summary()
    assert summary["condition"].tolist() == [RAW, DENOISED, *CONTROLS]
    assert summary["verdict"].iloc[1:].str.len().min() > 0
