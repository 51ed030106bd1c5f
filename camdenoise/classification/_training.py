"""From labeled wafer maps to a trained net: training sets, encoding, the skorch net."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from skorch.helper import predefined_split
from torch.utils.data import Dataset

from camdenoise.datasets._training_sets import NOTHING, SyntheticWafers, make_training_wafers
from camdenoise.nets._augmentation import Augmentation
from camdenoise.nets._backbones import Backbone, make_backbone
from camdenoise.nets._encoding import choose_sizes, encode_dies, encode_maps
from camdenoise.nets._evidence import MOST_PATTERNS, EvidenceNet, EvidenceWafers
from camdenoise.nets._inference import takes_bfloat16
from camdenoise.nets._training import (
    EncodedWafers,
    OneCycle,
    SizedWafers,
    StopEarly,
    TrainingProgress,
    WaferBatches,
    WaferNet,
    print_nothing,
    resolve_device,
)
from camdenoise.wafers._classes import ClassRoles

#: Device of a training that several processes share.
ACCELERATE = "accelerate"
# Weight of a synthetic wafer's label. Synthetic wafers are noisier than real ones, and their
# classes have other frequencies.
_SYNTHETIC_WEIGHT = 0.3


class TrainedNet(NamedTuple):
    """The result of training.

    Attributes
    ----------
    net : WaferNet
        The skorch net around the trained module.
    patterns : tuple
        The patterns that have an evidence map: trained die by die, or, without synthetic wafers,
        by the class scores.
    made : SyntheticWafers
        The wafers that trained it as well.
    """

    net: WaferNet
    patterns: tuple
    made: SyntheticWafers


class TrainingSet(NamedTuple):
    """Labeled and synthetic wafers to train a net with evidence maps on.

    Attributes
    ----------
    maps : list of ndarray of uint8, shape (height, width)
    labels : ndarray of float32, shape (n, n_classes)
        Share of each class.
    weights : ndarray of float32, shape (n,)
    pattern : list of ndarray of int, shape (height, width)
        Bit k of a die tells whether pattern k covers it.
    known : ndarray of bool, shape (n,)
        Whether the wafer's patterns are known.
    period : ndarray of int, shape (n,)
        The wafer is shown once in so many epochs.
    """

    maps: list[np.ndarray]
    labels: np.ndarray
    weights: np.ndarray
    pattern: list[np.ndarray]
    known: np.ndarray
    period: np.ndarray


def train(
    params: Any,
    maps: Sequence[np.ndarray],
    codes: np.ndarray,
    weights: np.ndarray,
    roles: ClassRoles,
    seed: int,
) -> TrainedNet:
    """Train a net on labeled wafers.

    Parameters
    ----------
    params : WaferClassifier
        Its parameters are read.
    maps : sequence of ndarray of uint8, shape (height, width)
        Checked wafer maps.
    codes : ndarray of int, shape (n_wafers,)
        Class codes.
    weights : ndarray of float, shape (n_wafers,)
        Sample weights.
    roles : ClassRoles
        What the classes stand for.
    seed : int
        For initial weights, order, augmentation and synthetic wafers.
    """
    n_maps = len(roles.map_labels)
    module = make_backbone(params.backbone, len(roles.classes), width=params.width, n_maps=n_maps)
    _check_shared(params, module)
    train_rows, valid_rows = _split(params, codes, seed)

    def take(rows):
        return [maps[row] for row in rows], codes[rows], weights[rows]

    patterns: tuple = ()
    made = NOTHING
    if module.has_evidence:
        labeled = take(train_rows)
        made = _make_synthetic(params, labeled[0], labeled[1], roles, seed)
        patterns = made.patterns if params.synthetic_ratio else roles.patterns
        map_of_bit = [roles.map_labels.index(pattern) for pattern in made.patterns]
        kind = partial(EvidenceNet, map_of_bit=map_of_bit)
        dataset = _encode_evidence(params, labeled, roles, made, augment=True)
        valid = valid_rows is not None and _encode_evidence(
            params, take(valid_rows), roles, NOTHING, augment=False
        )
    else:
        kind = partial(WaferNet)
        dataset = _encode_labeled(params, take(train_rows), augment=True)
        valid = valid_rows is not None and _encode_labeled(params, take(valid_rows), augment=False)
    net = _skorch_net(params, module, kind, valid or None, len(roles.classes), seed)
    net = _fit(params, net, dataset)
    # The moments of the optimizer are three times the size of the net and of no further use.
    net.optimizer_.state.clear()
    net.set_params(train_split=None)
    return TrainedNet(net, patterns, made)


def add_synthetic_wafers(
    maps, codes, weights, roles: ClassRoles, made: SyntheticWafers, n_epochs: int
) -> TrainingSet:
    """Append wafers with known patterns to labeled ones.

    Parameters
    ----------
    maps : list of ndarray of uint8, shape (height, width)
        Labeled wafers.
    codes : ndarray of int, shape (n_wafers,)
        Their class codes.
    weights : ndarray of float, shape (n_wafers,)
        Their sample weights.
    roles : ClassRoles
    made : SyntheticWafers
        Bit k of their dies stands for the pattern ``made.patterns[k]``.
    n_epochs : int
        Number of epochs that the synthetic wafers are spread over.

    Returns
    -------
    TrainingSet
    """
    dtype = np.min_scalar_type(1 << max(0, len(made.patterns) - 1))
    n_made = len(made.maps)
    period = _show_periods(roles.is_none[codes], n_epochs)
    shares = np.array([class_shares(labels, roles) for labels in made.labels], np.float32)
    return TrainingSet(
        maps=[*maps, *made.maps],
        labels=np.concatenate(
            [
                np.eye(len(roles.classes), dtype=np.float32)[codes],
                shares.reshape(n_made, len(roles.classes)),
            ]
        ),
        # A wafer that is shown less often weighs more.
        weights=np.concatenate([weights * period, np.full(n_made, _SYNTHETIC_WEIGHT)]).astype(
            np.float32
        ),
        pattern=[np.zeros(grid.shape, dtype) for grid in maps]
        + [
            _pattern_bits(truth, [made.patterns.index(label) for label in labels], dtype)
            for labels, truth in zip(made.labels, made.truth, strict=True)
        ],
        known=np.arange(len(maps) + n_made) >= len(maps),
        period=np.concatenate([period, np.full(n_made, n_epochs)]),
    )


def _make_synthetic(params, maps, codes, roles: ClassRoles, seed: int) -> SyntheticWafers:
    n_samples = round(params.synthetic_ratio * len(maps)) * params.max_epochs
    labels = np.empty(len(codes), object)
    labels[:] = [roles.classes[code] for code in codes]
    made = make_training_wafers(maps, labels, roles, n_samples, np.random.RandomState(seed))
    if len(made.patterns) > MOST_PATTERNS:
        raise ValueError(
            f"y has {len(made.patterns)} patterns; evidence maps can be trained for at most "
            f"{MOST_PATTERNS}. Join some of the labels, or use another backbone."
        )
    return made


def class_shares(labels: tuple, roles: ClassRoles) -> np.ndarray:
    """Return the share of each class, float32 (n_classes,), for a wafer with these patterns."""
    shares = np.zeros(len(roles.classes), np.float32)
    if not labels:
        shares[roles.is_none] = 1
    elif (whole := roles.combination(labels)) is not None:
        shares[roles.classes.index(whole)] = 1
    else:
        for label in labels:
            if label in roles.classes:
                shares[roles.classes.index(label)] = 1
    return shares / max(1, shares.sum())


def _show_periods(is_none: np.ndarray, n_epochs: int) -> np.ndarray:
    """Return for each labeled wafer the number of epochs in which it is shown once.

    Wafers without a pattern are many and alike: an epoch has as many of them as of all others.
    """
    n_none = int(is_none.sum())
    times_as_many = n_none // max(1, len(is_none) - n_none)
    return np.where(is_none, np.clip(times_as_many, 1, n_epochs), 1)


def _pattern_bits(truth: np.ndarray, numbers: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Write masks (n_patterns, height, width) into the bits `numbers` of one integer per die."""
    bits = np.zeros(truth.shape[1:], dtype)
    for mask, number in zip(truth, numbers, strict=True):
        bits |= mask.astype(dtype) << number
    return bits


