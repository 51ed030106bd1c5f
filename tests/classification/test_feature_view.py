"""The classifier with both views: pixels and features."""

import pickle

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from small_models import TINY

from camdenoise import CamDenoiser, WaferClassifier, load_model, save_model
from camdenoise.classification._feature_view import fit_feature_view, score_features
from camdenoise.datasets import make_wafer_maps
from camdenoise.datasets._training_sets import NOTHING, SyntheticWafers
from camdenoise.denoising._untrained import make_untrained
from camdenoise.wafers._classes import ClassRoles


@pytest.fixture(scope="module")
def wafers():
    return make_wafer_maps(200, classes=["Center", "Edge-Ring", "Loc", "none"], random_state=0)


@pytest.fixture(scope="module")
def joined(wafers):
    clf = WaferClassifier(**TINY | {"max_epochs": 1}, features="wafer")
    return clf.fit(wafers.maps[:150], wafers.target[:150])


def test_probability_is_the_mean_of_both_views(joined, wafers):
    maps = wafers.maps[150:]
    alone = clone(joined).set_params(features=None)
    alone = alone.fit(wafers.maps[:150], wafers.target[:150])
    pixels = np.log(alone.predict_proba(maps))
    features = score_features(joined.feature_net_, maps)
    expected = softmax((pixels + features) / 2, axis=1)
    np.testing.assert_allclose(joined.predict_proba(maps), expected, atol=1e-6)
    assert not np.allclose(np.exp(pixels), expected, atol=0.05)


def test_features_name_what_the_net_has_not_learned(joined, wafers):
    alone = clone(joined).set_params(features=None).fit(wafers.maps[:150], wafers.target[:150])
    maps, target = wafers.maps[150:], wafers.target[150:]
    assert joined.score(maps, target) > alone.score(maps, target) + 0.2


def test_denoiser_has_the_classifiers_probability(joined, wafers):
    for method in ("layercam", "gradcam"):
        found = (
            CamDenoiser(FrozenEstimator(joined), method=method)
            .fit(wafers.maps)
            .explain(wafers.maps[150:160])
        )
        best = joined.predict_proba(wafers.maps[150:160]).max(axis=1)
        np.testing.assert_allclose([e.probability for e in found], best, atol=1e-6)


def test_calibration_uses_both_views(joined, wafers):
    clf = clone(joined).fit(wafers.maps[:150], wafers.target[:150])
    maps, target = wafers.maps[150:], wafers.target[150:]
    codes = np.searchsorted(clf.classes_, target)

    def loss():
        return -np.log(clf.predict_proba(maps)[np.arange(len(codes)), codes]).mean()

    before, joint = loss(), float(clf.feature_net_.joint_temperature)
    clf.calibrate(maps, target)
    assert clf.temperature_ != 1 and clf.feature_net_.joint_temperature != joint == 2
    assert loss() < before


def test_both_views_survive_pickle_and_file(joined, wafers, tmp_path):
    expected = joined.predict_proba(wafers.maps[150:])
    again = pickle.loads(pickle.dumps(joined))
    np.testing.assert_array_equal(again.predict_proba(wafers.maps[150:]), expected)
    save_model(joined, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    assert again.features == "wafer"
    np.testing.assert_array_equal(again.predict_proba(wafers.maps[150:]), expected)


def test_file_without_the_weights_it_names_is_refused(joined, tmp_path):
    alone = pickle.loads(pickle.dumps(joined))
    alone.feature_net_ = None
    save_model(alone, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="features is 'wafer', and it has 0 weights"):
        load_model(tmp_path / "model.safetensors")


def test_untrained_control_has_no_trained_view(joined, wafers):
    denoiser = CamDenoiser(FrozenEstimator(joined), method="layercam").fit(wafers.maps)
    control = make_untrained(denoiser, 0)
    assert control.estimator_.feature_net_ is None
    assert denoiser.estimator_.feature_net_ is not None


def test_synthetic_wafers_train_the_features(wafers):
    """Scratches that are only known by name get their features from planted wafers."""
    roles = ClassRoles(("Loc", "Scratch", "none"))
    others = make_wafer_maps(120, classes=["Scratch"], random_state=1)
    labels = [("Scratch",)] * 80 + [("Loc", "Scratch")] * 40
    made = SyntheticWafers(list(others.maps), labels, [], ("Scratch",))
    maps = [m for m, label in zip(wafers.maps, wafers.target, strict=True) if label != "Center"]
    target = wafers.target[wafers.target != "Center"]
    codes = np.where(target == "none", 2, 0)
    tested = make_wafer_maps(40, classes=["Scratch"], random_state=2).maps
    named = []
    for wafers_made in (made, NOTHING):
        net = fit_feature_view(maps, codes, np.ones(len(maps)), wafers_made, roles, seed=0)
        named.append((score_features(net, tested).argmax(axis=1) == 1).mean())
    assert named[0] > 0.3 and named[1] == 0


def test_unknown_features_are_refused(wafers):
    with pytest.raises(ValueError, match="features"):
        WaferClassifier(features="pixels").fit(wafers.maps, wafers.target)
