"""A net with its input and output steps as tensors: from wafer maps to saliency on their dies.

The classifier and the denoiser do these steps with numpy. Here they are operations that a graph can
hold, so that the graph takes wafer maps.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn
from torch.nn.functional import max_pool2d

from camdenoise.cam import GRADIENT_METHODS, is_pooled_linear, maps_before_pooling
from camdenoise.cam._on_dies import EvidenceAttribution
from camdenoise.classification._calibration import NEAREST
from camdenoise.denoising._cam_denoiser import EVIDENCE, CamDenoiser
from camdenoise.denoising._detection import SMALLEST
from camdenoise.nets._backbones import N_PLANES_WITH_COMPONENTS
from camdenoise.nets._component_planes import STEPS, input_planes
from camdenoise.wafers._maps import FAIL, NO_DIE


def wafer_graph(denoiser: CamDenoiser) -> WaferGraph:
    """Build the graph of a fitted denoiser, on the CPU and in eval mode.

    Raises
    ------
    ValueError
        For a denoiser whose saliency needs a gradient, or an average over symmetries.
    """
    clf = denoiser.estimator_
    if clf.symmetric_prediction:
        raise ValueError(
            "symmetric_prediction=True runs the net eight times, which a graph does not do. "
            "Set it to False before the export."
        )
    if denoiser.method_ == EVIDENCE:
        return EvidenceGraph(denoiser).eval()
    last = clf.module_.layer_names[-1:]
    if denoiser.method_ not in GRADIENT_METHODS or denoiser.layers_ != last:
        raise ValueError(
            f"method={denoiser.method_!r} at {', '.join(denoiser.layers_)} needs a gradient, which "
            "a graph does not have. Export the classifier instead, model.estimator_, which is "
            f"explained by Grad-CAM at {last[0]}, or fit a denoiser with method='gradcam' and "
            f"layers={list(last)}."
        )
    if not is_pooled_linear(clf.module_.head):
        raise ValueError(
            f"the head of {clf.backbone!r} is more than one linear layer behind a mean, so that "
            "its class activation map needs a gradient, which a graph does not have. Choose "
            "wafer_unet, wafer_resnet, or a ResNet, VGG or EfficientNet of timm."
        )
    return CamGraph(denoiser).eval()


class WaferGraph(nn.Module):
    """What the graphs of all nets share.

    A subclass implements ``read(maps, planes, rows, columns)``, which returns the outputs.

    Parameters
    ----------
    denoiser : CamDenoiser
        A fitted one.
    """

    #: Names of what ``forward`` returns.
    outputs: tuple[str, ...] = ("probabilities", "saliency")

    def __init__(self, denoiser: CamDenoiser):
        super().__init__()
        self.net = deepcopy(denoiser.estimator_.module_).cpu()
        self.temperature = denoiser.estimator_.temperature_

    def forward(
        self, maps: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Classify wafers of one die grid and tell what their dies have to do with it.

        Parameters
        ----------
        maps : Tensor of uint8, shape (n, height, width)
            Wafer maps.
        rows, columns : Tensor of int64, shape (size,)
            Which die row each pixel row of the net's input shows, which die column each pixel
            column.

        Returns
        -------
        tuple of Tensor of float32
            The `outputs`.
        """
        codes = maps[:, rows][:, :, columns]
        if self.net.n_planes == N_PLANES_WITH_COMPONENTS:
            codes = torch.stack([codes, *component_planes(codes == FAIL, rows, columns)], dim=1)
        return self.read(maps, input_planes(codes), rows, columns)

    def read(self, maps, planes, rows, columns) -> tuple[torch.Tensor, ...]:
        """Run the net on its input planes."""
        raise NotImplementedError

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the calibrate probabilities of the classes."""
        return torch.softmax(logits / self.temperature, dim=1)


class CamGraph(WaferGraph):
    """A net with a pooled linear head: saliency as a share of the wafer's largest."""

    def __init__(self, denoiser: CamDenoiser):
        super().__init__(denoiser)
        self.method = GRADIENT_METHODS[denoiser.method_]

    def read(self, maps, planes, rows, columns):
        """Return class probabilities, and the map of the predicted class on the dies."""
        last = self.net.layer_names[-1]
        x = self.net.forward_stages(planes, {}, self.net.layer_names)
        found = maps_before_pooling(self.net.head, x, last, self.method, None)
        cam = found.layers[last]
        by_row, by_column = (
            interpolation(shown, n_dies, n_cells)
            for shown, n_dies, n_cells in zip(
                (rows, columns), maps.shape[1:], cam.shape[1:], strict=True
            )
        )
        on_dies = (by_row @ cam @ by_column.T) * (maps != NO_DIE)
        peaks = on_dies.amax(dim=(1, 2), keepdim=True)
        saliency = on_dies / torch.where(peaks > 0, peaks, 1.0)
        return self.probabilities(found.logits), saliency


