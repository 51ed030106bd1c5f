"""Input planes that encode the size of each fail's component.

The size of a component tells patterns from chance, but depends on single dies all over the wafer.
Nets that pool their grid cannot count dies, so that two input planes encode the sizes.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage

from camdenoise.nets._encoding import one_hot
from camdenoise.wafers._maps import FAIL

# Neighbors of a pixel in a batch: eight on its own wafer, none on other wafers.
_TOUCHING = np.zeros((3, 3, 3), int)
_TOUCHING[1] = 1
# Steps of the size plane in one doubling of the size.
STEPS = 20


def add_component_planes(codes: torch.Tensor, dies: torch.Tensor) -> torch.Tensor:
    """Add the size of each fail's component to the die codes.

    Parameters
    ----------
    codes : Tensor of uint8, shape (n, size, size)
        Encoded wafer maps.
    dies : Tensor of int64, shape (n, 2, size)
        Which die row, and which die column, each pixel shows.

    Returns
    -------
    Tensor of uint8, shape (n, 3, size, size)
        The codes; the logarithm of the number of fails in the component, in steps of 1/20 of a
        doubling; that number as a share of the wafer's largest, in steps of 1/255.

    Examples
    --------
    >>> codes = torch.tensor([[[2, 1, 2, 2]] * 4], dtype=torch.uint8)
    >>> dies = torch.tensor([[[0, 0, 1, 1], [0, 1, 2, 3]]])  # two rows of four dies
    >>> add_component_planes(codes, dies)[0, 2, 0].tolist()
    [128, 0, 255, 255]
    """
    fails = codes.numpy() == FAIL
    labels, n_components = ndimage.label(fails, _TOUCHING)
    # Count a die once, though it may take several pixels.
    share = _share_of_die(dies.numpy())
    weights = share[:, 0, :, None] * share[:, 1, None, :]
    sizes = np.bincount(labels[fails], weights[fails], minlength=n_components + 1)
    of_die = sizes[labels]
    largest = np.maximum(of_die.max(axis=(1, 2), keepdims=True), 1)
    # One logarithm for each component, not for each of its pixels.
    doublings = np.minimum(np.round(STEPS * np.log2(1 + sizes)), 255).astype(np.uint8)
    shares = np.round(255 * of_die / largest).astype(np.uint8)
    return torch.from_numpy(np.stack([codes.numpy(), doublings[labels], shares], axis=1))


def _share_of_die(dies: np.ndarray) -> np.ndarray:
    """Return for each pixel of each axis one over the number of pixels that show its die."""
    flat = dies.reshape(-1, dies.shape[-1])
    starts = np.diff(flat, axis=1, prepend=-2) != 0
    run = np.cumsum(starts.ravel()) - 1
    return (1 / np.bincount(run)[run]).reshape(dies.shape)


def input_planes(codes: torch.Tensor) -> torch.Tensor:
    """Convert encoded wafers to the input of a net: float32, channels last.

    Parameters
    ----------
    codes : Tensor of uint8, shape (n, size, size) or (n, 3, size, size)
        Die codes, alone or with the planes of `add_component_planes`.

    Returns
    -------
    Tensor of float32, shape (n, 3, size, size) or (n, 5, size, size)
        One plane per die code, then the others, between 0 and 1.
    """
    if codes.ndim == 3:
        return one_hot(codes)
    planes = torch.cat([one_hot(codes[:, 0]), codes[:, 1:].float() / 255], dim=1)
    return planes.contiguous(memory_format=torch.channels_last)
