"""Prediction of a net: batch norm folded into convolutions, bfloat16 if the CPU has it.

In eval mode a batch norm is one factor and one offset per channel. The convolution before it can
include them (Jacob et al. 2018, 1712.05877). This changes the logits by rounding only, and saves a
pass over every feature map.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from itertools import chain
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from camdenoise.nets._augmentation import N_SYMMETRIES, symmetry, undo_symmetry
from camdenoise.nets._backbones import Backbone, has_grouped_convolutions

#: Arithmetic of the stages.
PRECISIONS = ("auto", "float32", "bfloat16")
#: A class is ambiguous if the best two logits differ by less than this share of the range of all
#: logits. bfloat16 changes that share by less in nets without depthwise convolutions
#: (docs/performance.md).
CLOSE = 0.02

# Kept outside the nets, so that no copy is pickled and each is freed with its net.
_COPIES: WeakKeyDictionary[Backbone, tuple[tuple, Backbone]] = WeakKeyDictionary()


def inference_net(net: Backbone, input_size: int) -> Backbone:
    """Return a copy of the net for inference; a new one is made only if the weights changed.

    Parameters
    ----------
    net : Backbone
        A trained net; it is not modified.
    input_size : int
        Side of its input in pixels.

    Returns
    -------
    Backbone
        The same stages with batch norms folded: in eval mode, channels-last, its parameters
        without gradients. Not to be modified, because the next call returns it again.

    Examples
    --------
    >>> from camdenoise.nets._backbones import make_backbone
    >>> net = make_backbone("wafer_resnet", 6).eval()
    >>> fast, images = inference_net(net, 64), torch.rand(2, 3, 64, 64)
    >>> bool(torch.allclose(fast(images), net(images), atol=1e-4))
    True
    >>> sum(isinstance(module, torch.nn.BatchNorm2d) for module in fast.modules())
    0
    """
    weights = tuple((t.data_ptr(), t._version) for t in chain(net.parameters(), net.buffers()))
    of_weights, copy = _COPIES.get(net, (None, net))
    if of_weights != weights:
        # Two threads that come here at once make one copy each, and both are right.
        copy = _fold(net, input_size)
        _COPIES[net] = weights, copy
    return copy


def takes_bfloat16(net: nn.Module, precision: str, device: str | None = None) -> bool:
    """Tell whether the stages of a net run in bfloat16.

    Parameters
    ----------
    net : Module
    precision : {"auto", "float32", "bfloat16"}
        "auto" takes bfloat16 on CPUs with instructions for it (measured 1.5 to 1.9 times as fast);
        on other CPUs it is slower than float32. Nets with grouped or depthwise convolutions stay in
        float32: their gradients are slower in bfloat16 (measured .55 times), and bfloat16 rounds
        their logits more.
    device : str or None, default=None
        Device of training; on a GPU with bfloat16 "auto" takes it. None: for prediction on the
        net's own device; on a GPU this stays in float32.

    Raises
    ------
    ValueError
        For a precision other than "auto", "float32" and "bfloat16".
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}.")
    if precision != "auto":
        return precision == "bfloat16"
    where = next(net.parameters()).device if device is None else torch.device(device)
    if where.type != "cpu":
        trains_on_gpu = device is not None and torch.cuda.is_available()
        return trains_on_gpu and torch.cuda.is_bf16_supported()
    # Older releases of torch cannot tell; `bool` answers no.
    has_instructions = getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()
    return has_instructions and not has_grouped_convolutions(net)


def stage_arithmetic(net: Backbone, bfloat16: bool) -> torch.autocast:
    """Return the context in which the stages of a net run."""
    return torch.autocast(next(net.parameters()).device.type, torch.bfloat16, enabled=bfloat16)


def is_ambiguous(logits: torch.Tensor) -> torch.Tensor:
    """Tell in which images rounding to bfloat16 could change the predicted class."""
    best = logits.topk(min(2, logits.shape[1]), dim=1).values
    return best[:, 0] - best[:, -1] < CLOSE * (best[:, 0] - logits.amin(dim=1))


def bucket_size(n_images: int) -> int:
    """Return the next of 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64 and so on.

    oneDNN compiles every layer anew for each number of images that it has not seen lately, which
    takes as long as dozens of wafers do, and keeps what it compiled.

    Examples
    --------
    >>> [bucket_size(n) for n in (1, 5, 17, 36, 64)]
    [1, 6, 24, 48, 64]
    """
    power = 1 << max(n_images - 1, 0).bit_length()
    return power if n_images > 3 * power // 4 else 3 * power // 4


def pad_to_bucket(images: torch.Tensor) -> torch.Tensor:
    """Repeat the first image until the number of images is a `bucket_size`."""
    n_more = bucket_size(len(images)) - len(images)
    if not n_more:
        return images
    rows = [*range(len(images)), *[0] * n_more]
    return images[rows].contiguous(memory_format=torch.channels_last)


