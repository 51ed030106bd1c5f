"""The hand-made features, each beside a slow computation of what it is said to be."""

from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
import sklearn
from feature_cases import NAMES, disc, features, wafer
from filter_cases import random_maps
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

from camdenoise import RaggedWaferMaps, WaferMapError
from camdenoise.datasets import make_wafer_maps
from camdenoise.features import WaferFeatures
from camdenoise.features._region import REGION_FEATURES
from camdenoise.features._wafer_features import SYMMETRIES

ZONES = [f"zone_{number}" for number in range(13)]
RINGS = [f"ring_{number}" for number in range(8)]


def share(grid, cells):
    dies = [grid[cell] for cell in cells if grid[cell] != 0]
    return dies.count(2) / len(dies) if dies else 0


def where(grid, chosen):
    """Cells whose center, in wafer radii (x right, y down), is chosen."""
    height, width = grid.shape
    center = {
        (row, column): ((2 * column + 1) / width - 1, (2 * row + 1) / height - 1)
        for row, column in product(range(height), range(width))
    }
    return [cell for cell, (x, y) in center.items() if chosen(x, y)]


@pytest.mark.parametrize("grid", random_maps(20, seed=1), ids=lambda grid: str(grid.shape))
def test_densities_are_failing_shares_of_dies(grid):
    found = features(grid)
    assert found["fail_rate"] == pytest.approx(share(grid, where(grid, lambda x, y: True)))
    for number, (row, column) in enumerate(product(range(3), range(3))):
        cells = where(grid, partial(in_square, row=row, column=column))
        assert found[f"zone_{number}"] == pytest.approx(share(grid, cells))
    for number in range(8):
        cells = where(grid, partial(in_ring, number=number))
        assert found[f"ring_{number}"] == pytest.approx(share(grid, cells))


def in_square(x, y, *, row, column):
    return abs(x + 0.4 - 0.4 * column) < 0.2 and abs(y + 0.4 - 0.4 * row) < 0.2


def in_ring(x, y, *, number):
    radius = round(np.hypot(x, y), 9)
    return number / 8 <= radius and (radius < (number + 1) / 8 or number == 7)


def test_outer_zones_lie_above_right_below_and_left():
    for number, cell in zip(range(9, 13), [(0, 5), (5, 10), (10, 5), (5, 0)], strict=True):
        grid = np.ones((11, 11), int)
        grid[cell] = 2
        found = features(grid)
        assert [name for name in ZONES if found[name] > 0] == [f"zone_{number}"]


def test_each_die_is_in_one_zone_and_one_ring():
    for shape in [(1, 1), (5, 5), (6, 9), (12, 12)]:
        for cell in product(*map(range, shape)):
            grid = np.ones(shape, int)
            grid[cell] = 2
            found = features(grid)
            for part in (ZONES, RINGS):
                assert sum(found[name] > 0 for name in part) == 1


@pytest.mark.parametrize("side", [7, 10, 24])
def test_quarter_turn_moves_zones_and_leaves_rings(side):
    grid = np.random.default_rng(side).integers(0, 3, (side, side))
    before, after = features(grid), features(np.rot90(grid))
    to = [2, 5, 8, 1, 4, 7, 0, 3, 6, 10, 11, 12, 9]
    for number, origin in enumerate(to):
        assert after[f"zone_{number}"] == pytest.approx(before[f"zone_{origin}"])
    for name in ["fail_rate", "n_components", "largest_share", *RINGS]:
        assert after[name] == pytest.approx(before[name])


def test_smaller_dies_leave_features_unchanged():
    fails = disc(24, 0.5) & (np.random.default_rng(0).random((24, 24)) < 0.8)
    coarse, fine = features(wafer(fails)), features(np.kron(wafer(fails), np.ones((2, 1), int)))
    for name in ["fail_rate", *(f"region_{name}" for name in REGION_FEATURES[:6])]:
        assert fine[name] == pytest.approx(coarse[name], abs=0.02)
    for name in NAMES[-40:-20]:
        assert fine[name] == pytest.approx(coarse[name], abs=0.1)


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ([[0]], {}),
        ([[1]], {}),
        (np.ones((9, 7)), {}),
        (np.zeros((4, 4)), {}),
        (
            [[2]],
            {"fail_rate": 1, "zone_4": 1, "ring_0": 1, "n_components": 1, "largest_share": 1}
            | {"region_area": 4, "region_perimeter": 8, "region_solidity": 1}
            | {"region_major_axis": 4 / 3**0.5, "region_minor_axis": 4 / 3**0.5}
            | {f"radon_mean_{number}": 2 for number in range(20)},
        ),
    ],
    ids=["no die", "one pass", "all pass", "no dies", "one fail"],
)
def test_wafers_with_few_fails_have_defined_features(grid, expected):
    assert features(np.array(grid)) == pytest.approx(dict.fromkeys(NAMES, 0) | expected)


