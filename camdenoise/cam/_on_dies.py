"""Attribution on dies: from a classifier's maps to one score per die, at each wafer's own size.

An attribution runs the classifier once. The scores serve the denoiser, the division of a wafer
among several patterns, and any other method that needs a saliency per die.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils import check_random_state
from tqdm.auto import tqdm

from camdenoise.cam._engine import PACKAGE_METHODS, activation_maps
from camdenoise.nets._component_planes import input_planes
from camdenoise.nets._encoding import mean_on_dies, to_die_grid
from camdenoise.nets._inference import inference_net
from camdenoise.wafers._maps import NO_DIE


class DieScores(NamedTuple):
    """What a classifier computes for one wafer.

    Attributes
    ----------
    saliency : ndarray of float, shape (height, width)
        Score of each die, not calibrated.
    probabilities : ndarray of float64, shape (n_classes,)
        Calibrated class probabilities.
    features : ndarray of float32, shape (n_features,)
        Inputs of the last linear layer; empty for CAM methods.
    by_pattern : ndarray of float32, shape (n_patterns, height, width), or None
        Log-odds of each pattern; None for CAM methods.
    """

    saliency: np.ndarray
    probabilities: np.ndarray
    features: np.ndarray = np.zeros(0, np.float32)
    by_pattern: np.ndarray | None = None


class EvidenceAttribution:
    """Score dies by the evidence maps of a net that keeps one per pattern.

    Parameters
    ----------
    classifier : WaferClassifier
        Fitted, with a backbone that has evidence maps.
    """

    def __init__(self, classifier: Any):
        self.classifier = classifier
        roles = classifier.class_roles()
        patterns = classifier.patterns_ or [
            label for label, yes in zip(roles.classes, roles.has_pattern, strict=True) if yes
        ]
        #: Label of each pattern, and the number of its map.
        self.patterns: tuple = tuple(patterns)
        self.maps = [roles.map_labels.index(label) for label in patterns]
        # Maps that show the dies of a class: the maps of its patterns, or its own map.
        self._of_class = np.zeros((len(roles.classes), len(roles.map_labels)), bool)
        for code, label in enumerate(roles.classes):
            maps = [roles.map_labels.index(part) for part in roles.parts(label)]
            self._of_class[code, maps or [code]] = True

    def attribute(
        self,
        maps: Sequence[np.ndarray],
        targets: np.ndarray | None = None,
    ) -> list[DieScores]:
        """Score the dies of checked maps.

        Parameters
        ----------
        maps : sequence of ndarray of uint8, shape (height, width)
            Checked wafer maps.
        targets : ndarray of int, shape (n_wafers,), default=None
            Class codes whose evidence counts. None: all patterns count, so that a second pattern
            on the wafer has evidence too.

        Returns
        -------
        list of DieScores
            The saliency is the probability that the die, if it fails, belongs to a pattern.
        """
        counted = np.zeros((1, self._of_class.shape[1]), bool)
        counted[0, self.maps] = True
        scores: list[Any] = [None] * len(maps)
        with _progress(self.classifier, len(maps)) as bar:
            for rows, output in self.classifier.net_outputs(maps):
                some = [maps[row] for row in rows]
                shapes = [grid.shape for grid in some]
                of_rows = counted if targets is None else self._of_class[targets[rows]]
                pixels = pattern_probability(output.evidence, torch.as_tensor(of_rows))
                by_pattern: Any = [None] * len(rows)
                if self.maps:
                    found = output.evidence[:, self.maps].contiguous().cpu().numpy()
                    by_map = [mean_on_dies(found[:, k], shapes) for k in range(len(self.maps))]
                    by_pattern = [np.stack(of_wafer) for of_wafer in zip(*by_map, strict=True)]
                found_in_rows = zip(
                    rows,
                    mean_on_dies(pixels.cpu().numpy(), shapes),
                    self.classifier.compute_probabilities(output.logits, some),
                    output.features.float().cpu().numpy(),
                    by_pattern,
                    strict=True,
                )
                for row, *of_wafer in found_in_rows:
                    scores[row] = DieScores(*of_wafer)
                bar.update(len(rows))
        return scores


class CamAttribution:
    """Score dies by class activation maps of the target layers.

    Parameters
    ----------
    classifier : WaferClassifier
        Fitted.
    method : str
        One of `camdenoise.cam.METHODS`.
    layers : sequence of str
        Target layers, whose relative maps are averaged.
    random_state : int, RandomState instance or None, default=None
        For ``"randomcam"``.
    """

    def __init__(
        self, classifier: Any, method: str, layers: Sequence[str], random_state: Any = None
    ):
        self.classifier = classifier
        #: Such a method explains one class, so it has no evidence of each pattern.
        self.patterns: tuple = ()
        self.method = method
        self.layers = tuple(layers)
        self.random_state = random_state

    def attribute(
        self, maps: Sequence[np.ndarray], targets: np.ndarray | None = None
    ) -> list[DieScores]:
        """Score the dies of checked maps for a class each, the predicted one where None.

        Takes and returns the same as `EvidenceAttribution.attribute`, but the saliency is the
        share of the wafer's largest value.
        """
        clf, net = self.classifier, self.classifier.module_
        scores: list[Any] = [None] * len(maps)
        if self.method not in PACKAGE_METHODS:
            # FullGrad of pytorch-grad-cam adds up the biases of the norms, which this copy lacks.
            net = inference_net(net, int(np.max(clf.input_size)))
        device = next(net.parameters()).device
        random_state = check_random_state(self.random_state)
        with _progress(clf, len(maps)) as bar:
            for rows, codes in clf.batches(maps):
                result = activation_maps(
                    net,
                    input_planes(codes).to(device),
                    self.layers,
                    method=self.method,
                    targets=None if targets is None else torch.as_tensor(targets[rows]),
                    precision=clf.precision,
                    random_state=random_state,
                )
                some = [maps[row] for row in rows]
                shapes = [grid.shape for grid in some]
                by_layer = [
                    to_die_grid(values.float().cpu().numpy(), shapes, codes.shape[-1])
                    for values in result.layers.values()
                ]
                probabilities = clf.compute_probabilities(result.logits, some)
                for row, probability, *layers in zip(rows, probabilities, *by_layer, strict=True):
                    scores[row] = DieScores(relative_saliency(maps[row], layers), probability)
                bar.update(len(rows))
        return scores


def _progress(classifier: Any, n_wafers: int) -> tqdm:
    return tqdm(total=n_wafers, unit="wafer", leave=None, disable=not classifier.progress)


def pattern_probability(evidence: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Return the probability that a fail belongs to at least one pattern.

    Parameters
    ----------
    evidence : Tensor of float32, shape (n, n_maps, height, width)
        Log-odds of each map, as `evidence_maps` gives them.
    counted : Tensor of bool, shape (n, n_maps) or (1, n_maps)
        Maps that count.

    Returns
    -------
    Tensor of float32, shape (n, height, width)
        One minus the probability that the fail belongs to none of them. Maps are treated as
        independent, so that a wafer can have several patterns.

    Examples
    --------
    >>> evidence = torch.tensor([0.0, 0.0, 9.0])[None, :, None, None]
    >>> pattern_probability(evidence, torch.tensor([[True, True, False]])).item()
    0.75
    """
    no_pattern = torch.ones_like(evidence[:, 0])
    # Factor by factor: a sum of logarithms takes ten times as long.
    for of_map, counts in zip(evidence.unbind(1), counted.unbind(1), strict=True):
        if counts.any():
            without = torch.sigmoid(-of_map)
            no_pattern *= without if counts.all() else without.where(counts[:, None, None], 1)
    return 1 - no_pattern


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
        Between 0 and 1; zero without a die, and everywhere if no layer has evidence.
    """
    on_dies = np.where(grid != NO_DIE, np.stack(layers), 0)
    peaks = on_dies.max(axis=(1, 2), keepdims=True)
    return (on_dies / np.where(peaks > 0, peaks, 1)).sum(axis=0) / len(layers)
