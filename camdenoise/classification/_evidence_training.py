"""Training of nets that keep a map per class: labels for all wafers, truth die by die for some.

A class score alone is content with any part of a pattern. Wafers whose patterns are known tell the
maps to find all of it and nothing else.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, logsigmoid

from camdenoise.datasets._pattern_pool import BACKGROUND
from camdenoise.datasets._patterns import PATTERN_CLASSES
from camdenoise.datasets._training_sets import SyntheticWafers
from camdenoise.nets._component_planes import input_planes, with_component_planes
from camdenoise.nets._training import EncodedWafers, WaferNet, memory_order
from camdenoise.wafers._maps import FAIL

# Of a byte, the lowest bits that the die code takes; six are left for patterns.
_CODE_BITS = 2
_CODE = 2**_CODE_BITS - 1
# Keeps the few fails of a clean wafer from weighing more than the many of another.
_FEW_FAILS = 10
_LABEL_SMOOTHING = 0.02
# Practice wafers are noisier than others and of all classes alike: a label there says less of how
# likely a class is.
_PRACTICE_WEIGHT = 0.3
_BATCHES_TO_SETTLE = 200


class Lesson(NamedTuple):
    """Wafers to train on.

    Attributes
    ----------
    maps : list of ndarray of uint8, shape (height, width)
    labels : ndarray of float32, shape (n, n_classes)
        Share of each class.
    weights : ndarray of float32, shape (n,)
    pattern : list of ndarray of uint8, shape (height, width)
        Bit k of a die says whether pattern k is there.
    known : ndarray of bool, shape (n,)
        Whether anybody knows where the patterns are.
    every : ndarray of int, shape (n,)
        In how many epochs a wafer is shown once.
    columns : list of int
        Class code of each pattern bit; empty where nothing is known of any wafer.
    """

    maps: list[np.ndarray]
    labels: np.ndarray
    weights: np.ndarray
    pattern: list[np.ndarray]
    known: np.ndarray
    every: np.ndarray
    columns: list[int]


def with_practice(
    maps, codes, weights, classes: np.ndarray, practice: SyntheticWafers, n_epochs: int
) -> Lesson:
    """Put wafers with known patterns behind labelled ones.

    Parameters
    ----------
    maps : list of ndarray of uint8, shape (height, width)
        Labelled wafers.
    codes : ndarray of int, shape (n_wafers,)
        Their class codes.
    weights : ndarray of float, shape (n_wafers,)
        Their sample weights.
    classes : ndarray of shape (n_classes,)
        The label of each code.
    practice : SyntheticWafers
        A wafer without a pattern counts as one of the class `none`.
    n_epochs : int
        Over how many epochs the practice is spread, and wafers without a pattern at most.

    Returns
    -------
    Lesson
    """
    code_of = {label: code for code, label in enumerate(classes.tolist())}
    names: list[Hashable] = [name for name in PATTERN_CLASSES if name in code_of]
    nowhere = [np.zeros_like(grid) for grid in maps]
    there = [
        _pattern_bits(truth, [names.index(label) for label in labels])
        for labels, truth in zip(practice.labels, practice.truth, strict=True)
    ]
    shares = np.zeros((len(practice.maps), len(classes)), np.float32)
    for row, labels in enumerate(practice.labels):
        shares[row, [code_of[label] for label in labels or (BACKGROUND,)]] = 1 / max(1, len(labels))
    every = _epochs_to_show(classes[codes], n_epochs)
    return Lesson(
        [*maps, *practice.maps],
        np.concatenate([np.eye(len(classes), dtype=np.float32)[codes], shares]),
        # What is shown less often counts the more.
        np.concatenate([weights * every, np.full(len(practice.maps), _PRACTICE_WEIGHT)]).astype(
            np.float32
        ),
        nowhere + there,
        np.arange(len(maps) + len(practice.maps)) >= len(maps),
        np.concatenate([every, np.full(len(practice.maps), n_epochs)]),
        [code_of[name] for name in names] if practice.maps else [],
    )


def _epochs_to_show(target: np.ndarray, n_epochs: int) -> np.ndarray:
    """Return in how many epochs each labelled wafer is shown once.

    Wafers without a pattern are many and alike: an epoch needs no more of them than of others.
    """
    without = target == BACKGROUND
    n_without = int(without.sum())
    times_as_many = n_without // max(1, len(target) - n_without)
    return np.where(without, np.clip(times_as_many, 1, n_epochs), 1)


def _pattern_bits(truth: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """Write masks (n_patterns, height, width) into the bits `numbers` of one byte per die."""
    bits = np.zeros(truth.shape[1:], np.uint8)
    for mask, number in zip(truth, numbers, strict=True):
        bits |= mask.astype(np.uint8) << number
    return bits


class PractisedWafers(EncodedWafers):
    """Encoded wafers, some with known patterns.

    Parameters
    ----------
    codes, dies, weights, augment
        As in `EncodedWafers`.
    labels : Tensor of float32, shape (n, n_classes)
        Share of each class.
    pattern : Tensor of uint8, shape (n, size, size)
        Bit k of a pixel says whether pattern k is there.
    known : Tensor of bool, shape (n,)
        Whether anybody knows.
    every : Tensor of int64, shape (n,)
        In how many epochs a wafer is shown once.
    """

    def __init__(self, codes, dies, labels, weights, augment, pattern, known, every):
        super().__init__(codes | pattern << _CODE_BITS, dies, labels, weights, augment)
        self.known, self.every = known, every
        # Those of one rhythm take turns.
        self.turn = torch.zeros_like(every)
        for rhythm in every.unique().tolist():
            same = every == rhythm
            self.turn[same] = torch.arange(int(same.sum())) % rhythm

    def rows(self, epoch: int) -> torch.Tensor:
        """Return the wafers that are shown in an epoch, counted from 0."""
        return torch.nonzero(self.turn == epoch % self.every).flatten()

    def batch(self, rows: torch.Tensor, generator: torch.Generator):
        """Encode and augment the wafers of these rows."""
        codes, pattern = self.codes[rows] & _CODE, self.codes[rows] & 255 - _CODE
        if self.augment is not None:
            codes = self.augment.add_noise(codes, self.dies[rows], generator)
        planes = with_component_planes(codes, self.dies[rows])
        planes[:, 0] |= pattern
        if self.augment is not None:
            planes = self.augment.turn(planes, generator)
        pattern = planes[:, 0] >> _CODE_BITS
        planes[:, 0] &= _CODE
        inputs = {"x": input_planes(planes), "pattern": pattern, "known": self.known[rows]}
        return inputs | {"weight": self.weights[rows]}, self.labels[rows]


class EvidenceNet(WaferNet):
    """A skorch classifier that also learns, from wafers with known patterns, where they are.

    Parameters
    ----------
    columns : sequence of int
        Class code of each pattern bit.
    """

    def __init__(self, *args, columns: Sequence[int] = (), **kwargs):
        super().__init__(*args, **kwargs)
        self.columns = columns

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        """Before the last epochs, settle what the batch norms subtract and divide by."""
        super().on_epoch_begin(net, dataset_train=dataset_train, **kwargs)
        if self.history[-1, "epoch"] == self._n_normed + 1:
            settle_norms(self, self.get_iterator(dataset_train, training=True))

    @property
    def _n_normed(self) -> int:
        """In how many epochs norms follow their batch.

        Without that, a net cannot take large steps: norms are fixed when these are over.
        """
        return self.max_epochs - max(1, self.max_epochs // 5) if self.max_epochs > 1 else 1

    def infer(self, x, **fit_params):
        """Return the logits of a batch, and the evidence maps behind them."""
        module, outputs = self.module_, {}
        if module.training and self.history[-1, "epoch"] > self._n_normed:
            _fix_norms(module)
        features = self.infer_stages(x, outputs)
        logits, evidence, _ = module.classify_by_evidence(
            features, outputs, learn=bool(self.columns)
        )
        return logits, evidence

    def infer_stages(self, x, outputs: dict | None = None) -> torch.Tensor:
        """Return the output of the last stage; put those that are needed later into `outputs`."""
        module, outputs = self.module_, {} if outputs is None else outputs
        planes = x["x"].to(self.device).contiguous(memory_format=memory_order(module))
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.bfloat16):
            return module.advance(planes, outputs, module.layer_names)

    def get_loss(self, y_pred, y_true, X=None, *args, **kwargs):
        """Return the weighted cross-entropy of the labels plus the loss of the known patterns."""
        scores, evidence = y_pred
        device = scores.device
        losses = cross_entropy(
            scores, y_true.to(device), reduction="none", label_smoothing=_LABEL_SMOOTHING
        )
        of_labels = (losses * X["weight"].to(device)).mean()
        known = X["known"]
        if not known.any():
            return of_labels
        bits = torch.arange(len(self.columns))[:, None, None]
        truth = (X["pattern"][known][:, None] >> bits & 1).to(device, torch.float32)
        fails = X["x"][known][:, FAIL].to(device)
        of_patterns = pattern_loss(evidence[known][:, list(self.columns)], truth, fails)
        return of_labels + of_patterns * known.float().mean().to(device)


def settle_norms(net: EvidenceNet, batches: Iterable) -> None:
    """Average the statistics of all batch norms over many batches.

    Running averages follow the last few batches, which may be of one size by chance.

    Parameters
    ----------
    net : EvidenceNet
    batches : iterable of (inputs, labels)
        The first few hundred are used.

    References
    ----------
    .. [1] Y. Wu, J. Johnson, "Rethinking 'Batch' in BatchNorm", 2021, arXiv:2105.07576 (precise
       batch norm).
    """
    net.module_.train()
    norms = [layer for layer in net.module_.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average of all batches
    with torch.no_grad():
        for inputs, _ in islice(batches, _BATCHES_TO_SETTLE):
            net.infer_stages(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _fix_norms(module: nn.Module) -> None:
    """Let batch norms use what they have gathered, as they do in prediction.

    Batches of one size, or of one mixture of wafers, differ in their means from all others. A net
    that ends its training on what it will be used with is right for each of them.
    """
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


def pattern_loss(evidence: torch.Tensor, truth: torch.Tensor, fails: torch.Tensor) -> torch.Tensor:
    """Return cross-entropy of each pattern's fails plus Dice loss of the patterns together.

    Parameters
    ----------
    evidence : Tensor of float32, shape (n, n_patterns, size, size)
        Log-odds of each pattern.
    truth : Tensor of float32, shape (n, n_patterns, size, size)
        1 where a pattern is.
    fails : Tensor of float32, shape (n, size, size)
        1 where a die fails. Only there the loss looks.

    Returns
    -------
    Tensor of float32, a scalar

    References
    ----------
    .. [1] F. Milletari et al., "V-Net", 3DV 2016, arXiv:1606.04797 (Dice loss).
    """
    area = (1, 2)
    truth = truth * fails[:, None]
    surprise = binary_cross_entropy_with_logits(evidence, truth, reduction="none").sum(1)
    entropy = (surprise * fails).sum(area) / (fails.sum(area) + _FEW_FAILS)
    # A fail is kept unless all patterns disown it.
    kept = (1 - torch.exp(logsigmoid(-evidence).sum(1))) * fails
    wanted = truth.amax(1)
    has_pattern = wanted.sum(area) > 0
    overlap = (2 * (kept * wanted).sum(area) + 1) / (kept.sum(area) + wanted.sum(area) + 1)
    return entropy.mean() + ((1 - overlap) * has_pattern).mean()