def test_full_wafer_has_density_one_everywhere():
    found = features(2 * disc(60, 1).astype(int))
    assert all(found[name] == 1 for name in ["fail_rate", "largest_share", *ZONES, *RINGS])
    assert found["region_area"] == pytest.approx(np.pi, rel=0.01)
    assert found["region_major_axis"] == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("kind", ["list", "tuple", "Series", "object array", "ragged", "iterator"])
def test_every_collection_kind_gives_equal_features(kind):
    maps = random_maps()
    made = {
        "list": lambda: maps,
        "tuple": lambda: tuple(maps),
        "Series": lambda: pd.Series(maps),
        "object array": lambda: pd.Series(maps).to_numpy(),
        "ragged": lambda: RaggedWaferMaps.from_maps(maps),
        "iterator": lambda: iter(maps),
    }[kind]
    expected = np.stack([WaferFeatures().transform([grid])[0] for grid in maps])
    found = WaferFeatures().transform(made())
    assert found.dtype == np.float64 and np.isfinite(found).all()
    np.testing.assert_array_equal(found, expected)


def test_stack_of_any_dtype_is_accepted():
    stack = np.random.default_rng(0).integers(0, 3, (5, 6, 7))
    before = stack.copy()
    found = [WaferFeatures().transform(stack.astype(t)) for t in (np.uint8, np.int64, np.float32)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(stack, before)


def test_feature_names_and_table_output_match():
    assert len(set(NAMES)) == len(NAMES) == 72
    maps = pd.Series(random_maps(), index=range(100, 112))
    table = WaferFeatures().set_output(transform="pandas").fit_transform(maps)
    assert table.columns.tolist() == NAMES
    # Before, scikit-learn kept the index of a DataFrame only.
    if parse_version(sklearn.__version__) >= parse_version("1.7"):
        assert table.index.equals(maps.index)
    np.testing.assert_array_equal(table, WaferFeatures().transform(maps))


def test_bad_map_raises_or_gets_a_row_of_nan():
    good = random_maps(2)
    bad = [np.full((2, 2), 7), np.array([[1.0, np.nan]]), [[1, 2], [1]], "wafer", None]
    for item in bad:
        with pytest.raises(WaferMapError, match="wafer map 1: "):
            WaferFeatures().transform([good[0], item, good[1]])
    found = WaferFeatures(on_error="keep").transform([good[0], *bad, good[1]])
    np.testing.assert_array_equal(found[[0, -1]], WaferFeatures().transform(good))
    assert np.isnan(found[1:-1]).all() and len(found) == 7
    with pytest.raises(WaferMapError, match="wafer map 0: value 7"):
        WaferFeatures(on_error="keep").fit(bad)


@pytest.mark.parametrize("on_error", ["raise", "keep"])
def test_bad_collections_and_parameters_are_refused(on_error):
    lenient = WaferFeatures(on_error=on_error)
    for wrong, message in [([], "Found 0 wafer map"), (np.ones((3, 3)), "Wrap a single wafer map")]:
        for method in (lenient.fit, lenient.transform):
            with pytest.raises(ValueError, match=message):
                method(wrong)
    unknown = WaferFeatures(on_error="skip")
    for method in (unknown.fit, unknown.transform):
        with pytest.raises(ValueError, match="'on_error' parameter of WaferFeatures"):
            method([np.ones((3, 3))])


@pytest.mark.parametrize(
    "classifier",
    [
        RandomForestClassifier(20, random_state=0),
        HistGradientBoostingClassifier(max_iter=10, min_samples_leaf=5),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_features_train_a_classifier(classifier):
    wafers = make_wafer_maps(120, classes=["Center", "Edge-Ring", "Scratch"], random_state=0)
    pipeline = make_pipeline(WaferFeatures(), classifier)
    scores = cross_validate(pipeline, wafers.maps, wafers.target, cv=2)["test_score"]
    assert scores.min() > 0.8


def test_symmetries_order_features_of_turned_wafers():
    """No fail lies on a border of two zones. Radon features depend on where directions start."""
    fails = np.zeros((40, 40), bool)
    fails[3:6, 18:30], fails[10:13, 10:15], fails[30:33, 26:28] = True, True, True
    grid, order = wafer(fails), iter(SYMMETRIES)
    before = np.array(list(features(grid).values()))
    for turned in (np.rot90(grid, k) for k in range(4)):
        for seen in (turned, np.fliplr(turned)):
            found = np.array(list(features(seen).values()))
            np.testing.assert_allclose(found[:32], before[next(order)][:32], atol=1e-9)
    assert len({tuple(row) for row in SYMMETRIES}) == 8
