"""Nets that keep a map of evidence per class: training wafers, augmentation, loss, norms."""

import numpy as np
import pytest
import torch
from maps_of_shapes import some_maps
from small_models import TINY

import camdenoise.nets._evidence as evidence_training
from camdenoise import WaferClassifier
from camdenoise.classification._training import add_synthetic_wafers
from camdenoise.datasets._training_sets import SyntheticWafers
from camdenoise.nets._augmentation import BatchAugmentation
from camdenoise.nets._component_planes import add_component_planes, input_planes
from camdenoise.nets._encoding import encode_dies, encode_maps
from camdenoise.nets._evidence import EvidenceWafers, pattern_loss, recompute_bn_stats
from camdenoise.nets._training import WaferBatches
from camdenoise.wafers._classes import ClassRoles

# Practice


def test_frequent_wafers_are_spread_over_epochs():
    maps = some_maps([(8, 8)] * 20)
    truth = [(grid == 2)[None] for grid in maps[:9]]
    made = SyntheticWafers(maps[:9], [("Loc",)] * 9, truth, ("Loc",))
    roles, codes = ClassRoles(("Loc", "none")), np.repeat([0, 1], (4, 16))
    lesson = add_synthetic_wafers(maps, codes, np.ones(20), roles, made, n_epochs=12)
    dies = encode_dies([(8, 8)] * 29, 16)
    of = [torch.from_numpy(part) for part in (lesson.labels, lesson.weights)]
    learned = [torch.from_numpy(part) for part in (lesson.known, lesson.period)]
    pattern = encode_maps(lesson.pattern, 16)
    wafers = EvidenceWafers(encode_maps(lesson.maps, 16), dies, *of, None, pattern, *learned)
    epochs = [set(wafers.rows(epoch).tolist()) for epoch in range(12)]
    loc, none, planted = set(range(4)), set(range(4, 20)), set(range(20, 29))
    for epoch, shown in enumerate(epochs):
        assert shown >= loc and len(shown & none) == 4 and len(shown & planted) <= 1
        assert not shown & epochs[epoch - 1] & (none | planted)
    assert set().union(*epochs[:4]) >= none and set().union(*epochs) >= planted
    weight = wafers.weights.numpy()
    assert weight[:20].reshape(5, 4)[:, 0].tolist() == [1, 4, 4, 4, 4]
    # Batches follow the epochs.
    batches = WaferBatches(wafers, 4, shuffle=True, seed=0)
    seen = [sum(len(labels) for _, labels in batches) for _ in range(2)]
    assert seen == [9, 9] and len(batches) == 3


def test_truth_turns_with_the_wafer():
    # The pattern is where the map fails, so it has to be there after any symmetry, too.
    maps = some_maps([(8, 8)] * 40)
    truth = [(grid == 2)[None] for grid in maps]
    made = SyntheticWafers(maps, [("Loc",)] * 40, truth, ("Loc",))
    nothing = np.array([], int)
    lesson = add_synthetic_wafers([], nothing, nothing, ClassRoles(("Loc",)), made, 1)
    wafers = EvidenceWafers(
        encode_maps(lesson.maps, 16),
        encode_dies([(8, 8)] * 40, 16),
        torch.from_numpy(lesson.labels),
        torch.from_numpy(lesson.weights),
        BatchAugmentation(symmetries=True),
        encode_maps(lesson.pattern, 16),
        torch.from_numpy(lesson.known),
        torch.from_numpy(lesson.period),
    )
    inputs, _ = wafers.batch(torch.arange(40), torch.Generator().manual_seed(0))
    assert torch.equal(inputs["x"][:, 2], inputs["pattern"].float())
    plain = input_planes(add_component_planes(encode_maps(maps, 16), wafers.dies))
    assert not torch.equal(inputs["x"], plain)
    torch.testing.assert_close(inputs["x"].sum((2, 3)), plain.sum((2, 3)))


def test_pattern_loss_is_least_at_truth_of_fails():
    generator = torch.Generator().manual_seed(0)
    truth = (torch.rand(3, 2, 8, 8, generator=generator) < 0.3).float()
    fails = torch.maximum(truth.amax(1), (torch.rand(3, 8, 8, generator=generator) < 0.2).float())
    right = torch.where(truth > 0, 9.0, -9.0)
    elsewhere = torch.where(fails[:, None] > 0, right, 5.0)
    assert pattern_loss(right, truth, fails) == pattern_loss(elsewhere, truth, fails) < 0.01
    assert pattern_loss(-right, truth, fails) > 5
    assert pattern_loss(torch.zeros_like(right), truth, fails) > 0.5


@pytest.mark.parametrize(("n_epochs", "n_fixed"), [(1, 0), (2, 1), (3, 1), (10, 2)])
def test_batch_norms_are_frozen_in_the_last_epochs(n_epochs, n_fixed, monkeypatch, wafers):
    fixed, fix = [], evidence_training.freeze_bn
    monkeypatch.setattr(evidence_training, "freeze_bn", lambda net: (fixed.append(net), fix(net)))
    options = TINY | {"max_epochs": n_epochs, "synthetic_ratio": 0.0, "width": 2, "input_size": 16}
    WaferClassifier("wafer_unet", **options).fit(wafers.maps, wafers.target)
    assert len(fixed) == n_fixed * -(-len(wafers.maps) // TINY["batch_size"])


def test_recomputed_batch_norms_average_all_batches(wafers):
    options = TINY | {"max_epochs": 1, "synthetic_ratio": 0.0, "width": 2, "input_size": 16}
    net = WaferClassifier("wafer_unet", **options).fit(wafers.maps, wafers.target).net_
    net.set_params(bfloat16=False)
    norm = net.module_.stages["stem"][1]
    convolution = net.module_.stages["stem"][0]
    planes = [torch.rand(4, 5, 16, 16) * scale for scale in (0.1, 1.0, 3.0)]
    recompute_bn_stats(net, [({"x": x}, None) for x in planes])
    with torch.no_grad():
        means = torch.stack([convolution(x).mean((0, 2, 3)) for x in planes])
    torch.testing.assert_close(norm.running_mean, means.mean(0))
    assert norm.momentum == 0.1
