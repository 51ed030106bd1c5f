"""Trained models on disk: weights in safetensors, everything else as JSON beside them.

Neither can run code, so a model from a stranger can be opened. A pickle could not. What the texts
are, version by version, is in docs/models.md.
"""

from __future__ import annotations

import hashlib
import json
import os
from importlib.metadata import version
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from camdenoise import __version__
from camdenoise._classifier import WaferClassifier
from camdenoise._denoiser import CamDenoiser
from camdenoise._denoiser_record import read_record, write_record
from camdenoise._file_kinds import kind_of
from camdenoise._files import write_whole
from camdenoise._novelty import FEWEST_KNOWN, Novelty
from camdenoise._weights import net_with_weights

FORMAT = "camdenoise.WaferClassifier"
DENOISER_FORMAT = "camdenoise.CamDenoiser"
#: Version of the texts. Files of 1 have no "sha256" and no "versions", those of 2 no known wafers.
SCHEMA = 3
# Beside the weights: the known wafers of a denoiser.
_KNOWN = "novelty."
# Used in training only, and not of a kind that JSON holds.
_LEFT_OUT = ("background", "class_weight", "random_state")
# What the numbers that a model gives may depend on.
_PACKAGES = ("torch", "timm", "scikit-learn", "numpy")


def save_model(model: WaferClassifier | CamDenoiser, path: str | os.PathLike) -> None:
    """Save a trained classifier or denoiser to one file, whole or not at all.

    Parameters
    ----------
    model : WaferClassifier or CamDenoiser
        A fitted one. A denoiser is saved with its classifier and its calibration.
    path : path-like
        The file to write, by custom ``*.safetensors``; an existing one is replaced once the new
        one is complete.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        For a model that was not fitted.
    ValueError
        For class labels that are neither text, whole numbers nor truth values.

    See Also
    --------
    load_model : Read it again.

    Notes
    -----
    Kept are the weights, the labels and the parameters, but for `background`, `class_weight` and
    an unfixed `random_state`, which matter in training only; of a denoiser, its calibration, too.
    Beside them stand the versions of the packages that it was saved with and a SHA-256 of all of
    it. Not kept is the skorch net. A denoiser comes back around a frozen classifier.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from camdenoise import WaferClassifier, load_model, save_model
    >>> from camdenoise.datasets import make_wafer_maps
    >>> wafers = make_wafer_maps(20, random_state=0)
    >>> clf = WaferClassifier(width=4, input_size=32, max_epochs=1, random_state=0)
    >>> clf = clf.fit(wafers.maps, wafers.target)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "model.safetensors")
    ...     save_model(clf, file)
    ...     again = load_model(file)
    >>> bool((again.predict(wafers.maps) == clf.predict(wafers.maps)).all())
    True
    """
    from safetensors.torch import save

    check_is_fitted(model)
    denoiser = model if isinstance(model, CamDenoiser) else None
    classifier = model if denoiser is None else denoiser.estimator_
    about = _about(classifier)
    if denoiser is not None:
        about |= {
            "format": f"{DENOISER_FORMAT}/{SCHEMA}",
            "denoiser": write_record(denoiser),
        }
    weights = {name: t.contiguous() for name, t in classifier.module_.state_dict().items()}
    if denoiser is not None and denoiser.novelty_ is not None:
        weights |= {
            _KNOWN + name: torch.from_numpy(getattr(denoiser.novelty_, name))
            for name in ("references", "distances")
        }
    content = save(weights, metadata=about | {"sha256": checksum(about, weights)})
    with write_whole(path) as stream:
        stream.write(content)