def _split(params: Any, codes: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the rows to train on, and those that tell when to stop."""
    rows = np.arange(len(codes))
    if params.n_iter_no_change is None:
        return rows, None
    counts = np.bincount(codes)
    has_all = counts.min() >= 2 and params.validation_fraction * len(codes) >= len(counts)
    return train_test_split(
        rows,
        test_size=params.validation_fraction,
        random_state=seed,
        stratify=codes if has_all else None,
    )


def _encode_labeled(params: Any, wafers: tuple, *, augment: bool) -> Dataset:
    maps, codes, weights = wafers
    parts = _encode_by_size(params, maps, codes.astype(np.int64), weights, augment=augment)
    return _join([EncodedWafers(*encoded) for _, encoded in parts])


def _encode_evidence(
    params: Any, wafers: tuple, roles: ClassRoles, made: SyntheticWafers, *, augment: bool
) -> Dataset:
    maps, codes, weights = wafers
    n_epochs = params.max_epochs if augment else 1
    data = add_synthetic_wafers(maps, codes, weights, roles, made, n_epochs)
    parts = []
    for rows, encoded in _encode_by_size(
        params, data.maps, data.labels, data.weights, augment=augment
    ):
        pattern = encode_maps([data.pattern[row] for row in rows], encoded[0].shape[-1])
        known, period = torch.from_numpy(data.known[rows]), torch.from_numpy(data.period[rows])
        parts.append(EvidenceWafers(*encoded, pattern, known, period))
    return _join(parts)


def _encode_by_size(
    params: Any, maps, labels, weights, *, augment: bool
) -> Iterator[tuple[np.ndarray, tuple[Any, Any, Any, Any, Any]]]:
    """Yield the rows of the wafers of each size, and what `EncodedWafers` takes for them."""
    shapes = [grid.shape for grid in maps]
    shown = choose_sizes(shapes, params.input_size)
    augmentation = params.augmentation or Augmentation()
    for size in np.unique(shown).tolist():
        rows = np.flatnonzero(shown == size)
        encoded = (
            encode_maps([maps[row] for row in rows], size),
            encode_dies([shapes[row] for row in rows], size),
            torch.from_numpy(labels[rows]),
            torch.from_numpy(weights[rows].astype(np.float32)),
            augmentation.for_size(size) if augment else None,
        )
        yield rows, encoded


def _join(parts: list) -> Dataset:
    return parts[0] if len(parts) == 1 else SizedWafers(parts)


def _fit(params: Any, net: WaferNet, dataset: Dataset) -> WaferNet:
    if params.device != ACCELERATE:
        return net.fit(dataset, None)
    try:
        from camdenoise.nets._distributed_training import fit_in_processes
    except ImportError as error:
        raise ImportError(
            "device='accelerate' needs the package accelerate: pip install 'camdenoise[gpu]'."
        ) from error
    return fit_in_processes(net, dataset)


def _check_shared(params: Any, module: Backbone) -> None:
    """Refuse what processes that train together cannot do."""
    if params.device != ACCELERATE:
        return
    if module.has_evidence:
        raise ValueError(
            f"device='accelerate' trains by class scores alone, but {params.backbone!r} also "
            "learns die by die. Train it in one process, or choose another backbone."
        )
    if params.random_state is None:
        raise ValueError(
            "device='accelerate' needs an int for random_state, so that all processes begin with "
            "the same net."
        )
    if params.n_iter_no_change is not None:
        raise ValueError(
            "device='accelerate' cannot stop early: processes would not stop together. Choose "
            "max_epochs, and n_iter_no_change=None."
        )


def _skorch_net(params: Any, module, kind, valid, n_classes: int, seed: int) -> WaferNet:
    device = resolve_device(params.device)
    return kind(
        module,
        criterion=torch.nn.CrossEntropyLoss,
        classes=list(range(n_classes)),
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=params.weight_decay,
        lr=params.learning_rate,
        max_epochs=params.max_epochs,
        batch_size=params.batch_size,
        iterator_train=WaferBatches,
        iterator_train__shuffle=True,
        iterator_train__seed=seed,
        iterator_valid=WaferBatches,
        train_split=None if valid is None else predefined_split(valid),
        callbacks=_callbacks(params),
        callbacks__valid_acc=None,
        callbacks__print_log=None,
        device=device,
        bfloat16=takes_bfloat16(module, params.precision, device),
    )


def _callbacks(params: Any) -> list:
    callbacks: list = [OneCycle(params.learning_rate)]
    if params.n_iter_no_change is not None:
        patience = params.n_iter_no_change
        callbacks.append(StopEarly(patience=patience, load_best=True, sink=print_nothing))
    if params.progress:
        callbacks.append(TrainingProgress())
    return callbacks
