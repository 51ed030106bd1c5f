"""How a net with one logit per pixel is trained on dies, and predicts die by die.

The training loop is skorch's, shared with the classifier.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from camdenoise.nets._augmentation import random_symmetry
from camdenoise.nets._encoding import mean_on_dies, one_hot
from camdenoise.nets._inference import takes_bfloat16
from camdenoise.nets._training import (
    BatchedWafers,
    OneCycle,
    TrainingProgress,
    WaferBatches,
    WaferMapNet,
    resolve_device,
)
from camdenoise.wafers._maps import FAIL


class PatternDies(BatchedWafers):
    """Encoded wafers and their patterns, each wafer turned by a random symmetry of the square.

    Parameters
    ----------
    codes : Tensor of uint8, shape (n, size, size)
        Die codes.
    pattern : Tensor of bool, shape (n, size, size)
        Where the pattern is. It counts on failing dies only: no other die is kept or removed.
    """

    def __init__(self, codes: torch.Tensor, pattern: torch.Tensor):
        self.codes, self.pattern = codes, pattern

    def __len__(self) -> int:
        """Return the number of wafers."""
        return len(self.codes)

    def batch(self, rows: torch.Tensor, generator: torch.Generator):
        """Return what `WaferBatches` hands to the net: its inputs and the targets."""
        layers = torch.stack([self.codes[rows], self.pattern[rows].to(torch.uint8)], dim=1)
        codes, pattern = random_symmetry(layers, generator).unbind(1)
        return {"x": one_hot(codes), "mask": (codes == FAIL).float()}, pattern.float()


class DieNet(WaferMapNet):
    """A skorch net with binary cross-entropy on the masked dies."""

    def get_loss(self, y_pred, y_true, X=None, *args, **kwargs):
        """Return the mean over the dies of each wafer, then over the wafers."""
        return die_loss(y_pred, y_true.to(y_pred.device), X["mask"].to(y_pred.device))


def die_loss(logits: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the binary cross-entropy where the mask is set; each wafer counts alike.

    Parameters
    ----------
    logits, target, mask : Tensor of float32, shape (n, size, size)
        Of each pixel. A wafer without a mask adds nothing.

    Returns
    -------
    Tensor of float32, a scalar
    """
    losses = binary_cross_entropy_with_logits(logits, target, weight=mask, reduction="none")
    return (losses.sum((1, 2)) / mask.sum((1, 2)).clamp(min=1)).mean()


def train_die_net(
    module: nn.Module,
    wafers: PatternDies,
    *,
    max_epochs: int,
    learning_rate: float,
    batch_size: int,
    precision: str,
    device: str,
    progress: bool,
    seed: int,
) -> DieNet:
    """Train a net on wafers with AdamW and one cycle of the learning rate.

    Parameters
    ----------
    module : Module
        From planes (n, 3, size, size) to logits (n, size, size); trained in place.
    wafers : PatternDies
        The wafers and their targets.
    max_epochs, learning_rate, batch_size, precision, device, progress
        As in `WaferClassifier`.
    seed : int
        For the order of the wafers and their symmetries.

    Returns
    -------
    DieNet
        The skorch net; its `module_` is in train mode.
    """
    device = resolve_device(device)
    callbacks: list[Callback] = [OneCycle(learning_rate)]
    if progress:
        callbacks.append(TrainingProgress())
    net = DieNet(
        module,
        criterion=nn.BCEWithLogitsLoss,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=0.01,
        lr=learning_rate,
        max_epochs=max_epochs,
        batch_size=batch_size,
        iterator_train=WaferBatches,
        iterator_train__shuffle=True,
        iterator_train__seed=seed,
        train_split=None,
        callbacks=callbacks,
        callbacks__print_log=None,
        device=device,
        bfloat16=takes_bfloat16(module, precision, device),
    )
    return net.fit(wafers, None)


def die_logits(
    module: nn.Module, codes: torch.Tensor, shapes: Sequence[tuple[int, int]]
) -> list[np.ndarray]:
    """Predict every die of a batch of wafers.

    Parameters
    ----------
    module : Module
        In eval mode.
    codes : Tensor of uint8, shape (n, size, size)
        Encoded wafers, stretched to the square.
    shapes : sequence of (height, width)
        Die grid of each.

    Returns
    -------
    list of ndarray of float32, shape (height, width)
        The logits of each die, always in float32 arithmetic.
    """
    planes = one_hot(codes).to(next(module.parameters()).device)
    with torch.inference_mode():
        logits = module(planes).float().cpu().numpy()
    return mean_on_dies(logits, shapes)
