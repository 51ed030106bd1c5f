"""The skorch net: how a backbone is trained on encoded wafers.

Wafers stay uint8 codes until their batch is made. Each step of training is one small method, as
skorch intends; the estimator's contract with scikit-learn is in ``_classifier``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence

import torch
from skorch import NeuralNet, NeuralNetClassifier
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch import nn
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from camdenoise.nets._augmentation import BatchAugmentation
from camdenoise.nets._encoding import one_hot


class BatchedWafers(Dataset):
    """Wafers that are put together by the batch; a subclass implements ``batch``."""

    def rows(self, epoch: int) -> torch.Tensor:
        """Return the wafers that are shown in an epoch, counted from 0: all of them."""
        return torch.arange(len(self))  # type: ignore[arg-type]


class EncodedWafers(BatchedWafers):
    """Encoded wafers with their label codes and sample weights.

    Parameters
    ----------
    codes : Tensor of uint8, shape (n, size, size)
        Die codes.
    dies : Tensor of int64, shape (n, 2, size)
        Which die row, and which die column, each pixel shows.
    labels : Tensor of int64, shape (n,)
        Class codes 0..K-1.
    weights : Tensor of float32, shape (n,)
        Sample weights.
    augment : BatchAugmentation or None
        Applied anew to each batch.
    """

    def __init__(self, codes, dies, labels, weights, augment: BatchAugmentation | None = None):
        self.codes, self.dies = codes, dies
        self.labels, self.weights = labels, weights
        self.augment = augment

    def __len__(self) -> int:
        """Return the number of wafers."""
        return len(self.codes)

    def __getitem__(self, index):
        """Return one wafer as in a batch of one, without the batch axis."""
        (inputs, labels) = self.batch(torch.as_tensor([index]), torch.default_generator)
        return {name: value[0] for name, value in inputs.items()}, labels[0]

    def batch(self, rows: torch.Tensor, generator: torch.Generator):
        """Encode and augment the wafers of these rows."""
        codes = self.codes[rows]
        if self.augment is not None:
            codes = self.augment(codes, self.dies[rows], generator)
        return {"x": one_hot(codes), "weight": self.weights[rows]}, self.labels[rows]


class SizedWafers(Dataset):
    """Encoded wafers of several sizes; a batch is of one size.

    Parameters
    ----------
    parts : sequence of EncodedWafers
        The wafers of each size, none of them empty.
    """

    def __init__(self, parts: Sequence[EncodedWafers]):
        self.parts = list(parts)

    def __len__(self) -> int:
        """Return the number of wafers."""
        return sum(map(len, self.parts))


class WaferBatches:
    """Iterate over encoded wafers in batches of one size and of nearly equal numbers.

    Nearly equal, because batch norm cannot train on a last batch of one; an odd number of wafers
    in pairs leaves a batch of three.
    """

    def __init__(self, dataset, batch_size: int, shuffle: bool = False, seed: int = 0):
        self.parts = getattr(dataset, "parts", [dataset])
        self.n_batches = [_n_batches(len(part.rows(0)), batch_size) for part in self.parts]
        self.epoch = 0
        self.shuffle = shuffle
        self.generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        """Return the number of batches."""
        return sum(self.n_batches)

    def __iter__(self) -> Iterator:
        """Yield ``({"x": planes, "weight": weights}, labels)``."""
        batches = [
            (part, rows)
            for part, n_batches in zip(self.parts, self.n_batches, strict=True)
            for rows in self._draw_rows(part).tensor_split(n_batches)
        ]
        self.epoch += 1
        for index in self._batch_order(len(batches)):
            part, rows = batches[index]
            yield part.batch(rows, self.generator)

    def _batch_order(self, n_batches: int) -> Iterable[int]:
        """Return the order of the batches; those of one part are in random order already."""
        return self._order(n_batches) if len(self.parts) > 1 else range(n_batches)

    def _draw_rows(self, part: EncodedWafers) -> torch.Tensor:
        rows = part.rows(self.epoch)
        return rows[self._order(len(rows))]

    def _order(self, n: int) -> torch.Tensor:
        return torch.randperm(n, generator=self.generator) if self.shuffle else torch.arange(n)


def _n_batches(n_wafers: int, batch_size: int) -> int:
    full = -(-n_wafers // batch_size) if batch_size > 0 else 1
    return max(1, min(full, n_wafers // 2))


class WaferMapNet(NeuralNet):
    """A skorch net on encoded wafers, with optional bfloat16 autocast; a subclass has the loss."""

    def __init__(self, *args, bfloat16: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        self.bfloat16 = bfloat16

    def initialize_module(self):
        """Build the module in the memory order that is fastest on CPUs and GPUs."""
        super().initialize_module()
        self.module_.to(memory_format=memory_order(self.module_))
        return self

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Continue training. Unlike skorch, pass Ctrl-C on: the net is not trained completely."""
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        try:
            with contextlib.suppress(TrainingStopped):
                self.fit_loop(X, y, **fit_params)
        finally:
            self.notify("on_train_end", X=X, y=y)
        return self

    @property
    def module_device(self) -> torch.device:
        """Device of the module."""
        return torch.device(self.device)

    def infer(self, x, **fit_params):
        """Return the module's output for a batch, in float32."""
        device = self.module_device
        planes = (x["x"] if isinstance(x, dict) else x).to(device)
        planes = planes.contiguous(memory_format=memory_order(self.module_))
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bfloat16):
            return self.module_(planes).float()


