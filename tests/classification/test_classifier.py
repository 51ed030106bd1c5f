"""WaferClassifier: what it learns, what it takes and gives back, what it refuses."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from maps_of_shapes import some_maps
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from small_models import TINY, fitted_classifier, three_class_wafers

from camdenoise import (
    Augmentation,
    CamDenoiser,
    WaferClassifier,
    WaferMapError,
    load_model,
    save_model,
)
from camdenoise.datasets import make_wafer_maps
from camdenoise.metrics import die_scores
from camdenoise.nets import _training

BACKBONES = [
    "vgg11_bn",
    "vgg16_bn",
    "resnet18",
    "resnet50",
    "efficientnet_b0",
    "mobilenetv3_small_100",
]


def test_classifier_learns_three_classes(wafers, classifier):
    assert classifier.score(wafers.maps, wafers.target) > 0.9
    assert classifier.classes_.tolist() == ["Center", "Edge-Ring", "Scratch"]


def test_predict_proba_rows_sum_to_one(wafers, classifier):
    proba = classifier.predict_proba(wafers.maps)
    assert proba.shape == (120, 3) and (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (classifier.classes_[proba.argmax(1)] == classifier.predict(wafers.maps)).all()


def test_default_net_is_small_with_fine_grids():
    clf = WaferClassifier(max_epochs=1, random_state=0)
    clf.fit(three_class_wafers().maps[:8], three_class_wafers().target[:8])
    assert 1e5 < sum(p.numel() for p in clf.module_.parameters()) < 5e5
    grids = {name: shape[1:] for name, shape in clf.module_.feature_shapes(64).items()}
    assert grids["stage2"] == (32, 32) and grids["stage3"] == (16, 16)
    assert grids["stage4"] == (8, 8)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_timm_backbones_are_trained(backbone, wafers):
    clf = WaferClassifier(backbone, input_size=32, batch_size=4, max_epochs=1, random_state=0)
    proba = clf.fit(wafers.maps[:8], wafers.target[:8]).predict_proba(wafers.maps[:3])
    assert proba.shape == (3, len(set(wafers.target[:8]))) and np.isfinite(proba).all()
    if "vgg" in backbone:
        assert sum(p.numel() for p in clf.module_.head.parameters()) < 1e4


def test_integer_labels_come_back_as_integers(wafers):
    y = np.where(wafers.target == "Center", 30, -7)
    clf = WaferClassifier(**TINY).fit(wafers.maps, y)
    assert clf.classes_.tolist() == [-7, 30]
    assert clf.predict(wafers.maps[:4]).dtype == y.dtype


def test_every_collection_kind_gives_equal_predictions(ragged_maps):
    maps, y = ragged_maps
    column = pd.Series(maps, index=range(20, 32))
    results = [
        WaferClassifier(**TINY).fit(kind, y).predict_proba(kind)
        for kind in (maps, tuple(maps), column, column.to_numpy())
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_three_dimensional_array_is_accepted(wafers):
    stack = np.stack([np.resize(grid, (12, 14)) for grid in wafers.maps[:20]]).astype(np.int64)
    clf = WaferClassifier(**TINY).fit(stack, wafers.target[:20])
    np.testing.assert_array_equal(clf.predict(stack), clf.predict(list(stack)))


def test_same_seed_gives_same_net(wafers):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second = (WaferClassifier(**TINY).fit(wafers.maps, wafers.target) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    pairs = zip(first.module_.parameters(), second.module_.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    other = WaferClassifier(**TINY | {"random_state": 1}).fit(wafers.maps, wafers.target)
    assert not torch.equal(next(first.module_.parameters()), next(other.module_.parameters()))


def test_pickle_and_clone_keep_predictions(wafers, classifier):
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(
        again.predict_proba(wafers.maps), classifier.predict_proba(wafers.maps)
    )
    fresh = clone(classifier)
    assert fresh.get_params() == classifier.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(wafers.maps)


def test_pickle_leaves_the_optimizer_out(classifier):
    weights = sum(p.numel() for p in classifier.module_.parameters()) * 4
    assert len(pickle.dumps(classifier)) < 3 * weights + 60_000
    assert not classifier.net_.optimizer_.state


def test_input_is_not_changed(wafers):
    maps = [grid.copy() for grid in wafers.maps[:20]]
    WaferClassifier(**TINY, augmentation=Augmentation(flip_rate=0.2)).fit(
        maps, wafers.target[:20]
    ).predict(maps)
    for ours, theirs in zip(maps, wafers.maps, strict=False):
        np.testing.assert_array_equal(ours, theirs)


def test_sample_weight_decides_contradicting_labels(wafers):
    maps = list(wafers.maps[:40]) * 2
    y = np.repeat(["a", "b"], 40)
    weight = np.repeat([1.0, 0.01], 40)
    clf = WaferClassifier(**TINY).fit(maps, y, sample_weight=weight)
    assert (clf.predict(maps) == "a").all()
    clf = WaferClassifier(**TINY).fit(maps, y, sample_weight=weight[::-1])
    assert (clf.predict(maps) == "b").all()


def test_class_weight_equals_sample_weight(wafers):
    weight = {"Center": 3.0, "Edge-Ring": 1.0, "Scratch": 1.0}
    by_class = WaferClassifier(**TINY, class_weight=weight).fit(wafers.maps, wafers.target)
    by_sample = WaferClassifier(**TINY).fit(
        wafers.maps, wafers.target, sample_weight=[weight[label] for label in wafers.target]
    )
    np.testing.assert_allclose(
        by_class.predict_proba(wafers.maps), by_sample.predict_proba(wafers.maps), atol=1e-6
    )


def test_early_stopping_keeps_the_best_epoch(wafers):
    clf = WaferClassifier(
        **TINY | {"max_epochs": 30, "learning_rate": 0.03},
        n_iter_no_change=2,
    ).fit(wafers.maps, wafers.target)
    losses = [epoch["valid_loss"] for epoch in clf.history_]
    assert len(losses) < 30 and np.argmin(losses) == len(losses) - 3


@pytest.mark.parametrize("kind", ["flips", "background"])
def test_noise_augmentation_changes_the_training(wafers, classifier, kind):
    background = {"background": wafers.maps[:10]}
    augmentation = Augmentation(**({"flip_rate": 0.1} if kind == "flips" else background))
    noisy = WaferClassifier(**TINY, augmentation=augmentation).fit(wafers.maps, wafers.target)
    assert noisy.history_[0]["train_loss"] != classifier.history_[0]["train_loss"]
    assert noisy.score(wafers.maps, wafers.target) > 0.6


def test_symmetric_prediction_ignores_orientation(wafers):
    clf = WaferClassifier(**TINY, symmetric_prediction=True).fit(wafers.maps, wafers.target)
    square = [np.resize(grid, (16, 16)) for grid in wafers.maps[:5]]
    turned = [np.rot90(grid) for grid in square]
    np.testing.assert_allclose(clf.predict_proba(square), clf.predict_proba(turned), atol=1e-5)


def test_progress_bar_is_shown_on_request(wafers, capsys):
    WaferClassifier(**TINY, progress=True).fit(wafers.maps, wafers.target)
    assert "48/48" in capsys.readouterr().err  # 6 epochs of 8 batches


def test_bfloat16_training_learns_the_classes(wafers):
    clf = WaferClassifier(**TINY, precision="bfloat16").fit(wafers.maps, wafers.target)
    assert clf.score(wafers.maps, wafers.target) > 0.9


GOOD = [np.ones((4, 5), np.uint8), np.ones((5, 5), np.uint8), np.ones((6, 5), np.uint8)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.full((4, 4), 3), "wafer map 1: value 3 at row 0, column 0"),
        (np.array([[1, np.nan]]), "wafer map 1: value nan at row 0, column 1"),
        (np.array([[1, -1]]), "wafer map 1: value -1"),
        (np.ones(4), r"wafer map 1: expected a non-empty 2-D grid of die codes, got shape \(4,\)"),
        (np.ones((2, 2, 2)), r"wafer map 1: .*shape \(2, 2, 2\)"),
        (np.ones((0, 3)), r"wafer map 1: .*shape \(0, 3\)"),
        (np.array([["a"]]), "wafer map 1: die codes must be numbers"),
    ],
)
def test_bad_map_is_named(bad, message, classifier):
    maps = [GOOD[0], bad, GOOD[2]]
    with pytest.raises(WaferMapError, match=message):
        WaferClassifier(**TINY).fit(maps, [0, 1, 0])
    with pytest.raises(WaferMapError, match=message):
        classifier.predict(maps)


def test_bad_collections_are_refused(classifier):
    with pytest.raises(ValueError, match=r"Found 0 wafer map"):
        classifier.predict([])
    with pytest.raises(ValueError, match=r"Wrap a single wafer map in a list"):
        classifier.predict(GOOD[0])
    with pytest.raises(ValueError, match="got str"):
        classifier.predict("wafers.npz")


def test_bad_labels_are_refused():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        WaferClassifier(**TINY).fit(GOOD, [0, 1])
    with pytest.raises(ValueError, match="target y is None"):
        WaferClassifier(**TINY).fit(GOOD, None)
    with pytest.raises(ValueError, match="y has 1 missing label, at row 1"):
        WaferClassifier(**TINY).fit(GOOD, [0.0, np.nan, 1.0])


def test_unknown_backbone_suggests_nearest_name():
    with pytest.raises(ValueError, match="Unknown backbone 'resnet_18'.*Did you mean.*resnet18"):
        WaferClassifier("resnet_18").fit(GOOD, [0, 1, 0])


@pytest.mark.parametrize(
    "wrong", [{"max_epochs": 0}, {"augmentation": "crop"}, {"n_iter_no_change": 0}, {"width": 0.5}]
)
def test_bad_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter"):
        WaferClassifier(**wrong).fit(GOOD, [0, 1, 0])


def test_tiny_and_extreme_maps_are_classified():
    clf = fitted_classifier()
    extremes = [np.array([[2]]), np.zeros((5, 5)), np.full((3, 90), 2), np.ones((200, 2))]
    assert np.isfinite(clf.predict_proba(extremes)).all()


def test_ctrl_c_in_training_raises_keyboard_interrupt(wafers, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(_training.WaferNet, "train_step", interrupt)
    clf = WaferClassifier(**TINY, progress=True)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(wafers.maps, wafers.target)
    with pytest.raises(NotFittedError):
        clf.predict(wafers.maps)


def test_several_input_sizes_predict_like_fitting_size():
    clf = fitted_classifier()
    maps = some_maps([(20, 20), (60, 60), (10, 12)])
    single = clf.predict_proba(maps)
    both = WaferClassifier(**clf.get_params() | {"input_size": (32, 64)})
    both.module_, both.classes_, both.temperature_ = clf.module_, clf.classes_, 1.0
    both.feature_net_ = None
    np.testing.assert_allclose(both.predict_proba(maps)[[0, 2]], single[[0, 2]], atol=1e-6)
    assert abs(both.predict_proba(maps)[1] - single[1]).max() > 1e-6


@pytest.mark.parametrize("backbone", ["wafer_resnet", "wafer_unet"])
def test_several_input_sizes_survive_save_and_load(backbone, wafers, tmp_path):
    clf = WaferClassifier(backbone, **TINY | {"input_size": (32, 48), "max_epochs": 1})
    clf.fit(wafers.maps, wafers.target)
    save_model(clf, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict_proba(wafers.maps), clf.predict_proba(wafers.maps))


@pytest.mark.parametrize("sizes", [(), (4,), (32, 2000), ("a",), (32.5,)])
def test_unusable_input_sizes_are_refused(sizes, wafers):
    with pytest.raises(ValueError, match="input_size"):
        WaferClassifier(**TINY | {"input_size": sizes}).fit(wafers.maps, wafers.target)


def test_synthetic_wafers_teach_pattern_locations():
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
