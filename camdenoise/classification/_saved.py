"""A fitted classifier as the texts and tensors of a model file, and back."""

from __future__ import annotations

import json
from numbers import Integral
from typing import Any

import numpy as np

from camdenoise.nets._checkpoint import Checkpoint
from camdenoise.nets._weights import net_with_weights

#: Kind of model, in the file's format.
KIND = "camdenoise.WaferClassifier"
#: Tensors that are not the net's: the known wafers of a denoiser around the classifier.
NOVELTY = "novelty."
# Used in training only, and not of a kind that JSON holds.
_LEFT_OUT = ("background", "class_weight", "random_state")


def save_classifier(classifier: Any) -> Checkpoint:
    """Describe a fitted `WaferClassifier`.

    Raises
    ------
    ValueError
        For class labels that are neither text, whole numbers nor truth values.
    """
    labels = classifier.classes_
    texts = labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels)
    if labels.dtype.kind not in "iubU" and not texts:
        raise ValueError(f"Labels of type {labels.dtype} cannot be saved; use text or integers.")
    about = {
        "parameters": json.dumps(_plain_parameters(classifier)),
        "classes": json.dumps(labels.tolist()),
        "dtype": "object" if texts else labels.dtype.str,
        "history": json.dumps(classifier.history_),
        "temperature": json.dumps(classifier.temperature_),
    }
    return Checkpoint(KIND, about, dict(classifier.module_.state_dict()))


def _plain_parameters(classifier: Any) -> dict[str, Any]:
    parameters = classifier.get_params(deep=False)
    plain = {name: value for name, value in parameters.items() if name not in _LEFT_OUT}
    if isinstance(classifier.random_state, Integral):
        plain["random_state"] = classifier.random_state
    return {name: v.item() if isinstance(v, np.generic) else v for name, v in plain.items()}


def restore_classifier(kind: type, checkpoint: Checkpoint, device: str) -> Any:
    """Build a fitted classifier from what a model file holds.

    Parameters
    ----------
    kind : type
        `WaferClassifier`.
    checkpoint : Checkpoint
    device : str
        A torch device.

    Raises
    ------
    ValueError, TypeError, KeyError, RuntimeError
        If the texts and tensors do not make a classifier.
    """
    texts = checkpoint.texts
    classifier = kind(**(json.loads(texts["parameters"]) | {"device": device}))
    classifier._validate_params()
    labels = json.loads(texts["classes"])
    if texts["dtype"] not in ("object", "|b1") and texts["dtype"][1:2] not in ("i", "u", "U"):
        raise ValueError(f"its labels are of type {texts['dtype']!r}.")
    classifier.classes_ = np.array(labels, dtype=texts["dtype"])
    classifier.history_ = json.loads(texts["history"])
    classifier.temperature_ = _temperature(texts)
    weights = {n: v for n, v in checkpoint.tensors.items() if not n.startswith(NOVELTY)}
    classifier.module_ = net_with_weights(
        weights, classifier.backbone, len(labels), classifier.width, device
    )
    return classifier


def _temperature(texts: dict[str, str]) -> float:
    """Read the temperature; files from before there was one have none."""
    value = json.loads(texts.get("temperature", "1.0"))
    if not isinstance(value, float) or not 0 < value < float("inf"):
        raise ValueError(f"its temperature is {value!r}, no number above 0.")
    return value
