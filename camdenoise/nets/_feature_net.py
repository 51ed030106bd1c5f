"""Perceptrons on hand-made features: a second view of the wafer, next to its pixels.

A net on pixels and features of the whole wafer err on different wafers. The product of their
probabilities (geometric mean) is right more often than either, most of all on products that
neither was trained on. docs/features.md has the figures.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from camdenoise.nets._training import BatchedWafers, OneCycle, WaferBatches, WaferNet

# Perceptrons that are averaged, and their hidden layers.
_N_MEMBERS = 3
_HIDDEN = (128, 64)
_DROPOUT = 0.1
# Of all class labels, spread over all classes.
_LABEL_SMOOTHING = 0.02
_LEARNING_RATE = 3e-3
_WEIGHT_DECAY = 1e-2
_BATCH_SIZE = 256
# Passes over the training wafers, and the least number of steps where these are few.
_N_EPOCHS = 30
_FEWEST_STEPS = 600


class FeatureNet(nn.Module):
    """Average the class scores of several perceptrons on standardized features.

    Parameters
    ----------
    n_features, n_classes : int

    Examples
    --------
    >>> net = FeatureNet(72, 9).eval()
    >>> net(torch.rand(2, 72)).shape
    torch.Size([2, 9])
    """

    joint_temperature: torch.Tensor
    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, n_features: int, n_classes: int):
        super().__init__()
        # What the sum of both views' log-probabilities is divided by; 2: their geometric mean.
        self.register_buffer("joint_temperature", torch.tensor(2.0))
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.members = nn.ModuleList(
            _make_perceptron(n_features, n_classes) for _ in range(_N_MEMBERS)
        )

    def standardize(self, features: torch.Tensor) -> None:
        """Let the features of these wafers, (n, n_features), have mean 0 and deviation 1."""
        self.mean.copy_(features.mean(0))
        scale = features.std(0, correction=0)
        self.scale.copy_(torch.where(scale > 0, scale, 1))

    def member_scores(self, features: torch.Tensor) -> torch.Tensor:
        """Return the log-probabilities of each perceptron, shape (n_members, n, n_classes)."""
        inputs = (features - self.mean) / self.scale
        return torch.stack([member(inputs) for member in self.members]).log_softmax(-1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the mean log-probabilities of wafers, shape (n, n_classes)."""
        return self.member_scores(features).mean(0)


def _make_perceptron(n_features: int, n_classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in _HIDDEN:
        layers += [nn.Linear(n_features, width), nn.SiLU(), nn.Dropout(_DROPOUT)]
        n_features = width
    return nn.Sequential(*layers, nn.Linear(n_features, n_classes))


class _FeatureWafers(BatchedWafers):
    """Features of wafers with their labels and weights; each batch is turned another way.

    Parameters
    ----------
    features : Tensor of float32, shape (n, n_features)
    labels : Tensor of int64, shape (n,)
        Class codes.
    weights : Tensor of float32, shape (n,)
    symmetries : Tensor of int64, shape (n_symmetries, n_features)
        Order of the features of a turned or mirrored wafer.
    """

    def __init__(self, features, labels, weights, symmetries):
        self.features, self.labels, self.weights = features, labels, weights
        self.symmetries = symmetries

    def __len__(self) -> int:
        return len(self.features)

    def batch(self, rows: torch.Tensor, generator: torch.Generator):
        """Return ``({"x": features, "weight": weights}, labels)`` of these rows."""
        turned = self.symmetries[torch.randint(len(self.symmetries), (), generator=generator)]
        inputs = {"x": self.features[rows][:, turned], "weight": self.weights[rows]}
        return inputs, self.labels[rows]


class _FeatureTraining(WaferNet):
    """The skorch net: each perceptron has its own loss."""

    def infer(self, x, **fit_params):
        """Return the log-probabilities of each perceptron."""
        return self.module_.member_scores(x["x"])

    def get_loss(self, y_pred, y_true, X=None, *args, **kwargs):
        """Return the weighted cross-entropy, summed over the perceptrons."""
        losses = [
            cross_entropy(scores, y_true, reduction="none", label_smoothing=_LABEL_SMOOTHING)
            for scores in y_pred
        ]
        return (torch.stack(losses) * X["weight"]).mean(1).sum()


def train_feature_net(
    features: np.ndarray,
    codes: np.ndarray,
    weights: np.ndarray,
    symmetries: np.ndarray,
    n_classes: int,
    seed: int,
) -> FeatureNet:
    """Train perceptrons on the features of labeled wafers.

    Parameters
    ----------
    features : ndarray of float, shape (n_wafers, n_features)
    codes : ndarray of int, shape (n_wafers,)
        Class codes.
    weights : ndarray of float, shape (n_wafers,)
    symmetries : ndarray of int, shape (n_symmetries, n_features)
        Order of the features of a turned or mirrored wafer.
    n_classes : int
    seed : int
        For initial weights, order and symmetries.

    Returns
    -------
    FeatureNet
        In eval mode, on the CPU: it takes a thousandth of the time of its features.
    """
    inputs = torch.from_numpy(np.asarray(features, np.float32))
    data = _FeatureWafers(
        inputs,
        torch.from_numpy(codes.astype(np.int64)),
        torch.from_numpy(weights.astype(np.float32)),
        torch.from_numpy(symmetries.astype(np.int64)),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = FeatureNet(inputs.shape[1], n_classes)
        module.standardize(inputs)
        n_batches = max(1, len(inputs) // _BATCH_SIZE)
        net = _FeatureTraining(
            module,
            criterion=nn.CrossEntropyLoss,
            classes=list(range(n_classes)),
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=_WEIGHT_DECAY,
            lr=_LEARNING_RATE,
            max_epochs=max(_N_EPOCHS, -(-_FEWEST_STEPS // n_batches)),
            batch_size=_BATCH_SIZE,
            iterator_train=WaferBatches,
            iterator_train__shuffle=True,
            iterator_train__seed=seed,
            train_split=None,
            callbacks=[OneCycle(_LEARNING_RATE)],
            callbacks__valid_acc=None,
            callbacks__print_log=None,
        )
        net.fit(data, None)
    return module.eval()
