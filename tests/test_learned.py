"""The learned denoisers: what each is told, what it makes of it, and how it behaves."""

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
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from camdenoise import WaferClassifier, WaferMapError
from camdenoise.datasets import make_wafer_maps
from camdenoise.learned import AutoencoderDenoiser, BlindSpotDenoiser, UNetDenoiser
from camdenoise.learned._autoencoder import FlippedDiesTask
from camdenoise.learned._blind_spot import HIDDEN, HiddenDiesTask, hide, pattern_share
from camdenoise.learned._unet_denoiser import PatternTask
from camdenoise.metrics import die_average_precision, die_scores
from camdenoise.nets._backbones import UpBlock
from camdenoise.nets._encoding import encode_dies, encode_maps, mean_on_dies, one_hot
from camdenoise.nets._segmentation import DieTask, MaskedTarget, die_logits, die_loss, train_die_net
from camdenoise.nets._unet import UNet

#: A net small enough to be trained in a test.
TINY = {"width": 4, "input_size": 32, "batch_size": 8}
TINY |= {"max_epochs": 4, "learning_rate": 0.01, "random_state": 0}
FAST = TINY | {"width": 1, "input_size": 16, "max_epochs": 1}
ALL = [UNetDenoiser, AutoencoderDenoiser, BlindSpotDenoiser]
MAPS_ONLY = [AutoencoderDenoiser, BlindSpotDenoiser]

on_all = pytest.mark.parametrize("kind", ALL)
on_maps_only = pytest.mark.parametrize("kind", MAPS_ONLY)


@cache
def wafers_of(seed, n=56):
    return make_wafer_maps(n, classes=["Center", "Edge-Ring"], random_state=seed)


def fit(denoiser, wafers):
    told = {"truth": wafers.truth} if isinstance(denoiser, UNetDenoiser) else {}
    return denoiser.fit(wafers.maps, **told)


@cache
def fitted(kind):
    return fit(kind(**TINY), wafers_of(0))


# What they learn


@on_all
def test_fails_of_the_pattern_come_first_on_unseen_wafers(kind):
    unseen = wafers_of(1, 24)
    saliency = [e.saliency for e in fitted(kind).explain(unseen.maps)]
    precision = np.nanmean(die_average_precision(unseen.maps, unseen.truth, saliency))
    in_any_order = die_scores(unseen.maps, unseen.truth, [grid == 2 for grid in unseen.maps])
    assert precision > in_any_order["precision"].mean() + 0.1


def test_the_unet_removes_noise_and_keeps_the_pattern():
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


def test_the_unet_learns_what_only_the_truth_can_tell():
    maps, truth = random_wafers(48, 0)
    unseen, its_truth = random_wafers(24, 1)
    denoiser = UNetDenoiser(**TINY).set_params(input_size=12, max_epochs=8)
    for told, answer in ((truth, its_truth), ([~t for t in truth], [~t for t in its_truth])):
        kept = [e.kept for e in denoiser.fit(maps, truth=told).explain(unseen)]
        assert die_scores(unseen, answer, kept)["f1"].mean() > 0.8


def test_passing_dies_in_the_truth_do_not_matter():
    wafers = wafers_of(0)
    only_fails = [t & (grid == 2) for t, grid in zip(wafers.truth, wafers.maps, strict=True)]
    with_passes = [t | (grid != 2) for t, grid in zip(wafers.truth, wafers.maps, strict=True)]
    a, b = (UNetDenoiser(**FAST).fit(wafers.maps, truth=t) for t in (only_fails, with_passes))
    assert_same_saliency(a, b)


@on_maps_only
def test_labels_do_not_matter_without_labels(kind):
    wafers = wafers_of(0)
    with_labels = kind(**FAST).fit(wafers.maps, wafers.target)
    assert_same_saliency(fit(kind(**FAST), wafers), with_labels)


def assert_same_saliency(a, b):
    maps = wafers_of(1, 24).maps[:6]
    for left, right in zip(a.explain(maps), b.explain(maps), strict=True):
        np.testing.assert_array_equal(left.saliency, right.saliency)


# The blind spot


def test_the_blind_spot_is_blind():
    denoiser, rng = fitted(BlindSpotDenoiser), np.random.default_rng(0)
    for shape in ((1, 1), (5, 7), (13, 9), (40, 33)):
        grid = rng.integers(1, 3, shape).astype(np.uint8)
        for _ in range(5):
            die = tuple(rng.integers(shape))
            other = grid.copy()
            other[die] = 3 - grid[die]
            before, after = denoiser._expected([grid, other])
            assert before[die] == pytest.approx(after[die], abs=1e-6)
            if 1 < grid.size < 32**2:  # on larger ones a die may have no pixel
                assert np.abs(before - after).max() > 1e-6  # others do look


