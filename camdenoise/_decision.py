"""From what a classifier says about cells to a decision about each failing die."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import logsigmoid

from camdenoise._components import component_sums, fail_components
from camdenoise._maps import NO_DIE


def pattern_probability(evidence: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Return how likely it is that some pattern claims a fail.

    Parameters
    ----------
    evidence : Tensor of float32, shape (n, n_classes, height, width)
        Log-odds of each class, as `evidence_maps` gives them.
    counted : Tensor of bool, shape (n, n_classes) or (1, n_classes)
        Whose claims count.

    Returns
    -------
    Tensor of float32, shape (n, height, width)
        One less the probability that all of them disown it, as if they were independent: so that
        a wafer can carry several patterns.

    Examples
    --------
    >>> claims = torch.tensor([0.0, 0.0, 9.0])[None, :, None, None]
    >>> pattern_probability(claims, torch.tensor([[True, True, False]])).item()
    0.75
    """
    disowned = torch.einsum(
        "nchw,nc->nhw", logsigmoid(-evidence), counted.float().expand(len(evidence), -1)
    )
    return 1 - torch.exp(disowned)


def relative_saliency(grid: np.ndarray, layers: Sequence[np.ndarray]) -> np.ndarray:
    """Average the layers' maps, each as a share of its largest value on a die of the wafer.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.
    layers : sequence of ndarray of float, shape (height, width)
        One raw, non-negative map per target layer, on the die grid.

    Returns
    -------
    ndarray of float, shape (height, width)
        Between 0 and 1; all zero where no layer has any evidence; zero where there is no die.
    """
    on_dies = np.where(grid != NO_DIE, np.stack(layers), 0)
    peaks = on_dies.max(axis=(1, 2), keepdims=True)
    return (on_dies / np.where(peaks > 0, peaks, 1)).sum(axis=0) / len(layers)


def keep_dies(grid: np.ndarray, saliency: np.ndarray, threshold: float) -> np.ndarray:
    """Keep each die by its own saliency: the plain thresholded CAM."""
    return saliency >= threshold


def keep_components(grid: np.ndarray, saliency: np.ndarray, threshold: float) -> np.ndarray:
    """Keep whole connected components of fails by their summed saliency.

    A component stays when its sum is at least `threshold` times that of the largest sum on the
    wafer. A coarse CAM says which clump of fails mattered; the clump itself says where it ends.
    """
    labels, n_components = fail_components(grid)
    sums = component_sums(labels, saliency, n_components)
    return ((sums >= threshold * sums.max()) & (sums > 0))[labels]


#: How a saliency becomes a decision about a die.
REFINEMENTS = {None: keep_dies, "component": keep_components}
