"""UNetDenoiser: what it learns, its net, and the promises of every denoiser."""

import pickle
import subprocess
import sys
from functools import cache

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from numbers_as_maps import NumbersAsMaps
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_validate
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from camdenoise import WaferClassifier, WaferMapError
from camdenoise.datasets import make_wafer_maps
from camdenoise.learned import UNetDenoiser
from camdenoise.metrics import die_average_precision, die_scores
from camdenoise.nets._encoding import encode_dies, encode_maps, mean_on_dies, one_hot
from camdenoise.nets._segmentation import PatternDies, die_logits, die_loss, train_die_net
from camdenoise.nets._unet import UNet

#: A net small enough to be trained in a test.
TINY = {"width": 4, "input_size": 32, "batch_size": 8}
TINY |= {"max_epochs": 4, "learning_rate": 0.01, "random_state": 0}
FAST = TINY | {"width": 1, "input_size": 16, "max_epochs": 1}


@cache
def wafers_of(seed, n=56):
    return make_wafer_maps(n, classes=["Center", "Edge-Ring"], random_state=seed)


def fit(denoiser, wafers):
    return denoiser.fit(wafers.maps, truth=wafers.truth)


@cache
def fitted():
    return fit(UNetDenoiser(**TINY), wafers_of(0))


# What it learns


def test_explain_ranks_pattern_fails_first():
    unseen = wafers_of(1, 24)
    saliency = [e.saliency for e in fitted().explain(unseen.maps)]
    precision = np.nanmean(die_average_precision(unseen.maps, unseen.truth, saliency))
    in_any_order = die_scores(unseen.maps, unseen.truth, [grid == 2 for grid in unseen.maps])
    assert precision > in_any_order["precision"].mean() + 0.1


def test_explain_removes_noise_and_keeps_pattern():
    unseen = wafers_of(1, 24)
    wafers = wafers_of(0)
    denoiser = UNetDenoiser(**TINY | {"max_epochs": 8}).fit(wafers.maps, truth=wafers.truth)
    kept = [e.kept for e in denoiser.explain(unseen.maps)]
    assert die_scores(unseen.maps, unseen.truth, kept)["f1"].mean() > 0.75


def random_wafers(n, seed):
    """Fails everywhere at random; by the truth, those in the middle are the pattern."""
    rng = np.random.default_rng(seed)
    maps = [rng.choice([1, 2], (12, 12), p=[0.7, 0.3]).astype(np.uint8) for _ in range(n)]
    truth = [np.hypot(*np.indices((12, 12)) - 5.5) < 4.5] * n
    return maps, truth


def test_fit_learns_what_only_truth_can_tell():
    maps, truth = random_wafers(48, 0)
    unseen, its_truth = random_wafers(24, 1)
    denoiser = UNetDenoiser(**TINY).set_params(input_size=12, max_epochs=8)
    for told, answer in ((truth, its_truth), ([~t for t in truth], [~t for t in its_truth])):
        kept = [e.kept for e in denoiser.fit(maps, truth=told).explain(unseen)]
        assert die_scores(unseen, answer, kept)["f1"].mean() > 0.8


def test_fit_ignores_passing_dies_in_truth():
    wafers = wafers_of(0)
    only_fails = [t & (grid == 2) for t, grid in zip(wafers.truth, wafers.maps, strict=True)]
    with_passes = [t | (grid != 2) for t, grid in zip(wafers.truth, wafers.maps, strict=True)]
    a, b = (UNetDenoiser(**FAST).fit(wafers.maps, truth=t) for t in (only_fails, with_passes))
    assert_same_saliency(a, b)


def assert_same_saliency(a, b):
    maps = wafers_of(1, 24).maps[:6]
    for left, right in zip(a.explain(maps), b.explain(maps), strict=True):
        np.testing.assert_array_equal(left.saliency, right.saliency)


# What the net is trained on


def generator():
    return torch.Generator().manual_seed(0)


def wafer_codes():
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 3, (6 + i % 3, 8)).astype(np.uint8) for i in range(40)]
    return encode_maps(maps, 24)


