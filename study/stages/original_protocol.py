"""The original protocol, as far as it is known: color pictures, Adam, no augmentation.

What is known of it comes from sister projects of the same lab: maps drawn in viridis, the shorter
side resized to 224, a net from scratch, Adam at 1e-3, batches of 32, 5 epochs, a random split of
70 to 30 within each class. No number of the original is public.
"""

from __future__ import annotations

import matplotlib
import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from skorch import NeuralNetClassifier
from torch import nn

from camdenoise.nets import make_backbone
from camdenoise.wafers import FAIL
from study.wafers import regrid

_VIRIDIS = torch.tensor(matplotlib.colormaps["viridis"](np.linspace(0, 1, FAIL + 1))[:, :3])


def draw(codes: torch.Tensor) -> torch.Tensor:
    """Color die codes as matplotlib would.

    Parameters
    ----------
    codes : Tensor of uint8, shape (n, size, size)
        Die codes.

    Returns
    -------
    Tensor of float32, shape (n, 3, size, size)
        Red, green and blue, from 0 to 1.
    """
    return _VIRIDIS.float()[codes.long()].permute(0, 3, 1, 2)


class Drawing(nn.Module):
    """Draw the wafers of a batch, so that only their codes are kept in memory."""

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the pictures of die codes, see `draw`."""
        return draw(codes)


class PictureClassifier(ClassifierMixin, BaseEstimator):
    """Classify color pictures of wafer maps by a net that is trained as the original was.

    Parameters
    ----------
    backbone : str
        As in `WaferClassifier`, of those with three input planes.
    image_size : int
        Side of the picture in pixels. A wafer keeps the aspect of its die grid, and its longer
        side fills the picture.
    max_epochs : int
        Passes over the training wafers.
    random_state : int
        Initial weights and order.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    module_ : Module
        The trained net, behind the drawing.
    """

    def __init__(self, backbone: str, *, image_size: int, max_epochs: int, random_state: int):
        self.backbone = backbone
        self.image_size = image_size
        self.max_epochs = max_epochs
        self.random_state = random_state

    def fit(self, X: list[np.ndarray], y: np.ndarray) -> PictureClassifier:
        """Train the net from scratch on checked maps."""
        self.classes_, labels = np.unique(y, return_inverse=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            module = nn.Sequential(Drawing(), make_backbone(self.backbone, len(self.classes_)))
            self.net_ = self._net(module).fit(self._encode(X), torch.from_numpy(labels))
        self.module_ = self.net_.module_
        return self

    def predict_proba(self, X: list[np.ndarray]) -> np.ndarray:
        """Return the probability of each class, shape (n_wafers, n_classes)."""
        return self.net_.predict_proba(self._encode(X))

    def _encode(self, maps: list[np.ndarray]) -> torch.Tensor:
        size = self.image_size
        return torch.from_numpy(np.stack([regrid(_in_square(g), size, size) for g in maps]))

    def _net(self, module: nn.Module) -> NeuralNetClassifier:
        return NeuralNetClassifier(
            module,
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=1e-3,
            batch_size=32,
            max_epochs=self.max_epochs,
            iterator_train__shuffle=True,
            train_split=None,
            callbacks__valid_acc=None,
            callbacks__print_log=None,
        )


def _in_square(grid: np.ndarray) -> np.ndarray:
    """Center a wafer in a square without other dies, so that it keeps its aspect."""
    longest = max(grid.shape)
    before = [(longest - side) // 2 for side in grid.shape]
    after = [longest - side - start for side, start in zip(grid.shape, before, strict=True)]
    return np.pad(grid, list(zip(before, after, strict=True)))
