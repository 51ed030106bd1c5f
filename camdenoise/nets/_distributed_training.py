"""Training in several processes, on several GPUs or machines, by Hugging Face accelerate.

Every process reads all wafers and trains on its own share of the batches. Gradients are averaged
after each batch (Li et al. 2020, 2006.15704), so that all processes end with the same net.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from skorch.hf import AccelerateMixin
from torch.utils.data import Dataset

from camdenoise.nets._training import WaferBatches, WaferNet, print_nothing


class SharedBatches(WaferBatches):
    """The batches of one of several processes.

    Parameters
    ----------
    dataset, batch_size, shuffle, seed
        As in `WaferBatches`; the same for all processes.
    process, n_processes : int
        Number of this process, and of all. All get equally many batches; the last batches may be
        given twice.
    """

    def __init__(
        self, dataset, batch_size, shuffle=False, seed=0, process: int = 0, n_processes: int = 1
    ):
        super().__init__(dataset, batch_size, shuffle, seed)
        self.process, self.n_processes = process, n_processes
        # All processes draw the same batches; symmetries may differ.
        self.order = torch.Generator().manual_seed(seed)
        self.generator.manual_seed(seed + process)

    def __len__(self) -> int:
        """Return the number of batches of this process."""
        return -(-super().__len__() // self.n_processes)

    def _order(self, n: int) -> torch.Tensor:
        return torch.randperm(n, generator=self.order) if self.shuffle else torch.arange(n)

    def _batch_order(self, n_batches: int) -> Sequence[int]:
        order = list(super()._batch_order(n_batches))
        positions = range(self.process, len(self) * self.n_processes, self.n_processes)
        return [order[position % n_batches] for position in positions]


class SharedWaferNet(AccelerateMixin, WaferNet):
    """A skorch classifier that is trained by all processes that accelerate knows of."""

    @property
    def module_device(self) -> torch.device:
        """Device of this process's copy of the net."""
        return self.accelerator.device


class NoCriterion:
    """Placeholder for skorch; the loss is in `WaferNet.get_loss`, and a module needs parameters."""


def fit_in_processes(net: WaferNet, train: Dataset) -> WaferNet:
    """Train with the other processes that ``accelerate launch`` has started, or alone.

    Parameters
    ----------
    net : WaferNet
        Not initialized, and the same in all processes.
    train : Dataset
        All wafers.

    Returns
    -------
    WaferNet
        `net` around its trained module; without what accelerate put around it, which cannot be
        pickled.
    """
    accelerator = Accelerator(cpu=net.module_device.type == "cpu")
    params = net.get_params(deep=False)
    # The mixin needs this callback, and moves the net to its device itself.
    del params["callbacks__print_log"], params["device"]
    params |= {"accelerator": accelerator, "callbacks__print_log__sink": print_nothing}
    params |= {
        "criterion": NoCriterion,
        "iterator_train": SharedBatches,
        "iterator_train__process": accelerator.process_index,
        "iterator_train__n_processes": accelerator.num_processes,
    }
    together = SharedWaferNet(**params).fit(train, None)
    net.initialize()
    # Each batch norm has seen its own process's batches last.
    for statistic in net.module_.buffers():
        statistic.copy_(broadcast(statistic))
    net.history_ = together.history_
    return net
