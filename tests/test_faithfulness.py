"""Faithfulness: figures worked out by hand, what random saliency gets, what stays as it was."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, WaferClassifier, WaferMapError
from camdenoise.denoising._untrained import untrained_net
from camdenoise.faithfulness import (
    CURVES,
    RANDOM,
    _curves,
    area_under_curve,
    deletion_curves,
    energy_pointing_game,
    faithfulness_curves,
    faithfulness_report,
    insertion_curves,
    random_saliency,
    randomized_weights,
    road_curves,
)
from camdenoise.faithfulness._imputation import fail_probability, impute
from camdenoise.faithfulness._perturbation import die_order, variants
from camdenoise.faithfulness._weights import _rank_correlation
from camdenoise.nets._backbones import make_backbone


class FirstColumn(ClassifierMixin, BaseEstimator):
    """Says "line" with the share of the first column's dies that fail."""

    def __init__(self):
        self.classes_ = np.array(["else", "line"])
        self.asked = []

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        self.asked += [len(X)]
        line = [(grid[:, 0] == 2).sum() / max(1, (grid[:, 0] > 0).sum()) for grid in X]
        return np.transpose([1 - np.array(line), line])


def wafer(height=4, width=3, others=4):
    """A first column of fails and some other fails."""
    grid = np.ones((height, width), np.uint8)
    grid[:, 0] = 2
    grid[:, 1:].flat[:others] = 2
    return grid


def first_column(grid):
    return np.where(np.arange(grid.shape[1]) == 0, 1.0, 0.0) * np.ones(grid.shape)


@pytest.fixture
def clf():
    return FirstColumn()


@pytest.fixture
def ragged():
    """Wafers of different sizes, with holes."""
    maps = [wafer(4 + i, 5 + i % 3, others=6 + i) for i in range(30)]
    for grid in maps:
        grid[0, -1] = grid[-1, -1] = 0
    return maps


def test_deletion_and_insertion_by_hand(clf):
    grid = wafer()  # four fails that count, four that do not; two of them a step
    perfect = first_column(grid)
    deleted = deletion_curves(clf, [grid, grid], [perfect, -perfect], n_steps=4)
    np.testing.assert_allclose(deleted, [[1, 0.5, 0, 0, 0], [1, 1, 1, 0.5, 0]])
    np.testing.assert_allclose(area_under_curve(deleted), [0.25, 0.75])
    inserted = insertion_curves(
        clf, [grid, grid], [perfect, -perfect], n_steps=4, targets=["line"] * 2
    )
    np.testing.assert_allclose(inserted, [[0, 0.5, 1, 1, 1], [0, 0, 0, 0.5, 1]])
    np.testing.assert_allclose(area_under_curve(inserted), [0.75, 0.25])


def test_road_by_hand(clf):
    grid = wafer(others=0)
    # A third of the dies a step; without the column nothing fails, and so no guess does.
    first = road_curves(clf, [grid], [first_column(grid)], n_steps=3)
    np.testing.assert_allclose(first, [[1, 0, 0]])
    last = road_curves(clf, [grid], [first_column(grid)], order="lerf", n_steps=3)
    np.testing.assert_allclose(last, [[1, 1, 1]])


@pytest.mark.parametrize("kind", CURVES)
def test_perfect_order_beats_random_and_reverse_loses(kind, clf, ragged):
    saliencies = {
        "perfect": [first_column(grid) for grid in ragged],
        "reverse": [-first_column(grid) for grid in ragged],
    }
    found = faithfulness_curves(clf, ragged, saliencies, n_steps=6, random_state=0)[kind]
    area = {name: area_under_curve(values).mean() for name, values in found.items()}
    order = sorted(area, key=area.get, reverse=kind in ("insertion", "road_lerf"))
    assert order == ["perfect", RANDOM, "reverse"]


def test_wafers_do_not_depend_on_each_other(clf, ragged):
    saliency = random_saliency(ragged, random_state=0)
    together = deletion_curves(clf, ragged, saliency)
    alone = [deletion_curves(clf, [g], [s])[0] for g, s in zip(ragged, saliency, strict=True)]
    np.testing.assert_array_equal(together, alone)


def test_blocks_do_not_matter(clf, ragged, monkeypatch):
    saliencies = {"column": [first_column(grid) for grid in ragged]}
    expected = faithfulness_curves(clf, ragged, saliencies, n_steps=4, random_state=0)
    monkeypatch.setattr(_curves, "_BATCH_MAPS", 1)
    found = faithfulness_curves(clf, ragged, saliencies, n_steps=4, random_state=0)
    for kind in CURVES:
        for name in ("column", RANDOM):
            np.testing.assert_array_equal(found[kind][name], expected[kind][name])


