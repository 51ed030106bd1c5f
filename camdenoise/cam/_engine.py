"""Class activation maps: which cells of a layer made the classifier decide.

Every gradient-based method here is a function of two arrays: the activation ``A`` of a target
layer and the gradient ``G`` of the class score with respect to it. Only the part of the net behind
the layer has to be differentiated, so `activation_maps` runs the stages before it without autograd.
This is exact, and several times faster on a CPU than differentiating the whole net. Behind the last
stage nothing is left to differentiate where the head is a pooled linear one: its gradient is the
weights of the class.

The maps are raw, without a scale per image. A map without evidence stays at zero, and the evidence
of two wafers can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import nn

from camdenoise.nets._backbones import Backbone
from camdenoise.nets._inference import (
    NetOutput,
    is_ambiguous,
    predict_net,
    stage_arithmetic,
    takes_bfloat16,
)

# Added to divisors, so that weights of all-zero channels are finite. Such channels are common
# behind a ReLU, and the value changes the result: pytorch-grad-cam uses the same values.
EPSILON_GRADCAM_PLUS_PLUS = 1e-6
EPSILON_XGRADCAM = 1e-7


def gradcam(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Grad-CAM: channels weighted by their mean gradient.

    Parameters
    ----------
    activation, gradient : Tensor, shape (n, channels, height, width)
        ``A`` and ``G``.

    Returns
    -------
    Tensor, shape (n, height, width)
        ``relu(sum_k mean_ij(G_k) A_k)``.

    References
    ----------
    .. [1] R. R. Selvaraju et al., "Grad-CAM", ICCV 2017, arXiv:1610.02391.

    Examples
    --------
    >>> gradcam(torch.ones(1, 2, 4, 4), torch.ones(1, 2, 4, 4)).unique().tolist()
    [2.0]
    """
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return (weights * activation).sum(dim=1).relu()


