"""The model that a command was told to use, by name or by file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from camdenoise import CamDenoiser, WaferClassifier


def load_denoiser(model: str, **params: Any) -> tuple[CamDenoiser, str]:
    """Load a denoiser, and tell the SHA-256 of its file."""
    from camdenoise import CamDenoiser

    loaded, digest = load(model, **params)
    if not isinstance(loaded, CamDenoiser):
        raise ValueError(f"{model} holds a classifier. Fit a CamDenoiser around it and save that.")
    return loaded, digest


def load_classifier(model: str) -> tuple[WaferClassifier, str]:
    """Load a classifier, or that of a denoiser, and tell the SHA-256 of its file."""
    from camdenoise import WaferClassifier

    loaded, digest = load(model)
    return loaded if isinstance(loaded, WaferClassifier) else loaded.estimator_, digest


def load(model: str, **params: Any) -> tuple[CamDenoiser | WaferClassifier, str]:
    """Load a model of any kind, and tell the SHA-256 of its file."""
    from camdenoise import CamDenoiser, load_model
    from camdenoise.io._atomic import digest
    from camdenoise.nets._checkpoint import PRETRAINED, pretrained_file

    if model in PRETRAINED:
        with pretrained_file(model) as file:
            return CamDenoiser.from_pretrained(model, **params), digest(file)
    if not Path(model).is_file():
        raise FileNotFoundError(
            f"no model {model!r}. Give {' or '.join(PRETRAINED)}, a model that comes with the "
            "package, or a file that camdenoise.save_model wrote."
        )
    return load_model(model, **params), digest(model)