def test_batch_targets_failing_dies():
    codes = wafer_codes()
    inputs, target = PatternDies(codes, codes == 2).batch(torch.arange(40), generator())
    assert torch.equal(inputs["mask"], inputs["x"][:, 2])
    assert torch.equal(target, inputs["x"][:, 2])


def test_batch_turns_inputs_and_targets_together():
    codes = torch.randint(0, 3, (32, 8, 8), generator=generator()).to(torch.uint8)
    inputs, answer = PatternDies(codes, codes == 1).batch(torch.arange(32), generator())
    assert torch.equal(inputs["x"][:, 1], answer)
    assert torch.equal(inputs["x"][:, 2], inputs["mask"])
    turned = (inputs["x"].argmax(1) != codes).flatten(1).any(1)
    assert 20 < turned.sum() < 32  # seven of eight symmetries move something
    assert torch.equal(inputs["x"].sum((2, 3)), one_hot(codes).sum((2, 3)))


def test_loss_is_mean_over_masked_dies_of_each_wafer():
    logits = torch.tensor([[[0.0, 2.0]], [[1.0, -1.0]], [[5.0, 5.0]]])
    answer = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]], [[0.0, 0.0]]])
    asked = torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]], [[0.0, 0.0]]])
    first = (np.log(2) + np.log(1 + np.exp(2))) / 2
    second = np.log(1 + np.exp(1))
    by_hand = (first + second + 0) / 3
    assert die_loss(logits, answer, asked).item() == pytest.approx(by_hand)


# The net


@pytest.mark.parametrize("shape", [(32, 32), (9, 9), (21, 13)])
def test_unet_outputs_a_logit_per_pixel(shape):
    assert UNet(4)(torch.rand(2, 3, *shape)).shape == (2, *shape)


def test_unet_has_no_strided_convolution():
    strides = {m.stride for m in UNet().modules() if isinstance(m, nn.Conv2d)}
    assert strides == {(1, 1)}


def test_default_unet_is_small():
    n_parameters = sum(p.numel() for p in UNet().parameters())
    assert 100_000 < n_parameters < 300_000


def test_mean_on_dies_averages_the_pixels_of_a_die():
    rng = np.random.default_rng(0)
    shapes = [(5, 3), (8, 8), (1, 1), (5, 3)]
    values = rng.normal(size=(4, 8, 8)).astype(np.float32)
    dies = encode_dies(shapes, 8).numpy()
    for image, shape, (ys, xs), means in zip(
        values, shapes, dies, mean_on_dies(values, shapes), strict=True
    ):
        assert means.shape == shape
        for y, x in np.ndindex(shape):
            assert means[y, x] == pytest.approx(image[ys == y][:, xs == x].mean(), abs=1e-5)


def test_mean_on_dies_falls_back_to_nearest_pixel():
    values = np.arange(16.0, dtype=np.float32).reshape(1, 4, 4)
    (on_dies,) = mean_on_dies(values, [(8, 4)])
    np.testing.assert_array_equal(on_dies, np.repeat(values[0], 2, axis=0))


