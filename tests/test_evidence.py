"""Nets that keep a map of evidence per class: what they see, practise on, learn and say."""

from copy import copy

import numpy as np
import pytest
import torch
from conftest import TINY, fitted_classifier
from sklearn.frozen import FrozenEstimator

import camdenoise.nets._evidence as evidence_training
from camdenoise import CamDenoiser, WaferClassifier, load_model, save_model
from camdenoise.cam import evidence_maps
from camdenoise.cam._on_dies import pattern_probability
from camdenoise.classification._training import add_synthetic_wafers
from camdenoise.datasets import load_wafer_maps, make_wafer_maps
from camdenoise.datasets._training_sets import SyntheticWafers, make_training_wafers
from camdenoise.filters._component_size import component_size
from camdenoise.metrics import die_scores
from camdenoise.nets._augmentation import BatchAugmentation, symmetry, undo_symmetry
from camdenoise.nets._backbones import make_backbone
from camdenoise.nets._component_planes import add_component_planes, input_planes
from camdenoise.nets._encoding import choose_sizes, encode_dies, encode_maps, mean_on_dies
from camdenoise.nets._evidence import EvidenceWafers, pattern_loss, recompute_bn_stats
from camdenoise.nets._inference import inference_net
from camdenoise.nets._training import EncodedWafers, SizedWafers, WaferBatches
from camdenoise.wafers._classes import ClassRoles

SHAPES = [(9, 11), (30, 24), (32, 32), (5, 31)]


def some_maps(shapes=SHAPES, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.choice(3, shape, p=[0.1, 0.5, 0.4]).astype(np.uint8) for shape in shapes]


# What the net sees


def test_planes_tell_the_size_of_the_component_in_dies():
    maps = some_maps()
    dies = encode_dies(SHAPES, 40)
    planes = add_component_planes(encode_maps(maps, 40), dies)
    sizes = [component_size(grid, 8) for grid in maps]
    doublings = [np.round(20 * np.log2(1 + size)).astype(np.uint8) for size in sizes]
    shares = [np.round(255 * size / size.max()).astype(np.uint8) for size in sizes]
    for plane, wanted in zip(planes.unbind(1), (maps, doublings, shares), strict=True):
        assert torch.equal(plane, encode_maps(wanted, 40))


def test_planes_of_a_wafer_without_fails_are_zero():
    codes = torch.ones(1, 8, 8, dtype=torch.uint8)
    assert add_component_planes(codes, encode_dies([(8, 8)], 8))[:, 1:].sum() == 0


def test_input_planes_are_between_zero_and_one():
    codes = encode_maps(some_maps(), 32)
    planes = input_planes(add_component_planes(codes, encode_dies(SHAPES, 32)))
    assert planes.shape == (4, 5, 32, 32) and planes.min() == 0 and planes.max() == 1
    assert torch.equal(planes[:, :3], input_planes(codes))


def test_a_wafer_is_shown_at_the_smallest_size_with_a_pixel_for_each_die():
    shapes = [(3, 32), (33, 5), (64, 64), (65, 1), (500, 500)]
    assert choose_sizes(shapes, (64, 32, 96)).tolist() == [32, 64, 64, 96, 96]
    assert choose_sizes(shapes, 48).tolist() == [48] * 5
    assert choose_sizes([], (32, 64)).tolist() == []


def test_mean_on_dies_undoes_the_encoding():
    maps = some_maps()
    codes = encode_maps(maps, 64).numpy().astype(np.float32)
    for grid, again in zip(maps, mean_on_dies(codes, SHAPES), strict=True):
        np.testing.assert_allclose(again, grid, atol=1e-6)


# Several sizes


def test_batches_are_of_one_size_and_hold_every_wafer_once():
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


def test_several_sizes_predict_like_the_one_that_fits():
    clf = fitted_classifier()
    maps = some_maps([(20, 20), (60, 60), (10, 12)])
    single = clf.predict_proba(maps)
    both = WaferClassifier(**clf.get_params() | {"input_size": (32, 64)})
    both.module_, both.classes_, both.temperature_ = clf.module_, clf.classes_, 1.0
    np.testing.assert_allclose(both.predict_proba(maps)[[0, 2]], single[[0, 2]], atol=1e-6)
    assert abs(both.predict_proba(maps)[1] - single[1]).max() > 1e-6


