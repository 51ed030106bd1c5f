"""Patterns laid on other wafers: turns, sizes, losses."""

import numpy as np
import pytest
from round_wafers import disc, radius
from scipy import ndimage

from camdenoise.datasets._planting import TURNS, plant, resize_nearest


def test_turns_are_the_four_that_keep_rows():
    mask = np.zeros((3, 5), bool)
    mask[0, 1] = True
    places = {tuple(np.argwhere(turn(mask))[0]) for turn in TURNS.values()}
    assert places == {(0, 1), (0, 3), (2, 1), (2, 3)}


def test_resize_to_the_same_grid_changes_nothing():
    mask = np.random.RandomState(0).uniform(size=(7, 9)) < 0.5
    np.testing.assert_array_equal(resize_nearest(mask, (7, 9)), mask)


def test_resize_keeps_the_place_on_the_wafer():
    mask = np.roll(radius(40) < 8, 6, axis=1)
    center = np.argwhere(resize_nearest(mask, (50, 30))).mean(axis=0) / (50, 30)
    assert center == pytest.approx(np.argwhere(mask).mean(axis=0) / 40, abs=0.02)


def test_plant_leaves_out_fails_outside_the_dies():
    dies = disc() > 0
    mask = ndimage.binary_dilation(dies & (radius() > 17), iterations=1)
    np.testing.assert_array_equal(plant(mask & (radius() < 20.2), dies), mask & dies)


@pytest.mark.parametrize(
    "mask",
    [
        np.ones((40, 40), bool) & (radius() > 19),
        (np.indices((40, 40))[0] % 8 == 0) & (np.indices((40, 40))[1] % 2 == 0),
        radius() < 1,
    ],
    ids=["off the wafer", "torn into pieces", "too small"],
)
def test_plant_refuses_patterns_that_lose_too_much(mask):
    holes = disc() > 0
    holes[:, 20] = False
    assert plant(mask, holes & (np.indices((40, 40))[1] % 3 > 0)) is None