def test_die_logits_equal_the_net_where_die_is_pixel():
    net, codes = UNet(4).eval(), torch.randint(0, 3, (3, 16, 16), dtype=torch.uint8)
    with torch.no_grad():
        wanted = net(one_hot(codes)).numpy()
    np.testing.assert_allclose(die_logits(net, codes, [(16, 16)] * 3), wanted, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_fit_lowers_loss_in_either_precision(precision):
    wafers = wafers_of(0)
    denoiser = UNetDenoiser(**TINY, precision=precision).fit(wafers.maps, truth=wafers.truth)
    losses = [epoch["train_loss"] for epoch in denoiser.history_]
    assert len(losses) == 4 and losses[-1] < 0.7 * losses[0]


def test_training_passes_ctrl_c_on():
    class Interrupted(PatternDies):
        def batch(self, rows, generator):
            raise KeyboardInterrupt

    codes = wafer_codes()
    options = {"max_epochs": 1, "learning_rate": 0.01, "batch_size": 8, "seed": 0}
    options |= {"precision": "float32", "device": "cpu", "progress": False}
    with pytest.raises(KeyboardInterrupt):
        train_die_net(UNet(4), Interrupted(codes, codes == 2), **options)


# Promises of every denoiser

WAFERS = {
    "no die": np.zeros((5, 4)),
    "no fail": np.ones((4, 5)),
    "every die fails": np.full((6, 6), 2),
    "one die": np.array([[2]]),
    "one row": np.array([[0, 2, 2, 1, 2, 0]]),
    "one column": np.array([[2], [1], [2], [2]]),
    "one fail": np.pad([[2]], 4, constant_values=1),
    "larger than the input of the net": np.tile([[2, 1, 1], [0, 1, 2]], (60, 50)),
    "larger one way": np.tile([[2, 1, 1], [0, 1, 2]], (40, 2)),
}


@pytest.mark.parametrize("wafer", WAFERS)
def test_explain_handles_degenerate_wafers(wafer):
    grid = WAFERS[wafer].astype(np.uint8)
    before = grid.copy()
    (clean,), (why,) = fitted().transform([grid]), fitted().explain([grid])
    assert_keeps_its_promises(fitted(), grid, clean, why)
    np.testing.assert_array_equal(grid, before)


def test_explain_agrees_alone_and_together(ragged_maps):
    maps, denoiser = ragged_maps[0], fitted()
    for grid, clean, why in zip(
        maps, denoiser.transform(maps), denoiser.explain(maps), strict=True
    ):
        assert_keeps_its_promises(denoiser, grid, clean, why)
        (alone,) = denoiser.explain([grid])
        np.testing.assert_allclose(alone.saliency, why.saliency, atol=1e-4)


def assert_keeps_its_promises(denoiser, grid, clean, why):
    np.testing.assert_array_equal(why.kept | why.removed, grid == 2)
    np.testing.assert_array_equal(clean, np.where(why.removed, 1, grid))
    assert clean.dtype == grid.dtype and why.saliency.dtype == np.float32
    assert why.saliency.min() >= 0 and why.saliency.max() <= 1
    assert (why.saliency[grid == 0] == 0).all()
    np.testing.assert_array_equal(why.kept, (why.saliency >= denoiser.threshold) & (grid == 2))


def test_threshold_keeps_less_when_higher():
    maps = wafers_of(1, 24).maps
    denoiser = pickle.loads(pickle.dumps(fitted()))
    kept = [
        [e.kept for e in denoiser.set_params(threshold=t).explain(maps)] for t in (0.0, 0.3, 0.7)
    ]
    for all_fails, some, few, grid in zip(*kept, maps, strict=True):
        np.testing.assert_array_equal(all_fails, grid == 2)
        assert not (few & ~some).any()
    assert sum(few.sum() for few in kept[2]) < sum(some.sum() for some in kept[1])


def test_transform_returns_bad_maps_with_keep():
    bad, good = np.full((3, 3), 7), wafers_of(1, 24).maps[0]
    denoiser = pickle.loads(pickle.dumps(fitted()))
    with pytest.raises(WaferMapError, match="wafer map 1: value 7"):
        denoiser.transform([good, bad])
    clean = denoiser.set_params(on_error="keep").transform([good, bad])
    assert clean[1] is bad and clean[0].shape == good.shape


def test_transform_keeps_series_and_index():
    column = pd.Series(wafers_of(1, 24).maps[:3], index=list("abc"), name="map")
    clean = fitted().transform(column)
    assert clean.index.tolist() == list("abc") and clean.name == "map"


# Bad input


def test_fit_refuses_missing_or_wrong_truth():
    maps, truth = wafers_of(0).maps[:4], wafers_of(0).truth[:4]
    denoiser = UNetDenoiser(**TINY)
    with pytest.raises(ValueError, match="learns from masks .* denoise__truth=masks"):
        denoiser.fit(maps)
    with pytest.raises(ValueError, match="truth has 3 entries for 4 wafer maps"):
        denoiser.fit(maps, truth=truth[:3])
    with pytest.raises(ValueError, match=r"wafer map 1: truth has shape \(2, 2\)"):
        denoiser.fit(maps, truth=[truth[0], np.ones((2, 2), bool), *truth[2:]])
    with pytest.raises(ValueError, match="wafer map 0: truth must be a boolean mask, got int64"):
        denoiser.fit(maps, truth=[t.astype(np.int64) for t in truth])


def test_fit_refuses_bad_training_sets():
    denoiser = UNetDenoiser(**TINY, on_error="keep")
    with pytest.raises(ValueError, match="none of the 3 wafer maps has a failing die"):
        denoiser.fit([np.ones((4, 4))] * 3)
    with pytest.raises(ValueError, match="a minimum of 2 is required"):
        denoiser.fit([np.full((4, 4), 2)])
    with pytest.raises(WaferMapError, match="wafer map 1: value 5"):
        denoiser.fit([np.full((4, 4), 2), np.full((4, 4), 5)])
    with pytest.raises(ValueError, match="Wrap a single wafer map in a list"):
        denoiser.fit(np.full((4, 4), 2))


@pytest.mark.parametrize(
    "option",
    [{"threshold": 1.5}, {"input_size": 4}, {"batch_size": 1}, {"width": 0}, {"on_error": "skip"}],
    ids=str,
)
def test_fit_refuses_bad_parameters(option):
    with pytest.raises(ValueError, match=f"The '{next(iter(option))}' parameter"):
        fit(UNetDenoiser(**TINY | option), wafers_of(0))


def test_transform_before_fit_raises():
    with pytest.raises(NotFittedError):
        UNetDenoiser(on_error="keep").transform([np.full((2, 2), 9)])


# scikit-learn


def test_random_state_repeats_the_net():
    first = fit(UNetDenoiser(**FAST), wafers_of(0))
    assert_same_saliency(first, fit(clone(first), wafers_of(0)))
    maps = wafers_of(1, 24).maps[:2]
    other = fit(clone(first).set_params(random_state=1), wafers_of(0)).explain(maps)
    assert not np.array_equal(other[0].saliency, first.explain(maps)[0].saliency)


def test_fit_leaves_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(UNetDenoiser(**FAST), wafers_of(0, 16))
    assert torch.equal(torch.rand(3), expected)


def test_pickle_round_trip():
    assert_same_saliency(fitted(), pickle.loads(pickle.dumps(fitted())))


class NumberUNetDenoiser(NumbersAsMaps, UNetDenoiser):
    """Reads the checks' arbitrary numbers as die codes, and every other fail as pattern."""

    def fit(self, X, y=None, *, truth=None):
        self._validate_params()
        maps = self._read_maps(X, reset=True)
        return super().fit(X, y, truth=[np.indices(grid.shape)[1] % 2 == 0 for grid in maps])


@parametrize_with_checks([NumberUNetDenoiser(**FAST | {"input_size": 8})])
def test_estimator_passes_scikit_learn_checks(estimator, check):
    check(estimator)


def pipeline(denoiser):
    return Pipeline([("denoise", denoiser), ("classify", WaferClassifier(**FAST))])


def test_truth_passes_through_pipeline_and_cv():
    wafers = wafers_of(0)
    steps = pipeline(UNetDenoiser(**FAST))
    steps.fit(wafers.maps, wafers.target, denoise__truth=wafers.truth)
    assert_same_saliency(steps.named_steps["denoise"], fit(UNetDenoiser(**FAST), wafers))
    result = cross_validate(
        steps, wafers.maps, wafers.target, cv=2, params={"denoise__truth": wafers.truth}
    )
    assert result["test_score"].shape == (2,) and np.isfinite(result["test_score"]).all()


def test_truth_is_routed_as_metadata():
    wafers = wafers_of(0)
    with sklearn.config_context(enable_metadata_routing=True):
        steps = pipeline(UNetDenoiser(**FAST).set_fit_request(truth=True))
        result = cross_validate(
            steps,
            wafers.maps,
            wafers.target,
            cv=2,
            params={"truth": wafers.truth},
            return_estimator=True,
        )
    denoiser = result["estimator"][0].named_steps["denoise"]
    assert len(denoiser.history_) == FAST["max_epochs"]


def test_import_of_package_does_not_import_torch():
    code = "import sys, camdenoise; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
