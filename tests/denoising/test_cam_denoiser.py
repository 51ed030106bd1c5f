"""CamDenoiser: which fails it keeps, for which class, and how it is cross-fitted."""

import pickle
from copy import copy

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, ShuffleSplit, StratifiedKFold
from small_models import TINY, fitted_classifier

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.cam import evidence_maps
from camdenoise.datasets import make_wafer_maps
from camdenoise.denoising._decision import component_evidence
from camdenoise.nets._component_planes import input_planes
from camdenoise.nets._encoding import mean_on_dies


@pytest.fixture
def denoiser(classifier):
    return CamDenoiser(FrozenEstimator(classifier)).fit([np.ones((3, 3))])


def f1(truth, kept):
    hits = [
        2 * (k & t).sum() / max(1, (k.sum() + t.sum())) for t, k in zip(truth, kept, strict=True)
    ]
    return np.mean(hits)


def test_denoiser_removes_more_noise_than_pattern(denoiser):
    test = make_wafer_maps(60, classes=["Center", "Edge-Ring", "Scratch"], random_state=1)
    kept = [e.kept for e in denoiser.explain(test.maps)]
    raw = [grid == 2 for grid in test.maps]
    assert f1(test.truth, kept) > f1(test.truth, raw) + 0.1


def test_transform_makes_removed_fails_passes(denoiser, wafers):
    for grid, clean, why in zip(
        wafers.maps, denoiser.transform(wafers.maps), denoiser.explain(wafers.maps), strict=True
    ):
        np.testing.assert_array_equal(clean, np.where(why.removed, 1, grid))
        np.testing.assert_array_equal(why.kept | why.removed, grid == 2)
        assert why.saliency.shape == grid.shape and (why.saliency[grid == 0] == 0).all()
        assert not (why.kept & why.removed).any()


def test_explain_uses_the_predicted_class(denoiser, classifier, wafers):
    explained = denoiser.explain(wafers.maps)
    assert [e.label for e in explained] == classifier.predict(wafers.maps).tolist()
    np.testing.assert_allclose(
        [e.probability for e in explained],
        classifier.predict_proba(wafers.maps).max(axis=1),
        atol=1e-6,
    )


def test_targets_are_explained(classifier, wafers):
    given = CamDenoiser(FrozenEstimator(classifier)).fit(wafers.maps)
    assert {e.label for e in given.explain(wafers.maps[:9], ["Scratch"] * 9)} == {"Scratch"}
    with pytest.raises(ValueError, match="target 'Donut' of wafer 1 is not a class"):
        given.explain(wafers.maps[:2], ["Scratch", "Donut"])


@pytest.mark.parametrize("on_error", ["raise", "keep"])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_targets_are_one_per_wafer(classifier, wafers, on_error, n_targets):
    denoiser = CamDenoiser(FrozenEstimator(classifier), on_error=on_error).fit(wafers.maps)
    with pytest.raises(ValueError, match=rf"numbers of samples: \[2, {n_targets}\]"):
        denoiser.explain(wafers.maps[:2], ["Scratch"] * n_targets)


def test_targets_stay_with_their_wafers_across_batches(classifier, wafers, monkeypatch):
    monkeypatch.setattr(WaferClassifier.batches, "__defaults__", (2,))
    denoiser = CamDenoiser(FrozenEstimator(classifier)).fit(wafers.maps)
    targets = ["Scratch", "Center", "Center", "Edge-Ring", "Scratch"]
    assert [e.label for e in denoiser.explain(wafers.maps[:5], targets)] == targets


def test_batch_size_leaves_results_unchanged(denoiser, wafers, monkeypatch):
    many = denoiser.transform(wafers.maps)
    monkeypatch.setattr(WaferClassifier.batches, "__defaults__", (1,))
    for a, b in zip(denoiser.transform(wafers.maps), many, strict=True):
        np.testing.assert_array_equal(a, b)


def test_transform_keeps_kind_dtype_and_index(denoiser, wafers):
    column = pd.Series(wafers.maps[:4], index=list("abcd"), name="map")
    clean = denoiser.transform(column)
    assert clean.index.tolist() == list("abcd") and clean.name == "map"
    stack = np.stack([np.resize(grid, (9, 9)) for grid in wafers.maps[:4]]).astype(np.float32)
    assert denoiser.transform(stack).dtype == np.float32
    assert denoiser.transform(stack).shape == (4, 9, 9)
    assert isinstance(denoiser.transform(tuple(wafers.maps[:2])), tuple)
    tensor = denoiser.transform(torch.from_numpy(stack))
    np.testing.assert_array_equal(tensor, denoiser.transform(stack))


