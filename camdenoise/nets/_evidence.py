"""Training of nets that keep an evidence map per class.

Labels train the class scores. A class score can be high after any part of a pattern. So wafers
with patterns that are known die by die train the maps to cover a whole pattern and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, logsigmoid

from camdenoise.nets._component_planes import add_component_planes, input_planes
from camdenoise.nets._training import EncodedWafers, WaferNet, memory_order
from camdenoise.wafers._maps import FAIL

# The lowest bits of a pixel hold its die code, the others one pattern each.
_CODE_BITS = 2
_CODE = 2**_CODE_BITS - 1
# Types of a pixel and the number of patterns that fit behind the die code and the sign.
_PIXELS = ((6, torch.uint8), (13, torch.int16), (29, torch.int32), (61, torch.int64))
#: Largest number of patterns that can be trained die by die.
MOST_PATTERNS = _PIXELS[-1][0]
# Fails added to the denominator of a wafer's loss, so that wafers with few fails do not dominate.
_FEW_FAILS = 10
# Share of a label that is spread over all classes.
_LABEL_SMOOTHING = 0.02
# Batches over which the statistics of batch norms are averaged, so that the time is limited.
_BATCHES_FOR_STATISTICS = 200


class EvidenceWafers(EncodedWafers):
    """Encoded wafers, some of them with known patterns.

    Parameters
    ----------
    codes, dies, weights, augment
        As in `EncodedWafers`.
    labels : Tensor of float32, shape (n, n_classes)
        Share of each class.
    pattern : Tensor of int, shape (n, size, size)
        Bit k of a pixel tells whether pattern k covers it.
    known : Tensor of bool, shape (n,)
        Whether the wafer's patterns are known.
    period : Tensor of int64, shape (n,)
        The wafer is shown once in so many epochs.
    """

    def __init__(self, codes, dies, labels, weights, augment, pattern, known, period):
        n_patterns = max(1, int(pattern.max()).bit_length()) if pattern.numel() else 1
        pixel = next(dtype for most, dtype in _PIXELS if n_patterns <= most)
        packed = codes.to(pixel) | pattern.to(pixel) << _CODE_BITS
        super().__init__(packed, dies, labels, weights, augment)
        self.known, self.period = known, period
        # Wafers of one period take turns.
        self.phase = torch.zeros_like(period)
        for length in period.unique().tolist():
            same = period == length
            self.phase[same] = torch.arange(int(same.sum())) % length

    def rows(self, epoch: int) -> torch.Tensor:
        """Return the wafers that are shown in an epoch, counted from 0."""
        return torch.nonzero(self.phase == epoch % self.period).flatten()

    def batch(self, rows: torch.Tensor, generator: torch.Generator):
        """Encode and augment the wafers of these rows."""
        packed = self.codes[rows]
        codes = (packed & _CODE).to(torch.uint8)
        if self.augment is not None:
            codes = self.augment.add_noise(codes, self.dies[rows], generator)
        planes = add_component_planes(codes, self.dies[rows]).to(packed.dtype)
        planes[:, 0] |= packed >> _CODE_BITS << _CODE_BITS
        if self.augment is not None:
            planes = self.augment.turn(planes, generator)
        pattern = planes[:, 0] >> _CODE_BITS
        planes[:, 0] &= _CODE
        inputs = {"x": input_planes(planes.to(torch.uint8)), "pattern": pattern}
        inputs |= {"known": self.known[rows], "weight": self.weights[rows]}
        return inputs, self.labels[rows]


class EvidenceNet(WaferNet):
    """A skorch classifier that also trains evidence maps on wafers with known patterns.

    Parameters
    ----------
    map_of_bit : sequence of int
        Number of the evidence map of each pattern bit; empty where no pattern is known.
    """

    def __init__(self, *args, map_of_bit: Sequence[int] = (), **kwargs):
        super().__init__(*args, **kwargs)
        self.map_of_bit = map_of_bit

    def on_epoch_begin(self, net, dataset_train=None, **kwargs):
        """Recompute the statistics of the batch norms before the last epochs."""
        super().on_epoch_begin(net, dataset_train=dataset_train, **kwargs)
        if self.history[-1, "epoch"] == self._n_normed + 1:
            recompute_bn_stats(self, self.get_iterator(dataset_train, training=True))

    @property
    def _n_normed(self) -> int:
        """Number of epochs in which batch norms follow their batch; they are frozen afterwards.

        A net can take large steps only while they follow.
        """
        return self.max_epochs - max(1, self.max_epochs // 5) if self.max_epochs > 1 else 1

    def infer(self, x, **fit_params):
        """Return the logits of a batch, and the evidence maps behind them."""
        module, outputs = self.module_, {}
        if module.training and self.history[-1, "epoch"] > self._n_normed:
            freeze_bn(module)
        features = self.infer_stages(x, outputs)
        logits, evidence, _ = module.forward_evidence(
            features, outputs, detach=bool(self.map_of_bit)
        )
        return logits, evidence

    def infer_stages(self, x, outputs: dict | None = None) -> torch.Tensor:
        """Return the output of the last stage; `outputs` as in `Backbone.forward_stages`."""
        module, outputs = self.module_, {} if outputs is None else outputs
        planes = x["x"].to(self.device).contiguous(memory_format=memory_order(module))
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.bfloat16):
            return module.forward_stages(planes, outputs, module.layer_names)

    def get_loss(self, y_pred, y_true, X=None, *args, **kwargs):
        """Return the weighted cross-entropy of the labels plus the loss of the known patterns."""
        scores, evidence = y_pred
        device = scores.device
        losses = cross_entropy(
            scores, y_true.to(device), reduction="none", label_smoothing=_LABEL_SMOOTHING
        )
        label_loss = (losses * X["weight"].to(device)).mean()
        known = X["known"]
        if not known.any():
            return label_loss
        bits = torch.arange(len(self.map_of_bit))[:, None, None]
        truth = (X["pattern"][known][:, None] >> bits & 1).to(device, torch.float32)
        fails = X["x"][known][:, FAIL].to(device)
        die_loss = pattern_loss(evidence[known][:, list(self.map_of_bit)], truth, fails)
        return label_loss + die_loss * known.float().mean().to(device)


def recompute_bn_stats(net: EvidenceNet, batches: Iterable) -> None:
    """Average the statistics of all batch norms over many batches.

    Running averages depend on the last few batches, which may all be of one size.

    Parameters
    ----------
    net : EvidenceNet
    batches : iterable of (inputs, labels)
        The first 200 are used.

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
        for inputs, _ in islice(batches, _BATCHES_FOR_STATISTICS):
            net.infer_stages(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def freeze_bn(module: nn.Module) -> None:
    """Let batch norms use their running statistics, as in prediction.

    Statistics differ between batches of different sizes or mixtures of wafers. So the last epochs
    train with the statistics of prediction.
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
        1 where a die fails; the loss is computed there only.

    Returns
    -------
    Tensor of float32, a scalar

    References
    ----------
    .. [1] F. Milletari et al., "V-Net", 3DV 2016, arXiv:1606.04797 (Dice loss).
    """
    area = (1, 2)
    truth = truth * fails[:, None]
    losses = binary_cross_entropy_with_logits(evidence, truth, reduction="none").sum(1)
    entropy = (losses * fails).sum(area) / (fails.sum(area) + _FEW_FAILS)
    # Probability that the fail belongs to at least one pattern.
    kept = (1 - torch.exp(logsigmoid(-evidence).sum(1))) * fails
    wanted = truth.amax(1)
    has_pattern = wanted.sum(area) > 0
    overlap = (2 * (kept * wanted).sum(area) + 1) / (kept.sum(area) + wanted.sum(area) + 1)
    return entropy.mean() + ((1 - overlap) * has_pattern).mean()