def hirescam(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """HiResCAM: ``relu(sum_k G_k * A_k)``, each cell with its own gradient.

    Parameters
    ----------
    activation, gradient : Tensor, shape (n, channels, height, width)
        ``A`` and ``G``.

    Returns
    -------
    Tensor, shape (n, height, width)

    References
    ----------
    .. [1] R. L. Draelos, L. Carin, "Use HiResCAM instead of Grad-CAM", arXiv:2011.08891.
    """
    return (gradient * activation).sum(dim=1).relu()


def layercam(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """LayerCAM: ``relu(sum_k relu(G_k) * A_k)``, meant for layers with a fine grid.

    Parameters
    ----------
    activation, gradient : Tensor, shape (n, channels, height, width)
        ``A`` and ``G``.

    Returns
    -------
    Tensor, shape (n, height, width)

    References
    ----------
    .. [1] P.-T. Jiang et al., "LayerCAM", IEEE Trans. Image Process. 30, 2021.
    """
    # In place, because another array of this size costs more than the arithmetic.
    return gradient.relu().mul_(activation).sum(dim=1).relu()


def gradcam_plus_plus(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Grad-CAM++: channels weighted by their positive gradients, strong cells counting less.

    Parameters
    ----------
    activation, gradient : Tensor, shape (n, channels, height, width)
        ``A`` and ``G``.

    Returns
    -------
    Tensor, shape (n, height, width)

    References
    ----------
    .. [1] A. Chattopadhyay et al., "Grad-CAM++", WACV 2018, arXiv:1710.11063.
    """
    total = activation.sum(dim=(2, 3), keepdim=True)
    alpha = gradient**2 / (2 * gradient**2 + total * gradient**3 + EPSILON_GRADCAM_PLUS_PLUS)
    alpha = torch.where(gradient != 0, alpha, 0.0)
    weights = (gradient.relu() * alpha).sum(dim=(2, 3), keepdim=True)
    return (weights * activation).sum(dim=1).relu()


def xgradcam(activation: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """XGrad-CAM: channels weighted by their activation-weighted mean gradient.

    Parameters
    ----------
    activation, gradient : Tensor, shape (n, channels, height, width)
        ``A`` and ``G``.

    Returns
    -------
    Tensor, shape (n, height, width)

    References
    ----------
    .. [1] R. Fu et al., "Axiom-based Grad-CAM", BMVC 2020, arXiv:2008.02312.
    """
    total = activation.sum(dim=(2, 3), keepdim=True)
    weights = (gradient * activation).sum(dim=(2, 3), keepdim=True) / (total + EPSILON_XGRADCAM)
    return (weights * activation).sum(dim=1).relu()


def randomcam(
    activation: torch.Tensor, gradient: torch.Tensor, random_state: Any = None
) -> torch.Tensor:
    """RandomCAM: channels weighted at random, a baseline for methods that choose weights.

    Parameters
    ----------
    activation, gradient : Tensor, shape (n, channels, height, width)
        ``A``, and ``G``, which is ignored.
    random_state : int, RandomState instance or None, default=None
        For the weights.

    Returns
    -------
    Tensor, shape (n, height, width)
        ``relu(sum_k u_k A_k)`` with ``u_k`` uniform in -1..1, drawn anew for each image.

    References
    ----------
    .. [1] J. Gildenblat et al., pytorch-grad-cam, https://github.com/jacobgil/pytorch-grad-cam.
    """
    weights = check_random_state(random_state).uniform(-1, 1, (*activation.shape[:2], 1, 1))
    return (torch.as_tensor(weights).to(activation) * activation).sum(dim=1).relu()


#: The methods computed here, exactly and by one differentiation of the head.
GRADIENT_METHODS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "gradcam": gradcam,
    "hirescam": hirescam,
    "layercam": layercam,
    "gradcam++": gradcam_plus_plus,
    "xgradcam": xgradcam,
}

#: The methods that pytorch-grad-cam computes, and its names for them.
PACKAGE_METHODS = {
    "scorecam": "ScoreCAM",
    "eigencam": "EigenCAM",
    "eigengradcam": "EigenGradCAM",
    "ablationcam": "AblationCAM",
    "fullgrad": "FullGrad",
}

METHODS = (*GRADIENT_METHODS, "randomcam", *PACKAGE_METHODS)


@dataclass(frozen=True)
class ActivationMaps:
    """Saliency of one batch.

    Attributes
    ----------
    logits : Tensor, shape (n, n_classes)
        The net's output.
    targets : Tensor of int64, shape (n,)
        Class explained in each image.
    layers : dict of str to Tensor, shape (n, height, width)
        Raw map of each target layer, on that layer's own grid.
    """

    logits: torch.Tensor
    targets: torch.Tensor
    layers: dict[str, torch.Tensor]


def activation_maps(
    net: Backbone,
    images: torch.Tensor,
    layers: Sequence[str],
    *,
    method: str = "layercam",
    targets: torch.Tensor | None = None,
    precision: str = "float32",
    random_state: Any = None,
) -> ActivationMaps:
    """Explain a batch of images, all target layers in one pass.

    Parameters
    ----------
    net : Backbone
        The classifier. It is explained in eval mode and left in the mode it was in.
    images : Tensor of float32, shape (n, 3, size, size)
        One-hot wafers.
    layers : sequence of str
        Names of stages of `net`.
    method : str, default="layercam"
        One of `METHODS`. Those of pytorch-grad-cam come scaled to 0..1 per image.
    targets : Tensor of int64, shape (n,), default=None
        Class to explain in each image; the predicted one where None.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Arithmetic of the stages; "auto" takes bfloat16 on CPUs that have it. Always in float32 are
        the head, the maps, the methods of pytorch-grad-cam and, if `targets` is None, images with
        an ambiguous class.
    random_state : int, RandomState instance or None, default=None
        For the weights of ``"randomcam"``; the other methods draw nothing.

    Returns
    -------
    ActivationMaps

    Raises
    ------
    ValueError
        For an unknown method, layer or precision, or a layer whose output has no grid.

    Notes
    -----
    The methods computed here are safe to call from several threads on one net, which is not
    modified when it is in eval mode: there are no hooks, and parameters keep their flags. Those of
    pytorch-grad-cam register hooks while they run, so they need the net for themselves.

    Examples
    --------
    >>> from camdenoise.nets._backbones import make_backbone
    >>> net = make_backbone("wafer_resnet", 6).eval()
    >>> maps = activation_maps(net, torch.rand(2, 3, 64, 64), ["stage2", "stage3"])
    >>> {name: tuple(values.shape) for name, values in maps.layers.items()}
    {'stage2': (2, 32, 32), 'stage3': (2, 16, 16)}
    """
    check_request(net, layers, method)
    with _eval_mode(net):
        if method in PACKAGE_METHODS:
            return _maps_by_package(net, images, layers, method, targets)
        explain = partial(
            _maps_by_cut, net, layers=layers, method=_layer_function(method, random_state)
        )
        bfloat16 = takes_bfloat16(net, precision)
        maps = explain(images=images, targets=targets, bfloat16=bfloat16)
        if bfloat16 and targets is None and (rows := is_ambiguous(maps.logits)).any():
            _set_rows(maps, rows, explain(images=images[rows], targets=None, bfloat16=False))
        return maps


def _layer_function(method: str, random_state: Any) -> Callable[..., torch.Tensor]:
    """Return the function of ``A`` and ``G``; its random numbers go on from layer to layer."""
    if method == "randomcam":
        return partial(randomcam, random_state=check_random_state(random_state))
    return GRADIENT_METHODS[method]


def evidence_maps(
    net: Backbone,
    images: torch.Tensor,
    *,
    precision: str = "float32",
    symmetric: bool = False,
) -> NetOutput:
    """Compute the class activation maps of all classes at once, for a net that keeps them.

    Parameters
    ----------
    net : Backbone
        A classifier with an evidence head, such as ``"wafer_unet"``, in eval mode.
    images : Tensor of float32, shape (n, 5, size, size)
        Encoded wafers.
    precision : {"float32", "bfloat16", "auto"}, default="float32"
        Arithmetic of the stages, as in `activation_maps`.
    symmetric : bool, default=False
        Average over the eight symmetries of the square.

    Returns
    -------
    NetOutput
        ``logits`` (n, n_classes), ``evidence`` (n, n_maps, size, size), the log-odds that a fail
        there is of a pattern of the map's class, and ``features`` (n, n_features).

    Raises
    ------
    ValueError
        For a net without evidence maps.

    References
    ----------
    .. [1] B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016,
       arXiv:1512.04150.

    Examples
    --------
    >>> from camdenoise.nets._backbones import make_backbone
    >>> net = make_backbone("wafer_unet", 6).eval()
    >>> tuple(evidence_maps(net, torch.rand(2, 5, 48, 48)).evidence.shape)
    (2, 6, 48, 48)
    """
    if not net.has_evidence:
        raise ValueError(
            "the net keeps no evidence maps; use activation_maps, or the backbone 'wafer_unet'."
        )
    return predict_net(net, images, precision, symmetric=symmetric)


def check_request(net: Backbone, layers: Sequence[str], method: str) -> None:
    """Refuse a method or layer that `activation_maps` does not know, naming those it does."""
    if method not in METHODS:
        raise ValueError(f"Unknown CAM method {method!r}; choose one of {', '.join(METHODS)}.")
    if isinstance(layers, str) or not layers:
        raise ValueError(f"layers must be a non-empty sequence of layer names, got {layers!r}.")
    unknown = [name for name in layers if name not in net.stages]
    if unknown:
        raise ValueError(
            f"The net has no layer {unknown[0]!r}; its layers are {', '.join(net.layer_names)}."
        )


@contextmanager
def _eval_mode(net: nn.Module) -> Iterator[None]:
    """Put the net into eval mode and each of its modules back into the mode it was in."""
    training = [module for module in net.modules() if module.training]
    if training:
        net.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _freeze_parameters(net: nn.Module) -> Iterator[None]:
    """Let a backward pass leave no gradients in the parameters, and give their flags back."""
    flags = [(parameter, parameter.requires_grad) for parameter in net.parameters()]
    net.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def _set_rows(maps: ActivationMaps, rows: torch.Tensor, exact: ActivationMaps) -> None:
    maps.logits[rows], maps.targets[rows] = exact.logits, exact.targets
    for name, values in exact.layers.items():
        maps.layers[name][rows] = values


def _maps_by_cut(net, images, layers, method, targets, bfloat16) -> ActivationMaps:
    """Run the trunk without autograd, then differentiate the head alone."""
    names = list(net.stages)
    first = min(names.index(name) for name in layers)
    arithmetic = stage_arithmetic(net, bfloat16)
    outputs: dict[str, torch.Tensor] = {}
    with torch.no_grad(), arithmetic:
        x = net.forward_stages(images, outputs, names[: first + 1])
    _check_grid(x, names[first])
    if names[first] == names[-1] and is_pooled_linear(net.head):
        return maps_before_pooling(net.head, x.float(), names[first], method, targets)
    with torch.enable_grad():
        activations = {names[first]: x.detach().float().requires_grad_()}
        with arithmetic:
            for before, name in pairwise(names[first:]):
                if before in activations:
                    # A copy, because the next stage may begin with an operation in place.
                    x = activations[before].to(x.dtype, copy=True)
                if before in outputs:
                    outputs[before] = x
                x = net.forward_stages(x, outputs, [name])
                if name in layers:
                    _check_grid(x, name)
                    activations[name] = x.float()
        last = activations.get(names[-1], x.float())
        logits = net.forward_head(last, outputs)
        targets = _targets(logits, targets)
        score = logits.gather(1, targets[:, None]).sum()
        gradients = torch.autograd.grad(score, list(activations.values()))
    with torch.no_grad():
        maps = {
            name: method(activation, gradient)
            for (name, activation), gradient in zip(activations.items(), gradients, strict=True)
        }
    return ActivationMaps(logits.detach(), targets, {name: maps[name].detach() for name in layers})


def is_pooled_linear(head: nn.Module) -> bool:
    """Tell whether the head averages each channel and then has nothing but one linear layer."""
    if not isinstance(head, nn.Sequential) or not isinstance(head[-1], nn.Linear):
        return False
    pool, probe = head[:-1], torch.arange(12.0).square().reshape(1, 2, 2, 3)
    if any(True for _ in pool.parameters()):
        return False
    pooled, average = pool(probe), probe.mean(dim=(2, 3))
    return pooled.shape == average.shape and torch.allclose(pooled, average)


def maps_before_pooling(head, activation, name, method, targets) -> ActivationMaps:
    """Explain the last stage: the gradient of a cell is its share of the average's weight."""
    with torch.no_grad():
        logits = head(activation)
        targets = _targets(logits, targets)
        n_cells = activation.shape[-2] * activation.shape[-1]
        gradient = head[-1].weight[targets][:, :, None, None] / n_cells
        return ActivationMaps(
            logits, targets, {name: method(activation, gradient.expand_as(activation))}
        )


def _targets(logits: torch.Tensor, targets: torch.Tensor | None) -> torch.Tensor:
    return logits.argmax(dim=1) if targets is None else targets.to(logits.device)


def _check_grid(activation: torch.Tensor, name: str) -> None:
    if activation.ndim != 4:
        raise ValueError(
            f"Layer {name!r} gives tokens of shape {tuple(activation.shape[1:])}, not a grid of "
            "cells. CAMs need a convolutional backbone."
        )
    if activation.shape[-1] == 1 or activation.shape[-2] == 1:
        raise ValueError(
            f"Layer {name!r} has a 1 x 1 grid, which cannot tell one die from another. "
            "Choose an earlier layer or a larger input_size."
        )


def _maps_by_package(net, images, layers, method, targets) -> ActivationMaps:
    """Compute maps with pytorch-grad-cam; its context manager removes its hooks."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with torch.no_grad():
        logits = net(images)
    targets = _targets(logits, targets)
    outputs = [ClassifierOutputTarget(int(code)) for code in targets]
    explainer = getattr(pytorch_grad_cam, PACKAGE_METHODS[method])
    maps = {}
    for name in layers:
        with _freeze_parameters(net), explainer(net, [net.stages[name]]) as cam:
            values = cam(images.clone().requires_grad_(), targets=outputs)
        maps[name] = torch.from_numpy(np.ascontiguousarray(values))
    return ActivationMaps(logits, targets, maps)


def auto_layers(net: Backbone, input_size: int) -> tuple[str, ...]:
    """Choose target layers that resolve dies: the deepest ones with a half and a quarter grid.

    Parameters
    ----------
    net : Backbone
        The classifier.
    input_size : int
        Side of its input in pixels.

    Returns
    -------
    tuple of str
        For each of one half and one quarter of the input's side, the deepest layer (other than
        the stem) whose grid is at least that fine; the deepest layer of all where there is none.

    Raises
    ------
    ValueError
        Where no layer has a grid of cells.

    Examples
    --------
    >>> from camdenoise.nets._backbones import make_backbone
    >>> auto_layers(make_backbone("wafer_resnet", 6).eval(), 64)
    ('stage2', 'stage3')
    """
    with _eval_mode(net):
        shapes = net.feature_shapes(input_size)
    grids = {name: min(shape[1:]) for name, shape in shapes.items() if len(shape) == 3}
    if not grids:
        raise ValueError("The backbone has no layer with a grid; CAMs need a convolutional one.")
    inner = [name for name in grids if name != "stem"]
    deepest: dict[str, Any] = {}
    for share in (2, 4):
        fine = [name for name in inner if grids[name] >= input_size / share]
        deepest.update(dict.fromkeys(fine[-1:]))
    chosen = tuple(deepest) or tuple(grids)[-1:]
    if max(grids[name] for name in chosen) == 1:
        raise ValueError(
            f"Every usable layer has a 1 x 1 grid at input_size={input_size}; enlarge the input."
        )
    return chosen
