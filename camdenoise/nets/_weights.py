"""A net from its weights alone: they are checked before room is made for it."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from camdenoise.nets._backbones import Backbone, make_backbone
from camdenoise.nets._training import memory_order, resolve_device


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