class EvidenceGraph(WaferGraph):
    """A net with a map of evidence for each class: saliency as a probability."""

    outputs = (*WaferGraph.outputs, "detection_score")
    is_pattern: torch.Tensor

    def __init__(self, denoiser: CamDenoiser):
        super().__init__(denoiser)
        self.platt = denoiser.calibration_.platt
        self.maps = EvidenceAttribution(denoiser.estimator_).maps
        has_pattern = denoiser.estimator_.class_roles().has_pattern
        self.register_buffer("is_pattern", torch.as_tensor(has_pattern))

    def read(self, maps, planes, rows, columns):
        """Return class probabilities, those of the dies, and the detection score."""
        outputs: dict[str, torch.Tensor] = {}
        x = self.net.forward_stages(planes, outputs, self.net.layer_names)
        logits, evidence, _ = self.net.forward_evidence(x, outputs)
        # As in `pattern_probability`, whose loop a graph cannot hold.
        probability = 1 - torch.sigmoid(-evidence[:, self.maps]).prod(dim=1)
        by_row, by_column = averaging(rows, maps.shape[1]), averaging(columns, maps.shape[2])
        on_dies = by_row @ probability @ by_column.T
        n_expected = (on_dies * (maps == FAIL)).sum(dim=(1, 2))
        score = self.log_odds_of_pattern(logits) + torch.log(n_expected + SMALLEST)
        saliency = self.calibrate(on_dies) * (maps != NO_DIE)
        return self.probabilities(logits), saliency, score

    def log_odds_of_pattern(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the log-odds of all patterns together; from logits, as 1 - p is 0 in float32."""
        tempered = logits / self.temperature
        of_patterns = tempered.masked_fill(~self.is_pattern, -torch.inf).logsumexp(dim=1)
        of_others = tempered.masked_fill(self.is_pattern, -torch.inf).logsumexp(dim=1)
        furthest = -torch.logit(torch.tensor(SMALLEST)).item()
        return (of_patterns - of_others).clamp(-furthest, furthest)

    def calibrate(self, probability: torch.Tensor) -> torch.Tensor:
        """Apply Platt scaling where the denoiser has it."""
        if self.platt is None:
            return probability
        log_odds = torch.logit(probability, eps=NEAREST)
        return torch.sigmoid(self.platt.slope * log_odds + self.platt.intercept)


def centers(shown: torch.Tensor, n_dies: int) -> torch.Tensor:
    """Return where along an axis of the net's input the dies have their centers, in pixels.

    Parameters
    ----------
    shown : Tensor of int64, shape (size,)
        Which die each pixel shows.
    n_dies : int
        Dies along the axis.

    Returns
    -------
    Tensor of float32, shape (n_dies,)
    """
    return (torch.arange(n_dies) + 0.5) * shown.shape[0] / n_dies


def averaging(shown: torch.Tensor, n_dies: int) -> torch.Tensor:
    """Return the weights of `averaging_matrix`, shape (n_dies, size).

    Examples
    --------
    >>> averaging(torch.tensor([0, 0, 1, 1]), 2).tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    own = shown == torch.arange(n_dies)[:, None]
    near = torch.arange(shown.shape[0]) == centers(shown, n_dies).long()[:, None]
    weights = torch.where(own.any(dim=1, keepdim=True), own.float(), near.float())
    return weights / weights.sum(dim=1, keepdim=True)


def interpolation(shown: torch.Tensor, n_dies: int, n_cells: int) -> torch.Tensor:
    """Return the weights of `interpolation_matrix`, shape (n_dies, n_cells).

    Examples
    --------
    >>> interpolation(torch.tensor([0, 0, 1, 1]), 2, 4).tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    cells = centers(shown, n_dies) * n_cells / shown.shape[0] - 0.5
    distance = (cells.clamp(0, n_cells - 1)[:, None] - torch.arange(n_cells)).abs()
    return (1 - distance).clamp(min=0)


def component_planes(
    fails: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two planes that `add_component_planes` adds to the codes.

    Parameters
    ----------
    fails : Tensor of bool, shape (n, size, size)
        Pixels that show a failing die.
    rows, columns : Tensor of int64, shape (size,)
        As in `WaferGraph.forward`.

    Returns
    -------
    tuple of two Tensor of uint8, shape (n, size, size)
    """
    n_wafers, size, _ = fails.shape
    share_of_die = share_of_pixel(rows)[:, None] * share_of_pixel(columns)
    labels = component_labels(fails).long().flatten(1)
    n_dies = torch.zeros(n_wafers, size * size + 1)
    n_dies = n_dies.scatter_add(1, labels, (share_of_die * fails).flatten(1))
    # Whole dies: sums of thirds in float32 are not.
    of_pixel = n_dies.round().gather(1, labels).reshape(fails.shape)
    largest = of_pixel.amax(dim=(1, 2), keepdim=True).clamp(min=1)
    doublings = (STEPS * torch.log2(1 + of_pixel)).round().clamp(max=255)
    shares = (255 * of_pixel / largest).round()
    return doublings.to(torch.uint8), shares.to(torch.uint8)


def share_of_pixel(shown: torch.Tensor) -> torch.Tensor:
    """Return for each pixel one over the number of pixels that show its die.

    Examples
    --------
    >>> share_of_pixel(torch.tensor([0, 0, 1])).tolist()
    [0.5, 0.5, 1.0]
    """
    return 1 / (shown[:, None] == shown).sum(dim=1)


def component_labels(fails: torch.Tensor) -> torch.Tensor:
    """Label groups of fails that touch at a side or corner, each wafer for itself.

    Every fail starts with a number of its own and takes the largest around it until none changes.

    Parameters
    ----------
    fails : Tensor of bool, shape (n, size, size)

    Returns
    -------
    Tensor of float32, shape (n, size, size)
        Whole numbers, the same within a group and no others; 0 where nothing fails.

    Examples
    --------
    >>> component_labels(torch.tensor([[[1, 1, 0], [0, 0, 0], [1, 0, 1]]], dtype=torch.bool))
    tensor([[[2., 2., 0.],
             [0., 0., 0.],
             [7., 0., 9.]]])
    """
    size = fails.shape[-1]
    numbers = torch.arange(1, size * size + 1, dtype=torch.float32).reshape(size, size)

    def has_changed(labels, changed):
        return changed.clone()

    def spread(labels, changed):
        largest = max_pool2d(labels, 3, stride=1, padding=1) * fails
        return largest, (largest != labels).any()

    labels, _ = torch.while_loop(has_changed, spread, (numbers * fails, fails.any()))
    return labels
