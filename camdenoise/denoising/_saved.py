"""A fitted denoiser as the texts and tensors of a model file, and back."""

from __future__ import annotations

import json
from numbers import Integral
from typing import Any

import numpy as np
import torch

from camdenoise.classification._classifier import WaferClassifier
from camdenoise.classification._saved import CALIBRATION, restore_classifier, save_classifier
from camdenoise.denoising._calibration import DenoiserCalibration
from camdenoise.denoising._threshold import TARGETS, TargetRecall, TargetSpecificity
from camdenoise.nets._checkpoint import Checkpoint

#: Kind of model, in the file's format.
KIND = "camdenoise.CamDenoiser"
_ARRAYS = ("references", "distances")
_TARGET_OF = {"recall": TargetRecall, "specificity": TargetSpecificity}


def save_denoiser(denoiser: Any) -> Checkpoint:
    """Describe a fitted `CamDenoiser` and its classifier.

    A `random_state` that is not a number, and a `cv` other than a number of folds, matter in
    `fit_transform` only and are left out.
    """
    saved = save_classifier(denoiser.estimator_)
    calibration = denoiser.calibration_.to_dict()
    arrays = {name: calibration.pop(name) for name in _ARRAYS}
    tensors = {
        CALIBRATION + name: torch.from_numpy(values)
        for name, values in arrays.items()
        if values is not None
    }
    parameters = denoiser.get_params(deep=False)
    del parameters["estimator"]
    for name in ("random_state", "cv"):
        if not isinstance(parameters[name], Integral):
            del parameters[name]
    record = {
        "parameters": {name: _plain(value) for name, value in parameters.items()},
        "calibration": calibration,
    }
    texts = saved.texts | {"denoiser": json.dumps(record)}
    return Checkpoint(KIND, texts, saved.tensors | tensors)


def _plain(value: Any) -> Any:
    if isinstance(value, TARGETS):
        return {value.reaches: float(value.value)}
    return value.item() if isinstance(value, np.generic) else value


def restore_denoiser(
    kind: Any, checkpoint: Checkpoint, device: str, precision: str | None = None, **parameters: Any
) -> Any:
    """Build a fitted denoiser from a model file's texts and tensors.

    Parameters
    ----------
    kind : type
        `CamDenoiser`.
    checkpoint : Checkpoint
    device : str
        A torch device.
    precision : str or None, default=None
        Arithmetic of the classifier; None: as in the file.
    **parameters
        Parameters of the denoiser to use instead of those in the file.

    Raises
    ------
    ValueError, TypeError, KeyError, RuntimeError
        If the texts and tensors do not make a denoiser.
    """
    of_classifier = {} if precision is None else {"precision": precision}
    classifier = restore_classifier(WaferClassifier, checkpoint, device, **of_classifier)
    record = json.loads(checkpoint.texts["denoiser"])
    arrays = {
        name: checkpoint.tensors[CALIBRATION + name].numpy()
        for name in _ARRAYS
        if CALIBRATION + name in checkpoint.tensors
    }
    known = {name for name in checkpoint.tensors if name.startswith(CALIBRATION)}
    if known != {CALIBRATION + name for name in arrays}:
        raise ValueError(f"its calibration has the unknown tensors {sorted(known)}.")
    calibration = DenoiserCalibration.from_dict(record["calibration"] | arrays)
    _check_known(calibration, classifier)
    saved = dict(record["parameters"])
    if isinstance(threshold := saved.get("threshold"), dict):
        ((name, value),) = threshold.items()
        saved["threshold"] = _TARGET_OF[name](value)
    return kind.from_calibration(classifier, calibration, **(saved | parameters))


def _check_known(calibration: DenoiserCalibration, classifier: WaferClassifier) -> None:
    if calibration.references is None:
        return
    if not classifier.module_.has_evidence:
        raise ValueError("it has known wafers, for a net that has no use for them.")
    n_features = classifier.module_.head.classifier.in_features
    if calibration.references.shape[1] != n_features:
        raise ValueError("its known wafers are not those of its net.")
