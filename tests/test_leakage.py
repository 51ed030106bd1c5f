"""Leakage controls: what their masks know, who has seen what, and what the report concludes."""

from copy import copy

import numpy as np
import pandas as pd
import pytest
from conftest import TINY
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ShuffleSplit, StratifiedKFold

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.filters import ComponentSizeFilter
from camdenoise.leakage import (
    BLIND,
    CONTROLS,
    DENOISED,
    RAW,
    CrossFit,
    leakage_report,
    leakage_summary,
    marked_map,
)
from camdenoise.leakage._controls import mean_masks, other_classes
from camdenoise.wafers._explanation import build_explanation


def two_sided_wafers(n=300, side=20, seed=0):
    """Wafers with a block of fails at the left or at the right, and many others anywhere."""
    rng = np.random.default_rng(seed)
    maps, sides = [], rng.permutation(["left", "right"] * (n // 2))
    for name in sides:
        grid = 1 + (rng.random((side, side)) < 0.12).astype(np.uint8)
        top, left = rng.integers(side - 2), rng.integers(side // 2 - 2)
        left += 0 if name == "left" else side // 2
        grid[top : top + 3, left : left + 3] = 2
        maps.append(grid)
    return maps, sides


class PixelClassifier(ClassifierMixin, BaseEstimator):
    """A linear classifier of which dies fail; noise is hard on it."""

    def fit(self, X, y):
        self.model_ = LogisticRegression(C=0.1).fit(self._features(X), y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(self._features(X))

    def _features(self, X):
        return np.stack([(grid == 2).ravel() for grid in X]).astype(float)


class StampingDenoiser(BaseEstimator):
    """Find the block, and tell its side by keeping the fails above or below: nothing else."""

    def __init__(self, cv=2):
        self.cv = cv

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def explain(self, X, targets=None):
        if targets is None:
            targets = [self._side_of_block(grid) for grid in X]
        return [
            build_explanation(
                grid, self._half(grid, target), self._half(grid, target), label=target
            )
            for grid, target in zip(X, targets, strict=True)
        ]

    def _half(self, grid, target):
        above = np.arange(len(grid))[:, None] < len(grid) // 2
        return np.broadcast_to(above == (target == "left"), grid.shape)

    def _side_of_block(self, grid):
        windows = np.lib.stride_tricks.sliding_window_view(grid == 2, (3, 3)).sum(axis=(2, 3))
        column = np.unravel_index(windows.argmax(), windows.shape)[1]
        return "left" if column < grid.shape[1] // 2 - 1 else "right"


class RecordingDenoiser(StampingDenoiser):
    """Remember what each clone was trained on and asked for; wafers are told apart by identity."""

    clones: list = []

    def fit(self, X, y):
        self.seen, self.asked = {id(grid) for grid in X}, []
        RecordingDenoiser.clones.append(self)
        return super().fit(X, y)

    def explain(self, X, targets=None):
        self.asked += [id(grid) for grid in X]
        return super().explain(X, targets)


class RecordingClassifier(PixelClassifier):
    """Remember the maps that each clone was trained on."""

    shown: list = []

    def fit(self, X, y):
        RecordingClassifier.shown.append(X)
        return super().fit(X, y)


@pytest.fixture
def fit(classifier, wafers):
    """Sixty wafers, forty of which train, explained by one net."""
    maps, target = wafers.maps[:60], wafers.target[:60]
    denoiser = CamDenoiser(FrozenEstimator(classifier)).fit(maps)
    train = np.arange(40)
    models = [(denoiser, np.arange(40, 60)), (denoiser, train)]
    return CrossFit(maps, target, train, models, independent=models)


@pytest.fixture
def stamped():
    maps, target = two_sided_wafers(60)
    models = [(StampingDenoiser().fit(maps, target), np.arange(60))]
    return CrossFit(maps, target, np.arange(40), models)


def masks(name, fit, seed=0):
    return CONTROLS[name].masks(fit, np.random.default_rng(seed))


@pytest.mark.parametrize("name", [name for name in CONTROLS if name != "mask alone"])
def test_controls_only_remove_fails(name, fit):
    for mask, grid in zip(masks(name, fit), fit.maps, strict=True):
        assert mask.dtype == bool and not (mask & (grid != 2)).any()


@pytest.mark.parametrize("name", ["class mean", "equal area", "random disc"])
def test_as_much_is_kept_as_by_the_denoiser(name, fit):
    found = masks(name, fit)
    assert [m.sum() for m in found] == [why.kept.sum() for why in fit.own]
    assert any((m != why.kept).any() for m, why in zip(found, fit.own, strict=True))


@pytest.mark.parametrize("name", CONTROLS)
def test_controls_repeat_and_leave_wafers_alone(name, fit):
    before = [grid.copy() for grid in fit.maps]
    first, second = masks(name, fit), masks(name, fit)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    for grid, was in zip(fit.maps, before, strict=True):
        np.testing.assert_array_equal(grid, was)


def test_a_denoiser_that_abstains_leaves_nothing_to_its_controls(classifier, wafers):
    nothing = copy(classifier).set_params(everywhere_labels=classifier.classes_.tolist())
    denoiser = CamDenoiser(FrozenEstimator(nothing)).fit(wafers.maps)
    fit = CrossFit(wafers.maps[:9], wafers.target[:9], np.arange(5), [(denoiser, np.arange(9))])
    assert all(why.abstained for why in fit.own)
    for name in BLIND:
        for mask, grid in zip(masks(name, fit), fit.maps, strict=True):
            np.testing.assert_array_equal(mask, grid == 2)


def test_the_wrong_class_is_any_but_the_predicted_one(fit, monkeypatch):
    asked = []
    explain = CrossFit.explain
    monkeypatch.setattr(CrossFit, "explain", lambda self, t: asked.append(t) or explain(self, t))
    masks("wrong class", fit)
    predicted = [why.label for why in fit.own]
    assert not (asked[0] == predicted).any() and set(asked[0]) <= set(fit.classes)
    masks("true class", fit)
    assert (asked[1] == fit.target).all()


def test_every_other_class_is_drawn_alike():
    classes = np.array(["a", "b", "c", "d"])
    drawn = other_classes(np.repeat("b", 3000), classes, np.random.default_rng(0))
    names, counts = np.unique(drawn, return_counts=True)
    assert names.tolist() == ["a", "c", "d"] and (abs(counts - 1000) < 100).all()


@pytest.mark.parametrize("abstained", [True, False])
def test_where_there_is_no_evidence_as_many_fails_are_kept(stamped, monkeypatch, abstained):
    """As with a net that was never trained, to which all fails are alike."""

    def nothing(self, targets):
        return [
            build_explanation(g, g > 0, np.zeros(g.shape), abstained=abstained) for g in self.maps
        ]

    monkeypatch.setattr(CrossFit, "explain", nothing)
    for mask, why in zip(masks("wrong class", stamped), stamped.own, strict=True):
        assert mask.sum() == why.kept.sum()


def test_class_mean_is_that_of_training_wafers(stamped):
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


def test_a_class_that_is_predicted_for_test_wafers_only_has_the_mean_of_all(stamped):
    predicted = np.array([why.label for why in stamped.own])
    train = np.flatnonzero(predicted == "left")[:20]
    means = mean_masks(CrossFit(stamped.maps, stamped.target, train, stamped.models))
    np.testing.assert_array_equal(means["right"], means["left"])


def test_a_random_disc_has_the_fails_around_a_die(stamped):
    for mask, grid in zip(masks("random disc", stamped), stamped.maps, strict=True):
        inside, outside = np.argwhere(mask), np.argwhere((grid == 2) & ~mask)

        def is_centre(die, inside=inside, outside=outside):
            near, far = (np.hypot(*(dies - die).T) for dies in (inside, outside))
            return near.max() <= far.min()

        assert any(is_centre(np.array(die)) for die in np.ndindex(grid.shape))


def test_the_mask_alone_shows_nothing_of_which_dies_fail(fit):
    swapped = [np.array([0, 2, 1], np.uint8)[grid] for grid in fit.maps]
    other = CrossFit(swapped, fit.target, fit.train, fit.models)
    other.__dict__["own"] = fit.own  # the same saliency on a wafer of other fails
    for grid, mask, other_grid, other_mask in zip(
        fit.maps, masks("mask alone", fit), swapped, masks("mask alone", other), strict=True
    ):
        shown = marked_map(grid, mask)
        np.testing.assert_array_equal(shown, marked_map(other_grid, other_mask))
        assert (shown[grid == 2] == 1).any() or (shown[grid == 1] == 2).any()
        np.testing.assert_array_equal(shown == 0, grid == 0)


def test_an_untrained_net_makes_other_masks_and_the_trained_one_stays(fit, classifier):
    before = classifier.predict_proba(fit.maps)
    found = masks("random weights", fit)
    assert any((m != why.kept).any() for m, why in zip(found, fit.own, strict=True))
    np.testing.assert_array_equal(classifier.predict_proba(fit.maps), before)


def test_maps_without_fails_or_dies():
    maps = [np.ones((3, 3), np.uint8), np.zeros((2, 2), np.uint8), np.full((1, 1), 2, np.uint8)]
    target = np.array(["left", "right", "left"])
    filters = [(ComponentSizeFilter(2).fit(maps), np.arange(3))]
    fit = CrossFit(maps, target, np.arange(3), filters)
    for name in ("class mean", "equal area", "random disc", "mask alone"):
        assert [m.shape for m in masks(name, fit)] == [g.shape for g in maps]


@pytest.fixture(scope="module")
def leak():
    maps, target = two_sided_wafers()
    return leakage_report(PixelClassifier(), StampingDenoiser(), maps, target, cv=3, random_state=0)


@pytest.fixture(scope="module")
def summary_of_leak(leak):
    return leak.summary().set_index("condition")


@pytest.fixture(scope="module")
def honest():
    maps, target = two_sided_wafers()
    return leakage_report(
        PixelClassifier(), ComponentSizeFilter(7), maps, target, cv=3, random_state=0
    )


def test_a_leak_is_called_out(summary_of_leak):
    summary = summary_of_leak
    assert summary.loc[DENOISED, "gain_low"] > 0.05
    verdict = summary.loc[DENOISED, "verdict"]
    assert "class mean" in verdict and verdict.endswith("It may be leakage")
    assert summary.loc["class mean", "verdict"].endswith("stamps the prediction on the wafer")
    # Of two classes, the wrong one tells the right one.
    assert "wrong class" in verdict and "equal area" not in verdict


def test_honest_denoising_is_not(honest):
    summary = honest.summary().set_index("condition")
    verdict = summary.loc[DENOISED, "verdict"]
    assert verdict.startswith("a gain larger than that of every mask made without")
    assert "leak" not in verdict
    # What needs classes or a net is left out for a filter.
    assert summary.index.tolist() == [
        RAW, DENOISED, "class mean", "equal area", "random disc", "mask alone"
    ]  # fmt: skip


def test_rows_of_the_report(leak):
    names = [RAW, DENOISED, *(name for name in CONTROLS if CONTROLS[name].needs != "net")]
    folds = leak.folds()
    assert folds["condition"].tolist() == names * 3 and folds["fold"].nunique() == 3
    predictions = leak.predictions
    for name, of_condition in predictions.groupby("condition"):
        assert sorted(of_condition["wafer"]) == list(range(300))
        part = of_condition[of_condition["fold"] == 1]
        right = [a == b for a, b in zip(part["label"], part["predicted"], strict=True)]
        row = folds[(folds["fold"] == 1) & (folds["condition"] == name)].iloc[0]
        assert row["accuracy"] == pytest.approx(sum(right) / len(right))
        assert row["n_wafers"] == len(part)
    _, target = two_sided_wafers()
    assert (predictions["label"] == target[predictions["wafer"]]).all()
    marked = predictions.pivot(index="wafer", columns="condition", values="marked")
    assert (marked["equal area"] == marked[DENOISED]).all()
    assert (marked[DENOISED] < marked[RAW]).any()


def test_differences_are_paired(leak, summary_of_leak):
    right = leak.predictions.assign(right=lambda p: p["label"] == p["predicted"])
    by_wafer = right.pivot(index="wafer", columns="condition", values="right").astype(float)
    for name, row in summary_of_leak.drop(RAW).iterrows():
        gain = by_wafer[name] - by_wafer[RAW]
        assert row["gain"] == pytest.approx(gain.mean())
        standard_error = gain.std() / np.sqrt(len(gain))
        width = 2 * 1.96 * standard_error
        assert row["gain_high"] - row["gain_low"] == pytest.approx(width, rel=0.15)
        if name != DENOISED:
            assert row["short"] == pytest.approx((by_wafer[DENOISED] - by_wafer[name]).mean())


def test_every_wafer_is_explained_by_a_denoiser_that_has_not_seen_it():
    maps, target = two_sided_wafers(60)
    groups = np.arange(60) // 3
    group_of = {id(grid): group for grid, group in zip(maps, groups, strict=True)}
    RecordingDenoiser.clones = []
    leakage_report(
        PixelClassifier(), RecordingDenoiser(cv=2), maps, target,
        cv=3, groups=groups, controls=["wrong class"], random_state=0,
    )  # fmt: skip
    assert len(RecordingDenoiser.clones) == 3 * (2 + 1)
    for denoiser in RecordingDenoiser.clones:
        seen, asked = ({group_of[i] for i in ids} for ids in (denoiser.seen, denoiser.asked))
        assert asked and not seen & asked


def test_denoised_training_wafers_are_those_of_fit_transform(wafers):
    maps, target = wafers.maps, wafers.target
    denoiser = CamDenoiser(WaferClassifier(**TINY | {"max_epochs": 2}), cv=2)
    splitter = StratifiedKFold(2)
    RecordingClassifier.shown = []
    small = [np.resize(grid, (9, 9)) for grid in maps]  # all of one size
    report = leakage_report(
        RecordingClassifier(), denoiser, small, target, cv=splitter, controls=["equal area"]
    )
    train, test = next(splitter.split(small, target))
    clean = denoiser.fit_transform([small[row] for row in train], target[train])
    raw, denoised, _ = RecordingClassifier.shown[:3]
    np.testing.assert_array_equal(raw, [small[row] for row in train])
    np.testing.assert_array_equal(denoised, clean)
    after = denoiser.transform([small[row] for row in test])
    marked = report.predictions.query("fold == 0 and condition == 'denoised'")["marked"]
    assert marked.tolist() == [(grid == 2).sum() for grid in after]


def test_a_control_draws_the_same_whichever_others_there_are(leak):
    maps, target = two_sided_wafers()
    alone = leakage_report(
        PixelClassifier(), StampingDenoiser(), maps, target,
        cv=3, controls=["random disc"], random_state=0,
    )  # fmt: skip
    accuracy = [
        report.folds().query("condition == 'random disc'")["accuracy"].tolist()
        for report in (leak, alone)
    ]
    assert accuracy[0] == accuracy[1]


def predictions(**right):
    rows = [
        {"fold": 0, "wafer": wafer, "group": wafer, "condition": name.replace("_", " ")}
        | {"label": "a", "predicted": "a" if wafer < n else "b"}
        for name, n in right.items()
        for wafer in range(100)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("right", "verdict"),
    [
        ({"denoised": 90, "equal_area": 70}, "a gain larger than that of every mask"),
        ({"denoised": 90, "equal_area": 92}, "larger than that of: equal area. It may be leakage"),
        ({"denoised": 90, "wrong_class": 92}, "of: wrong class. It may not need the evidence"),
        ({"denoised": 90, "true_class": 95}, "compared with no control that could explain it"),
        ({"denoised": 61, "equal_area": 60}, "no gain shown"),
        ({"denoised": 40, "equal_area": 60}, "a loss"),
        ({"denoised": 90, "wrong_class": 50, "mask_alone": 90}, "without the fails, does as well"),
    ],
)
def test_verdict(right, verdict):
    summary = leakage_summary(predictions(raw=60, **right)).set_index("condition")
    assert verdict in summary.loc[DENOISED, "verdict"]
    assert summary.loc[RAW, "verdict"] == "" and np.isnan(summary.loc[RAW, "gain"])


def test_verdict_on_a_control():
    right = {"equal_area": 90, "wrong_class": 80, "class_mean": 50, "true_class": 99}
    summary = leakage_summary(predictions(raw=60, denoised=90, **right)).set_index("condition")
    said = summary["verdict"]
    assert said["equal area"].startswith("a gain; not told apart from denoised: it is how many")
    assert said["wrong class"] == "a gain; less than denoised"
    assert said["class mean"] == "a loss; less than denoised"
    assert said["true class"].startswith("a gain; more than denoised: so much a mask")


def test_wafers_of_a_lot_are_not_independent():
    table = predictions(raw=60, denoised=90)
    alone = leakage_summary(table).iloc[1]
    of_lots = leakage_summary(table.assign(group=table["wafer"] // 10)).iloc[1]
    assert of_lots["gain_high"] - of_lots["gain_low"] > 1.5 * (
        alone["gain_high"] - alone["gain_low"]
    )
    assert of_lots["p"] > alone["p"]


def test_what_cannot_be_done_is_refused_before_any_training(wafers, monkeypatch):
    def report(denoiser, **options):
        monkeypatch.setattr(WaferClassifier, "fit", None)
        monkeypatch.setattr(CamDenoiser, "fit", None)
        leakage_report(WaferClassifier(), denoiser, wafers.maps, wafers.target, **options)

    with pytest.raises(ValueError, match="Unknown control 'no such'; choose from true class"):
        report(CamDenoiser(), controls=["no such"])
    with pytest.raises(ValueError, match="'wrong class' is not possible for ComponentSizeFilter"):
        report(ComponentSizeFilter(), controls=["wrong class"])
    with pytest.raises(ValueError, match="'wafer_resnet' is that of the classifier"):
        report(CamDenoiser(), independent_backbone="wafer_resnet")
    with pytest.raises(ValueError, match="'wafer_unet' is that of the denoiser"):
        report(CamDenoiser(), independent_backbone="wafer_unet")
    with pytest.raises(ValueError, match="groups has 3 entries for 120 wafer maps"):
        report(CamDenoiser(), groups=[1, 2, 3])
    with pytest.raises(ValueError, match="in no test fold; use a splitter that tests every wafer"):
        report(CamDenoiser(cv=ShuffleSplit(1, random_state=0)))
    with pytest.raises(ValueError, match="y has one class only, 'Center'"):
        leakage_report(PixelClassifier(), StampingDenoiser(), wafers.maps[:9], ["Center"] * 9, cv=3)
    rare = np.array(["Center"] * 110 + ["Loc"] * 5 + ["Scratch"] * 5)
    lots = np.arange(120) // 5  # all of Loc are in one lot
    with pytest.raises(ValueError, match="Class 'Loc' is missing from the training wafers of a"):
        leakage_report(WaferClassifier(), CamDenoiser(), wafers.maps, rare, groups=lots, cv=2)
    with pytest.raises(ValueError, match="the conditions are raw, equal area"):
        leakage_summary(predictions(raw=60, equal_area=90))


@pytest.mark.slow
def test_all_controls_of_a_cam_denoiser(wafers):
    clf = WaferClassifier(**TINY)
    report = leakage_report(
        clf, CamDenoiser(WaferClassifier("wafer_unet", **TINY), cv=2), wafers.maps, wafers.target,
        cv=2, independent_backbone="test_resnet", random_state=0,
    )  # fmt: skip
    summary = report.summary()
    assert summary["condition"].tolist() == [RAW, DENOISED, *CONTROLS]
    assert summary["verdict"].iloc[1:].str.len().min() > 0
