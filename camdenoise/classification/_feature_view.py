"""The second view of a classifier: features of the wafer, joined with the scores of the net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from tqdm.auto import tqdm

from camdenoise.classification._calibration import NEAREST, fit_temperature, tempered_softmax
from camdenoise.classification._training import class_shares
from camdenoise.datasets._training_sets import SyntheticWafers
from camdenoise.features._wafer_features import NAMES, SYMMETRIES, wafer_features
from camdenoise.nets._feature_net import FeatureNet, train_feature_net
from camdenoise.wafers._classes import ClassRoles

# Weight of a synthetic wafer next to a labeled one. With more, wafers without a pattern are taken
# for faint ones; without any, faint patterns are not found.
_SYNTHETIC_WEIGHT = 0.1


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
    made: SyntheticWafers,
    roles: ClassRoles,
    seed: int,
    *,
    progress: bool = False,
) -> FeatureNet:
    """Train the feature view on labeled wafers, and on as many synthetic ones at most.

    Parameters
    ----------
    maps : sequence of ndarray of uint8, shape (height, width)
        Checked labeled wafers.
    codes : ndarray of int, shape (n_wafers,)
        Class codes.
    weights : ndarray of float, shape (n_wafers,)
        Sample weights.
    made : SyntheticWafers
        Synthetic wafers; one with several patterns is left out, unless they are one class.
    roles : ClassRoles
        What the classes stand for.
    seed : int
    progress : bool, default=False
        Show a progress bar while features are measured.
    """
    shares = [class_shares(labels, roles) for labels in made.labels[: len(maps)]]
    of_one = [row for row, share in enumerate(shares) if share.max() == 1]
    return train_feature_net(
        describe([*maps, *(made.maps[row] for row in of_one)], progress=progress),
        np.concatenate([codes, [shares[row].argmax() for row in of_one]]).astype(int),
        np.concatenate([weights, np.full(len(of_one), _SYNTHETIC_WEIGHT)]),
        SYMMETRIES,
        len(roles.classes),
        seed,
    )


def score_features(net: FeatureNet, maps: Sequence[np.ndarray]) -> np.ndarray:
    """Return the log-probabilities of the feature view, float64 (n_wafers, n_classes)."""
    with torch.inference_mode():
        return net(torch.from_numpy(describe(maps))).double().numpy()


def join_views(
    probabilities: np.ndarray, net: FeatureNet, maps: Sequence[np.ndarray]
) -> np.ndarray:
    """Join the class probabilities of both views, the net on pixels and the features.

    Parameters
    ----------
    probabilities : ndarray of float64, shape (n, n_classes)
        Of the net on pixels.
    net : FeatureNet
    maps : sequence of ndarray of uint8, shape (height, width)
        The wafers.

    Returns
    -------
    ndarray of float64, shape (n, n_classes)
        Their product to the power of one over the joint temperature, with sum 1: with 2 the
        geometric mean.
    """
    scores = add_views(probabilities, net, maps)
    return tempered_softmax(scores, float(net.joint_temperature))


def calibrate_views(
    probabilities: np.ndarray, net: FeatureNet, maps: Sequence[np.ndarray], codes: np.ndarray
) -> None:
    """Set the joint temperature under which the true classes of unseen wafers are likeliest."""
    found = fit_temperature(add_views(probabilities, net, maps), codes)
    net.joint_temperature.fill_(found)


def add_views(probabilities: np.ndarray, net: FeatureNet, maps: Sequence[np.ndarray]) -> np.ndarray:
    """Return the sum of the log-probabilities of both views, float64 (n, n_classes)."""
    return np.log(np.maximum(probabilities, NEAREST)) + score_features(net, maps)


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