def test_component_aggregation_keeps_components_whole():
    grid = np.array([[2, 2, 1, 2], [1, 1, 1, 1], [1, 2, 2, 1]], np.uint8)
    saliency = np.array([[0.9, 0.1, 0.0, 0.3], [0, 0, 0, 0], [0, 0.2, 0.3, 0]])
    kept = (grid == 2) & (component_evidence(grid, saliency) >= 0.5)
    np.testing.assert_array_equal(kept, [[1, 1, 0, 0], [0, 0, 0, 0], [0, 1, 1, 0]])


def test_threshold_0_keeps_all_1_strongest_component(classifier, wafers):
    loose, strict = (
        CamDenoiser(FrozenEstimator(classifier), threshold=t).fit(wafers.maps) for t in (0.0, 1.0)
    )
    for few, many in zip(strict.explain(wafers.maps), loose.explain(wafers.maps), strict=True):
        assert not (few.kept & ~many.kept).any()


@pytest.mark.parametrize("backbone", ["wafer_resnet", "wafer_unet"])
def test_wafer_without_pattern_is_unchanged_or_cleared(backbone):
    wafers = make_wafer_maps(80, classes=["none", "Edge-Ring"], random_state=0)
    clf = WaferClassifier(backbone, **TINY).fit(wafers.maps, wafers.target)
    careful = CamDenoiser(FrozenEstimator(clf)).fit(wafers.maps, wafers.target)
    ruthless = CamDenoiser(FrozenEstimator(clf), no_pattern="remove").fit(
        wafers.maps, wafers.target
    )
    left, cleared = careful.explain(wafers.maps), ruthless.explain(wafers.maps)
    none = [(a, b) for a, b in zip(left, cleared, strict=True) if a.label == "none"]
    assert len(none) > 20
    assert all(a.abstained and not a.removed.any() for a, _ in none)
    sure = [b for _, b in none if b.probability >= 0.5]
    assert len(sure) > 20 and not any(b.abstained or b.kept.any() for b in sure)
    assert all(b.abstained for _, b in none if b.probability < 0.5)


def test_detections_stay_within_the_false_alarm_rate():
    wafers = make_wafer_maps(120, classes=["none", "Edge-Loc"], random_state=1)
    clf = WaferClassifier("wafer_unet", **TINY | {"max_epochs": 2})
    clf.fit(wafers.maps, wafers.target)
    none = [grid for grid, label in zip(wafers.maps, wafers.target, strict=True) if label == "none"]
    claims = []
    for rate in (0.0, 0.1, 0.5, 1.0):
        denoiser = CamDenoiser(FrozenEstimator(clf), false_alarm_rate=rate)
        denoiser.fit(wafers.maps, wafers.target)
        claims.append(np.mean([e.claims_pattern for e in denoiser.explain(none)]))
        assert claims[-1] <= rate
    assert claims == sorted(claims) and claims[0] == 0 and claims[2] > 0.3


def test_explain_abstains_without_pattern_classes(classifier, wafers):
    nothing = copy(classifier).set_params(none_labels=classifier.classes_.tolist())
    unsure = CamDenoiser(FrozenEstimator(nothing)).fit(wafers.maps)
    for grid, e in zip(wafers.maps, unsure.explain(wafers.maps), strict=True):
        assert e.abstained and not e.removed.any()
        np.testing.assert_array_equal(e.kept, grid == 2)


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "gradcam++", "xgradcam", "eigencam"])
def test_every_cam_method_explains(method, classifier, wafers):
    denoiser = CamDenoiser(FrozenEstimator(classifier), method=method).fit(wafers.maps)
    assert all(np.isfinite(e.saliency).all() for e in denoiser.explain(wafers.maps[:5]))


def test_randomcam_follows_random_state(classifier, wafers):
    def saliency(seed):
        options = {"method": "randomcam", "random_state": seed}
        denoiser = CamDenoiser(FrozenEstimator(classifier), **options).fit(wafers.maps)
        return np.concatenate([e.saliency.ravel() for e in denoiser.explain(wafers.maps[:5])])

    np.testing.assert_array_equal(saliency(0), saliency(0))
    assert (saliency(0) != saliency(1)).any()