def test_many_wafers_go_to_the_net_at_once_and_each_map_once(clf):
    maps = [wafer()] * 10
    saliency = [np.arange(12).reshape(4, 3)] * 10  # no ties
    deletion_curves(clf, maps, saliency, n_steps=4)
    assert clf.asked == [10, 5]  # the whole wafers for their class, then five steps for all


def test_only_the_order_of_fails_matters_to_deletion(clf, ragged):
    saliency = random_saliency(ragged, random_state=0)
    expected = deletion_curves(clf, ragged, saliency)
    other = [
        np.where(grid == 2, np.exp(5 * s), 100) for grid, s in zip(ragged, saliency, strict=True)
    ]
    np.testing.assert_array_equal(deletion_curves(clf, ragged, other), expected)


def test_ties_are_broken_at_random_and_repeatably(clf, ragged):
    flat = [np.ones(grid.shape) for grid in ragged]
    first = deletion_curves(clf, ragged, flat, random_state=0)
    np.testing.assert_array_equal(first, deletion_curves(clf, ragged, flat, random_state=0))
    assert (first != deletion_curves(clf, ragged, flat, random_state=1)).any()
    # A column of the wafer falls like all its fails when no order is known.
    areas = [
        area_under_curve(
            deletion_curves(clf, [wafer(8, 8, 30)], [np.zeros((8, 8))], random_state=s)
        )
        for s in range(40)
    ]
    assert np.mean(areas) == pytest.approx(0.5, abs=0.05)
    assert np.std(areas) > 0.02


def test_ties_and_guesses_are_the_same_for_all_methods(clf, ragged):
    saliency = [first_column(grid) for grid in ragged]
    found = faithfulness_curves(clf, ragged, {"a": saliency, "b": saliency}, random_state=0)
    for kind in CURVES:
        np.testing.assert_array_equal(found[kind]["a"], found[kind]["b"])


def test_order_of_dies():
    saliency = np.array([[3.0, 1, 2], [2, 2, 9]])
    ties = np.array([[0.0, 0, 0.5], [0.1, 0.9, 0]])
    chosen = np.array([[True, True, True], [True, True, False]])
    assert die_order(chosen, saliency, ties).tolist() == [0, 3, 2, 4, 1]


@pytest.mark.parametrize("kind", CURVES)
def test_variants_are_legal_and_change_nothing_else(kind, ragged):
    grid = ragged[5]
    before = grid.copy()
    steps = variants(kind, grid, np.random.default_rng(0).random(grid.shape), 5, seed=3)
    for variant in steps:
        assert variant.dtype == np.uint8 and set(np.unique(variant)) <= {0, 1, 2}
        np.testing.assert_array_equal(variant == 0, grid == 0)
        if not kind.startswith("road"):
            assert not ((variant == 2) & (grid != 2)).any()
    np.testing.assert_array_equal(grid, before)
    whole = steps[-1] if kind == "insertion" else steps[0]
    np.testing.assert_array_equal(whole, grid)


def test_input_is_left_as_it_is_and_any_kind_of_collection_will_do(clf):
    maps = np.stack([wafer(others=n) for n in range(1, 5)])
    saliency = np.stack([first_column(grid) for grid in maps]).astype(np.float32)
    copies = maps.copy(), saliency.copy()
    expected = road_curves(clf, maps, saliency, random_state=0)
    np.testing.assert_array_equal(maps, copies[0])
    np.testing.assert_array_equal(saliency, copies[1])
    series = pd.Series(list(maps), index=list("abcd"))
    np.testing.assert_array_equal(
        road_curves(clf, series, list(saliency), random_state=0), expected
    )


@pytest.mark.parametrize("kind", CURVES)
def test_wafers_with_nothing_to_delete(kind, clf):
    maps = [wafer(), np.ones((3, 3), int), np.zeros((2, 2), int), [[2]], [[1]]]
    saliency = [np.ones(np.shape(grid)) for grid in maps]
    values = faithfulness_curves(clf, maps, {"a": saliency}, curves=[kind], n_steps=3)[kind]["a"]
    assert np.isnan(values[[1, 2, 4]]).all() and np.isfinite(values[[0, 3]]).all()


def test_explains_the_predicted_class_unless_told_otherwise(clf):
    grid = wafer()
    grid[:3, 0] = 1  # now a quarter of the column: "else"
    zeros = [np.zeros(grid.shape)]
    np.testing.assert_allclose(deletion_curves(clf, [grid], zeros, n_steps=2)[0, [0, 2]], [0.75, 1])
    line = deletion_curves(clf, [grid], zeros, n_steps=2, targets=["line"])
    np.testing.assert_allclose(line[0, [0, 2]], [0.25, 0])


