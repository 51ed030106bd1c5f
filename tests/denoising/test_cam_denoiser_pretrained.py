"""The model that comes with the package."""

from importlib.resources import files

import numpy as np
import pytest
from sklearn.base import clone

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, make_wafer_maps
from camdenoise.denoising import TargetRecall
from camdenoise.metrics import die_scores

CLASSES = sorted([*PATTERN_CLASSES, "none", "Random", "Near-full"])


def test_pretrained_model_is_small_and_has_a_card():
    folder = files("camdenoise") / "pretrained"
    sizes = [len((folder / name).read_bytes()) for name in ("wm811k.safetensors", "wm811k.json")]
    assert sum(sizes) < 3e6
    card = (folder / "README.md").read_text()
    assert all(word in card for word in ("WM-811K", "disposition", "held out"))


def test_from_pretrained_denoises_wafers_of_any_size():
    maps = make_wafer_maps(12, classes=["Center", "Edge-Ring"], random_state=0).maps
    maps += [np.array([[2]]), np.zeros((3, 5), int), np.ones((4, 4), int), np.full((200, 3), 2)]
    clean = CamDenoiser.from_pretrained("wm811k").transform(maps)
    for raw, kept in zip(maps, clean, strict=True):
        np.testing.assert_array_equal(kept[kept != raw], 1)
        np.testing.assert_array_equal(raw[kept != raw], 2)
    assert sum((raw != kept).any() for raw, kept in zip(maps, clean, strict=True)) >= 8


def test_pretrained_classifier_knows_nine_classes():
    clf = WaferClassifier.from_pretrained()
    assert clf.classes_.tolist() == CLASSES
    wafers = make_wafer_maps(30, classes=["Edge-Ring", "none"], random_state=0)
    answers = clf.predict(wafers.maps)
    assert (answers == wafers.target).mean() > 0.8
    probability = clf.predict_proba(wafers.maps)
    assert probability.shape == (30, 9)
    np.testing.assert_allclose(probability.sum(1), 1)


def test_from_pretrained_options_override_the_models():
    usual = CamDenoiser.from_pretrained()
    careful = CamDenoiser.from_pretrained(false_alarm_rate=0.001, no_pattern="remove")
    assert (
        careful.detection_threshold_ > usual.detection_threshold_ and careful.no_pattern == "remove"
    )
    assert CamDenoiser.from_pretrained(threshold=TargetRecall(0.95)).threshold_ is not None
    with pytest.raises(ValueError, match="no pretrained model 'mixed'; there is wm811k"):
        CamDenoiser.from_pretrained("mixed")
    with pytest.raises(ValueError, match="false_alarm_rate"):
        CamDenoiser.from_pretrained(false_alarm_rate=2)


def test_pretrained_denoiser_is_recalibrated_by_fit():
    wafers = make_wafer_maps(200, classes=["none", "Center", "Edge-Ring"], random_state=0)
    usual = CamDenoiser.from_pretrained()
    again = clone(usual).fit(wafers.maps, wafers.target)
    assert again.estimator_ is usual.estimator_ or again.classes_.tolist() == CLASSES
    assert again.detection_threshold_ != usual.detection_threshold_


def test_pretrained_denoiser_beats_no_denoising(data_folder):
    from camdenoise.datasets import make_planted_wafers

    wafers = load_wafer_maps(data_folder / "wm811k_mini.npz")
    planted = make_planted_wafers(wafers, 60, kind="diffuse", random_state=0)
    denoiser = CamDenoiser.from_pretrained()
    kept = [why.kept for why in denoiser.explain(planted.maps)]
    nothing = [grid == 2 for grid in planted.maps]
    f1 = die_scores(planted.maps, planted.truth, kept)["f1"].mean()
    assert f1 > die_scores(planted.maps, planted.truth, nothing)["f1"].mean() + 0.1
    # These wafers were trained on: this is no measurement, only a check of what is in the file.
    has_pattern = np.isin(wafers.target, PATTERN_CLASSES)
    labels = np.array([why.label for why in denoiser.explain(wafers.maps)])
    assert (labels == wafers.target)[has_pattern].mean() > 0.85
    assert np.isin(labels[wafers.target == "none"], PATTERN_CLASSES).mean() < 0.2
    assert np.isin(labels[wafers.target == "Random"], PATTERN_CLASSES).mean() < 0.05