class WaferNet(WaferMapNet, NeuralNetClassifier):
    """A skorch classifier with weighted cross-entropy."""

    def get_loss(self, y_pred, y_true, X=None, *args, **kwargs):
        """Return the weighted mean cross-entropy."""
        losses = nn.functional.cross_entropy(y_pred, y_true.to(y_pred.device), reduction="none")
        return (losses * X["weight"].to(losses.device)).mean()


class OneCycle(LRScheduler):
    """Warm up to the learning rate and decay over all batches of a fit (Smith & Topin 2019).

    If several processes share the training, only the batches of this process count.
    """

    def __init__(self, max_lr: float):
        super().__init__(torch.optim.lr_scheduler.OneCycleLR, max_lr=max_lr, step_every="batch")

    def on_train_begin(self, net, X=None, **kwargs):
        """Count the batches."""
        self.total_steps = net.max_epochs * len(net.get_iterator(X, training=True)) + 1
        super().on_train_begin(net, X=X, **kwargs)


class TrainingStopped(Exception):
    """The validation loss no longer falls."""


class StopEarly(EarlyStopping):
    """skorch's early stopping with an exception of its own; skorch's is that of Ctrl-C."""

    def on_epoch_end(self, net, **kwargs):
        """Count the epochs without a lower loss; stop after too many."""
        try:
            super().on_epoch_end(net, **kwargs)
        except KeyboardInterrupt as stop:
            raise TrainingStopped from stop


class TrainingProgress(Callback):
    """One bar over all batches of all epochs, with the loss and the time left."""

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Open the bar."""
        total = net.max_epochs * len(net.get_iterator(X, training=True))
        # leave=None: the bar of a fit inside a longer run goes when the fit is over.
        self.bar_ = tqdm(total=total, unit="batch", leave=None)

    def on_batch_end(self, net, training=False, **kwargs):
        """Move the bar by one training batch."""
        if training:
            self.bar_.update()

    def on_epoch_end(self, net, **kwargs):
        """Show the losses of the epoch."""
        last = net.history[-1]
        shown = {k: f"{last[k]:.3f}" for k in ("train_loss", "valid_loss") if k in last}
        self.bar_.set_postfix(epoch=last["epoch"], **shown)

    def on_train_end(self, net, **kwargs):
        """Close the bar."""
        self.bar_.close()
        del self.bar_


def resolve_device(device: str) -> str:
    """Turn ``"auto"`` and ``"accelerate"`` into the fastest device there is.

    Raises
    ------
    ValueError
        For a missing device, or a name that torch does not know.
    """
    if device in ("auto", "accelerate"):
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device {device!r} cannot be used ({reason}). Choose 'auto' or 'cpu'."
        ) from error
    return device


def memory_order(module: nn.Module) -> torch.memory_format:
    """Return channels-last, up to ten times faster for narrow nets, where training in it is safe.

    On CPUs with AVX-512 the weight gradient of a strided 1x1 convolution of fewer than 16 channels
    whose input is in that order overwrites foreign memory (seen with torch 2.14.1 in float32;
    github.com/uxlfoundation/oneDNN/issues/6035). The order of the weights does not matter there,
    so both the module and what goes into it have to be in the order that this returns.
    """
    unsafe = any(isinstance(layer, nn.Conv2d) and _is_unsafe(layer) for layer in module.modules())
    return torch.contiguous_format if unsafe else torch.channels_last


def _is_unsafe(layer: nn.Conv2d) -> bool:
    strided_1x1 = max(layer.kernel_size) == 1 < max(layer.stride)
    return strided_1x1 and layer.in_channels // layer.groups < 16


def epoch_summaries(history) -> list[dict]:
    """Return the losses and seconds of each epoch of a skorch history."""
    names = ("epoch", "train_loss", "valid_loss", "dur")
    return [
        {"seconds" if name == "dur" else name: row[name] for name in names if name in row}
        for row in history
    ]


def print_nothing(message: str) -> None:
    """Drop a message of skorch; `history_` has the epochs."""