def test_hidden_dies_are_those_of_the_lattice_and_are_hidden_whole():
    grid = np.ones((7, 5), np.uint8)
    grid[0, 0] = 0
    codes, dies = encode_maps([grid], 20), encode_dies([grid.shape], 20)
    shown, hidden = hide(codes, dies, torch.tensor([[1, 2]]), 3)
    expected = np.zeros((7, 5), bool)
    expected[1::3, 2::3] = True
    ys, xs = dies[0].numpy()
    np.testing.assert_array_equal(hidden[0].numpy(), expected[ys][:, xs])
    np.testing.assert_array_equal(shown.numpy(), np.where(hidden, HIDDEN, codes))
    nowhere = hide(codes, dies, torch.tensor([0, 0]), 3)[1] & (codes == 0)
    assert not nowhere.any()  # where there is no die there is nothing to hide


def test_every_die_is_hidden_once():
    grid = np.full((8, 11), 2, np.uint8)
    codes, dies = encode_maps([grid], 32), encode_dies([grid.shape], 32)
    times = sum(
        hide(codes, dies, torch.tensor([y, x]), 3)[1].int() for y in range(3) for x in range(3)
    )
    assert (times == 1).all()


def test_pattern_share_is_bayes_rule():
    grid = np.array([[0, 1, 2], [1, 2, 1]])
    expected = np.array([[0.9, 0.1, 0.4], [0.1, 0.2, 0.05]])
    shares = [[8 / 9, 0, 0.75], [0, 0.5, 0]]  # the lower quartile of the five dies is 0.1
    np.testing.assert_allclose(pattern_share(grid, expected), shares)
    assert (pattern_share(np.zeros((2, 2)), np.full((2, 2), 0.5)) == 0).all()
    assert (pattern_share(np.ones((2, 2)), np.zeros((2, 2))) == 0).all()


# What the nets are asked


def generator():
    return torch.Generator().manual_seed(0)


def wafer_codes():
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 3, (6 + i % 3, 8)).astype(np.uint8) for i in range(40)]
    return encode_maps(maps, 24), encode_dies([grid.shape for grid in maps], 24)


def test_the_unet_predicts_fails():
    codes, _ = wafer_codes()
    pattern = torch.rand(codes.shape, generator=generator()) < 0.5
    shown, answer, asked = PatternTask(codes, pattern).make_batch(torch.arange(40), generator())
    assert torch.equal(shown, codes) and torch.equal(asked, codes == 2)
    assert torch.equal(answer, pattern)


def test_the_autoencoder_predicts_dies_as_they_were():
    codes, dies = wafer_codes()
    task = FlippedDiesTask(codes, dies, 0.5)
    shown, answer, asked = task.make_batch(torch.arange(40), generator())
    assert torch.equal(answer, codes == 2) and torch.equal(asked, codes != 0)
    assert torch.equal(shown == 0, codes == 0)
    became_fail, became_pass = ((codes == a) & (shown == 3 - a) for a in (1, 2))
    for flipped, among in ((became_fail, codes == 1), (became_pass, codes == 2)):
        assert 0.15 < flipped.sum() / among.sum() < 0.35  # a quarter on average


def test_the_blind_spot_predicts_hidden_dies_only():
    codes, dies = wafer_codes()
    shown, answer, asked = HiddenDiesTask(codes, dies, 3).make_batch(torch.arange(40), generator())
    assert torch.equal(asked, shown == HIDDEN) and torch.equal(answer, codes == 2)
    assert 0.08 < asked.sum() / (codes != 0).sum() < 0.14  # a ninth
    whole = HiddenDiesTask(torch.ones_like(codes), dies[:1].expand_as(dies), 3)
    asked = whole.make_batch(torch.arange(40), generator()).mask
    assert len(asked.unique(dim=0)) == 9  # the lattice starts elsewhere on each wafer


def test_inputs_and_targets_are_turned_together():
    class Corners(DieTask):
        def make_batch(self, rows, generator):
            codes = self.codes[rows]
            return MaskedTarget(codes, codes == 1, codes == 2)

    codes = torch.randint(0, 3, (32, 8, 8), generator=generator()).to(torch.uint8)
    inputs, answer = Corners(codes).batch(torch.arange(32), generator())
    assert torch.equal(inputs["x"][:, 1], answer)
    assert torch.equal(inputs["x"][:, 2], inputs["mask"])
    turned = (inputs["x"].argmax(1) != codes).flatten(1).any(1)
    assert 20 < turned.sum() < 32  # seven of eight symmetries move something
    assert torch.equal(inputs["x"].sum((2, 3)), one_hot(codes).sum((2, 3)))


