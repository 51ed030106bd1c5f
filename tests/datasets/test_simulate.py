"""Simulated wafers: what they promise, and figures measured on WM-811K."""

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from camdenoise.datasets import (
    CLASSES,
    PATTERN_CLASSES,
    load_wafer_maps,
    make_wafer_maps,
)


@pytest.fixture(scope="module")
def simulated():
    return make_wafer_maps(900, classes=CLASSES, random_state=0)


def radii(shape):
    """Distance of each die from the middle, in wafer radii."""
    y, x = (2 * (np.arange(n) - (n - 1) / 2) / n for n in shape)
    return np.hypot(*np.meshgrid(y, x, indexing="ij"))


def failing_shares(maps):
    return np.array([(grid == 2).sum() / (grid > 0).sum() for grid in maps])


def test_rows_agree_with_each_other(simulated):
    frame = simulated.frame
    assert frame["label"].tolist() == simulated.target.tolist()
    assert frame["lot"].tolist() == simulated.groups.tolist()
    assert [grid.shape for grid in simulated.maps] == list(
        zip(frame["height"], frame["width"], strict=True)
    )
    assert [mask.sum() for mask in simulated.truth] == frame["n_pattern"].tolist()


def test_every_class_gets_its_share(simulated):
    labels, counts = np.unique(simulated.target, return_counts=True)
    assert set(labels) == set(CLASSES) and set(counts) == {100}


def test_default_classes_are_the_six_patterns():
    assert set(make_wafer_maps(30, random_state=0).target) == set(PATTERN_CLASSES)


def test_truth_is_a_subset_of_fails(simulated):
    for grid, mask in zip(simulated.maps, simulated.truth, strict=True):
        assert grid.dtype == np.uint8 and mask.dtype == bool and mask.shape == grid.shape
        assert (grid[mask] == 2).all()


def test_truth_is_empty_only_without_a_pattern(simulated):
    for label, mask in zip(simulated.target, simulated.truth, strict=True):
        assert mask.any() == (label not in ("none", "Random")), label


def test_near_full_truth_is_nearly_every_fail(simulated):
    rows = simulated.target == "Near-full"
    fails = np.array([(grid == 2).sum() for grid in simulated.maps])
    assert (simulated.frame["n_pattern"][rows] > 0.8 * fails[rows]).all()


def test_wafer_is_a_disc_touching_all_grid_sides(simulated):
    for grid in simulated.maps:
        dies = ndimage.binary_fill_holes(grid > 0)
        assert not dies[[0, 0, -1, -1], [0, -1, 0, -1]].any()
        assert dies[0].any() and dies[-1].any() and dies[:, 0].any() and dies[:, -1].any()
        assert 0.7 < dies.mean() < 0.86


def test_one_tenth_of_the_wafers_has_holes():
    maps = make_wafer_maps(1500, classes=["none"], random_state=0).maps
    holed = [(ndimage.binary_fill_holes(grid > 0) & (grid == 0)).any() for grid in maps]
    assert 0.07 < np.mean(holed) < 0.13


def test_lots_are_25_wafers_on_one_grid(simulated):
    lots = simulated.frame.groupby("lot")
    assert (lots.size() == 25).all()
    assert (lots[["height", "width"]].nunique() == 1).all(axis=None)
    assert lots["wafer"].agg(list).map(lambda wafers: wafers == list(range(1, 26))).all()


def test_grid_shapes_vary_between_lots(simulated):
    grids = {grid.shape for grid in simulated.maps}
    assert len(grids) >= 6 and any(height != width for height, width in grids)


def test_same_random_state_gives_same_wafers():
    first, second = (make_wafer_maps(40, random_state=7) for _ in range(2))
    assert all(map(np.array_equal, first.maps, second.maps))
    assert all(map(np.array_equal, first.truth, second.truth))
    pd.testing.assert_frame_equal(first.frame, second.frame)


