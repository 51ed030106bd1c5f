"""Trained models on disk: tensors in safetensors, everything else as JSON text in the same file.

Neither can run code, so a model from a stranger can be opened. A pickle could not. This module
knows files, not estimators: these build themselves from a `Checkpoint`. What the texts are, version
by version, is in docs/models.md.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path

import torch

from camdenoise._version import __version__
from camdenoise.io._atomic import write_whole
from camdenoise.io._file_kinds import kind_of
from camdenoise.nets._backbones import Backbone, make_backbone
from camdenoise.nets._training import memory_order, resolve_device

#: Version of the format. What earlier ones were is in `camdenoise.models._upgrade`.
SCHEMA = 4
#: Names of the models that come with the package.
PRETRAINED = ("wm811k",)
# Packages whose versions may change a model's outputs.
_PACKAGES = ("torch", "timm", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Checkpoint:
    """What a model file holds.

    Attributes
    ----------
    kind : str
        Which estimator it is, such as "camdenoise.WaferClassifier".
    texts : dict of str to str
        Parameters and the rest, as JSON.
    tensors : dict of str to Tensor
        Weights and other arrays.
    version : int
        Of the format.
    """

    kind: str
    texts: dict[str, str]
    tensors: dict[str, torch.Tensor]
    version: int = SCHEMA


@contextmanager
def pretrained_file(name: str) -> Iterator[Path]:
    """Give the file of a model that comes with the package.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    if name not in PRETRAINED:
        raise ValueError(
            f"there is no pretrained model {str(name)!r}; there is {', '.join(PRETRAINED)}. To "
            "load a file that save_model wrote, use camdenoise.load_model(path)."
        )
    with as_file(files("camdenoise") / "pretrained" / f"{name}.safetensors") as file:
        yield file


def write_checkpoint(path: str | os.PathLike, checkpoint: Checkpoint) -> None:
    """Write a model file, whole or not at all, with the versions of packages and a checksum."""
    from safetensors.torch import save

    texts = checkpoint.texts | {
        "format": f"{checkpoint.kind}/{SCHEMA}",
        "versions": json.dumps(_versions()),
    }
    tensors = {name: values.contiguous() for name, values in checkpoint.tensors.items()}
    content = save(tensors, metadata=texts | {"sha256": checksum(texts, tensors)})
    with write_whole(path) as stream:
        stream.write(content)


def read_checkpoint(path: str | os.PathLike, kinds: tuple[str, ...]) -> Checkpoint:
    """Read a model file; run no code from it.

    Parameters
    ----------
    path : path-like
        The file.
    kinds : tuple of str
        Accepted kinds of model; the message names the first.

    Returns
    -------
    Checkpoint

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For a file that is damaged, of another kind or of a later version of camdenoise.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"No model at {path}. Give a file that save_model wrote; a model that comes with the "
            "package is loaded by its name with CamDenoiser.from_pretrained."
        )
    texts, tensors = _read(path)
    kind, _, number = texts.get("format", "").partition("/")
    if kind not in kinds or not number.isdecimal() or int(number) < 1:
        raise ValueError(
            f"{path} is not a model that camdenoise saved: its format is {texts.get('format')!r}, "
            f"not '{kinds[0]}/{SCHEMA}'. Give a file that save_model wrote."
        )
    if int(number) > SCHEMA:
        raise ValueError(
            f"{path} has format {kind}/{number}; camdenoise {__version__} reads up to {SCHEMA}. "
            "Install a later camdenoise."
        )
    if int(number) > 1 and texts.get("sha256") != checksum(texts, tensors):
        raise ValueError(
            f"{path} is damaged: its content does not have the SHA-256 that it names. Copy it "
            "anew from where it came."
        )
    return Checkpoint(kind, texts, tensors, int(number))


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt", device="cpu") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        kind = kind_of(path)
        if kind is not None and kind.what != "a safetensors file":
            raise ValueError(
                f"{path} is not a model that camdenoise saved: it is {kind.what}. {kind.remedy}"
            ) from error
        raise ValueError(
            f"{path} is not a model that camdenoise saved: {error}. Give a file that save_model "
            "wrote; if this is one, copy it anew from where it came."
        ) from error


def _versions() -> dict[str, str]:
    return {"camdenoise": __version__} | {name: version(name) for name in _PACKAGES}


def checksum(texts: dict[str, str], tensors: dict[str, torch.Tensor]) -> str:
    """Compute the SHA-256 of a file's content without the checksum itself.

    Parameters
    ----------
    texts : dict of str to str
        In any order.
    tensors : dict of str to Tensor
        In any order.

    Returns
    -------
    str
        64 hexadecimal digits, of the texts as JSON with sorted names, then of each tensor in the
        order of the names: its name, torch type and shape, and its bytes.
    """
    plain = {name: text for name, text in texts.items() if name != "sha256"}
    found = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for name, values in sorted(tensors.items()):
        found.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        found.update(values.cpu().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def restore_net(
    weights: Mapping[str, torch.Tensor],
    backbone: str,
    n_classes: int,
    width: int,
    device: str,
    n_maps: int | None = None,
) -> Backbone:
    """Build a net around weights that were trained before.

    Parameters
    ----------
    weights : mapping of str to Tensor
        All of them, as ``module.state_dict()`` gives them.
    backbone, width, device
        As in `WaferClassifier`.
    n_classes : int
        Classes that it tells apart.
    n_maps : int or None, default=None
        Evidence maps of ``"wafer_unet"``; None: one per class.

    Returns
    -------
    Backbone
        On the device, in eval mode. Numbers drawn by others do not change by this.

    Raises
    ------
    ValueError
        For weights of another net.
    """
    with torch.device("meta"):
        wanted = _shapes(
            make_backbone(backbone, n_classes, width=width, n_maps=n_maps).state_dict()
        )
    found = _shapes(weights)
    wrong = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))
    if wrong:
        raise ValueError(
            f"weight {wrong[0]!r} has shape {found.get(wrong[0])}, the net needs "
            f"{wanted.get(wrong[0])} (and {len(wrong) - 1} more)."
        )
    with torch.random.fork_rng(devices=[]):
        net = make_backbone(backbone, n_classes, width=width, n_maps=n_maps)
    net.load_state_dict(weights)
    return net.to(resolve_device(device)).to(memory_format=memory_order(net)).eval()


def _shapes(weights: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(values.shape) for name, values in weights.items()}
