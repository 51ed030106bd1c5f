"""The denoiser that a command was told to use, by name or by file."""

from __future__ import annotations

import hashlib
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from camdenoise import CamDenoiser


def load_denoiser(model: str, **params: Any) -> tuple[CamDenoiser, str]:
    """Load a denoiser, and tell the SHA-256 of its file.

    Parameters
    ----------
    model : str
        Name of a model that comes with the package, or a file that `save_model` wrote.
    **params
        Parameters to have instead of those that it was saved with.

    Returns
    -------
    CamDenoiser
    str

    Raises
    ------
    FileNotFoundError, ValueError
        For a model that is not there, or a file that holds another thing.
    """
    from camdenoise import CamDenoiser, load_model
    from camdenoise._pretrained import PRETRAINED

    if model in PRETRAINED:
        with as_file(files("camdenoise") / "pretrained" / f"{model}.safetensors") as file:
            digest = _digest(file)
        return CamDenoiser.from_pretrained(model, **params), digest
    if not Path(model).is_file():
        raise FileNotFoundError(
            f"no model {model!r}. Give {' or '.join(PRETRAINED)}, which come with the package, or "
            "a file that camdenoise.save_model wrote."
        )
    denoiser = load_model(model)
    if not isinstance(denoiser, CamDenoiser):
        raise ValueError(f"{model} holds a classifier. Fit a CamDenoiser around it and save that.")
    return load_model(model, **params), _digest(Path(model))  # type: ignore[return-value]


def _digest(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
