"""A fitted classifier as the texts and tensors of a model file, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from numbers import Integral
from typing import Any

import numpy as np
import torch

from camdenoise.classification._feature_view import restore_feature_net
from camdenoise.nets._augmentation import Augmentation
from camdenoise.nets._checkpoint import Checkpoint, restore_net

#: Kind of model, in the file's format.
KIND = "camdenoise.WaferClassifier"
#: Prefix of the tensors that are not weights of the net: the calibration of a denoiser.
CALIBRATION = "calibration."
# Prefix of the weights of the feature view.
_FEATURES = "features."
# Parameters that only training uses and JSON cannot hold.
_LEFT_OUT = ("augmentation", "class_weight", "random_state")


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
    facts = {
        "parameters": _plain_parameters(classifier),
        "classes": labels.tolist(),
        "patterns": list(classifier.patterns_),
        "label_names": classifier.label_names_,
        "history": classifier.history_,
        "temperature": classifier.temperature_,
    }
    saved = {name: json.dumps(value) for name, value in facts.items()}
    saved["dtype"] = "object" if texts else labels.dtype.str
    return Checkpoint(KIND, saved, collect_weights(classifier))


def collect_weights(classifier: Any) -> dict[str, torch.Tensor]:
    """Return the weights of the net, and of the feature view under a prefix."""
    weights = dict(classifier.module_.state_dict())
    if classifier.feature_net_ is not None:
        others = classifier.feature_net_.state_dict()
        weights |= {_FEATURES + name: values for name, values in others.items()}
    return weights


def restore_weights(classifier: Any, weights: Mapping[str, torch.Tensor], device: str) -> None:
    """Build the net and the feature view of a classifier that has its labels.

    Raises
    ------
    ValueError, RuntimeError
        For weights of other nets.
    """
    n_classes = len(classifier.classes_)
    of_features = {
        name.removeprefix(_FEATURES): values
        for name, values in weights.items()
        if name.startswith(_FEATURES)
    }
    if bool(of_features) != (classifier.features is not None):
        raise ValueError(
            f"features is {classifier.features!r}, and it has {len(of_features)} weights for them."
        )
    classifier.feature_net_ = None
    if of_features:
        classifier.feature_net_ = restore_feature_net(of_features, n_classes)
    classifier.module_ = restore_net(
        {name: values for name, values in weights.items() if not name.startswith(_FEATURES)},
        classifier.backbone,
        n_classes,
        classifier.width,
        device,
        len(classifier.class_roles().map_labels),
    )


def _plain_parameters(classifier: Any) -> dict[str, Any]:
    parameters = classifier.get_params(deep=False)
    plain = {name: value for name, value in parameters.items() if name not in _LEFT_OUT}
    if isinstance(classifier.random_state, Integral):
        plain["random_state"] = classifier.random_state
    if (varied := classifier.augmentation) is not None:
        plain["augmentation"] = {"symmetries": varied.symmetries, "flip_rate": varied.flip_rate}
    return {name: _plain(value) for name, value in plain.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def restore_classifier(kind: type, checkpoint: Checkpoint, device: str, **parameters: Any) -> Any:
    """Build a fitted classifier from a model file's texts and tensors.

    Parameters
    ----------
    kind : type
        `WaferClassifier`.
    checkpoint : Checkpoint
    device : str
        A torch device.
    **parameters
        Parameters to use instead of those in the file.

    Raises
    ------
    ValueError, TypeError, KeyError, RuntimeError
        If the texts and tensors do not make a classifier.
    """
    texts = {
        name: json.loads(checkpoint.texts[name])
        for name in ("parameters", "classes", "patterns", "label_names", "history", "temperature")
    }
    saved = texts["parameters"]
    if saved.get("augmentation") is not None:
        saved["augmentation"] = Augmentation(**saved["augmentation"])
    for name in ("input_size", "none_labels", "everywhere_labels"):
        if isinstance(saved.get(name), list):
            saved[name] = tuple(saved[name])
    classifier = kind(**(saved | {"device": device} | parameters))
    classifier._validate_params()
    dtype = checkpoint.texts["dtype"]
    if dtype not in ("object", "|b1") and dtype[1:2] not in ("i", "u", "U"):
        raise ValueError(f"its labels are of type {dtype!r}.")
    classifier.classes_ = np.array(texts["classes"], dtype=dtype)
    roles = classifier.class_roles()
    if not set(texts["patterns"]) <= set(roles.patterns):
        raise ValueError(f"its patterns {texts['patterns']} do not follow from its classes.")
    classifier.patterns_ = tuple(texts["patterns"])
    names = texts["label_names"]
    classifier.label_names_ = None if names is None else tuple(map(str, names))
    classifier.history_ = texts["history"]
    temperature = texts["temperature"]
    if not isinstance(temperature, float) or not 0 < temperature < float("inf"):
        raise ValueError(f"its temperature is {temperature!r}, not a number above 0.")
    classifier.temperature_ = temperature
    tensors = checkpoint.tensors
    weights = {name: each for name, each in tensors.items() if not name.startswith(CALIBRATION)}
    restore_weights(classifier, weights, device)
    return classifier
