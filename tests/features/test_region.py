"""Features of the largest region, compared with a slow computation."""

from itertools import product

import numpy as np
import pytest
from feature_cases import disc, features, wafer

from camdenoise.features._region import REGION_FEATURES, region_features


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
def test_region_features_equal_slow_computation(seed):
    rng = np.random.default_rng(seed)
    region = rng.random(rng.integers(2, 9, 2)) < 0.6
    region[0, 0] = True
    found = dict(zip(REGION_FEATURES, region_features(region), strict=True))
    expected = slow_region_features(region)
    # The points stand 1/40 of a die apart; squared, that moves an axis by less than a thousandth.
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-2)
    for exact in ("area", "perimeter", "solidity", "mean_radius", "radius_spread"):
        assert found[exact] == pytest.approx(expected[exact])


def test_region_is_the_largest_component_of_fails():
    grid = np.ones((9, 9), int)
    grid[0, 0:3], grid[4, 4], grid[5, 5], grid[6, 4:6] = 2, 2, 2, 2
    found, alone = features(grid), features(np.where(np.arange(9)[:, np.newaxis] < 3, 1, grid))
    assert found["n_components"] == pytest.approx(2 / 81)
    assert found["largest_share"] == pytest.approx(4 / 7)
    for name in REGION_FEATURES:
        assert found[f"region_{name}"] == alone[f"region_{name}"]


def test_region_features_separate_scratch_from_disc():
    scratch, blob = features(wafer(np.eye(30, dtype=bool))), features(wafer(disc(30, 0.4)))
    assert scratch["region_eccentricity"] > 0.99 and blob["region_eccentricity"] < 0.1
    assert scratch["region_solidity"] < 0.7 and blob["region_solidity"] > 0.9
    assert scratch["region_major_axis"] > 2 * blob["region_major_axis"]
    assert blob["region_area"] == pytest.approx(np.pi * 0.4**2, rel=0.05)
    assert blob["region_major_axis"] == pytest.approx(0.8, rel=0.05)