def test_frozen_estimator_is_not_fitted_again(classifier, wafers):
    before = classifier.predict_proba(wafers.maps)
    denoiser = CamDenoiser(FrozenEstimator(classifier))
    first = denoiser.fit_transform(wafers.maps, wafers.target)
    assert denoiser.estimator_ is classifier
    np.testing.assert_array_equal(classifier.predict_proba(wafers.maps), before)
    for a, b in zip(first, denoiser.transform(wafers.maps), strict=True):
        np.testing.assert_array_equal(a, b)


class RecordingClassifier(WaferClassifier):
    """Remembers which wafers it was trained on and asked about."""

    trained, asked = [], []

    def fit(self, X, y, sample_weight=None):
        self.trained.append({id(grid) for grid in X})
        return super().fit(X, y, sample_weight)

    def batches(self, maps, batch_size=64):
        self.asked.append({id(grid) for grid in maps})
        return super().batches(maps, batch_size)


def test_fit_transform_uses_nets_without_the_wafer(wafers):
    RecordingClassifier.trained, RecordingClassifier.asked = [], []
    clf = RecordingClassifier(**TINY | {"max_epochs": 1})
    CamDenoiser(clf, cv=3).fit_transform(wafers.maps, wafers.target)
    trained, asked = RecordingClassifier.trained, RecordingClassifier.asked
    assert len(trained) == 4  # all wafers for transform, and three folds
    assert len(asked) == 3 and set().union(*asked) == {id(grid) for grid in wafers.maps}
    for seen, explained in zip(trained[1:], asked, strict=True):
        assert not seen & explained


def test_fit_transform_equals_manual_folds(wafers):
    clf = WaferClassifier(**TINY | {"max_epochs": 2})
    cv = StratifiedKFold(2)
    together = CamDenoiser(clf, cv=cv).fit_transform(wafers.maps, wafers.target)
    for train, test in cv.split(wafers.maps, wafers.target):
        fold = CamDenoiser(clf).fit([wafers.maps[i] for i in train], wafers.target[train])
        for row, clean in zip(test, fold.transform([wafers.maps[i] for i in test]), strict=True):
            np.testing.assert_array_equal(together[row], clean)


def test_groups_reach_the_splitter(wafers):
    groups = np.arange(len(wafers.maps)) % 4
    RecordingClassifier.trained, RecordingClassifier.asked = [], []
    clf = RecordingClassifier(**TINY | {"max_epochs": 1})
    denoiser = CamDenoiser(clf, cv=GroupKFold(4))
    denoiser.fit_transform(wafers.maps, wafers.target, groups=groups)
    for seen in RecordingClassifier.trained[1:]:
        rows = [row for row, grid in enumerate(wafers.maps) if id(grid) in seen]
        assert len(set(groups[rows])) == 3


def test_sample_weight_reaches_the_classifier(wafers):
    weight = np.where(wafers.target == "Center", 1.0, 1e-6)
    clf = WaferClassifier(**TINY)
    denoiser = CamDenoiser(clf).fit(wafers.maps, wafers.target, sample_weight=weight)
    assert (denoiser.estimator_.predict(wafers.maps) == "Center").all()


def test_splitter_that_misses_wafers_is_refused(wafers):
    denoiser = CamDenoiser(WaferClassifier(**TINY), cv=ShuffleSplit(1, random_state=0))
    with pytest.raises(ValueError, match="in no test fold"):
        denoiser.fit_transform(wafers.maps, wafers.target)


def test_pickle_and_clone_keep_results(denoiser, wafers):
    again = pickle.loads(pickle.dumps(denoiser))
    for a, b in zip(again.transform(wafers.maps), denoiser.transform(wafers.maps), strict=True):
        np.testing.assert_array_equal(a, b)
    unfitted = clone(CamDenoiser(WaferClassifier(**TINY)))
    with pytest.raises(NotFittedError):
        unfitted.transform(wafers.maps)


