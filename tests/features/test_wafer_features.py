"""The hand-made features, each beside a slow computation of what it is said to be."""

from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import pytest
import sklearn
from filter_cases import random_maps
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

from camdenoise import RaggedWaferMaps, WaferMapError
from camdenoise.datasets import make_wafer_maps
from camdenoise.features import WaferFeatures
from camdenoise.features._radon import cubic_resampling, radon_features, sinogram
from camdenoise.features._region import REGION_FEATURES, region_features

NAMES = WaferFeatures().get_feature_names_out().tolist()
ZONES = [f"zone_{number}" for number in range(13)]
RINGS = [f"ring_{number}" for number in range(8)]


def features(grid):
    return dict(zip(NAMES, WaferFeatures().transform([grid])[0], strict=True))


def disc(side, radius):
    at = (np.arange(side) + 0.5) * 2 / side - 1
    return np.hypot(at[:, np.newaxis], at) <= radius


def wafer(fails):
    """A wafer on a square grid that fails where told."""
    return np.where(fails, 2, disc(len(fails), 1).astype(int))


def share(grid, cells):
    dies = [grid[cell] for cell in cells if grid[cell] != 0]
    return dies.count(2) / len(dies) if dies else 0


def where(grid, chosen):
    """Cells whose centre, in wafer radii (x right, y down), is chosen."""
    height, width = grid.shape
    centre = {
        (row, column): ((2 * column + 1) / width - 1, (2 * row + 1) / height - 1)
        for row, column in product(range(height), range(width))
    }
    return [cell for cell, (x, y) in centre.items() if chosen(x, y)]


@pytest.mark.parametrize("grid", random_maps(20, seed=1), ids=lambda grid: str(grid.shape))
def test_densities_are_shares_of_dies(grid):
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


def test_the_frame_s_zones_lie_above_right_below_and_left():
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
def test_a_quarter_turn_moves_zones_and_leaves_rings(side):
    grid = np.random.default_rng(side).integers(0, 3, (side, side))
    before, after = features(grid), features(np.rot90(grid))
    to = [2, 5, 8, 1, 4, 7, 0, 3, 6, 10, 11, 12, 9]
    for number, origin in enumerate(to):
        assert after[f"zone_{number}"] == pytest.approx(before[f"zone_{origin}"])
    for name in ["fail_rate", "n_components", "largest_share", *RINGS]:
        assert after[name] == pytest.approx(before[name])


def slow_sinogram(fails):
    """Share each fail between the two lines beside it, one direction and one die at a time."""
    height, width = fails.shape
    n_lines = min(height, width)
    lengths = np.zeros((60, n_lines))
    for number, (row, column) in product(range(60), np.argwhere(fails)):
        x, y = (2 * column + 1) / width - 1, (2 * row + 1) / height - 1
        angle = np.deg2rad(3 * number)
        offset = x * np.cos(angle) + y * np.sin(angle)
        for line in range(n_lines):
            at = (2 * line + 1) / n_lines - 1
            distance = abs(np.clip(offset, 1 / n_lines - 1, 1 - 1 / n_lines) - at) * n_lines / 2
            lengths[number, line] += max(0, 1 - distance) * 2 / height * n_lines / width
    return lengths


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (7, 7), (9, 5)])
def test_the_sinogram(shape):
    fails = np.random.default_rng(0).random(shape) < 0.5
    np.testing.assert_allclose(sinogram(fails), slow_sinogram(fails), atol=1e-12)


def test_lines_across_a_full_disc_are_its_chords():
    lengths = sinogram(disc(101, 1))
    at = (np.arange(101) + 0.5) * 2 / 101 - 1
    np.testing.assert_allclose(lengths.mean(axis=0), 2 * np.sqrt(1 - at**2), atol=0.05)
    # The integral over all lines is the area, whatever the direction.
    np.testing.assert_allclose(lengths.sum(axis=1) * 2 / 101, np.pi, rtol=2e-3)


@pytest.mark.parametrize("n_lines", [2, 3, 4, 26, 60])
def test_resampling_is_exact_for_cubics_and_ends_at_the_ends(n_lines):
    degree = min(n_lines - 1, 3)
    at = np.arange(n_lines) / (n_lines - 1)
    curve = np.polynomial.Polynomial([0.3, -1, 2, 0.7][: degree + 1])
    np.testing.assert_allclose(
        cubic_resampling(n_lines) @ curve(at), curve(np.linspace(0, 1, 20)), atol=1e-10
    )