def test_a_hidden_die_shows_in_no_plane():
    assert one_hot(torch.tensor([[[HIDDEN, 0, 2]]], dtype=torch.uint8)).sum(1).tolist() == [
        [[0, 1, 1]]
    ]


def test_loss_is_the_mean_over_each_wafer_s_asked_dies():
    logits = torch.tensor([[[0.0, 2.0]], [[1.0, -1.0]], [[5.0, 5.0]]])
    answer = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]], [[0.0, 0.0]]])
    asked = torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]], [[0.0, 0.0]]])
    first = (np.log(2) + np.log(1 + np.exp(2))) / 2
    second = np.log(1 + np.exp(1))
    by_hand = (first + second + 0) / 3
    assert die_loss(logits, answer, asked).item() == pytest.approx(by_hand)


# The net


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("shape", [(32, 32), (9, 9), (21, 13)])
def test_unet_gives_a_logit_per_pixel(skips, shape):
    assert UNet(4, skips=skips)(torch.rand(2, 3, *shape)).shape == (2, *shape)


def test_unet_has_no_strided_convolution():
    strides = {m.stride for m in UNet().modules() if isinstance(m, nn.Conv2d)}
    assert strides == {(1, 1)}


def test_default_unet_is_small():
    n_parameters = sum(p.numel() for p in UNet().parameters())
    assert 100_000 < n_parameters < 300_000


def test_only_skips_can_tell_single_pixels_apart():
    """Without skips what differs by a checkerboard looks the same once the grid was halved."""
    coarse, fine, other = torch.rand(1, 8, 4, 4), torch.zeros(1, 4, 8, 8), torch.rand(1, 4, 8, 8)
    for skip in (True, False):
        up = UpBlock(8, 4, skip=skip).eval()
        assert torch.equal(up(coarse, fine), up(coarse, other)) is not skip


def test_mean_on_dies_is_the_mean_of_each_die_s_pixels():
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


def test_dies_without_a_pixel_get_the_nearest_one():
    values = np.arange(16.0, dtype=np.float32).reshape(1, 4, 4)
    (on_dies,) = mean_on_dies(values, [(8, 4)])
    np.testing.assert_array_equal(on_dies, np.repeat(values[0], 2, axis=0))


