"""Networks, each as an ordered set of named stages and a head.

A class activation map needs the gradient of a score with respect to a stage's output and nothing
before it. Keeping the stages apart makes that cut a matter of where to stop, without hooks. Any
convolutional timm model can be cut behind its last stage; the families below at every stage.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn.functional import interpolate

#: Names of our own networks.
WAFER_RESNET = "wafer_resnet"
WAFER_UNET = "wafer_unet"
_OURS = (WAFER_RESNET, WAFER_UNET)
#: Input planes: one each for no die, pass and fail.
N_PLANES = 3
#: Input planes with those of `add_component_planes`.
N_PLANES_WITH_COMPONENTS = 5

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
    skips : dict of str to str, default={}
        Name of a stage, or "head", and of an earlier stage whose output is its second input.
    n_planes : int, default=3
        Channels of the input.
    """

    def __init__(
        self,
        stages: Stages,
        head: nn.Module,
        skips: Mapping[str, str] = MappingProxyType({}),
        n_planes: int = N_PLANES,
    ):
        super().__init__()
        self.n_planes = n_planes
        self.stages = nn.ModuleDict(OrderedDict(stages))
        self.head: Any = head
        self.skips = dict(skips)

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the stages, input side first."""
        return tuple(self.stages)

    @property
    def has_evidence(self) -> bool:
        """Whether the class scores come from maps, which can be read without a gradient."""
        return isinstance(self.head, EvidenceHead)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (batch, n_classes)."""
        outputs: dict[str, torch.Tensor] = {}
        return self.forward_head(self.forward_stages(x, outputs, self.layer_names), outputs)

    def forward_stages(
        self, x: torch.Tensor, outputs: dict[str, torch.Tensor], names: Sequence[str]
    ) -> torch.Tensor:
        """Apply some of the stages and return the output of the last.

        Parameters
        ----------
        x : Tensor
            Input of the first of them: the output of the stage before it, or the images.
        outputs : dict of str to Tensor
            Outputs of earlier stages that are second inputs of later ones. Those of `names` are
            added.
        names : sequence of str
            Stages to apply, in their order.
        """
        for name in names:
            x = self.stages[name](x, *self._skip_inputs(name, outputs))
            if name in self.skips.values():
                outputs[name] = x
        return x

    def forward_head(self, x: torch.Tensor, outputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the logits in float32; `outputs` as in `forward_stages`."""
        return self.head(x.float(), *(y.float() for y in self._skip_inputs("head", outputs)))

    def forward_evidence(
        self, x: torch.Tensor, outputs: dict[str, torch.Tensor], *, detach: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return logits, evidence maps and the features behind the logits, if `has_evidence`.

        With `detach` no gradient of the logits reaches the maps, so that only known patterns train
        them.
        """
        x = x.float()
        evidence = self.head.evidence(x)
        (coarse,) = self._skip_inputs("head", outputs)
        areas = evidence.detach() if detach else evidence
        features = self.head.features(areas, x, coarse.float())
        return self.head.classifier(features), evidence, features

    def _skip_inputs(self, name: str, outputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return (outputs[self.skips[name]],) if name in self.skips else ()

    def feature_shapes(self, input_size: int) -> dict[str, tuple[int, ...]]:
        """Return each stage's output shape without the batch axis, for a square input."""
        device = next(self.parameters()).device
        x = torch.zeros(1, self.n_planes, input_size, input_size, device=device)
        shapes: dict[str, tuple[int, ...]] = {}
        outputs: dict[str, torch.Tensor] = {}
        with torch.no_grad():
            for name in self.stages:
                x = self.forward_stages(x, outputs, [name])
                shapes[name] = tuple(x.shape[1:])
        return shapes


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut (He et al. 2016, 1512.03385).

    A stride averages before the convolutions instead of skipping between their windows. A 3x3
    window that moves by two sees every other cell more often than its neighbors, and the gradient
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


def residual_stages(width: int, n_planes: int = N_PLANES) -> Stages:
    """Build a stem that keeps every die and four residual stages, of which three halve the grid."""
    widths = stage_widths(width)
    stages: Stages = {
        "stem": nn.Sequential(
            nn.Conv2d(n_planes, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
    }
    for index, stride in enumerate((1, 2, 2, 2), start=1):
        stages[f"stage{index}"] = ResidualBlock(widths[index - 1], widths[index], stride)
    return stages


def stage_widths(width: int) -> list[int]:
    """Return the number of channels behind the stem and behind each residual stage."""
    return [width, width, 2 * width, 4 * width, 8 * width]


def wafer_resnet(n_classes: int, width: int = 16) -> Backbone:
    """Build the default network: narrow, with a stem that keeps every die.

    A 64 px input leaves grids of 64, 32, 16 and 8, so that the middle stages still resolve a
    scratch. Width 16 has 0.3 million parameters.
    """
    stages = residual_stages(width)
    return Backbone(stages, pooled_linear_head(stage_widths(width)[-1], n_classes))


class Context(nn.Module):
    """Add a linear function of the channels' means, which encode the whole wafer, to every cell."""

    def __init__(self, n_channels: int):
        super().__init__()
        self.of_wafer = nn.Linear(n_channels, n_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a tensor of the same shape."""
        return x + self.of_wafer(x.mean(dim=(2, 3)))[:, :, None, None]


class UpBlock(nn.Module):
    """Return to the grid of an earlier stage and join its output (Ronneberger 2015, 1505.04597).

    Without `skip` the earlier stage's output gives only the size of its grid.
    """

    def __init__(self, n_in: int, n_out: int, *, skip: bool = True):
        super().__init__()
        self.skip = skip
        self.narrow = nn.Conv2d(n_in, n_out, 1, bias=False)
        self.block = ResidualBlock(2 * n_out if skip else n_out, n_out, 1)

    def forward(self, x: torch.Tensor, finer: torch.Tensor) -> torch.Tensor:
        """Return a tensor on the grid of `finer`, with as many channels."""
        x = interpolate(self.narrow(x), size=finer.shape[-2:], mode="bilinear")
        return self.block(torch.cat([x, finer], dim=1) if self.skip else x)


class EvidenceHead(nn.Module):
    """Class scores from one evidence map per class, and from the wafer as a whole.

    A map is a linear function of a cell's channels, as in CAM (Zhou et al. 2016, 1512.04150). Its
    sigmoid is the probability that a fail there belongs to a pattern of that class. The class
    scores are a linear function of the logarithms of the maps' areas, and of the means of the
    channels of the last and of the coarsest stage.

    Parameters
    ----------
    n_features, n_coarse : int
        Channels of the last and of the coarsest stage.
    n_classes : int
    n_maps : int or None, default=None
        Number of evidence maps: one per class, then one for each pattern without a class of its
        own. None: the number of classes.
    """

    # Added to an area, about one die's share of the wafer, so that its logarithm is finite.
    _NOTHING = 1e-3

    def __init__(self, n_features: int, n_coarse: int, n_classes: int, n_maps: int | None = None):
        n_maps = n_classes if n_maps is None else n_maps
        super().__init__()
        self.evidence = nn.Conv2d(n_features, n_maps, 1)
        self.classifier = nn.Linear(n_maps + n_features + n_coarse, n_classes)
        # Start from "no pattern anywhere" and "a class's score is the area of its own map".
        with torch.no_grad():
            self.evidence.bias.fill_(-2.0)  # type: ignore[union-attr]
            self.classifier.bias.zero_()
            # Not by `torch.eye`, which on the device "meta" takes two seconds of imports.
            self.classifier.weight[:, :n_classes].zero_().fill_diagonal_(1)

    def features(
        self, evidence: torch.Tensor, x: torch.Tensor, coarse: torch.Tensor
    ) -> torch.Tensor:
        """Return the inputs of the classifier, shape (batch, n_maps + n_features + n_coarse)."""
        area = torch.log(torch.sigmoid(evidence).mean(dim=(2, 3)) + self._NOTHING)
        return torch.cat([area, x.mean(dim=(2, 3)), coarse.mean(dim=(2, 3))], dim=1)

    def forward(self, x: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        """Return the logits, shape (batch, n_classes)."""
        return self.classifier(self.features(self.evidence(x), x, coarse))


def wafer_unet(n_classes: int, width: int = 16, n_maps: int | None = None) -> Backbone:
    """Build `wafer_resnet` with a decoder to the full grid, and an evidence map per class there.

    The last stage has a cell for each pixel of the input, so that its class activation maps resolve
    single dies. Two input planes encode the size of each fail's component. Width 16 has 0.5 million
    parameters.
    """
    n_planes = N_PLANES_WITH_COMPONENTS
    stages = residual_stages(width, n_planes)
    stages["context"] = Context(8 * width)
    for level, n_out in ((3, 4 * width), (2, 2 * width), (1, width)):
        stages[f"up{level}"] = UpBlock(2 * n_out, n_out)
    skips = {f"up{level}": f"stage{level}" for level in (3, 2, 1)} | {"head": "stage4"}
    return Backbone(stages, EvidenceHead(width, 8 * width, n_classes, n_maps), skips, n_planes)


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


def make_backbone(
    name: str, n_classes: int, *, width: int = 16, n_maps: int | None = None
) -> Backbone:
    """Build a network with random weights from torch's current random state.

    Parameters
    ----------
    name : str
        ``"wafer_resnet"``, ``"wafer_unet"`` or any model name of timm.
    n_classes : int
        Number of logits.
    width : int, default=16
        Channels of the first stage of our own networks; timm models ignore it.
    n_maps : int or None, default=None
        Evidence maps of ``"wafer_unet"``, as in `EvidenceHead`.

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
    if name == WAFER_UNET:
        return wafer_unet(n_classes, width, n_maps)
    if name == WAFER_RESNET:
        return wafer_resnet(n_classes, width)
    import timm  # half a second, needed only here

    if not isinstance(name, str) or not timm.is_model(name):
        raise ValueError(_unknown_backbone(name, timm.list_models()))
    model = timm.create_model(name, pretrained=False, num_classes=n_classes, in_chans=N_PLANES)
    return _CUTS.get(type(model).__name__, _cut_behind_features)(model)


def has_grouped_convolutions(net: nn.Module) -> bool:
    """Tell whether a net has grouped or depthwise convolutions, which do not suit bfloat16."""
    return any(isinstance(layer, nn.Conv2d) and layer.groups > 1 for layer in net.modules())


def _unknown_backbone(name: object, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(str(name), [*_OURS, *known], n=3)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    return (
        f"Unknown backbone {name!r}.{hint} "
        f"Use {' or '.join(map(repr, _OURS))} or a name listed by timm.list_models()."
    )
