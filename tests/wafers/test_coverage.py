import numpy as np
import pytest

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.wafers._coverage import coverage, is_partial, reaches_untested


def disk(height, width):
    y, x = np.ogrid[:height, :width]
    inside = ((2 * y + 1) / height - 1) ** 2 + ((2 * x + 1) / width - 1) ** 2 <= 1
    return inside.astype(np.uint8)


def half(grid):
    tested = grid.copy()
    tested[len(grid) // 2 :] = 0
    return tested


@pytest.mark.parametrize("shape", [(8, 8), (26, 26), (40, 61), (9, 200)])
def test_whole_wafers_are_not_partial(shape):
    grid = disk(*shape)
    assert coverage(grid) == 1 and not is_partial(grid)
    assert not is_partial(np.ones(shape, np.uint8))  # a panel


@pytest.mark.parametrize("shape", [(8, 8), (26, 26), (40, 61)])
def test_half_tested_wafers_are_partial(shape):
    assert is_partial(half(disk(*shape)))


def test_coarse_maps_are_not_partial():
    assert not is_partial(half(disk(7, 7)))


def test_sampled_wafers_are_partial():
    grid = disk(30, 30)
    grid[::2] = 0
    assert is_partial(grid)


def test_dies_near_the_untested_area_reach_untested():
    grid, near, far = half(disk(30, 30)), np.zeros((2, 30, 30), bool), np.zeros((30, 30), bool)
    near[0, 14, 15] = near[1, 13, 15] = far[12, 15] = True
    assert all(reaches_untested(grid, dies) for dies in near)
    assert not reaches_untested(grid, far)


def test_pattern_at_the_untested_area_is_not_decided():
    wafers = make_wafer_maps(12, classes=["Center"], shapes=[(40, 40)], random_state=0)
    denoiser = CamDenoiser.from_pretrained(novelty_rate=None)
    assert not any(why.abstained for why in denoiser.explain(wafers.maps))
    assert all(why.abstained for why in denoiser.explain([half(grid) for grid in wafers.maps]))


def test_labeled_wafers_are_whole(mini_wafers):
    assert sum(map(is_partial, mini_wafers.maps)) == 0