def test_bad_maps_raise_or_give_an_error_row(classifier, wafers):
    maps = [wafers.maps[0], np.full((3, 3), 9), wafers.maps[1]]
    strict = CamDenoiser(FrozenEstimator(classifier)).fit(wafers.maps)
    with pytest.raises(ValueError, match="wafer map 1: value 9"):
        strict.transform(maps)
    lenient = CamDenoiser(FrozenEstimator(classifier), on_error="keep").fit(wafers.maps)
    first, bad, last = lenient.explain(maps)
    assert "value 9" in bad.error and bad.abstained and first.error is last.error is None
    clean = lenient.transform(maps)
    np.testing.assert_array_equal(clean[1], maps[1])
    np.testing.assert_array_equal(clean[2], strict.transform(maps[2:])[0])
    targeted = lenient.explain(maps, ["Center", "Center", "Scratch"])
    assert [e.label for e in targeted] == ["Center", None, "Scratch"]


def test_bad_input_is_refused(wafers):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CamDenoiser(WaferClassifier(**TINY)).fit(wafers.maps[:5], wafers.target[:4])
    with pytest.raises(ValueError, match="Unknown backbone"):
        CamDenoiser(WaferClassifier("resnet")).fit(wafers.maps[:5], wafers.target[:5])
    with pytest.raises(ValueError, match="Found 0 wafer map"):
        CamDenoiser().fit([], [])
    with pytest.raises(NotFittedError, match="This WaferClassifier instance is not fitted"):
        CamDenoiser(FrozenEstimator(WaferClassifier())).fit(wafers.maps)
    with pytest.raises(
        ValueError, match="The 'estimator' parameter .* implementing .*'net_outputs'"
    ):
        CamDenoiser(LogisticRegression()).fit(wafers.maps, wafers.target)
    with pytest.raises(ValueError, match="The 'method' parameter"):
        CamDenoiser(method="cam").fit(wafers.maps[:5], wafers.target[:5])
    with pytest.raises(ValueError, match="no layer 'layer4'; its layers are stem"):
        CamDenoiser(WaferClassifier(**TINY), layers=["layer4"]).fit(wafers.maps, wafers.target)


def test_evidence_is_the_default_of_evidence_nets(wafers):
    denoiser = CamDenoiser(FrozenEstimator(fitted_classifier("wafer_unet"))).fit(wafers.maps)
    assert (denoiser.method_, denoiser.aggregation_) == ("evidence", None)
    other = CamDenoiser(FrozenEstimator(fitted_classifier())).fit(wafers.maps)
    assert (other.method_, other.aggregation_) == ("layercam", "component")


def test_evidence_of_other_nets_is_refused(wafers):
    denoiser = CamDenoiser(FrozenEstimator(fitted_classifier()), method="evidence")
    with pytest.raises(ValueError, match="wafer_resnet.* does not.*wafer_unet"):
        denoiser.fit(wafers.maps)


def test_saliency_is_the_probability_of_any_pattern(wafers):
    clf = copy(fitted_classifier("wafer_unet")).set_params(precision="float32")
    denoiser = CamDenoiser(FrozenEstimator(clf), threshold=0.5)
    why = denoiser.fit(wafers.maps).explain(wafers.maps[:3])
    for (rows, codes), _ in zip(clf.batches(wafers.maps[:3], 3), [0], strict=True):
        with torch.no_grad():
            evidence = evidence_maps(clf.module_, input_planes(codes)).evidence
        wanted = 1 - (1 - torch.sigmoid(evidence)).prod(1).numpy()
        on_dies = mean_on_dies(wanted, [wafers.maps[row].shape for row in rows])
        for row, values in zip(rows, on_dies, strict=True):
            grid = wafers.maps[row]
            np.testing.assert_allclose(why[row].saliency, np.where(grid > 0, values, 0), atol=1e-5)
            kept = (grid == 2) & (values >= 0.5)
            assert why[row].abstained or (why[row].kept == kept).mean() > 0.999


def test_targets_select_the_explained_class(wafers):
    denoiser = CamDenoiser(FrozenEstimator(fitted_classifier("wafer_unet"))).fit(wafers.maps)
    everything = denoiser.explain(wafers.maps[:8])
    for label in denoiser.classes_:
        asked = denoiser.explain(wafers.maps[:8], [label] * 8)
        assert {e.label for e in asked} == {label}
        for one, every in zip(asked, everything, strict=True):
            assert (one.saliency <= every.saliency + 1e-6).all()
