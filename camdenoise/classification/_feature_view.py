"""The second view of a classifier: features of the wafer, joined with the scores of the net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.special import log_softmax
from tqdm.auto import tqdm

from camdenoise.features._wafer_features import NAMES, SYMMETRIES, wafer_features
from camdenoise.nets._feature_net import FeatureNet, train_feature_net


def describe(maps: Sequence[np.ndarray], *, progress: bool = False) -> np.ndarray:
    """Return the features of checked maps, float32 (n_wafers, n_features)."""
    found = np.empty((len(maps), len(NAMES)), np.float32)
    bar = tqdm(maps, "features", unit="wafer", leave=None, disable=not progress)
    for row, grid in enumerate(bar):
        found[row] = wafer_features(grid)
    return found


def fit_feature_view(
    maps: Sequence[np.ndarray],
    codes: np.ndarray,
    weights: np.ndarray,
    n_classes: int,
    seed: int,
    *,
    progress: bool = False,
) -> FeatureNet:
    """Train the feature view on checked maps; parameters as in `train_feature_net`."""
    features = describe(maps, progress=progress)
    return train_feature_net(features, codes, weights, SYMMETRIES, n_classes, seed)


def score_features(net: FeatureNet, maps: Sequence[np.ndarray]) -> np.ndarray:
    """Return the log-probabilities of the feature view, float64 (n_wafers, n_classes)."""
    with torch.inference_mode():
        return net(torch.from_numpy(describe(maps))).double().numpy()


def join_scores(logits: np.ndarray, feature_scores: np.ndarray) -> np.ndarray:
    """Join both views: the logarithm of the geometric mean of their probabilities.

    Examples
    --------
    >>> join_scores(np.array([[1.0, 0.0]]), np.log([[0.5, 0.5]])).round(2)
    array([[-0.5, -1. ]])
    """
    return (log_softmax(logits, axis=-1) + feature_scores) / 2


def restore_feature_net(weights: Mapping[str, torch.Tensor], n_classes: int) -> FeatureNet:
    """Build a feature view around weights that were trained before, in eval mode.

    Raises
    ------
    RuntimeError
        For weights of another net.
    """
    with torch.random.fork_rng(devices=[]):
        net = FeatureNet(len(NAMES), n_classes)
    net.load_state_dict(dict(weights))
    return net.eval()