class NetOutput(NamedTuple):
    """What a net outputs for one batch, in float32.

    Attributes
    ----------
    logits : Tensor, shape (n, n_classes)
    evidence : Tensor, shape (n, n_maps, height, width), or None
        Log-odds that a fail there is of a pattern of the map's class; None for a net without
        evidence maps.
    features : Tensor, shape (n, n_features), or None
        Inputs of the linear layer that gives the logits: the areas that the maps cover, and means
        of channels.
    """

    logits: torch.Tensor
    evidence: torch.Tensor | None = None
    features: torch.Tensor | None = None


def predict_net(
    net: Backbone, images: torch.Tensor, precision: str = "float32", *, symmetric: bool = False
) -> NetOutput:
    """Run a net in eval mode on a batch; in float32 where the class is ambiguous.

    Parameters
    ----------
    net : Backbone
        In eval mode.
    images : Tensor of float32, shape (n, n_planes, size, size)
        Encoded wafers.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Arithmetic of the stages, as in `takes_bfloat16`.
    symmetric : bool, default=False
        Average over the eight symmetries of the square.

    Returns
    -------
    NetOutput

    Examples
    --------
    >>> from camdenoise.nets._backbones import make_backbone
    >>> net = make_backbone("wafer_unet", 6).eval()
    >>> output = predict_net(net, torch.rand(2, 5, 48, 48))
    >>> tuple(output.logits.shape), tuple(output.evidence.shape)
    ((2, 6), (2, 6, 48, 48))
    """
    bfloat16 = takes_bfloat16(net, precision)
    if not symmetric:
        return _predict(net, images, bfloat16)
    outputs = []
    for k in range(N_SYMMETRIES):
        output = _predict(net, symmetry(images, k), bfloat16)
        if output.evidence is not None:
            output = output._replace(evidence=undo_symmetry(output.evidence, k))
        outputs.append(output)
    means = (
        None if parts[0] is None else sum(parts) / N_SYMMETRIES
        for parts in zip(*outputs, strict=True)
    )
    return NetOutput(*means)  # type: ignore[arg-type]


def _predict(net: Backbone, images: torch.Tensor, bfloat16: bool) -> NetOutput:
    with torch.inference_mode():
        output = _forward(net, images, bfloat16)
        if bfloat16 and (ambiguous := is_ambiguous(output.logits)).any():
            exact = _forward(net, images[ambiguous], False)
            for rounded, values in zip(output, exact, strict=True):
                if rounded is not None and values is not None:
                    rounded[ambiguous] = values
    return output


def _forward(net: Backbone, images: torch.Tensor, bfloat16: bool) -> NetOutput:
    outputs: dict[str, torch.Tensor] = {}
    with stage_arithmetic(net, bfloat16):
        x = net.forward_stages(pad_to_bucket(images), outputs, net.layer_names)
    if not net.has_evidence:
        return NetOutput(net.forward_head(x, outputs)[: len(images)])
    return NetOutput(*(values[: len(images)] for values in net.forward_evidence(x, outputs)))


@torch.inference_mode(False)
def _fold(net: Backbone, input_size: int) -> Backbone:
    with torch.enable_grad():
        copy = deepcopy(net).eval().requires_grad_(True)
        pairs = _norms_behind_convolutions(copy, input_size)
    copy.requires_grad_(False)
    for norm, convolution in pairs.items():
        fused = fuse_conv_bn_eval(convolution, norm)
        convolution.weight, convolution.bias = fused.weight, fused.bias
    for parent in list(copy.modules()):
        for name, child in parent.named_children():
            if child in pairs:
                # Inside timm's norms is what follows them: dropout and the activation.
                setattr(parent, name, nn.Sequential(*child.children()))
    # Safe for any net: what `_training.memory_order` avoids are gradients of weights.
    return copy.to(memory_format=torch.channels_last)


def _norms_behind_convolutions(net: Backbone, input_size: int) -> dict[nn.BatchNorm2d, nn.Conv2d]:
    """Find the batch norms after a convolution whose output nothing else uses.

    The autograd graph of one pass shows them for any net. torch.fx does too, but replaces methods
    of `Module` for all threads while it runs.
    """
    x = torch.zeros(1, net.n_planes, input_size, input_size, device=next(net.parameters()).device)
    graph = _autograd_graph(net(x))
    by_weight = {
        id(module.weight): module
        for module in net.modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    }
    module_of = {
        node: by_weight[id(source.variable)]
        for node, sources in graph.items()
        for source in sources
        if id(getattr(source, "variable", None)) in by_weight
    }
    readers = Counter(chain.from_iterable(graph.values()))
    uses = Counter(module_of.values())
    pairs = {}
    for node, norm in module_of.items():
        before = graph[node][0]
        convolution = module_of.get(before)
        if not isinstance(norm, nn.BatchNorm2d) or not isinstance(convolution, nn.Conv2d):
            continue
        used_once = readers[before] == uses[convolution] == uses[norm] == 1
        if used_once and norm.running_mean is not None:
            pairs[norm] = convolution
    return pairs


def _autograd_graph(output: torch.Tensor) -> dict[Any, list]:
    """Return what each operation behind `output` reads."""
    graph: dict[Any, list] = {}
    waiting: list[Any] = [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node not in graph:
            graph[node] = [source for source, _ in node.next_functions if source is not None]
            waiting += graph[node]
    return graph