def dense_estimate(grid, removed):
    """The same linear system, written down die by die."""
    dies = np.argwhere(grid > 0)
    system, sums = np.eye(len(dies)), np.array([float(grid[y, x] == 2) for y, x in dies])
    for row, die in enumerate(dies):
        if removed[tuple(die)]:
            distance = np.abs(dies - die)
            near = (distance.max(axis=1) == 1) / (6.0 * distance.sum(axis=1).clip(1))
            system[row] -= near / near.sum()
            sums[row] = 0
    estimate = np.zeros(grid.shape)
    estimate[tuple(dies.T)] = np.linalg.solve(system, sums)
    return estimate


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shape", [(9, 7), (4, 12), (6, 2)])
def test_imputation_solves_the_paper_s_equations(seed, shape):
    rng = np.random.default_rng(seed)
    grid = rng.choice([0, 1, 2], p=[0.1, 0.5, 0.4], size=shape).astype(np.uint8)
    grid[0], grid[:, 0] = 1, 2  # so that every die has a neighbour
    grid[1:-1, 1:-1] = np.maximum(grid[1:-1, 1:-1], 1)
    removed = (rng.random(shape) < 0.6) & (grid > 0)
    removed[0, 0] = False
    np.testing.assert_allclose(
        fail_probability(grid, removed), dense_estimate(grid, removed), atol=1e-4
    )


def test_imputation_at_the_edges():
    line = np.array([[2], [1], [1], [1]], np.uint8)  # one die wide
    middle = np.array([[False], [True], [True], [False]])
    np.testing.assert_allclose(
        fail_probability(line, middle)[:, 0], [1, 2 / 3, 1 / 3, 0], atol=1e-4
    )
    everything = np.ones((2, 3), bool)
    grid = np.array([[2, 1, 0], [0, 1, 1]], np.uint8)
    guess = fail_probability(grid, everything & (grid > 0))
    np.testing.assert_allclose(guess[grid > 0], 1 / 4)  # no die is known: the wafer's rate
    assert (guess[grid == 0] == 0).all()


def test_guesses_have_the_fail_rate_of_their_surroundings():
    rng = np.random.default_rng(0)
    grid = np.where(rng.random((60, 60)) < 0.3, 2, 1).astype(np.uint8)
    removed = rng.random(grid.shape) < 0.5
    guessed = impute(grid, removed, rng.random(grid.shape))
    np.testing.assert_array_equal(guessed[~removed], grid[~removed])
    assert (guessed[removed] == 2).mean() == pytest.approx(0.3, abs=0.03)


def test_energy_pointing_game_by_hand():
    grid = np.array([[2, 2, 1, 0], [2, 1, 1, 1]])
    truth = np.array([[True, False, True, True], [False, False, False, False]])
    saliency = np.array([[3.0, 1, 1, 50], [1, 0, 2, 0]])
    game = energy_pointing_game([grid], [truth], [saliency]).iloc[0]
    assert game.to_dict() == pytest.approx(
        {"energy": 4 / 8, "area": 2 / 7, "fail_energy": 3 / 5, "fail_area": 1 / 3}
    )


def test_random_saliency_points_as_the_area_does(wafers):
    game = energy_pointing_game(
        wafers.maps, wafers.truth, random_saliency(wafers.maps, random_state=0)
    )
    assert game["energy"].mean() == pytest.approx(game["area"].mean(), abs=0.01)
    assert game["fail_energy"].mean() == pytest.approx(game["fail_area"].mean(), abs=0.02)


def test_nothing_to_point_with_or_at():
    grid, truth = np.array([[2, 1]]), np.array([[True, False]])
    saliencies = [np.zeros((1, 2)), np.ones((1, 2)), np.array([[0.0, 1]])]
    truths = [truth, ~truth & False, truth]
    game = energy_pointing_game([grid] * 3, truths, saliencies)
    assert game.iloc[:2].isna().all(axis=None)
    assert game.loc[2, "energy"] == 0 and np.isnan(game.loc[2, "fail_energy"])


def test_random_saliency():
    maps = [wafer(), np.array([[0, 1], [2, 0]])]
    drawn = random_saliency(maps, random_state=0)
    for grid, values in zip(maps, drawn, strict=True):
        assert values.shape == grid.shape and (values[grid == 0] == 0).all()
        assert len(np.unique(values[grid > 0])) == (grid > 0).sum()
    again, other = (random_saliency(maps, random_state=seed) for seed in (0, 1))
    np.testing.assert_array_equal(drawn[0], again[0])
    assert (drawn[0] != other[0]).any()


