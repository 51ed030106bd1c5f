"""Model files of earlier formats."""

import json
from pathlib import Path

import numpy as np
import pytest
from model_files import with_metadata
from safetensors import safe_open

from camdenoise import (
    load_model,
    save_model,
)
from camdenoise.datasets import make_wafer_maps


def disc(radius):
    y, x = np.ogrid[-4.5:5, -5.5:6]
    return np.where(x**2 + y**2 < radius**2, 2, 1).astype(np.uint8)


def test_load_model_reads_format_1():
    file = Path(__file__).parent / "samples" / "classifier_1.safetensors"
    clf = load_model(file)
    with safe_open(file, "pt") as opened:
        assert opened.metadata()["format"] == "camdenoise.WaferClassifier/1"
    assert clf.classes_.tolist() == ["Center", "Edge-Ring"]
    said = [0.8790250810986718, 0.8604678719252312, 0.4279833744000608]
    probability = clf.predict_proba([disc(2), disc(12**0.5), disc(30**0.5)])[:, 0]
    np.testing.assert_allclose(probability, said, atol=1e-5)


def as_of_the_first_version(file, target):
    about = {"format": "camdenoise.CamDenoiser/1", "versions": None, "sha256": None}
    return with_metadata(file, target, sealed=False, **about)


@pytest.mark.parametrize("version", [1, 2])
def test_load_model_reads_format_2(version, tmp_path):
    file = Path(__file__).parent / "samples" / "denoiser_2.safetensors"
    if version == 1:
        file = as_of_the_first_version(file, tmp_path / "first")
    denoiser = load_model(file)
    assert denoiser.calibration_.references is None and denoiser.novelty_rate is None
    with pytest.raises(ValueError, match=r"novelty_rate=0\.1: .* holds no known wafers"):
        load_model(file, novelty_rate=0.1)
    maps = make_wafer_maps(
        60, classes=["Center", "Edge-Ring", "none"], shapes=[(20, 20)], random_state=0
    ).maps[:6]
    found = denoiser.explain(maps)
    assert [str(why.label) for why in found] == [
        "Edge-Ring", "Edge-Ring", "none", "Edge-Ring", "Center", "Center"
    ]  # fmt: skip
    said = [0.4692, 0.4732, 0.8207, 0.4479, 0.6085, 0.6269]
    np.testing.assert_allclose([why.probability for why in found], said, atol=0.01)
    save_model(denoiser, tmp_path / "again")
    again = load_model(tmp_path / "again")
    assert again.detection_threshold_ == denoiser.detection_threshold_
    assert again.calibration_.platt == denoiser.calibration_.platt
    np.testing.assert_array_equal(
        again.estimator_.predict_proba(maps), denoiser.estimator_.predict_proba(maps)
    )


def test_load_model_reads_format_3(tmp_path):
    file = Path(__file__).parent / "samples" / "denoiser_3.safetensors"
    with safe_open(file, "pt") as opened:
        assert opened.metadata()["format"] == "camdenoise.CamDenoiser/3"
        assert {"head.weigh.weight", "novelty.references"} <= set(opened.keys())
    maps = make_wafer_maps(
        60, classes=["Center", "Edge-Ring", "none"], shapes=[(20, 20)], random_state=0
    ).maps[:6]
    denoiser = load_model(file)
    assert denoiser.validation_fraction == 0.45 and denoiser.novelty_rate == 0.05
    assert denoiser.estimator_.patterns_ == ("Center", "Edge-Ring")
    assert denoiser.detection_threshold_ == pytest.approx(-0.9555246554)
    assert denoiser.calibration_.platt == pytest.approx((0.239436908, 1.363477759))
    found = denoiser.explain(maps)
    assert [e.novel for e in found] == [False, False, True, False, False, False]
    said = [0.8848, 0.9962, 0.2058, 0.9749, 0.9910, 0.9642]
    np.testing.assert_allclose([e.probability for e in found], said, atol=0.01)
    assert [int(e.kept.sum()) for e in found] == pytest.approx([160, 84, 56, 95, 85, 105], abs=2)
    save_model(denoiser, tmp_path / "again")
    for one, other in zip(found, load_model(tmp_path / "again").explain(maps), strict=True):
        np.testing.assert_array_equal(one.kept, other.kept)


@pytest.mark.parametrize(
    ("name", "value"), [("fit_to_input", "pad"), ("min_pattern_probability", 0.3)]
)
def test_load_model_names_removed_options(name, value, tmp_path):
    file = Path(__file__).parent / "samples" / "denoiser_3.safetensors"
    with safe_open(file, "pt") as opened:
        texts = opened.metadata()
    if name in json.loads(texts["parameters"]):
        text, where = json.loads(texts["parameters"]) | {name: value}, "parameters"
    else:
        text, where = json.loads(texts["denoiser"]), "denoiser"
        text["parameters"][name] = value
    changed = with_metadata(file, tmp_path / "changed", **{where: json.dumps(text)})
    with pytest.raises(ValueError, match=f"{name}=.*{value}.* no longer exists"):
        load_model(changed)