def test_changing_wafers_leaves_later_calls_unchanged():
    first = make_wafer_maps(2, shapes=[(20, 20)], random_state=0)
    before = [grid.copy() for grid in first.maps]
    for grid in first.maps:
        grid[:] = 0
    again = make_wafer_maps(2, shapes=[(20, 20)], random_state=0)
    assert all(map(np.array_equal, again.maps, before))


def test_shapes_option_sets_the_grids():
    maps = make_wafer_maps(100, shapes=[(12, 17), (30, 9)], random_state=0).maps
    assert {grid.shape for grid in maps} == {(12, 17), (30, 9)}


def test_smallest_grid_works_for_every_class():
    wafers = make_wafer_maps(90, classes=CLASSES, shapes=(5, 5), random_state=0)
    assert {grid.shape for grid in wafers.maps} == {(5, 5)}


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 0.95, 1.0])
def test_noise_rate_is_kept(rate):
    maps = make_wafer_maps(100, classes=["none", "Random"], noise_rate=rate, random_state=0).maps
    assert failing_shares(maps).mean() == pytest.approx(rate, abs=0.01)


def test_density_thins_the_pattern():
    def mean_pattern(density):
        wafers = make_wafer_maps(
            200, classes=["Center"], shapes=[(40, 40)], density=density, random_state=0
        )
        return wafers.frame["n_pattern"].mean()

    assert mean_pattern(0.5) == pytest.approx(0.5 * mean_pattern(1.0), rel=0.2)


def test_clean_wafers_show_the_pattern_alone():
    wafers = make_wafer_maps(30, noise_rate=0, random_state=0)
    for grid, mask in zip(wafers.maps, wafers.truth, strict=True):
        np.testing.assert_array_equal(grid == 2, mask)


def test_weights_set_the_mix():
    target = make_wafer_maps(100, weights={"Loc": 3, "Donut": 1}, random_state=0).target
    assert sorted(target) == ["Donut"] * 25 + ["Loc"] * 75


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 2.5}, "n_samples must be a whole number"),
        ({"classes": ["Centre"]}, r"got \['Centre'\]"),
        ({"classes": []}, "classes must be some of"),
        ({"shapes": [(3, 20)]}, "at least 5 dies a side"),
        ({"shapes": [(20.5, 20)]}, "shapes must be"),
        ({"noise_rate": 1.2}, "noise_rate must be a share"),
        ({"noise_rate": (0.3, 0.1)}, "noise_rate must be a share"),
        ({"noise_rate": float("nan")}, "noise_rate must be a share"),
        ({"density": (0.1, 0.2, 0.3)}, "density must be a share"),
        ({"density": "high"}, "density must be a share"),
        ({"clumping": -1}, "clumping must be a number from 0"),
        ({"edge_gradient": "2"}, "edge_gradient must be a number"),
        ({"hole_fraction": 2}, "hole_fraction must be a number from 0 to 1"),
        ({"weights": [1, 2]}, "weights must be 6 numbers"),
        ({"weights": {"Locc": 1}}, r"weights names \['Locc'\]"),
    ],
)
def test_unusable_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_wafer_maps(**options)


# Grids of the `none` wafers, about as often as there.
NONE_GRIDS = [(25, 27)] * 10 + [(27, 25)] * 7 + [(26, 26)] * 5
NONE_GRIDS += [(33, 37), (45, 43), (48, 48), (53, 52), (63, 62), (69, 73)]


@pytest.fixture(scope="module")
def backgrounds():
    return make_wafer_maps(3000, classes=["none"], shapes=NONE_GRIDS, random_state=0)


@pytest.mark.parametrize(
    ("quantile", "real", "tolerance"), [(0.05, 0.035, 0.02), (0.5, 0.15, 0.03), (0.95, 0.23, 0.04)]
)
def test_background_rates_match_real_wafers(backgrounds, quantile, real, tolerance):
    share = np.quantile(failing_shares(backgrounds.maps), quantile)
    assert share == pytest.approx(real, abs=tolerance)


def test_rim_fails_about_2_35_times_as_often(backgrounds):
    rim, inside = [], []
    for grid in backgrounds.maps:
        outer = radii(grid.shape) > 0.9
        rim.append((grid[outer & (grid > 0)] == 2).mean())
        inside.append((grid[~outer & (grid > 0)] == 2).mean())
    assert np.mean(rim) / np.mean(inside) == pytest.approx(2.35, abs=0.25)


