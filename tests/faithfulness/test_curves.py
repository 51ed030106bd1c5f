"""Faithfulness: figures worked out by hand, what random saliency gets, what stays as it was."""

import numpy as np
import pandas as pd
import pytest
from first_column import first_column, wafer
from sklearn.exceptions import NotFittedError

from camdenoise import CamDenoiser, WaferClassifier, WaferMapError
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


def test_deletion_and_insertion_match_hand_calculation(clf):
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


def test_road_matches_hand_calculation(clf):
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


def test_curves_of_wafers_are_independent(clf, ragged):
    saliency = random_saliency(ragged, random_state=0)
    together = deletion_curves(clf, ragged, saliency)
    alone = [deletion_curves(clf, [g], [s])[0] for g, s in zip(ragged, saliency, strict=True)]
    np.testing.assert_array_equal(together, alone)


def test_block_size_leaves_curves_unchanged(clf, ragged, monkeypatch):
    saliencies = {"column": [first_column(grid) for grid in ragged]}
    expected = faithfulness_curves(clf, ragged, saliencies, n_steps=4, random_state=0)
    monkeypatch.setattr(_curves, "_BATCH_MAPS", 1)
    found = faithfulness_curves(clf, ragged, saliencies, n_steps=4, random_state=0)
    for kind in CURVES:
        for name in ("column", RANDOM):
            np.testing.assert_array_equal(found[kind][name], expected[kind][name])


def test_curves_predict_each_map_once_in_large_batches(clf):
    maps = [wafer()] * 10
    saliency = [np.arange(12).reshape(4, 3)] * 10  # no ties
    deletion_curves(clf, maps, saliency, n_steps=4)
    assert clf.asked == [10, 5]  # the whole wafers for their class, then five steps for all


def test_deletion_depends_only_on_the_order_of_fails(clf, ragged):
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


def test_ties_and_imputation_are_equal_for_all_methods(clf, ragged):
    saliency = [first_column(grid) for grid in ragged]
    found = faithfulness_curves(clf, ragged, {"a": saliency, "b": saliency}, random_state=0)
    for kind in CURVES:
        np.testing.assert_array_equal(found[kind]["a"], found[kind]["b"])


def test_curves_take_any_collection_and_keep_input(clf):
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
def test_curves_of_wafers_without_fails_are_nan(kind, clf):
    maps = [wafer(), np.ones((3, 3), int), np.zeros((2, 2), int), [[2]], [[1]]]
    saliency = [np.ones(np.shape(grid)) for grid in maps]
    values = faithfulness_curves(clf, maps, {"a": saliency}, curves=[kind], n_steps=3)[kind]["a"]
    assert np.isnan(values[[1, 2, 4]]).all() and np.isfinite(values[[0, 3]]).all()


def test_curves_use_the_predicted_class_by_default(clf):
    grid = wafer()
    grid[:3, 0] = 1  # now a quarter of the column: "else"
    zeros = [np.zeros(grid.shape)]
    np.testing.assert_allclose(deletion_curves(clf, [grid], zeros, n_steps=2)[0, [0, 2]], [0.75, 1])
    line = deletion_curves(clf, [grid], zeros, n_steps=2, targets=["line"])
    np.testing.assert_allclose(line[0, [0, 2]], [0.25, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": [wafer(), wafer() + 2]}, "wafer map 1: value 4 at row 0, column 0"),
        ({"saliency": [np.ones((4, 3))]}, "has 1 entries for 2 wafer maps"),
        ({"saliency": [np.ones((4, 3)), np.ones((3, 4))]}, r"wafer map 1: .*shape \(3, 4\)"),
        ({"saliency": [np.ones((4, 3)), np.full((4, 3), np.nan)]}, "wafer map 1: .*score 0"),
        ({"targets": ["line"]}, "targets has 1 entries for 2 wafer maps"),
        ({"targets": ["line", "ring"]}, "'ring' of wafer 1 is not a class.*else, line"),
        ({"n_steps": 1}, "n_steps must be an integer of at least 2, got 1"),
        ({"n_steps": 2.5}, "n_steps must be an integer"),
    ],
)
def test_curves_refuse_bad_input(clf, options, message):
    given = {"maps": [wafer()] * 2, "saliency": [np.ones((4, 3))] * 2} | options
    with pytest.raises(ValueError, match=message):
        deletion_curves(clf, **given)


def test_reports_refuse_bad_input(clf, denoiser):
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