@pytest.fixture
def denoiser(classifier):
    options = {"method": "hirescam", "layers": ["stage3"]}
    return CamDenoiser(FrozenEstimator(classifier), **options).fit([np.ones((3, 3))])


def test_randomized_weights_equal_those_of_a_net_made_anew(denoiser, classifier, wafers):
    maps = wafers.maps[:12]
    before = deepcopy(classifier.module_.state_dict())
    trained = denoiser.explain(maps)
    found = randomized_weights(denoiser, maps, random_state=0)
    assert found.columns.tolist() == ["head", "stage4", "stage3", "stage2", "stage1", "stem"]
    # The last column is that of a net with no trained weight, the first of one with a new head.
    seed = int(np.random.RandomState(0).randint(2**31 - 1, size=2)[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = make_backbone("wafer_resnet", 3, width=classifier.width).eval()
    headless = deepcopy(classifier.module_)
    headless.head.load_state_dict(fresh.head.state_dict())
    for net, column in ((fresh, "stem"), (headless, "head")):
        clf = WaferClassifier(**classifier.get_params())
        clf.classes_, clf.module_, clf.temperature_ = classifier.classes_, net, 1.0
        other = CamDenoiser(FrozenEstimator(clf), method="hirescam", layers=["stage3"]).fit(maps)
        again = other.explain(maps, [e.label for e in trained])
        for row, (a, b, grid) in enumerate(zip(trained, again, maps, strict=True)):
            expected = spearmanr(a.saliency[grid > 0], b.saliency[grid > 0]).statistic
            if np.isfinite(expected):
                assert found.loc[row, column] == pytest.approx(expected)
    for name, value in classifier.module_.state_dict().items():
        assert torch.equal(value, before[name])
    for a, b in zip(trained, denoiser.explain(maps), strict=True):
        np.testing.assert_array_equal(a.saliency, b.saliency)


def test_random_weights_are_not_those_that_training_began_with(classifier):
    assert classifier.random_state == 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(np.random.RandomState(0).randint(2**31 - 1))
        initial = make_backbone("wafer_resnet", 3, width=classifier.width)
    before, drawn = (
        torch.cat([values.flatten() for values in net.parameters() if values.ndim > 1])
        for net in (initial, untrained_net(classifier, 0))
    )
    trained = torch.cat([v.flatten() for v in classifier.module_.parameters() if v.ndim > 1])
    assert torch.corrcoef(torch.stack([before, trained]))[0, 1] > 0.3
    assert abs(torch.corrcoef(torch.stack([drawn, trained]))[0, 1]) < 0.1


def test_a_saliency_forgets_with_its_net(denoiser, wafers):
    found = randomized_weights(denoiser, wafers.maps[:40], random_state=0)
    assert found.drop(columns="head").mean().max() < 0.9
    again = randomized_weights(denoiser, wafers.maps[:40], random_state=0)
    pd.testing.assert_frame_equal(found, again)


def test_rank_correlation_without_an_order():
    some, none = np.array([1.0, 3, 2]), np.zeros(3)
    assert _rank_correlation(some, 10 * some**3) == pytest.approx(1)
    assert _rank_correlation(some, -some) == pytest.approx(-1)
    assert _rank_correlation(some, none) == 0 and np.isnan(_rank_correlation(none, some))


def test_report(clf, ragged):
    truth = [(first_column(grid) > 0) & (grid == 2) for grid in ragged]
    maps, truth = [*ragged, np.ones((3, 3), int)], [*truth, np.zeros((3, 3), bool)]
    saliencies = {"perfect": [first_column(grid) for grid in maps]}
    options = {"truth": truth, "n_steps": 6, "targets": ["line"] * len(maps)}
    report = faithfulness_report(clf, maps, saliencies, random_state=0, **options)
    assert report["method"].tolist() == ["perfect", RANDOM] * 6
    assert (report["wafers"] == len(ragged)).all()
    curves = faithfulness_curves(
        clf, maps, saliencies, n_steps=6, targets=options["targets"], random_state=0
    )
    for _, row in report.iterrows():
        if row["metric"] in CURVES:
            areas = {name: area_under_curve(c) for name, c in curves[row["metric"]].items()}
            assert row["mean"] == pytest.approx(np.nanmean(areas[row["method"]]))
            gain = np.nanmean(areas[row["method"]] - areas[RANDOM])
            assert row["difference"] == pytest.approx(gain)
    ours = report[report["method"] == "perfect"]
    sign = np.where(ours["better"] == "lower", -1, 1)
    assert (sign * ours["difference"] > 0.15).all()
    assert (np.sign(ours["difference_low"]) == np.sign(ours["difference_high"])).all()
    assert ((report["low"] <= report["mean"]) & (report["mean"] <= report["high"])).all()
    again = faithfulness_report(clf, maps, saliencies, random_state=0, **options)
    pd.testing.assert_frame_equal(report, again)
    to_itself = faithfulness_report(clf, maps, saliencies, reference="perfect", **options)
    assert (to_itself["difference"][to_itself["method"] == "perfect"] == 0).all()
    without = faithfulness_report(clf, maps[:1], {}, n_steps=2)
    assert set(without["metric"]) == set(CURVES) and without["low"].isna().all()


def test_on_a_net(classifier, wafers):
    test = wafers.maps[:24]
    explained = CamDenoiser(FrozenEstimator(classifier)).fit(test).explain(test)
    saliencies = {"layercam": [why.saliency for why in explained]}
    options = {"curves": ["deletion", "insertion"], "n_steps": 5, "random_state": 0}
    found = faithfulness_curves(classifier, test, saliencies, **options)
    for by_method in found.values():
        for values in by_method.values():
            assert ((0 <= values) & (values <= 1)).all()
    ends = found["deletion"]["layercam"][:, 0], found["insertion"][RANDOM][:, -1]
    probability = [why.probability for why in explained]
    np.testing.assert_allclose(ends, [probability] * 2, atol=1e-5)


def test_progress(clf, capsys):
    deletion_curves(clf, [wafer()], [np.ones((4, 3))], progress=True)
    assert "wafer" in capsys.readouterr().err
    deletion_curves(clf, [wafer()], [np.ones((4, 3))])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": [wafer(), wafer() + 2]}, "wafer map 1: value 4 at row 0, column 0"),
        ({"saliency": [np.ones((4, 3))]}, "has 1 entries for 2 wafer maps"),
        ({"saliency": [np.ones((4, 3)), np.ones((3, 4))]}, r"wafer map 1: .*shape \(3, 4\)"),
        ({"saliency": [np.ones((4, 3)), np.full((4, 3), np.nan)]}, "wafer map 1: .*score 0"),
        ({"targets": ["line"]}, "targets has 1 entries for 2 wafer maps"),
        ({"targets": ["line", "ring"]}, "'ring' of wafer 1 is no class.*else, line"),
        ({"n_steps": 1}, "n_steps must be an integer of at least 2, got 1"),
        ({"n_steps": 2.5}, "n_steps must be an integer"),
    ],
)
def test_bad_input(clf, options, message):
    given = {"maps": [wafer()] * 2, "saliency": [np.ones((4, 3))] * 2} | options
    with pytest.raises(ValueError, match=message):
        deletion_curves(clf, **given)


