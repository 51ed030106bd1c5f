"""Classify semiconductor wafer bin maps and remove the fails that have no pattern.

A wafer map is a 2-D grid of die codes: 0 no die, 1 pass, 2 fail. Names are loaded when they are
first used, so that reading data or filtering does not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from camdenoise._classifier import WaferClassifier
    from camdenoise._denoiser import CamDenoiser
    from camdenoise._denoising import Explanation
    from camdenoise._maps import WaferMapError
    from camdenoise._models import load_model, save_model

_HOMES = {
    "CamDenoiser": "camdenoise._denoiser",
    "Explanation": "camdenoise._denoising",
    "WaferClassifier": "camdenoise._classifier",
    "WaferMapError": "camdenoise._maps",
    "load_model": "camdenoise._models",
    "save_model": "camdenoise._models",
}

__all__ = [
    "CamDenoiser",
    "Explanation",
    "WaferClassifier",
    "WaferMapError",
    "load_model",
    "save_model",
]
__version__ = "0.1.0"


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'camdenoise' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
