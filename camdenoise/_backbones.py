"""Networks, each as an ordered set of named stages and a head.

A class activation map needs the gradient of a score with respect to a stage's output and nothing
before it. Keeping the stages apart makes that cut a matter of where to stop, without hooks. Any
convolutional timm model can be cut behind its last stage; the families below at every stage.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

#: Name of our own network.
WAFER_RESNET = "wafer_resnet"
#: Input planes: one each for no die, pass and fail.
N_PLANES = 3

Stages: TypeAlias = dict[str, nn.Module]
# To torch's types every attribute of a model is a tensor or a module; timm's are more than that.
TimmModel: TypeAlias = Any


class Backbone(nn.Module):
    """A classifier made of named stages and a head.

    Parameters
    ----------
    stages : dict of str to Module
        Applied in order; each output is a candidate target layer for a CAM.
    head : Module
        Turns the last stage's output into logits.
    """

    def __init__(self, stages: Stages, head: nn.Module):
        super().__init__()
        self.stages = nn.ModuleDict(OrderedDict(stages))
        self.head = head

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the stages, input side first."""
        return tuple(self.stages)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (batch, n_classes)."""
        for stage in self.stages.values():
            x = stage(x)
        return self.head(x)

    def grids(self, input_size: int) -> dict[str, tuple[int, ...]]:
        """Return each stage's output shape without the batch axis, for a square input."""
        device = next(self.parameters()).device
        x = torch.zeros(1, N_PLANES, input_size, input_size, device=device)
        shapes = {}
        with torch.no_grad():
            for name, stage in self.stages.items():
                x = stage(x)
                shapes[name] = tuple(x.shape[1:])
        return shapes


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut (He et al. 2016, 1512.03385).

    A stride averages before the convolutions instead of skipping between their windows. A 3x3
    window that moves by two sees every other cell more often than its neighbours, and the gradient
    of a class shows that as a lattice of bright dots that has nothing to do with the wafer
    (Odena et al. 2016, doi:10.23915/distill.00003).
    """

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.pool = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
        self.body = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut = nn.Identity() if n_in == n_out else _projection(n_in, n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of shape (batch, n_out, height / stride, width / stride)."""
        x = self.pool(x)
        # In place, because new memory for maps this narrow costs more than the arithmetic.
        return (self.body(x) + self.shortcut(x)).relu_()


def _projection(n_in: int, n_out: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))


def pooled_linear_head(n_features: int, n_classes: int) -> nn.Module:
    """Global average pooling and one linear layer, whose CAM is exact (Zhou et al. 2016)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_features, n_classes))


def wafer_resnet(n_classes: int, width: int = 16) -> Backbone:
    """Build the default network: narrow, with a stem that keeps every die.

    A 64 px input leaves grids of 64, 32, 16 and 8, so that the middle stages still resolve a
    scratch. Width 16 has 0.3 million parameters.
    """
    widths = [width, width, 2 * width, 4 * width, 8 * width]
    stages: Stages = {
        "stem": nn.Sequential(
            nn.Conv2d(N_PLANES, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
    }
    for index, stride in enumerate((1, 2, 2, 2), start=1):
        stages[f"stage{index}"] = ResidualBlock(widths[index - 1], widths[index], stride)
    return Backbone(stages, pooled_linear_head(widths[-1], n_classes))


class _TimmFeatures(nn.Module):
    def __init__(self, model: TimmModel):
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model.forward_features(x)


class _TimmHead(nn.Module):
    """The head of a timm model that is registered once, with its features."""

    model: TimmModel

    def __init__(self, model: TimmModel):
        super().__init__()
        self.__dict__["model"] = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model.forward_head(x)


def _cut_resnet(model: TimmModel) -> Backbone:
    stages: Stages = {"stem": nn.Sequential(model.conv1, model.bn1, model.act1, model.maxpool)}
    stages |= {f"layer{i}": getattr(model, f"layer{i}") for i in (1, 2, 3, 4)}
    return Backbone(stages, nn.Sequential(model.global_pool, model.fc))


def _cut_vgg(model: TimmModel) -> Backbone:
    """Cut behind every pooling layer; replace the 100-million-parameter head by a pooled one."""
    stages: Stages = {}
    block: list[nn.Module] = []
    for layer in model.features:
        block.append(layer)
        if isinstance(layer, nn.MaxPool2d):
            stages[f"block{len(stages) + 1}"] = nn.Sequential(*block)
            block = []
    n_features = next(
        m.num_features for m in reversed(model.features) if hasattr(m, "num_features")
    )
    return Backbone(stages, pooled_linear_head(n_features, model.num_classes))


def _cut_efficientnet(model: TimmModel) -> Backbone:
    stages: Stages = {"stem": nn.Sequential(model.conv_stem, model.bn1)}
    stages |= {f"blocks{i}": block for i, block in enumerate(model.blocks)}
    stages["conv_head"] = nn.Sequential(model.conv_head, model.bn2)
    return Backbone(stages, nn.Sequential(model.global_pool, model.classifier))


def _cut_mobilenetv3(model: TimmModel) -> Backbone:
    stages: Stages = {"stem": nn.Sequential(model.conv_stem, model.bn1)}
    stages |= {f"blocks{i}": block for i, block in enumerate(model.blocks)}
    head = (model.global_pool, model.conv_head, model.norm_head, model.act2, model.flatten)
    return Backbone(stages, nn.Sequential(*head, model.classifier))


def _cut_behind_features(model: TimmModel) -> Backbone:
    return Backbone({"features": _TimmFeatures(model)}, _TimmHead(model))


_CUTS: dict[str, Callable[[TimmModel], Backbone]] = {
    "ResNet": _cut_resnet,
    "VGG": _cut_vgg,
    "EfficientNet": _cut_efficientnet,
    "MobileNetV3": _cut_mobilenetv3,
}


def make_backbone(name: str, n_classes: int, *, width: int = 16) -> Backbone:
    """Build a network with random weights from torch's current random state.

    Parameters
    ----------
    name : str
        ``"wafer_resnet"`` or any model name of timm.
    n_classes : int
        Number of logits.
    width : int, default=16
        Channels of the first stage of ``"wafer_resnet"``; timm models ignore it.

    Returns
    -------
    Backbone

    Raises
    ------
    ValueError
        For a name that timm does not know, with the nearest ones that it does.

    Examples
    --------
    >>> make_backbone("wafer_resnet", 6).layer_names
    ('stem', 'stage1', 'stage2', 'stage3', 'stage4')
    """
    if name == WAFER_RESNET:
        return wafer_resnet(n_classes, width)
    import timm  # half a second, needed only here

    if not isinstance(name, str) or not timm.is_model(name):
        raise ValueError(_unknown_backbone(name, timm.list_models()))
    model = timm.create_model(name, pretrained=False, num_classes=n_classes, in_chans=N_PLANES)
    return _CUTS.get(type(model).__name__, _cut_behind_features)(model)


def _unknown_backbone(name: object, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(str(name), [WAFER_RESNET, *known], n=3)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    return (
        f"Unknown backbone {name!r}.{hint} "
        f"Use {WAFER_RESNET!r} or a name listed by timm.list_models()."
    )
