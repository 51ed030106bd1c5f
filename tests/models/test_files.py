"""Models on disk: the same predictions come back, and a stranger's file runs nothing."""

import json
import pickle
from copy import copy
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
import torch
from model_files import with_metadata
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_models import TINY

from camdenoise import (
    Augmentation,
    CamDenoiser,
    WaferClassifier,
    __version__,
    load_model,
    save_model,
)
from camdenoise.datasets import make_wafer_maps
from camdenoise.denoising import TargetRecall
from camdenoise.features import WaferFeatures
from camdenoise.nets._checkpoint import checksum
from camdenoise.similarity import WaferEmbedding


def test_load_model_restores_predictions(file, classifier, wafers):
    again = load_model(file)
    np.testing.assert_array_equal(
        again.predict_proba(wafers.maps), classifier.predict_proba(wafers.maps)
    )
    assert again.classes_.dtype == classifier.classes_.dtype
    assert again.get_params() == classifier.get_params()
    assert again.history_ == classifier.history_


def test_load_model_restores_the_temperature(classifier, wafers, tmp_path):
    clf = copy(classifier).calibrate(wafers.maps, np.roll(wafers.target, 7))
    assert clf.temperature_ != classifier.temperature_ == 1
    save_model(clf, tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.temperature_ == clf.temperature_
    np.testing.assert_array_equal(again.predict_proba(wafers.maps), clf.predict_proba(wafers.maps))


def test_saved_file_names_its_versions(file):
    with safe_open(file, "pt") as opened:
        about = opened.metadata()
    assert about["format"] == "camdenoise.WaferClassifier/4"
    versions = json.loads(about["versions"])
    assert versions["camdenoise"] == __version__ and versions["numpy"] == np.__version__
    assert set(versions) == {"camdenoise", "torch", "timm", "scikit-learn", "numpy"}
    assert json.loads(about["parameters"])["synthetic_ratio"] == 1.0


def with_known(file, target, **tensors):
    """Copy the bundled model with other tensors for the wafers that it knows."""
    with safe_open(file, "pt") as old:
        about = old.metadata()
        weights = {key: old.get_tensor(key) for key in old.keys()}
    weights |= {f"calibration.{name}": values for name, values in tensors.items()}
    weights = {name: values for name, values in weights.items() if values is not None}
    save_file(weights, target, metadata=about | {"sha256": checksum(about, weights)})
    return target


@pytest.mark.parametrize(
    "tensors",
    [
        {"references": torch.zeros(3, 3)},
        {"distances": torch.zeros(7)},
        {"distances": None},
        {"references": torch.zeros(9, 153), "distances": torch.zeros(9)},
        {"colours": torch.zeros(1)},
    ],
)
def test_reference_wafers_of_wrong_shape_are_refused(tensors, tmp_path):
    bundled = str(files("camdenoise") / "pretrained" / "wm811k.safetensors")
    changed = with_known(bundled, tmp_path / "changed", **tensors)
    with pytest.raises(ValueError, match="is not a model that camdenoise saved"):
        load_model(changed)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_load_model_finds_one_wrong_bit_in_weights(share, file):
    content = bytearray(file.read_bytes())
    first = 8 + int.from_bytes(content[:8], "little")
    content[first + round(share * (len(content) - 1 - first))] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged: .* Copy it anew"):
        load_model(file)


def test_load_model_finds_a_changed_text(file, tmp_path):
    changed = with_metadata(file, tmp_path / "changed", sealed=False, temperature="1.5")
    with pytest.raises(ValueError, match="changed is damaged"):
        load_model(changed)
    assert (
        load_model(with_metadata(file, tmp_path / "meant", temperature="1.5")).temperature_ == 1.5
    )


@pytest.mark.parametrize("sha256", [None, "0" * 64])
def test_missing_or_wrong_checksum_is_refused(sha256, file, tmp_path):
    changed = with_metadata(file, tmp_path / "changed", sealed=False, sha256=sha256)
    with pytest.raises(ValueError, match="changed is damaged"):
        load_model(changed)


def test_later_format_asks_for_a_later_camdenoise(file, tmp_path):
    later = with_metadata(file, tmp_path / "later", format="camdenoise.WaferClassifier/5")
    with pytest.raises(
        ValueError, match=r"later has format .*reads up to 4\. Install a later camdenoise"
    ):
        load_model(later)


def test_loaded_model_can_be_cloned_and_refitted(file, classifier, wafers):
    fresh = clone(load_model(file)).fit(wafers.maps, wafers.target)
    np.testing.assert_array_equal(
        fresh.predict_proba(wafers.maps), classifier.predict_proba(wafers.maps)
    )


@pytest.mark.parametrize("labels", [np.array([7, -3]), np.array(["a", "b"], object)])
def test_label_types_survive_save_and_load(labels, wafers, tmp_path):
    y = labels[(wafers.target == "Center").astype(int)]
    clf = WaferClassifier(**TINY | {"max_epochs": 1}).fit(wafers.maps, y)
    save_model(clf, tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.predict(wafers.maps).tolist() == clf.predict(wafers.maps).tolist()
    assert again.classes_.dtype == clf.classes_.dtype


def test_training_only_parameters_are_left_out(wafers, tmp_path):
    clf = WaferClassifier(
        **TINY | {"max_epochs": 1, "random_state": np.random.RandomState(0)},
        augmentation=Augmentation(background=wafers.maps[:3]),
        class_weight={"Center": 2.0, "Scratch": 1.0, "Edge-Ring": 1.0},
    ).fit(wafers.maps, wafers.target)
    save_model(clf, tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.augmentation.background is again.class_weight is again.random_state is None


def test_unfitted_classifier_is_refused(tmp_path):
    with pytest.raises(NotFittedError):
        save_model(WaferClassifier(), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.safetensors"):
        load_model(tmp_path / "no.safetensors")


class Bomb:
    def __reduce__(self):
        return (open, (str(self.canary), "w"))


def test_pickle_is_refused_unread(tmp_path):
    bomb = Bomb()
    Bomb.canary = tmp_path / "canary"
    (tmp_path / "m").write_bytes(pickle.dumps(bomb))
    with pytest.raises(ValueError, match="is not a model that camdenoise saved"):
        load_model(tmp_path / "m")
    assert not Bomb.canary.exists()


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_cut_off_file_is_refused(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match="is not a model that camdenoise saved"):
        load_model(file)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("format", "other", "its format is 'other'"),
        ("format", "camdenoise.WaferClassifier/0", "its format is"),
        ("format", "camdenoise.WaferClassifier/two", "its format is"),
        ("format", "camdenoise.CamDenoiser/2", "its format is"),
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
def test_contradictory_file_is_refused(file, name, value, message, tmp_path):
    changed = with_metadata(file, tmp_path / "changed", **{name: value})
    with pytest.raises(ValueError, match=message):
        load_model(changed)


# Denoisers


@pytest.fixture(scope="module")
def calibrated():
    wafers = make_wafer_maps(160, classes=["none", "Center", "Edge-Ring"], random_state=0)
    options = TINY | {"max_epochs": 2, "synthetic_ratio": 1.0}
    clf = WaferClassifier("wafer_unet", **options).fit(wafers.maps, wafers.target)
    denoiser = CamDenoiser(FrozenEstimator(clf), false_alarm_rate=0.1, random_state=0)
    return denoiser.fit(wafers.maps, wafers.target), wafers.maps


@pytest.fixture
def denoiser_file(calibrated, tmp_path):
    save_model(calibrated[0], tmp_path / "denoiser.safetensors")
    return tmp_path / "denoiser.safetensors"


def test_loaded_denoiser_makes_the_same_decisions(calibrated, denoiser_file):
    denoiser, maps = calibrated
    assert denoiser.calibration_.platt is not None and denoiser.detection_threshold_ is not None
    again = load_model(denoiser_file)
    assert again.calibration_.platt == denoiser.calibration_.platt
    assert again.detection_threshold_ == denoiser.detection_threshold_
    kept = {
        name: value for name, value in denoiser.get_params(False).items() if name != "estimator"
    }
    assert {name: again.get_params(False)[name] for name in kept} == kept
    for one, other in zip(denoiser.explain(maps), again.explain(maps), strict=True):
        assert (one.label, one.abstained) == (other.label, other.abstained)
        np.testing.assert_array_equal(one.saliency, other.saliency)
        np.testing.assert_array_equal(one.kept, other.kept)


def test_loaded_denoiser_accepts_other_parameters(calibrated, denoiser_file):
    denoiser, _ = calibrated
    careful = load_model(denoiser_file, false_alarm_rate=0.01, threshold=TargetRecall(0.9))
    assert careful.detection_threshold_ > denoiser.detection_threshold_
    table = careful.calibration_.threshold_curve
    chosen = table[table["threshold"] == careful.threshold_]
    assert chosen["recall"].item() >= 0.9
    share = np.mean(denoiser.calibration_.background_scores >= careful.detection_threshold_)
    assert share <= 0.01


def test_unknown_parameters_are_named(denoiser_file, file):
    with pytest.raises(ValueError, match="false_alarm_rate"):
        load_model(denoiser_file, false_alarm_rate=7)
    with pytest.raises(ValueError, match="no_pattern: .* holds a classifier"):
        load_model(file, no_pattern="remove")


@pytest.mark.parametrize(
    "change",
    [
        {"calibration": {"platt": [-1.0, 0.0]}},
        {"calibration": {"platt": [1.0]}},
        {"calibration": {"threshold_curve": {"threshold": [2.0]}}},
        {"calibration": {"threshold_curve": {}}},
        {"calibration": {"background_scores": [2.0, 1.0]}},
        {"calibration": {"background_scores": ["a"]}},
        {"calibration": None},
        {"parameters": {"threshold": 3}},
        {"parameters": {"unheard_of": 3}},
        {"parameters": {"estimator": 3}},
        {"parameters": None},
    ],
)
def test_changed_record_is_refused(change, denoiser_file, tmp_path):
    with safe_open(denoiser_file, "np") as opened:
        record = json.loads(opened.metadata()["denoiser"])
    for name, values in change.items():
        record[name] = record[name] | values if values else values
    changed = with_metadata(denoiser_file, tmp_path / "changed", denoiser=json.dumps(record))
    with pytest.raises(ValueError, match="is not a model that camdenoise saved"):
        load_model(changed)


def test_pickle_stores_the_net_as_weights(classifier, wafers):
    state = classifier.__getstate__()
    assert isinstance(state["weights_"], bytes) and not {"net_", "module_"} & set(state)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(
        again.predict_proba(wafers.maps[:9]), classifier.predict_proba(wafers.maps[:9])
    )
    assert not again.module_.training and again.history_ == classifier.history_
    assert pickle.loads(pickle.dumps(WaferClassifier(width=3))).width == 3


def test_skops_stores_a_pipeline_without_pickle(classifier, wafers, tmp_path):
    io = pytest.importorskip("skops.io", reason="the extra skops is not installed")
    pipeline = make_pipeline(
        CamDenoiser(FrozenEstimator(classifier)),
        WaferFeatures(),
        StandardScaler(),
        LogisticRegression(),
    )
    pipeline.fit(wafers.maps, wafers.target)
    io.dump(pipeline, tmp_path / "pipeline.skops")
    found = io.get_untrusted_types(file=tmp_path / "pipeline.skops")
    assert found and all(name.startswith(("camdenoise.", "sklearn.")) for name in found), found
    with pytest.raises(Exception, match="camdenoise"):
        io.load(tmp_path / "pipeline.skops")
    again = io.load(tmp_path / "pipeline.skops", trusted=found)
    np.testing.assert_array_equal(
        again.predict_proba(wafers.maps), pipeline.predict_proba(wafers.maps)
    )


def test_skops_keeps_the_denoisers_calibration(tmp_path):
    io = pytest.importorskip("skops.io", reason="the extra skops is not installed")
    denoiser, maps = CamDenoiser.from_pretrained(), make_wafer_maps(6, random_state=0).maps
    pipeline = make_pipeline(FrozenEstimator(denoiser), WaferEmbedding()).fit(maps)
    io.dump(pipeline, tmp_path / "pipeline.skops")
    found = io.get_untrusted_types(file=tmp_path / "pipeline.skops")
    assert all(name.startswith(("camdenoise.", "sklearn.", "numpy.")) for name in found), found
    again = io.load(tmp_path / "pipeline.skops", trusted=found)
    np.testing.assert_array_equal(again.transform(maps), pipeline.transform(maps))
    loaded = again[0].estimator
    curves = (model.calibration_.threshold_curve for model in (loaded, denoiser))
    pd.testing.assert_frame_equal(*curves)
    assert loaded.calibration_.platt == denoiser.calibration_.platt
    assert loaded.detection_threshold_ == denoiser.detection_threshold_