@pytest.mark.parametrize("backbone", ["wafer_resnet", "wafer_unet"])
def test_trains_on_several_sizes_and_comes_back_from_disk(backbone, wafers, tmp_path):
    clf = WaferClassifier(backbone, **TINY | {"input_size": (32, 48), "max_epochs": 1})
    clf.fit(wafers.maps, wafers.target)
    save_model(clf, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict_proba(wafers.maps), clf.predict_proba(wafers.maps))


@pytest.mark.parametrize("sizes", [(), (4,), (32, 2000), ("a",), (32.5,)])
def test_unusable_sizes_are_refused(sizes, wafers):
    with pytest.raises(ValueError, match="input_size"):
        WaferClassifier(**TINY | {"input_size": sizes}).fit(wafers.maps, wafers.target)


# The net


def test_the_way_back_sees_the_earlier_stage():
    net = make_backbone("wafer_unet", 3, width=4).eval()
    x = torch.rand(2, 5, 32, 32)
    stage = net.stages
    with torch.no_grad():
        s1 = stage["stage1"](stage["stem"](x))
        s2 = stage["stage2"](s1)
        s3 = stage["stage3"](s2)
        s4 = stage["stage4"](s3)
        up = stage["up2"](stage["up3"](stage["context"](s4), s3), s2)
        wanted = net.head(stage["up1"](up, s1), s4)
        torch.testing.assert_close(net(x), wanted)


def test_evidence_has_a_cell_for_each_pixel_and_the_logits_are_the_net_s():
    net = make_backbone("wafer_unet", 3, width=4).eval()
    x = torch.rand(2, 5, 48, 48)
    result = evidence_maps(inference_net(net, 48), x)
    assert result.evidence.shape == (2, 3, 48, 48)
    with torch.no_grad():
        torch.testing.assert_close(result.logits, net(x), atol=1e-4, rtol=1e-4)


def test_no_batch_has_more_pixels_than_one_of_the_smallest_size():
    clf = copy(fitted_classifier("wafer_resnet")).set_params(input_size=(16, 32, 80))
    maps = some_maps([(10, 10)] * 9 + [(30, 20)] * 9 + [(60, 60)] * 3)
    batches = [(codes.shape[-1], rows.tolist()) for rows, codes in clf.batches(maps, 8)]
    assert [(size, len(rows)) for size, rows in batches] == [
        (16, 8), (16, 1), *[(32, 2)] * 4, (32, 1), *[(80, 1)] * 3,
    ]  # fmt: skip
    assert sum((rows for _, rows in batches), []) == list(range(21))


def test_symmetric_evidence_turns_with_the_wafer_and_goes_with_the_probabilities():
    clf = copy(fitted_classifier("wafer_unet")).set_params(
        symmetric_prediction=True, precision="float32"
    )
    ((_, codes),) = clf.batches(some_maps([(20, 20)] * 3), 3)
    x = input_planes(codes)
    result = evidence_maps(clf.module_, x, symmetric=True)
    for index in range(8):
        turned = evidence_maps(clf.module_, symmetry(x, index), symmetric=True)
        torch.testing.assert_close(turned.evidence, symmetry(result.evidence, index))
    plain = [
        undo_symmetry(evidence_maps(clf.module_, symmetry(x, i)).evidence, i) for i in range(8)
    ]
    torch.testing.assert_close(result.evidence, torch.stack(plain).mean(0))
    probabilities = clf.predict_proba(some_maps([(20, 20)] * 3))
    np.testing.assert_allclose(result.logits.softmax(1), probabilities, atol=1e-5)


def test_a_fail_is_kept_unless_every_pattern_disowns_it():
    claims = torch.tensor([[-30.0, 30.0, -30.0], [-30.0, -30.0, 30.0], [0.0, 0.0, 0.0]])
    counted = torch.tensor([[True, True, False]])
    probability = pattern_probability(claims[:, :, None, None], counted)
    assert probability.flatten().tolist() == pytest.approx([1, 0, 0.75], abs=1e-6)


# Practice