def test_radon_features_are_mean_and_deviation_of_the_sinogram_over_its_directions():
    fails = np.random.default_rng(0).random((20, 23)) < 0.3
    lengths = slow_sinogram(fails)
    # Of 20 lines the 20 values are the lines themselves.
    np.testing.assert_allclose(radon_features(fails)[:20], lengths.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(radon_features(fails)[20:], lengths.std(axis=0), atol=1e-12)


def test_a_line_differs_between_directions_and_a_disc_does_not():
    line = np.zeros((41, 41), bool)
    line[20, 5:36] = True
    of_line, of_disc = (radon_features(fails).reshape(2, 20) for fails in (line, disc(41, 0.5)))
    spread_of_line, spread_of_disc = (of[1].max() / of[0].max() for of in (of_line, of_disc))
    assert spread_of_line > 0.7 and spread_of_disc < 0.05


def test_a_turned_line_has_the_same_radon_features():
    lying = np.zeros((41, 41), bool)
    lying[20, 5:36] = True
    np.testing.assert_allclose(radon_features(lying), radon_features(lying.T), atol=0.02)


def gift_wrapped_area(cells):
    """Area of the convex hull of unit squares: walk around the corners, always turning least."""
    corners = sorted({(r + i, c + j) for r, c in cells for i, j in product((0, 1), repeat=2)})
    hull, point = [], corners[0]
    while not hull or point != hull[0]:
        hull.append(point)
        ahead = next(corner for corner in corners if corner != point)
        for other in corners:
            (a, b), (c, d) = np.subtract(ahead, point), np.subtract(other, point)
            turn = a * d - b * c
            if turn < 0 or (turn == 0 and np.hypot(c, d) > np.hypot(a, b)):
                ahead = other
        point = ahead
    pairs = zip(hull, hull[1:] + hull[:1], strict=True)
    return abs(sum(a * d - b * c for (a, b), (c, d) in pairs)) / 2


def slow_region_features(region, fine=40):
    """Measure a region by points spread evenly over its dies."""
    height, width = region.shape
    cells = [tuple(cell) for cell in np.argwhere(region)]
    within = (np.arange(fine) + 0.5) / fine
    points = [(r + i, c + j) for r, c in cells for i, j in product(within, repeat=2)]
    at = np.array(points) * [2 / height, 2 / width]
    minor, major = 4 * np.sqrt(np.linalg.eigvalsh(np.cov(at.T, bias=True)))
    open_sides = {(0, 1): 2 / height, (0, -1): 2 / height, (1, 0): 2 / width, (-1, 0): 2 / width}
    perimeter = sum(
        length
        for (row, column), ((i, j), length) in product(cells, open_sides.items())
        if (row + i, column + j) not in cells
    )
    radius = [np.hypot((2 * r + 1) / height - 1, (2 * c + 1) / width - 1) for r, c in cells]
    return {
        "area": len(cells) * 4 / (height * width),
        "perimeter": perimeter,
        "major_axis": major,
        "minor_axis": minor,
        "eccentricity": np.sqrt(1 - minor**2 / major**2),
        "solidity": len(cells) / gift_wrapped_area(cells),
        "mean_radius": np.mean(radius),
        "radius_spread": np.std(radius),
    }


@pytest.mark.parametrize("seed", range(6))
def test_region_features(seed):
    rng = np.random.default_rng(seed)
    region = rng.random(rng.integers(2, 9, 2)) < 0.6
    region[0, 0] = True
    found = dict(zip(REGION_FEATURES, region_features(region), strict=True))
    expected = slow_region_features(region)
    # The points stand 1/40 of a die apart; squared, that moves an axis by less than a thousandth.
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-2)
    for exact in ("area", "perimeter", "solidity", "mean_radius", "radius_spread"):
        assert found[exact] == pytest.approx(expected[exact])


def test_the_region_is_the_largest_group_of_touching_fails():
    grid = np.ones((9, 9), int)
    grid[0, 0:3], grid[4, 4], grid[5, 5], grid[6, 4:6] = 2, 2, 2, 2
    found, alone = features(grid), features(np.where(np.arange(9)[:, np.newaxis] < 3, 1, grid))
    assert found["n_components"] == pytest.approx(2 / 81)
    assert found["largest_share"] == pytest.approx(4 / 7)
    for name in REGION_FEATURES:
        assert found[f"region_{name}"] == alone[f"region_{name}"]


def test_shapes_tell_a_scratch_from_a_disc():
    scratch, blob = features(wafer(np.eye(30, dtype=bool))), features(wafer(disc(30, 0.4)))
    assert scratch["region_eccentricity"] > 0.99 and blob["region_eccentricity"] < 0.1
    assert scratch["region_solidity"] < 0.7 and blob["region_solidity"] > 0.9
    assert scratch["region_major_axis"] > 2 * blob["region_major_axis"]
    assert blob["region_area"] == pytest.approx(np.pi * 0.4**2, rel=0.05)
    assert blob["region_major_axis"] == pytest.approx(0.8, rel=0.05)


def test_the_same_wafer_with_smaller_dies_has_the_same_features():
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
def test_wafers_with_little_on_them(grid, expected):
    assert features(np.array(grid)) == pytest.approx(dict.fromkeys(NAMES, 0) | expected)


def test_a_full_wafer():
    found = features(2 * disc(60, 1).astype(int))
    assert all(found[name] == 1 for name in ["fail_rate", "largest_share", *ZONES, *RINGS])
    assert found["region_area"] == pytest.approx(np.pi, rel=0.01)
    assert found["region_major_axis"] == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("kind", ["list", "tuple", "Series", "object array", "ragged", "iterator"])
def test_kinds_of_collections(kind):
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


def test_a_stack_of_any_number_type():
    stack = np.random.default_rng(0).integers(0, 3, (5, 6, 7))
    before = stack.copy()
    found = [WaferFeatures().transform(stack.astype(t)) for t in (np.uint8, np.int64, np.float32)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(stack, before)


def test_names_and_table_output():
    assert len(set(NAMES)) == len(NAMES) == 72
    maps = pd.Series(random_maps(), index=range(100, 112))
    table = WaferFeatures().set_output(transform="pandas").fit_transform(maps)
    assert table.columns.tolist() == NAMES
    # Before, scikit-learn kept the index of a DataFrame only.
    if parse_version(sklearn.__version__) >= parse_version("1.7"):
        assert table.index.equals(maps.index)
    np.testing.assert_array_equal(table, WaferFeatures().transform(maps))


def test_a_bad_map_raises_or_gets_a_row_of_nan():
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
def test_bad_collections_and_parameters(on_error):
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
def test_classifiers_learn_from_them(classifier):
    wafers = make_wafer_maps(120, classes=["Center", "Edge-Ring", "Scratch"], random_state=0)
    pipeline = make_pipeline(WaferFeatures(), classifier)
    scores = cross_validate(pipeline, wafers.maps, wafers.target, cv=2)["test_score"]
    assert scores.min() > 0.8
