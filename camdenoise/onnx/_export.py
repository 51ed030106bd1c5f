"""A classifier and its saliency as one ONNX graph."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, cast

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from camdenoise._version import __version__
from camdenoise.classification._classifier import WaferClassifier
from camdenoise.denoising import DenoiserCalibration
from camdenoise.denoising._cam_denoiser import EVIDENCE, CamDenoiser
from camdenoise.io._atomic import atomic_write
from camdenoise.nets._encoding import choose_sizes, encode_dies
from camdenoise.onnx._wafer_graph import wafer_graph
from camdenoise.wafers._maps import check_wafer_map, warn_caller

FORMAT = "camdenoise.WaferGraph/2"
_NEEDED = ("onnx", "onnxscript")


def export_onnx(model: CamDenoiser | WaferClassifier, path: str | os.PathLike) -> None:
    """Write a fitted model as one ONNX graph: wafer maps in, probabilities and saliency out.

    The graph takes wafers of one die grid at a time: ``maps`` (uint8, n x height x width, codes 0,
    1, 2) and, for the size that such wafers are shown at, ``rows`` and ``columns``, which
    `graph_inputs` computes. It gives ``probabilities`` (float32, n x n_classes, calibrated) and
    ``saliency`` (float32, n x height x width): for evidence maps the probability that the die,
    if it fails, belongs to a pattern; for CAMs of the last layer a share of the wafer's largest.
    With evidence maps it gives ``detection_score`` as well (float32, n). The wafer has a pattern if
    this reaches ``detection_threshold`` of the metadata, and the patterns together are likelier
    than the classes of fails everywhere.

    Parameters
    ----------
    model : CamDenoiser or WaferClassifier
        A fitted one. A classifier is explained by its evidence maps if its net has them, else by
        Grad-CAM at its last layer.
    path : path-like
        Written whole or not at all. Classes, sizes and thresholds are in the file's metadata, as
        JSON by name.

    Raises
    ------
    ImportError
        Without the extra ``onnx``.
    ValueError
        For a saliency that needs a gradient: other target layers than the last, or a head that is
        more than a mean and a linear layer. Also for symmetric predictions.
    TypeError
        For a model of another kind.
    RuntimeError
        Where torch cannot do it: 2.6 cannot, 2.14 can.

    Warns
    -----
    UserWarning
        For a classifier that joins hand-made features with its net: the graph is the net alone, so
        that its probabilities differ, and no detection threshold is known for it.

    See Also
    --------
    save_model : Write a model for camdenoise itself.

    Notes
    -----
    The graph computes in float32. camdenoise computes in bfloat16 where the CPU has it, so that
    saliencies differ in the third digit.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from camdenoise import CamDenoiser
    >>> from camdenoise.onnx import export_onnx
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "wm811k.onnx")
    >>> export_onnx(CamDenoiser.from_pretrained(), file)  # doctest: +SKIP
    >>> folder.cleanup()
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"export_onnx needs {' and '.join(missing)}: pip install 'camdenoise[onnx]'."
        )
    denoiser = _make_denoiser(model)
    if denoiser.estimator_.feature_net_ is not None:
        warn_caller(
            "The classifier joins hand-made features with its net. The graph is the net alone, so "
            "its class probabilities differ, and it has no detection_threshold; saliency is the "
            "same."
        )
    exported = _trace(denoiser)
    for name, value in _metadata(denoiser).items():
        exported.metadata_props.add(key=name, value=json.dumps(value))
    with atomic_write(path) as stream:
        stream.write(exported.SerializeToString())


def graph_inputs(
    maps: Sequence[np.ndarray], input_size: int | Sequence[int]
) -> dict[str, np.ndarray]:
    """Compute what a graph takes for wafers of one die grid.

    Parameters
    ----------
    maps : sequence of ndarray of int, shape (height, width)
        Wafer maps, all of the same shape.
    input_size : int or sequence of int
        As in the file's metadata.

    Returns
    -------
    dict of str to ndarray
        ``maps``, uint8 (n, height, width); ``rows`` and ``columns``, int64 (size,): which die row
        each pixel row of the net's input shows, which die column each pixel column.

    Raises
    ------
    WaferMapError
        For a map that cannot be read.
    ValueError
        For maps of different shapes, or none.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.onnx import graph_inputs
    >>> graph_inputs([np.array([[1, 2, 1, 1]] * 8)], input_size=8)["columns"].tolist()
    [0, 0, 1, 1, 2, 2, 3, 3]
    """
    checked = [check_wafer_map(grid, row) for row, grid in enumerate(maps)]
    shapes = sorted({grid.shape for grid in checked})
    if len(shapes) != 1:
        raise ValueError(
            f"a graph takes wafers of one die grid at a time, got {len(shapes)}: "
            f"{', '.join(map(str, shapes[:3])) or 'no wafer'}. Sort them by shape first."
        )
    (size,) = choose_sizes(shapes, input_size).tolist()
    rows, columns = encode_dies(shapes, size)[0].numpy()
    return {"maps": np.stack(checked), "rows": rows, "columns": columns}


def _make_denoiser(model: Any) -> CamDenoiser:
    if isinstance(model, CamDenoiser):
        check_is_fitted(model)
        return model
    if not isinstance(model, WaferClassifier):
        raise TypeError(
            f"export_onnx takes a CamDenoiser or a WaferClassifier, got {type(model).__name__}."
        )
    check_is_fitted(model)
    net = model.module_
    how: dict[str, Any] = {"method": "gradcam", "layers": list(net.layer_names[-1:])}
    if net.has_evidence:
        how = {"method": EVIDENCE}
    return CamDenoiser.from_calibration(model, DenoiserCalibration.empty(), **how)


def _trace(denoiser: CamDenoiser) -> Any:
    """Trace the graph with wafers of which no length is like another."""
    clf = denoiser.estimator_
    size = int(np.min(clf.input_size))
    rows, columns = encode_dies([(5, 7)], size)[0]
    example = torch.ones(2, 5, 7, dtype=torch.uint8)
    example[:, 2:4, 3] = 2
    graph = wafer_graph(denoiser)
    any_length = torch.export.Dim.DYNAMIC
    pixels = torch.export.Dim("size", min=9, max=1024)
    try:
        with warnings.catch_warnings():
            # What torch says to its own developers.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph,
                (example, rows, columns),
                dynamo=True,
                input_names=["maps", "rows", "columns"],
                output_names=list(graph.outputs),
                dynamic_shapes=(dict.fromkeys(range(3), any_length), {0: pixels}, {0: pixels}),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise RuntimeError(
            f"torch {torch.__version__} cannot write this net as ONNX; 2.14 can. Install a later "
            f"torch, or use another timm model."
        ) from error
    return cast(Any, program).model_proto


def _metadata(denoiser: CamDenoiser) -> dict[str, Any]:
    clf = denoiser.estimator_
    return {
        "format": FORMAT,
        "camdenoise": __version__,
        "classes": clf.classes_.tolist(),
        "input_size": np.atleast_1d(clf.input_size).tolist(),
        "method": denoiser.method_,
        "threshold": denoiser.threshold_,
        "detection_threshold": None
        if clf.feature_net_ is not None
        else denoiser.detection_threshold_,
    }
