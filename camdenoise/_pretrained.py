"""Models that come with the package, for whoever has nothing to train on."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

from camdenoise._classifier import WaferClassifier
from camdenoise._denoiser import CamDenoiser
from camdenoise._models import load_model

#: Names of the models.
PRETRAINED = ("wm811k",)


def pretrained_denoiser(name: str, device: str = "cpu", **params: Any) -> CamDenoiser:
    """Load a denoiser by its name; see `CamDenoiser.from_pretrained`."""
    if name not in PRETRAINED:
        raise ValueError(
            f"there is no pretrained model {str(name)!r}; there is {', '.join(PRETRAINED)}. To "
            "load a file that save_model wrote, use camdenoise.load_model(path)."
        )
    with as_file(files("camdenoise") / "pretrained" / f"{name}.safetensors") as file:
        denoiser = load_model(file, device=device, **params)
    assert isinstance(denoiser, CamDenoiser)
    return denoiser


def pretrained_classifier(name: str, device: str = "cpu") -> WaferClassifier:
    """Load a classifier by its name; see `WaferClassifier.from_pretrained`."""
    return pretrained_denoiser(name, device).estimator_
