"""Classify semiconductor wafer bin maps and remove the fails that have no pattern.

A wafer map is a 2-D grid of die codes: 0 no die, 1 pass, 2 fail. Names are loaded when they are
first used, so that reading data or filtering does not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from camdenoise._version import __version__

if TYPE_CHECKING:
    from camdenoise.classification._classifier import WaferClassifier
    from camdenoise.denoising._cam_denoiser import CamDenoiser
    from camdenoise.models._files import load_model, save_model
    from camdenoise.nets._augmentation import Augmentation
    from camdenoise.wafers._explanation import Explanation
    from camdenoise.wafers._maps import WaferMapError
    from camdenoise.wafers._ragged import RaggedWaferMaps

_HOMES = {
    "Augmentation": "camdenoise.nets._augmentation",
    "CamDenoiser": "camdenoise.denoising._cam_denoiser",
    "Explanation": "camdenoise.wafers._explanation",
    "RaggedWaferMaps": "camdenoise.wafers._ragged",
    "WaferClassifier": "camdenoise.classification._classifier",
    "WaferMapError": "camdenoise.wafers._maps",
    "load_model": "camdenoise.models._files",
    "save_model": "camdenoise.models._files",
}

__all__ = [
    "Augmentation",
    "CamDenoiser",
    "Explanation",
    "RaggedWaferMaps",
    "WaferClassifier",
    "WaferMapError",
    "__version__",
    "load_model",
    "save_model",
]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'camdenoise' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