def test_other_bad_input(clf, denoiser):
    grid, flat = wafer(), np.ones((4, 3))
    with pytest.raises(ValueError, match="order must be 'morf' or 'lerf', got 'up'"):
        road_curves(clf, [grid], [flat], order="up")
    with pytest.raises(ValueError, match=r"curves must be some of deletion, .* got \['x'\]"):
        faithfulness_curves(clf, [grid], {"a": [flat]}, curves=["x"])
    with pytest.raises(ValueError, match="got \\[\\]"):
        faithfulness_curves(clf, [grid], {"a": [flat]}, curves=[])
    with pytest.raises(ValueError, match="No method may be called 'random'"):
        faithfulness_report(clf, [grid], {"random": [flat]})
    with pytest.raises(ValueError, match="reference 'b' is none of a, random"):
        faithfulness_report(clf, [grid], {"a": [flat]}, reference="b")
    with pytest.raises(ValueError, match="wafer map 0: my CAM has shape"):
        faithfulness_report(clf, [grid], {"my CAM": [flat.T]})
    with pytest.raises(ValueError, match="wafer map 0: saliency is negative"):
        energy_pointing_game([grid], [flat > 0], [-flat])
    with pytest.raises(ValueError, match="truth must be a boolean mask"):
        energy_pointing_game([grid], [flat], [flat])
    with pytest.raises(NotFittedError):
        deletion_curves(WaferClassifier(), [grid], [flat])
    with pytest.raises(NotFittedError):
        randomized_weights(CamDenoiser(), [grid])
    with pytest.raises(WaferMapError, match="wafer map 0"):
        randomized_weights(denoiser, [grid + 2])