def load_model(
    path: str | os.PathLike, *, device: str = "cpu", **params: Any
) -> WaferClassifier | CamDenoiser:
    """Load a classifier or a denoiser that `save_model` wrote; runs no code from the file.

    Parameters
    ----------
    path : path-like
        The file.
    device : str, default="cpu"
        Where to put it, whatever device it was trained on.
    **params
        For a denoiser: parameters to have instead of those that it was saved with.

    Returns
    -------
    WaferClassifier or CamDenoiser
        Whichever was saved. Fitted; without `net_`, which only training needs.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        For a file that is damaged, of another kind or of a later version of camdenoise, or
        `params` that do not fit.

    Notes
    -----
    Files of all earlier versions are read; those of the first hold no checksum to compare. The
    checksum tells of accidents: who changes a file on purpose can write one that fits.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"No model at {path}. Give a file that save_model wrote; a model that comes with the "
            "package is loaded by its name with CamDenoiser.from_pretrained."
        )
    about, weights = _read(path)
    _check_format(path, about, weights)
    known = {name: values for name, values in weights.items() if name.startswith(_KNOWN)}
    weights = {name: values for name, values in weights.items() if name not in known}
    try:
        classifier = _rebuild(about, weights, device)
        novelty = _novelty(known, classifier)
        if "denoiser" in about:
            read_record(about["denoiser"], classifier, novelty)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ValueError(f"{path} is no model that camdenoise saved: {error}") from error
    if "denoiser" in about:
        if params.get("novelty_rate") is not None and novelty is None:
            raise ValueError(
                f"novelty_rate={params['novelty_rate']}: {path} holds no known wafers to compare "
                "with. Fit the denoiser with a novelty_rate, on labelled wafers, and save it again."
            )
        return read_record(about["denoiser"], classifier, novelty, **params)
    if params:
        raise ValueError(f"{', '.join(params)}: {path} holds a classifier, which takes none.")
    return classifier


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt", device="cpu") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        kind = kind_of(path)
        if kind is not None and kind.what != "a safetensors file":
            raise ValueError(
                f"{path} is no model that camdenoise saved: it is {kind.what}. {kind.remedy}"
            ) from error
        raise ValueError(
            f"{path} is no model that camdenoise saved: {error}. Give a file that save_model "
            "wrote; if this is one, copy it anew from where it came."
        ) from error


def _about(classifier: WaferClassifier) -> dict[str, str]:
    """Return what a safetensors file can hold beside weights: text by name."""
    labels = classifier.classes_
    texts = labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels)
    if labels.dtype.kind not in "iubU" and not texts:
        raise ValueError(f"Labels of type {labels.dtype} cannot be saved; use text or integers.")
    return {
        "format": f"{FORMAT}/{SCHEMA}",
        "versions": json.dumps(_versions()),
        "parameters": json.dumps(_plain_parameters(classifier)),
        "classes": json.dumps(labels.tolist()),
        "dtype": "object" if texts else labels.dtype.str,
        "history": json.dumps(classifier.history_),
        "temperature": json.dumps(classifier.temperature_),
    }


def _versions() -> dict[str, str]:
    return {"camdenoise": __version__} | {name: version(name) for name in _PACKAGES}


def checksum(about: dict[str, str], weights: dict[str, torch.Tensor]) -> str:
    """Hash what a file holds by SHA-256, but for the checksum itself.

    Parameters
    ----------
    about : dict of str to str
        The texts, in any order.
    weights : dict of str to Tensor
        The weights, in any order.

    Returns
    -------
    str
        64 hexadecimal digits, of the texts as JSON with sorted names, then of each weight in the
        order of the names: its name, torch type and shape, and its bytes.
    """
    texts = {name: text for name, text in about.items() if name != "sha256"}
    found = hashlib.sha256(json.dumps(texts, sort_keys=True).encode())
    for name, values in sorted(weights.items()):
        found.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        found.update(values.cpu().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _check_format(path: Path, about: dict[str, str], weights: dict[str, torch.Tensor]) -> None:
    """Refuse another kind, a later version, and content that is not what was written."""
    wanted = DENOISER_FORMAT if "denoiser" in about else FORMAT
    kind, _, number = about.get("format", "").partition("/")
    if kind != wanted or not number.isdecimal() or int(number) < 1:
        raise ValueError(
            f"{path} is no model that camdenoise saved: its format is {about.get('format')!r}, "
            f"not '{wanted}/{SCHEMA}'. Give a file that save_model wrote."
        )
    if int(number) > SCHEMA:
        raise ValueError(
            f"{path} has format {kind}/{number}; camdenoise {__version__} reads up to {SCHEMA}. "
            "Install a later camdenoise."
        )
    if int(number) > 1 and about.get("sha256") != checksum(about, weights):
        raise ValueError(
            f"{path} is damaged: its content does not have the SHA-256 that it names. Copy it "
            "anew from where it came."
        )


def _plain_parameters(classifier: WaferClassifier) -> dict[str, Any]:
    parameters = classifier.get_params(deep=False)
    plain = {name: value for name, value in parameters.items() if name not in _LEFT_OUT}
    if isinstance(classifier.random_state, Integral):
        plain["random_state"] = classifier.random_state
    return {name: v.item() if isinstance(v, np.generic) else v for name, v in plain.items()}


def _rebuild(about: dict[str, str], weights: dict, device: str) -> WaferClassifier:
    parameters = json.loads(about["parameters"]) | {"device": device}
    classifier = WaferClassifier(**parameters)
    classifier._validate_params()
    labels = json.loads(about["classes"])
    if about["dtype"] not in ("object", "|b1") and about["dtype"][1:2] not in ("i", "u", "U"):
        raise ValueError(f"its labels are of type {about['dtype']!r}.")
    classifier.classes_ = np.array(labels, dtype=about["dtype"])
    classifier.history_ = json.loads(about["history"])
    classifier.temperature_ = _temperature(about)
    classifier.module_ = net_with_weights(
        weights, classifier.backbone, len(labels), classifier.width, device
    )
    return classifier


def _novelty(known: dict[str, torch.Tensor], classifier: WaferClassifier) -> Novelty | None:
    """Read the known wafers; most models have none."""
    if not known:
        return None
    if not classifier.module_.has_evidence:
        raise ValueError("it has known wafers, for a net that has no use for them.")
    found = {name.removeprefix(_KNOWN): values.numpy() for name, values in known.items()}
    novelty = Novelty(**found)
    n_known, n_features = len(novelty.distances), classifier.module_.head.weigh.in_features
    if (
        novelty.references.shape != (n_known, n_features)
        or n_known < FEWEST_KNOWN
        or not all(np.isfinite(values).all() for values in found.values())
    ):
        raise ValueError("its known wafers are not those of its net.")
    return novelty


def _temperature(about: dict[str, str]) -> float:
    """Read the temperature; files from before there was one have none."""
    value = json.loads(about.get("temperature", "1.0"))
    if not isinstance(value, float) or not 0 < value < float("inf"):
        raise ValueError(f"its temperature is {value!r}, no number above 0.")
    return value
