"""How a net is trained: batches, loss, number format, memory order."""

import numpy as np
import pytest
import torch
from torch import nn

from camdenoise.nets import _training
from camdenoise.nets._augmentation import BatchAugmentation
from camdenoise.nets._backbones import make_backbone, pooled_linear_head
from camdenoise.nets._encoding import one_hot
from camdenoise.nets._training import (
    EncodedWafers,
    SizedWafers,
    WaferBatches,
    WaferNet,
    memory_order,
    resolve_device,
)


def encoded_wafers(n, size=8, augment=None):
    """Wafer i has label i, weight i + 1 and a code that tells it apart."""
    codes = torch.zeros(n, size, size, dtype=torch.uint8)
    for row in range(n):
        codes[row].view(-1)[: row + 1] = 2
    dies = torch.arange(size).expand(n, 2, size)
    return EncodedWafers(codes, dies, torch.arange(n), torch.arange(n) + 1.0, augment)


def batches_of(n, batch_size, **options):
    return list(WaferBatches(encoded_wafers(n), batch_size, **options))


@pytest.mark.parametrize("batch_size", [2, 3, 16, 64])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 17, 33, 64, 65])
def test_batches_are_nearly_equal_never_of_one(n, batch_size):
    sizes = [len(labels) for _, labels in batches_of(n, batch_size)]
    assert sum(sizes) == n and max(sizes) - min(sizes) <= 1 < min(sizes)
    assert max(sizes) <= max(batch_size, 3)  # an odd number cannot be split into pairs
    assert len(WaferBatches(encoded_wafers(n), batch_size)) == len(sizes)


def test_single_wafer_is_a_batch():
    assert [len(labels) for _, labels in batches_of(1, 8)] == [1]


def test_batch_size_minus_1_means_all_wafers():
    assert [len(labels) for _, labels in batches_of(7, -1)] == [7]


def test_rows_stay_together_when_shuffled():
    batches = batches_of(10, 4, shuffle=True)
    assert sorted(torch.cat([labels for _, labels in batches]).tolist()) == list(range(10))
    for inputs, labels in batches:
        assert inputs["weight"].tolist() == (labels + 1).tolist()
        assert inputs["x"][:, 2].sum(dim=(1, 2)).tolist() == (labels + 1).tolist()


def test_order_follows_the_seed_and_changes_by_epoch():
    def orders(seed):
        batches = WaferBatches(encoded_wafers(30), 7, shuffle=True, seed=seed)
        return [torch.cat([labels for _, labels in batches]).tolist() for _ in range(2)]

    first, second = orders(0)
    assert first != second and orders(0) == [first, second] and orders(1)[0] != first


def test_wafers_are_in_order_without_shuffling():
    assert torch.cat([labels for _, labels in batches_of(9, 4)]).tolist() == list(range(9))


def test_augmentation_depends_on_seed_and_epoch():
    augment = BatchAugmentation(symmetries=True, flip_rate=0.5)

    def epochs(seed):
        batches = WaferBatches(encoded_wafers(6, augment=augment), 6, seed=seed)
        return [next(iter(batches))[0]["x"] for _ in range(2)]

    first, second = epochs(0)
    assert not torch.equal(first, second)
    assert torch.equal(first, epochs(0)[0]) and not torch.equal(first, epochs(1)[0])


def test_single_wafer_has_the_form_of_a_batch_row():
    wafers = encoded_wafers(5)
    inputs, label = wafers[3]
    assert label == 3 and inputs["weight"] == 4
    assert torch.equal(inputs["x"], one_hot(wafers.codes[3:4])[0]) and len(wafers) == 5


class Recorder(nn.Module):
    """A linear net that remembers what it was given."""

    def __init__(self, *layers):
        super().__init__()
        self.layers, self.head = nn.Sequential(*layers), pooled_linear_head(3, 2)
        self.seen = []

    def forward(self, x):
        self.seen.append(x)
        return self.head(x)


def wafer_net(module, **options):
    return WaferNet(module, classes=[0, 1], criterion=nn.CrossEntropyLoss, **options).initialize()


def test_loss_is_the_weighted_mean_cross_entropy():
    logits, labels = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    loss = wafer_net(Recorder()).get_loss(logits, labels, {"weight": torch.tensor([0.5, 1.5])})
    by_hand = (0.5 * np.log(1 + np.exp(-2)) + 1.5 * np.log(1 + np.exp(1))) / 2
    assert loss.item() == pytest.approx(by_hand)


def test_bfloat16_is_used_for_the_net_not_the_loss():
    class Typed(Recorder):
        def forward(self, x):
            logits = super().forward(x)
            self.dtype = logits.dtype
            return logits

    for bfloat16, inside in ((True, torch.bfloat16), (False, torch.float32)):
        net = wafer_net(Typed(), bfloat16=bfloat16)
        logits = net.infer({"x": torch.rand(2, 3, 4, 4)})
        assert net.module_.dtype == inside and logits.dtype == torch.float32


def strided_1x1(n_in, groups=1):
    return nn.Conv2d(n_in, 16, 1, 2, groups=groups)


def test_memory_order_avoids_unsafe_convolutions():
    assert memory_order(make_backbone("wafer_resnet", 3, width=4)) == torch.channels_last
    assert memory_order(make_backbone("resnet18", 3)) == torch.channels_last
    for unsafe in (strided_1x1(4), strided_1x1(15), strided_1x1(32, groups=4)):
        assert memory_order(nn.Sequential(nn.Conv2d(3, 4, 3), unsafe)) == torch.contiguous_format
    for safe in (strided_1x1(16), nn.Conv2d(4, 8, 3, 2), nn.Conv2d(4, 8, 1, 1)):
        assert memory_order(safe) == torch.channels_last


@pytest.mark.parametrize(
    ("layer", "order"),
    [(strided_1x1(8), torch.contiguous_format), (strided_1x1(16), torch.channels_last)],
    ids=["unsafe", "safe"],
)
def test_net_and_input_are_in_the_same_memory_order(layer, order):
    """Channels-last input alone is enough to overwrite memory, whatever the weights' order."""
    net = wafer_net(Recorder(layer, nn.Conv2d(4, 4, 3)))
    net.infer({"x": one_hot(torch.ones(2, 8, 8, dtype=torch.uint8))})
    assert net.module_.seen[0].is_contiguous(memory_format=order)
    assert net.module_.layers[1].weight.is_contiguous(memory_format=order)


def test_resolve_device_names_the_device(monkeypatch):
    assert resolve_device("cpu:0") == "cpu:0"
    with pytest.raises(ValueError, match=r"device 'abacus' cannot be used \(.*Choose 'auto'"):
        resolve_device("abacus")
    for available, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(_training.torch.cuda, "is_available", lambda answer=available: answer)
        assert resolve_device("auto") == device


def test_sized_batches_hold_every_wafer_once():
    parts = [
        EncodedWafers(
            torch.full((n, size, size), n), torch.zeros(n, 2, size), *[torch.arange(n)] * 2
        )
        for n, size in ((5, 8), (9, 16), (1, 32))
    ]
    batches = WaferBatches(SizedWafers(parts), 4, shuffle=True, seed=0)
    seen = [(tuple(inputs["x"].shape[2:]), labels.tolist()) for inputs, labels in batches]
    assert len(seen) == len(batches) == 2 + 3 + 1
    for size, n in ((8, 5), (16, 9), (32, 1)):
        assert sorted(sum((rows for s, rows in seen if s == (size, size)), [])) == list(range(n))
    assert [size for size, _ in seen] != sorted(size for size, _ in seen)
