"""The command that trains the model of the package, reduced."""

import json

import numpy as np
import pandas as pd
import pytest

from camdenoise import CamDenoiser, WaferClassifier, load_model
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, make_wafer_maps, save_wafer_maps
from camdenoise.io import sha256
from study import bundle
from study.stages import bundled_net


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("bundle")
    data = out / "wafers.npz"
    patterns, bare = (
        make_wafer_maps(n, classes=names, shapes=[(26, 26)], noise_rate=rate, random_state=0)
        for n, names, rate in (
            (160, list(PATTERN_CLASSES), (0, 0.005)),
            (140, ["none"], (0.01, 0.21)),
        )
    )
    lot = np.arange(300) % 16
    target = np.append(patterns.target, bare.target)
    save_wafer_maps(data, [*patterns.maps, *bare.maps], target, lot=lot.astype(str), fold=lot % 2)
    options = {"width": 4, "input_size": 32, "batch_size": 32, "max_epochs": 1, "random_state": 0}
    recipes = []

    def small(target, epochs, seed):
        recipes.append((len(target), epochs, seed))
        return WaferClassifier("wafer_unet", **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundled_net, "make_classifier", small)
        patch.setattr(bundle, "make_classifier", small)
        patch.setattr(bundle, "SHOWN_AT", (32, 40))
        command = ["--data", str(data), "--out", str(out), "--planted", "26"]
        bundle.main(command)
        nets = {file: file.stat().st_mtime_ns for file in out.glob("parts/*/model.safetensors")}
        bundle.main(command)
    return out, data, recipes, nets


def test_bundle_trains_each_net_once(trained):
    out, data, recipes, nets = trained
    wafers = load_wafer_maps(data)
    n_rest = int((wafers.frame["fold"] != 0).sum())
    assert recipes[:2] == [(n_rest, 6, 0), (len(wafers.maps), 6, 0)]
    assert {file.parent.name for file in nets} == {"without-fold-0", "all"}
    assert nets == {file: file.stat().st_mtime_ns for file in nets}
    for file in nets:
        copy = out / f"{file.parent.name}.safetensors"
        assert copy.read_bytes() == file.read_bytes()


def test_bundle_calibrates_on_held_out_wafers(trained):
    out, *_ = trained
    model, net = load_model(out / "wm811k.safetensors"), load_model(out / "all.safetensors")
    assert isinstance(model, CamDenoiser)
    weights = model.estimator_.module_.state_dict()
    for name, value in net.module_.state_dict().items():
        np.testing.assert_array_equal(weights[name], value)
    assert model.estimator_.temperature_ != net.temperature_
    about = json.loads((out / "wm811k.json").read_text())
    assert about["calibration"]["temperature"] == model.estimator_.temperature_
    assert about["weights sha256"] == sha256(out / "wm811k.safetensors")
    assert about["recipe"]["parameters"]["backbone"] == "wafer_unet"


def test_figures_follow_from_tables(trained):
    out = trained[0]
    held_out = json.loads((out / "wm811k.json").read_text())["held out"]
    dies = pd.read_csv(out / "dies.csv", index_col=0)
    found = pd.DataFrame(held_out["dies"])
    np.testing.assert_allclose(found["f1"], dies["f1"], atol=6e-5)
    wafers = pd.read_csv(out / "none.csv", index_col=0)["wafers labeled none"]
    assert held_out["none"]["claimed"] == pytest.approx(wafers["claimed"], abs=6e-5)
    assert (out / "worst.png").stat().st_size > 1000
