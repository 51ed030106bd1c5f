"""Models on disk: the same predictions come back, and a stranger's file runs nothing."""

import json
import pickle
from copy import copy

import numpy as np
import pytest
from conftest import TINY
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from camdenoise import WaferClassifier, load_model, save_model


@pytest.fixture
def file(classifier, tmp_path):
    save_model(classifier, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_predictions_labels_and_parameters_come_back(file, classifier, wafers):
    again = load_model(file)
    np.testing.assert_array_equal(
        again.predict_proba(wafers.maps), classifier.predict_proba(wafers.maps)
    )
    assert again.classes_.dtype == classifier.classes_.dtype
    assert again.get_params() == classifier.get_params()
    assert again.history_ == classifier.history_


def with_metadata(file, target, **changes):
    """Copy a model with other texts beside the weights; None takes one away."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    with safe_open(file, "pt") as old:
        about = old.metadata() | changes
        weights = {key: old.get_tensor(key) for key in old.keys()}
    about = {name: text for name, text in about.items() if text is not None}
    save_file(weights, target, metadata=about)
    return target


def test_the_temperature_comes_back(classifier, wafers, tmp_path):
    clf = copy(classifier).calibrate(wafers.maps, np.roll(wafers.target, 7))
    assert clf.temperature_ != classifier.temperature_ == 1
    save_model(clf, tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.temperature_ == clf.temperature_
    np.testing.assert_array_equal(again.predict_proba(wafers.maps), clf.predict_proba(wafers.maps))


def test_a_file_from_before_there_was_a_temperature_has_none(file, classifier, wafers, tmp_path):
    again = load_model(with_metadata(file, tmp_path / "earlier", temperature=None))
    assert again.temperature_ == 1
    np.testing.assert_array_equal(
        again.predict_proba(wafers.maps), classifier.predict_proba(wafers.maps)
    )


def test_a_loaded_model_can_be_cloned_and_fitted_anew(file, classifier, wafers):
    fresh = clone(load_model(file)).fit(wafers.maps, wafers.target)
    np.testing.assert_array_equal(
        fresh.predict_proba(wafers.maps), classifier.predict_proba(wafers.maps)
    )


@pytest.mark.parametrize("labels", [np.array([7, -3]), np.array(["a", "b"], object)])
def test_label_types(labels, wafers, tmp_path):
    y = labels[(wafers.target == "Center").astype(int)]
    clf = WaferClassifier(**TINY | {"max_epochs": 1}).fit(wafers.maps, y)
    save_model(clf, tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.predict(wafers.maps).tolist() == clf.predict(wafers.maps).tolist()
    assert again.classes_.dtype == clf.classes_.dtype


def test_training_only_parameters_are_left_out(wafers, tmp_path):
    clf = WaferClassifier(
        **TINY | {"max_epochs": 1, "random_state": np.random.RandomState(0)},
        background=wafers.maps[:3],
        class_weight={"Center": 2.0, "Scratch": 1.0, "Edge-Ring": 1.0},
    ).fit(wafers.maps, wafers.target)
    save_model(clf, tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.background is again.class_weight is again.random_state is None


def test_an_unfitted_classifier_is_refused(tmp_path):
    with pytest.raises(NotFittedError):
        save_model(WaferClassifier(), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.safetensors"):
        load_model(tmp_path / "no.safetensors")


class Bomb:
    def __reduce__(self):
        return (open, (str(self.canary), "w"))


def test_a_pickle_is_refused_unread(tmp_path):
    bomb = Bomb()
    Bomb.canary = tmp_path / "canary"
    (tmp_path / "m").write_bytes(pickle.dumps(bomb))
    with pytest.raises(ValueError, match="is no model that camdenoise saved"):
        load_model(tmp_path / "m")
    assert not Bomb.canary.exists()


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_a_cut_off_file_is_refused(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match="is no model that camdenoise saved"):
        load_model(file)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("format", "other", "its format is 'other'"),
        ("parameters", json.dumps({"width": "x"}), "width"),
        ("parameters", json.dumps({"backbone": "resnet_18"}), "Unknown backbone"),
        ("parameters", json.dumps({"wdith": 3}), "wdith"),
        (
            "classes",
            json.dumps(["a"]),
            r"'head.2.bias' has shape \(3,\), the net needs \(1,\)",
        ),
        ("parameters", json.dumps({"width": 10**7}), "the net needs"),
        ("dtype", "V8", "labels are of type"),
        ("temperature", "0.0", "its temperature is 0.0"),
        ("temperature", "-1.5", "its temperature is -1.5"),
        ("temperature", "Infinity", "its temperature is inf"),
        ("temperature", "NaN", "its temperature is nan"),
        ("temperature", '"warm"', "its temperature is 'warm'"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(file, name, value, message, tmp_path):
    changed = with_metadata(file, tmp_path / "changed", **{name: value})
    with pytest.raises(ValueError, match=message):
        load_model(changed)
