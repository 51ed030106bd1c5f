"""From dies to pixels and back."""

import numpy as np
import pytest
import torch
from maps_of_shapes import MAP_SHAPES, some_maps

from camdenoise.nets._encoding import (
    choose_sizes,
    encode_maps,
    mean_on_dies,
    one_hot,
    to_die_grid,
)
from camdenoise.wafers._maps import FAIL


def test_nearest_resize_keeps_every_die_when_enlarging():
    grid = np.random.default_rng(0).integers(0, 3, (5, 7)).astype(np.uint8)
    square = encode_maps([grid], 70)[0].numpy()
    np.testing.assert_array_equal(square, np.kron(grid, np.ones((14, 10), np.uint8)))


def test_rows_stay_in_order_when_shapes_mix():
    maps = [np.full((3 + i % 2, 4), i % 3, np.uint8) for i in range(6)]
    assert [int(s.max()) for s in encode_maps(maps, 8)] == [0, 1, 2, 0, 1, 2]


def test_one_hot_has_a_plane_per_code():
    planes = one_hot(torch.tensor([[[0, 1], [2, 2]]], dtype=torch.uint8))
    assert planes.shape == (1, 3, 2, 2) and planes.sum() == 4
    assert planes[0].argmax(0).tolist() == [[0, 1], [2, 2]]
    assert planes.is_contiguous(memory_format=torch.channels_last)


def test_to_die_grid_agrees_with_torch_interpolation():
    """A wafer that fills the square reads the values `align_corners=False` gives."""
    coarse = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
    found = to_die_grid(coarse, [(20, 20), (20, 20)], 64)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(coarse)[None], size=(20, 20), mode="bilinear", align_corners=False
    )[0]
    np.testing.assert_allclose(np.stack(found), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("shape", [(9, 30), (30, 9), (1, 1), (100, 90)])
def test_to_die_grid_finds_a_bright_die_in_place(shape):
    y, x = shape[0] // 3, 2 * shape[1] // 3
    grid = np.ones(shape, np.uint8)
    grid[y, x] = FAIL
    size = 128
    square = (encode_maps([grid], size) == FAIL).float().numpy()
    saliency = to_die_grid(square, [shape], size)[0]
    assert saliency.shape == shape
    assert np.unravel_index(saliency.argmax(), shape) == (y, x)


def test_to_die_grid_of_one_cell_is_constant():
    assert (to_die_grid(np.full((1, 1, 1), 3.0, np.float32), [(4, 5)], 8)[0] == 3).all()


def test_shown_sizes_are_smallest_with_a_pixel_per_die():
    shapes = [(3, 32), (33, 5), (64, 64), (65, 1), (500, 500)]
    assert choose_sizes(shapes, (64, 32, 96)).tolist() == [32, 64, 64, 96, 96]
    assert choose_sizes(shapes, 48).tolist() == [48] * 5
    assert choose_sizes([], (32, 64)).tolist() == []


def test_mean_on_dies_undoes_the_encoding():
    maps = some_maps()
    codes = encode_maps(maps, 64).numpy().astype(np.float32)
    for grid, again in zip(maps, mean_on_dies(codes, MAP_SHAPES), strict=True):
        np.testing.assert_allclose(again, grid, atol=1e-6)