def test_synthetic_wafers_of_real_ones(data_folder):
    wafers = load_wafer_maps(data_folder / "wm811k_mini.npz")
    before = [grid.copy() for grid in wafers.maps]
    roles = ClassRoles(tuple(np.unique(wafers.target).tolist()))
    made = make_training_wafers(wafers.maps, wafers.target, roles, 200, np.random.RandomState(0))
    assert 150 <= len(made.maps) == len(made.labels) == len(made.truth) <= 201
    numbers = np.bincount([len(labels) for labels in made.labels], minlength=3)
    assert numbers[0] == 12 and numbers[1] > 80 and numbers[2] > 10
    for grid, labels, truth in zip(*made[:3], strict=True):
        assert truth.shape == (len(labels), *grid.shape) and (grid[truth.any(0)] == 2).all()
    for grid, same in zip(wafers.maps, before, strict=True):
        np.testing.assert_array_equal(grid, same)


def test_without_backgrounds_patterns_are_simulated_on_the_same_grids():
    maps, target = some_maps([(12, 14), (20, 20), (2, 2)]), np.array(["Loc", "Center", "x"])
    roles = ClassRoles(("Center", "Loc", "x"))
    with pytest.warns(UserWarning, match="'x'"):
        made = make_training_wafers(maps, target, roles, 30, np.random.RandomState(0))
    assert len(made.maps) == 30 and {grid.shape for grid in made.maps} == {(12, 14), (20, 20)}
    assert {label for labels in made.labels for label in labels} == {"Loc", "Center"}


def training_set(maps, seed=0):
    """Two labeled wafers, and synthetic ones with one pattern, two and none."""
    rng = np.random.default_rng(seed)
    truth = [
        rng.random((n, *grid.shape)) < 0.3 for n, grid in zip((1, 2, 0), maps[2:], strict=True)
    ]
    labels = [("Loc",), ("Scratch", "Loc"), ()]
    made = SyntheticWafers(list(maps[2:]), labels, truth, ("Loc", "Scratch"))
    roles = ClassRoles(("Loc", "Scratch", "none"))
    codes = np.array([2, 0])
    return add_synthetic_wafers(maps[:2], codes, np.ones(2), roles, made, 3), truth


def test_synthetic_wafers_come_behind_the_labeled_ones():
    maps = some_maps([(8, 8)] * 5)
    lesson, truth = training_set(maps)
    assert lesson.labels.tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]]
    assert lesson.known.tolist() == [False, False, True, True, True]
    for bit, name in enumerate(("Loc", "Scratch")):
        there = [(pattern >> bit & 1).astype(bool) for pattern in lesson.pattern]
        loc = {"Loc": (truth[0][0], truth[1][1]), "Scratch": (np.zeros((8, 8), bool), truth[1][0])}
        np.testing.assert_array_equal(there[2], loc[name][0])
        np.testing.assert_array_equal(there[3], loc[name][1])
        assert not there[0].any() and not there[1].any() and not there[4].any()


def test_what_is_plenty_is_spread_over_epochs_and_counts_the_more():
    maps = some_maps([(8, 8)] * 20)
    truth = [(grid == 2)[None] for grid in maps[:9]]
    made = SyntheticWafers(maps[:9], [("Loc",)] * 9, truth, ("Loc",))
    roles, codes = ClassRoles(("Loc", "none")), np.repeat([0, 1], (4, 16))
    lesson = add_synthetic_wafers(maps, codes, np.ones(20), roles, made, n_epochs=12)
    dies = encode_dies([(8, 8)] * 29, 16)
    of = [torch.from_numpy(part) for part in (lesson.labels, lesson.weights)]
    learnt = [torch.from_numpy(part) for part in (lesson.known, lesson.period)]
    pattern = encode_maps(lesson.pattern, 16)
    wafers = EvidenceWafers(encode_maps(lesson.maps, 16), dies, *of, None, pattern, *learnt)
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


def test_the_loss_looks_at_fails_only_and_is_least_for_the_truth():
    generator = torch.Generator().manual_seed(0)
    truth = (torch.rand(3, 2, 8, 8, generator=generator) < 0.3).float()
    fails = torch.maximum(truth.amax(1), (torch.rand(3, 8, 8, generator=generator) < 0.2).float())
    right = torch.where(truth > 0, 9.0, -9.0)
    elsewhere = torch.where(fails[:, None] > 0, right, 5.0)
    assert pattern_loss(right, truth, fails) == pattern_loss(elsewhere, truth, fails) < 0.01
    assert pattern_loss(-right, truth, fails) > 5
    assert pattern_loss(torch.zeros_like(right), truth, fails) > 0.5