def test_die_logits_are_the_net_s_own_where_a_die_is_a_pixel():
    net, codes = UNet(4).eval(), torch.randint(0, 3, (3, 16, 16), dtype=torch.uint8)
    with torch.no_grad():
        wanted = net(one_hot(codes)).numpy()
    np.testing.assert_allclose(die_logits(net, codes, [(16, 16)] * 3), wanted, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_lowers_the_loss_in_either_precision(precision):
    wafers = wafers_of(0)
    denoiser = UNetDenoiser(**TINY, precision=precision).fit(wafers.maps, truth=wafers.truth)
    losses = [epoch["train_loss"] for epoch in denoiser.history_]
    assert len(losses) == 4 and losses[-1] < 0.7 * losses[0]


def test_ctrl_c_ends_the_training_with_its_own_exception():
    class Interrupted(PatternTask):
        def make_batch(self, rows, generator):
            raise KeyboardInterrupt

    codes, _ = wafer_codes()
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


@on_all
@pytest.mark.parametrize("wafer", WAFERS)
def test_promises_hold_on_degenerate_wafers(kind, wafer):
    grid = WAFERS[wafer].astype(np.uint8)
    before = grid.copy()
    (clean,), (why,) = fitted(kind).transform([grid]), fitted(kind).explain([grid])
    assert_keeps_its_promises(fitted(kind), grid, clean, why)
    np.testing.assert_array_equal(grid, before)


@on_all
def test_promises_hold_on_random_wafers_alone_and_together(kind, ragged_maps):
    maps, denoiser = ragged_maps[0], fitted(kind)
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


@on_all
def test_a_higher_threshold_keeps_less_and_zero_keeps_all(kind):
    maps = wafers_of(1, 24).maps
    denoiser = pickle.loads(pickle.dumps(fitted(kind)))
    kept = [
        [e.kept for e in denoiser.set_params(threshold=t).explain(maps)] for t in (0.0, 0.3, 0.7)
    ]
    for all_fails, some, few, grid in zip(*kept, maps, strict=True):
        np.testing.assert_array_equal(all_fails, grid == 2)
        assert not (few & ~some).any()
    assert sum(few.sum() for few in kept[2]) < sum(some.sum() for some in kept[1])


@on_all
def test_bad_maps_are_given_back_with_on_error_keep(kind):
    bad, good = np.full((3, 3), 7), wafers_of(1, 24).maps[0]
    denoiser = pickle.loads(pickle.dumps(fitted(kind)))
    with pytest.raises(WaferMapError, match="wafer map 1: value 7"):
        denoiser.transform([good, bad])
    clean = denoiser.set_params(on_error="keep").transform([good, bad])
    assert clean[1] is bad and clean[0].shape == good.shape


@on_all
def test_kind_and_index_come_back(kind):
    column = pd.Series(wafers_of(1, 24).maps[:3], index=list("abc"), name="map")
    clean = fitted(kind).transform(column)
    assert clean.index.tolist() == list("abc") and clean.name == "map"


# Bad input


def test_the_unet_says_what_it_needs():
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


@on_all
def test_bad_training_sets_are_refused(kind):
    denoiser = kind(**TINY, on_error="keep")
    with pytest.raises(ValueError, match="none of the 3 wafer maps has a failing die"):
        denoiser.fit([np.ones((4, 4))] * 3)
    with pytest.raises(ValueError, match="a minimum of 2 is required"):
        denoiser.fit([np.full((4, 4), 2)])
    with pytest.raises(WaferMapError, match="wafer map 1: value 5"):
        denoiser.fit([np.full((4, 4), 2), np.full((4, 4), 5)])
    with pytest.raises(ValueError, match="Wrap a single wafer map in a list"):
        denoiser.fit(np.full((4, 4), 2))


@on_all
@pytest.mark.parametrize(
    "option",
    [{"threshold": 1.5}, {"input_size": 4}, {"batch_size": 1}, {"width": 0}, {"on_error": "skip"}],
    ids=str,
)
def test_bad_parameters_are_refused(kind, option):
    with pytest.raises(ValueError, match=f"The '{next(iter(option))}' parameter"):
        fit(kind(**TINY | option), wafers_of(0))


@pytest.mark.parametrize(
    "denoiser",
    [AutoencoderDenoiser(flip_rate=1.1), BlindSpotDenoiser(spacing=1)],
    ids=["flip_rate", "spacing"],
)
def test_bad_own_parameters_are_refused(denoiser, request):
    with pytest.raises(ValueError, match=f"The '{request.node.callspec.id}' parameter"):
        denoiser.fit(wafers_of(0).maps)


@on_all
def test_not_fitted(kind):
    with pytest.raises(NotFittedError):
        kind(on_error="keep").transform([np.full((2, 2), 9)])


# scikit-learn


@on_all
def test_the_same_random_state_gives_the_same_net(kind):
    first = fit(kind(**FAST), wafers_of(0))
    assert_same_saliency(first, fit(clone(first), wafers_of(0)))
    maps = wafers_of(1, 24).maps[:2]
    other = fit(clone(first).set_params(random_state=1), wafers_of(0)).explain(maps)
    assert not np.array_equal(other[0].saliency, first.explain(maps)[0].saliency)


@on_all
def test_fitting_leaves_torch_s_random_state_alone(kind):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(kind(**FAST), wafers_of(0, 16))
    assert torch.equal(torch.rand(3), expected)


@on_all
def test_pickle_round_trip(kind):
    assert_same_saliency(fitted(kind), pickle.loads(pickle.dumps(fitted(kind))))


class NumberUNetDenoiser(NumbersAsMaps, UNetDenoiser):
    """Reads the checks' arbitrary numbers as die codes, and every other fail as pattern."""

    def fit(self, X, y=None, *, truth=None):
        self._validate_params()
        maps = self._read_maps(X, reset=True)
        return super().fit(X, y, truth=[np.indices(grid.shape)[1] % 2 == 0 for grid in maps])


class NumberAutoencoderDenoiser(NumbersAsMaps, AutoencoderDenoiser):
    """Reads the checks' arbitrary numbers as die codes."""


class NumberBlindSpotDenoiser(NumbersAsMaps, BlindSpotDenoiser):
    """Reads the checks' arbitrary numbers as die codes."""


@parametrize_with_checks(
    [
        NumberUNetDenoiser(**FAST | {"input_size": 8}),
        NumberAutoencoderDenoiser(**FAST | {"input_size": 8}),
        NumberBlindSpotDenoiser(**FAST | {"input_size": 8}),
    ]
)
def test_scikit_learn_s_checks(estimator, check):
    check(estimator)


def pipeline(denoiser):
    return Pipeline([("denoise", denoiser), ("classify", WaferClassifier(**FAST))])


@on_maps_only
def test_pipeline_and_grid_search(kind):
    wafers = wafers_of(0)
    search = GridSearchCV(pipeline(kind(**FAST)), {"denoise__threshold": [0.1, 0.9]}, cv=2)
    search.fit(wafers.maps, wafers.target)
    assert search.predict(wafers.maps[:3]).shape == (3,)


def test_truth_goes_through_a_pipeline_and_its_cross_validation():
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


def test_importing_the_package_does_not_import_torch():
    code = "import sys, camdenoise; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
