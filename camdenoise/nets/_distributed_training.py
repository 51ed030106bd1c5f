"""Training that several processes share, on as many GPUs or machines, by Hugging Face accelerate.

Every process reads all wafers and trains on its own share of the batches; gradients are averaged
after each (Li et al. 2020, 2006.15704), so all end with the same net.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from skorch.hf import AccelerateMixin
from torch.utils.data import Dataset

from camdenoise.nets._training import WaferBatches, WaferNet


class SharedBatches(WaferBatches):
    """The batches of one of several processes.

    Parameters
    ----------
    dataset, batch_size, shuffle, seed
        As in `WaferBatches`; the same for all processes.
    process, n_processes : int
        Which of how many. All get equally many batches; the last ones may be given twice.
    """

    def __init__(
        self, dataset, batch_size, shuffle=False, seed=0, process: int = 0, n_processes: int = 1
    ):
        super().__init__(dataset, batch_size, shuffle, seed)
        self.process, self.n_processes = process, n_processes
        # Which wafers make a batch must be the same for all, how they are turned need not.
        self.order = torch.Generator().manual_seed(seed)
        self.generator.manual_seed(seed + process)

    def __len__(self) -> int:
        """Return the number of batches of this process."""
        return -(-super().__len__() // self.n_processes)

    def _order(self, n: int) -> torch.Tensor:
        return torch.randperm(n, generator=self.order) if self.shuffle else torch.arange(n)

    def _batch_order(self, n_batches: int) -> Sequence[int]:
        turns = list(super()._batch_order(n_batches))
        mine = range(self.process, len(self) * self.n_processes, self.n_processes)
        return [turns[turn % n_batches] for turn in mine]


class SharedWaferNet(AccelerateMixin, WaferNet):
    """A skorch classifier that is trained by all processes that accelerate knows of."""

    @property
    def place(self) -> torch.device:
        """Where accelerate has put this process's copy of the net."""
        return self.accelerator.device


class NoCriterion:
    """What skorch asks for, as the loss is in `WaferNet.get_loss`; modules need parameters here."""


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
    accelerator = Accelerator(cpu=net.place.type == "cpu")
    params = net.get_params(deep=False)
    # The mixin counts on this callback; it places the net itself.
    del params["callbacks__print_log"], params["device"]
    params |= {"accelerator": accelerator, "callbacks__print_log__sink": _nowhere}
    params |= {"criterion": NoCriterion}
    params |= {
        "iterator_train": SharedBatches,
        "iterator_train__process": accelerator.process_index,
    }
    params |= {"iterator_train__n_processes": accelerator.num_processes}
    together = SharedWaferNet(**params).fit(train, None)
    net.initialize()
    # Each batch norm has seen its own process's batches last.
    for gathered in net.module_.buffers():
        gathered.copy_(broadcast(gathered))
    net.history_ = together.history_
    return net


def _nowhere(message: str) -> None:
    """Swallow skorch's table of losses."""
