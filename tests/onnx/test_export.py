"""ONNX graphs say what torch says."""

import json

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from small_models import TINY

from camdenoise import CamDenoiser, WaferClassifier, WaferMapError
from camdenoise.datasets import make_wafer_maps
from camdenoise.denoising._untrained import replace_net
from camdenoise.onnx import export_onnx, graph_inputs

pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def exports_here():
    """Tell whether this torch is one that is known to export; 2.6 is known not to."""
    return tuple(map(int, torch.__version__.split("+")[0].split(".")[:2])) >= (2, 7)


needs_later_torch = pytest.mark.skipif(not exports_here(), reason="torch 2.6 cannot export")


@pytest.fixture(scope="module")
def bundled():
    """The net of the bundled model, without the features that join it."""
    denoiser = CamDenoiser.from_pretrained(precision="float32")
    return replace_net(denoiser, denoiser.estimator_.module_)


def opened(model, folder):
    path = folder / "model.onnx"
    export_onnx(model, path)
    onnx.checker.check_model(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    return session, {name: json.loads(text) for name, text in about.items()}


def answers(session, about, maps):
    names = [output.name for output in session.get_outputs()]
    given = graph_inputs(maps, about["input_size"])
    return dict(zip(names, session.run(None, given), strict=True))


@pytest.fixture(scope="module")
def bundled_graph(bundled, tmp_path_factory):
    return opened(bundled, tmp_path_factory.mktemp("onnx"))


@needs_later_torch
@pytest.mark.parametrize("shape", [(26, 26), (53, 39), (64, 71), (120, 101), (1, 9)])
def test_exported_model_equals_torch_for_any_grid(shape, bundled, bundled_graph):
    session, about = bundled_graph
    maps = [
        wafer if shape == (1, 9) else resized(wafer, shape)
        for wafer in (
            [np.array([[1, 2, 2, 1, 0, 1, 1, 1, 2]], np.uint8)]
            if shape == (1, 9)
            else make_wafer_maps(9, random_state=0).maps
        )
    ]
    found = answers(session, about, maps)
    why = bundled.explain(maps)
    np.testing.assert_allclose(
        found["probabilities"],
        bundled.estimator_.set_params(precision="float32").predict_proba(maps),
        atol=1e-4,
    )
    saliency = np.stack([e.saliency for e in why])
    np.testing.assert_allclose(found["saliency"], saliency, atol=2e-3)
    everywhere = np.isin(about["classes"], ["Random", "Near-full"])
    patterns = ~everywhere & (np.array(about["classes"]) != "none")
    of_patterns, of_others = (
        found["probabilities"][:, some].sum(axis=1) for some in (patterns, everywhere)
    )
    claimed = (found["detection_score"] >= about["detection_threshold"]) & (
        of_patterns >= of_others
    )
    assert claimed.tolist() == [e.claims_pattern for e in why]


def resized(wafer, shape):
    rows, columns = ((np.arange(n) * side) // n for n, side in zip(shape, wafer.shape, strict=True))
    return wafer[np.ix_(rows, columns)]


@needs_later_torch
def test_graph_of_two_views_is_the_net_alone(bundled, bundled_graph, tmp_path):
    with pytest.warns(UserWarning, match="The graph is the net alone"):
        session, about = opened(CamDenoiser.from_pretrained(), tmp_path)
    assert about["detection_threshold"] is None
    maps = [resized(wafer, (30, 31)) for wafer in make_wafer_maps(4, random_state=0).maps]
    for found, expected in zip(
        answers(session, about, maps).values(), answers(*bundled_graph, maps).values(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


@needs_later_torch
def test_metadata_names_inputs_classes_and_threshold(bundled, bundled_graph):
    _, about = bundled_graph
    assert about["format"] == "camdenoise.WaferGraph/2"
    assert about["classes"] == bundled.classes_.tolist()
    assert about["input_size"] == list(bundled.estimator_.input_size)
    assert (
        about["detection_threshold"] == bundled.detection_threshold_
        and about["method"] == "evidence"
    )


@needs_later_torch
def test_exported_classifier_uses_its_last_layer(wafers, tmp_path):
    options = TINY | {"max_epochs": 1, "precision": "float32"}
    clf = WaferClassifier(**options).fit(wafers.maps, wafers.target)
    session, about = opened(clf, tmp_path)
    maps = [resized(grid, (21, 30)) for grid in wafers.maps[:5]]
    found = answers(session, about, maps)
    np.testing.assert_allclose(found["probabilities"], clf.predict_proba(maps), atol=2e-3)
    denoiser = CamDenoiser(FrozenEstimator(clf), method="gradcam", layers=["stage4"]).fit(maps)
    saliency = np.stack([e.saliency for e in denoiser.explain(maps)])
    np.testing.assert_allclose(found["saliency"], saliency, atol=1e-3)


def test_export_refuses_gradient_methods(classifier, wafers, tmp_path):
    denoiser = CamDenoiser(FrozenEstimator(classifier)).fit(wafers.maps[:2])
    with pytest.raises(ValueError, match=r"needs a gradient.*Export the classifier instead"):
        export_onnx(denoiser, tmp_path / "no")
    symmetric = FrozenEstimator(
        WaferClassifier(**TINY | {"max_epochs": 1}, symmetric_prediction=True).fit(
            wafers.maps, wafers.target
        )
    )
    last = CamDenoiser(symmetric, method="gradcam", layers=["stage4"]).fit(wafers.maps[:2])
    with pytest.raises(ValueError, match="symmetric_prediction=True"):
        export_onnx(last, tmp_path / "no")
    with pytest.raises(TypeError, match="takes a CamDenoiser or a WaferClassifier, got str"):
        export_onnx("model", tmp_path / "no")
    assert not list(tmp_path.iterdir())


def test_graph_inputs_refuse_mixed_grids():
    with pytest.raises(ValueError, match=r"one die grid at a time, got 2: \(2, 2\), \(3, 3\)"):
        graph_inputs([np.ones((2, 2)), np.ones((3, 3))], 32)
    with pytest.raises(ValueError, match="got 0: no wafer"):
        graph_inputs([], 32)
    with pytest.raises(WaferMapError, match="wafer map 0: value 5"):
        graph_inputs([np.full((2, 2), 5)], 32)