def test_neighbors_of_fails_fail_slightly_more_often(backgrounds):
    together = expected = 0.0
    for grid in backgrounds.maps:
        # Away from the rim, whose excess of fails would pass for clumping.
        dies = (grid > 0) & (radii(grid.shape) < 0.8)
        fails = dies & (grid == 2)
        together += (fails[1:] & fails[:-1]).sum() + (fails[:, 1:] & fails[:, :-1]).sum()
        pairs = (dies[1:] & dies[:-1]).sum() + (dies[:, 1:] & dies[:, :-1]).sum()
        expected += pairs * (fails.sum() / dies.sum()) ** 2
    assert together / expected == pytest.approx(1.05, abs=0.03)


def test_wafers_of_a_lot_scatter_1_8_times_a_binomial(backgrounds):
    frame = backgrounds.frame.assign(
        share=failing_shares(backgrounds.maps), dies=[(g > 0).sum() for g in backgrounds.maps]
    )
    lots = frame.groupby("lot")
    share = lots["share"].mean()
    binomial = np.sqrt(share * (1 - share) / lots["dies"].mean())
    assert (lots["share"].std() / binomial).median() == pytest.approx(1.8, abs=0.4)


# Real Edge-Ring and Scratch wafers are mostly of finer grids than the average wafer.
FINE_GRIDS = [(38, 36), (53, 52), (63, 62)]
CLASS_MEANS = [("Center", 0.232, None), ("Donut", 0.277, None), ("Edge-Loc", 0.183, None)]
CLASS_MEANS += [("Loc", 0.150, None), ("Random", 0.481, None), ("Near-full", 0.877, None)]
CLASS_MEANS += [("Edge-Ring", 0.151, FINE_GRIDS), ("Scratch", 0.101, FINE_GRIDS)]


@pytest.mark.parametrize(("label", "real", "shapes"), CLASS_MEANS)
def test_mean_failing_share_matches_real_classes(label, real, shapes):
    maps = make_wafer_maps(400, classes=[label], shapes=shapes, random_state=0).maps
    assert failing_shares(maps).mean() == pytest.approx(real, rel=0.4)


@pytest.mark.parametrize(
    ("label", "low", "high"),
    [("Center", 0.0, 0.62), ("Donut", 0.3, 0.75), ("Edge-Ring", 0.9, 1.0), ("Edge-Loc", 0.7, 1.0)],
)
def test_patterns_lie_where_their_names_say(label, low, high):
    wafers = make_wafer_maps(100, classes=[label], shapes=[(40, 40)], random_state=0)
    medians = [np.median(radii((40, 40))[mask]) for mask in wafers.truth]
    assert np.mean([low <= median <= high for median in medians]) > 0.9


def test_scratches_are_thin_and_long():
    wafers = make_wafer_maps(200, classes=["Scratch"], shapes=[(50, 50)], random_state=0)
    # A 3 x 3 block of dies is no scratch; two lines that cross may make a few.
    thick = [ndimage.binary_erosion(mask, np.ones((3, 3))).any() for mask in wafers.truth]
    boxes = [np.argwhere(mask) for mask in wafers.truth]
    lengths = [np.ptp(box, axis=0).max() + 1 for box in boxes]
    assert np.mean(thick) < 0.1 and np.median(lengths) > 12


@pytest.mark.parametrize("label", CLASSES)
def test_failing_share_matches_real_wafers_by_grid(label, data_folder):
    real = load_wafer_maps(data_folder / "wm811k_mini.npz", classes=[label]).maps
    rng = np.random.RandomState(0)
    like = [
        make_wafer_maps(1, classes=[label], shapes=[grid.shape], random_state=rng).maps[0]
        for grid in real
        for _ in range(5)
    ]
    medians = [np.median(failing_shares(maps)) for maps in (real, like)]
    assert medians[1] == pytest.approx(medians[0], rel=0.5)
