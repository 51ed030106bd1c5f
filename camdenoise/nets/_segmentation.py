"""How a net with one logit per pixel is trained on dies, and read die by die.

What the net is shown, what it is asked, and about which dies, is a `DieTask`: a denoiser that has
the truth asks for it, one that has only maps hides or spoils some dies and asks for those. The loop
is skorch's, shared with the classifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from camdenoise.nets._augmentation import random_symmetry
from camdenoise.nets._encoding import mean_on_dies, one_hot
from camdenoise.nets._training import (
    BatchedWafers,
    OneCycle,
    TrainingProgress,
    WaferBatches,
    WaferMapNet,
    resolve_device,
    wants_bfloat16,
)


class Question(NamedTuple):
    """A batch of encoded wafers as the net sees them, and what it is to say.

    Attributes
    ----------
    shown : Tensor of uint8, shape (n, size, size)
        Die codes; a code above 2 shows as a die of unknown state.
    answer : Tensor of bool, shape (n, size, size)
        What is true of the pixel's die.
    asked : Tensor of bool, shape (n, size, size)
        Where the answer counts.
    """

    shown: torch.Tensor
    answer: torch.Tensor
    asked: torch.Tensor


class DieTask(BatchedWafers):
    """Questions about encoded wafers, each turned by a random symmetry of the square.

    A subclass implements ``pose(rows, generator)``, which returns a `Question`.

    Parameters
    ----------
    codes : Tensor of uint8, shape (n, size, size)
        Die codes.
    """

    def __init__(self, codes: torch.Tensor):
        self.codes = codes

    def __len__(self) -> int:
        """Return the number of wafers."""
        return len(self.codes)

    def pose(self, rows: torch.Tensor, generator: torch.Generator) -> Question:
        """Ask about the wafers of these rows."""
        raise NotImplementedError

    def batch(self, rows: torch.Tensor, generator: torch.Generator):
        """Return what `WaferBatches` hands to the net: its inputs and the answers."""
        layers = torch.stack([part.to(torch.uint8) for part in self.pose(rows, generator)], dim=1)
        shown, answer, asked = random_symmetry(layers, generator).unbind(1)
        return {"x": one_hot(shown), "asked": asked.float()}, answer.float()


class DieNet(WaferMapNet):
    """A skorch net with binary cross-entropy on the dies that it is asked about."""

    def get_loss(self, y_pred, y_true, X=None, *args, **kwargs):
        """Return the mean over the dies of each wafer, then over the wafers."""
        return die_loss(y_pred, y_true.to(y_pred.device), X["asked"].to(y_pred.device))


def die_loss(logits: torch.Tensor, answer: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Return the binary cross-entropy where asked, so that each wafer counts alike.

    Parameters
    ----------
    logits, answer, asked : Tensor of float32, shape (n, size, size)
        Of each pixel. A wafer on which nothing is asked adds nothing.

    Returns
    -------
    Tensor of float32, a scalar
    """
    losses = binary_cross_entropy_with_logits(logits, answer, weight=asked, reduction="none")
    return (losses.sum((1, 2)) / asked.sum((1, 2)).clamp(min=1)).mean()


def train_die_net(
    module: nn.Module,
    task: DieTask,
    *,
    max_epochs: int,
    learning_rate: float,
    batch_size: int,
    precision: str,
    device: str,
    progress: bool,
    seed: int,
) -> DieNet:
    """Train a net on a task with AdamW and one cycle of the learning rate.

    Parameters
    ----------
    module : Module
        From planes (n, 3, size, size) to logits (n, size, size); trained in place.
    task : DieTask
        The wafers and what is asked about them.
    max_epochs, learning_rate, batch_size, precision, device, progress
        As in `WaferClassifier`.
    seed : int
        For the order of the wafers and what the task draws.

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
        bfloat16=wants_bfloat16(precision, module, device),
    )
    return net.fit(task, None)


def die_logits(
    module: nn.Module, codes: torch.Tensor, shapes: Sequence[tuple[int, int]]
) -> list[np.ndarray]:
    """Ask a trained net about every die of a batch of wafers.

    Parameters
    ----------
    module : Module
        In eval mode.
    codes : Tensor of uint8, shape (n, size, size)
        Encoded wafers, stretched to the square; a code above 2 shows as a die of unknown state.
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