@pytest.mark.parametrize(("n_epochs", "n_fixed"), [(1, 0), (2, 1), (3, 1), (10, 2)])
def test_norms_are_fixed_in_the_last_epochs(n_epochs, n_fixed, monkeypatch, wafers):
    fixed, fix = [], evidence_training.freeze_bn
    monkeypatch.setattr(evidence_training, "freeze_bn", lambda net: (fixed.append(net), fix(net)))
    options = TINY | {"max_epochs": n_epochs, "synthetic_ratio": 0.0, "width": 2, "input_size": 16}
    WaferClassifier("wafer_unet", **options).fit(wafers.maps, wafers.target)
    assert len(fixed) == n_fixed * -(-len(wafers.maps) // TINY["batch_size"])


def test_settled_norms_average_over_all_batches(wafers):
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


def test_synthetic_wafers_teach_where_patterns_are():
    kind = {"classes": ["none", "Center", "Scratch"], "shapes": [(24, 24)]}
    train = make_wafer_maps(240, random_state=1, **kind)
    test = make_wafer_maps(90, random_state=2, noise_rate=(0.05, 0.1), **kind)
    f1 = {}
    for practice in (0.0, 1.0):
        options = TINY | {"width": 8, "input_size": 24, "synthetic_ratio": practice}
        clf = WaferClassifier("wafer_unet", **options).fit(train.maps, train.target)
        denoiser = CamDenoiser(FrozenEstimator(clf)).fit(train.maps, train.target)
        rows = np.flatnonzero(test.target != "none")
        maps, truth = ([part[row] for row in rows] for part in (test.maps, test.truth))
        kept = [e.kept for e in denoiser.explain(maps, test.target[rows])]
        f1[practice] = die_scores(maps, truth, kept)["f1"].mean()
    raw = die_scores(maps, truth, [grid == 2 for grid in maps])["f1"].mean()
    assert f1[1.0] > raw + 0.2 and f1[1.0] > f1[0.0] + 0.05


# The denoiser


def test_evidence_is_the_default_of_a_net_that_has_it(wafers):
    denoiser = CamDenoiser(FrozenEstimator(fitted_classifier("wafer_unet"))).fit(wafers.maps)
    assert (denoiser.method_, denoiser.aggregation_) == ("evidence", None)
    other = CamDenoiser(FrozenEstimator(fitted_classifier())).fit(wafers.maps)
    assert (other.method_, other.aggregation_) == ("layercam", "component")


def test_evidence_of_a_net_without_it_is_refused(wafers):
    denoiser = CamDenoiser(FrozenEstimator(fitted_classifier()), method="evidence")
    with pytest.raises(ValueError, match="wafer_resnet.* does not.*wafer_unet"):
        denoiser.fit(wafers.maps)


def test_saliency_is_the_probability_that_some_pattern_claims_the_die(wafers):
    clf = copy(fitted_classifier("wafer_unet")).set_params(precision="float32")
    denoiser = CamDenoiser(FrozenEstimator(clf), threshold=0.5)
    why = denoiser.fit(wafers.maps).explain(wafers.maps[:3])
    for (rows, codes), _ in zip(clf.batches(wafers.maps[:3], 3), [0], strict=True):
        with torch.no_grad():
            evidence = evidence_maps(clf.module_, input_planes(codes)).evidence
        wanted = 1 - (1 - torch.sigmoid(evidence)).prod(1).numpy()
        on_dies = mean_on_dies(wanted, [wafers.maps[row].shape for row in rows])
        for row, values in zip(rows, on_dies, strict=True):
            grid = wafers.maps[row]
            np.testing.assert_allclose(why[row].saliency, np.where(grid > 0, values, 0), atol=1e-5)
            kept = (grid == 2) & (values >= 0.5)
            assert why[row].abstained or (why[row].kept == kept).mean() > 0.999


def test_asked_for_a_class_it_explains_that_class(wafers):
    denoiser = CamDenoiser(FrozenEstimator(fitted_classifier("wafer_unet"))).fit(wafers.maps)
    everything = denoiser.explain(wafers.maps[:8])
    for label in denoiser.classes_:
        asked = denoiser.explain(wafers.maps[:8], [label] * 8)
        assert {e.label for e in asked} == {label}
        for one, every in zip(asked, everything, strict=True):
            assert (one.saliency <= every.saliency + 1e-6).all()
