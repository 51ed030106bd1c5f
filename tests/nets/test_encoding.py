"""From dies to pixels and back."""

import numpy as np
import pytest
import torch

from camdenoise.nets._augmentation import BatchAugmentation, symmetry, undo_symmetry
from camdenoise.nets._encoding import encode_maps, one_hot, to_die_grid
from camdenoise.wafers._maps import FAIL


def test_nearest_resize_keeps_every_die_when_enlarging():
    grid = np.random.default_rng(0).integers(0, 3, (5, 7)).astype(np.uint8)
    square = encode_maps([grid], 70)[0].numpy()
    np.testing.assert_array_equal(square, np.kron(grid, np.ones((14, 10), np.uint8)))


def test_rows_stay_in_order_when_shapes_mix():
    maps = [np.full((3 + i % 2, 4), i % 3, np.uint8) for i in range(6)]
    assert [int(s.max()) for s in encode_maps(maps, 8)] == [0, 1, 2, 0, 1, 2]


def test_one_hot():
    planes = one_hot(torch.tensor([[[0, 1], [2, 2]]], dtype=torch.uint8))
    assert planes.shape == (1, 3, 2, 2) and planes.sum() == 4
    assert planes[0].argmax(0).tolist() == [[0, 1], [2, 2]]
    assert planes.is_contiguous(memory_format=torch.channels_last)


def test_reading_back_agrees_with_torch_interpolation():
    """A wafer that fills the square reads the values `align_corners=False` gives."""
    coarse = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
    found = to_die_grid(coarse, [(20, 20), (20, 20)], 64)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(coarse)[None], size=(20, 20), mode="bilinear", align_corners=False
    )[0]
    np.testing.assert_allclose(np.stack(found), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("shape", [(9, 30), (30, 9), (1, 1), (100, 90)])
def test_a_bright_die_is_found_where_it_is(shape):
    y, x = shape[0] // 3, 2 * shape[1] // 3
    grid = np.ones(shape, np.uint8)
    grid[y, x] = FAIL
    size = 128
    square = (encode_maps([grid], size) == FAIL).float().numpy()
    saliency = to_die_grid(square, [shape], size)[0]
    assert saliency.shape == shape
    assert np.unravel_index(saliency.argmax(), shape) == (y, x)


def test_a_one_cell_grid_is_constant():
    assert (to_die_grid(np.full((1, 1, 1), 3.0, np.float32), [(4, 5)], 8)[0] == 3).all()


def die_rows(size, n):
    index = torch.arange(size) * n // size
    return torch.stack([index, index])[None]


def test_symmetries_are_eight_and_distinct():
    image = torch.arange(9).reshape(1, 3, 3)
    assert len({tuple(symmetry(image, i).flatten().tolist()) for i in range(8)}) == 8
    assert all(torch.equal(undo_symmetry(symmetry(image, i), i), image) for i in range(8))


def test_flips_come_in_whole_dies_and_spare_no_die():
    grid = np.ones((8, 8), np.uint8)
    grid[0] = 0
    codes = encode_maps([grid], 32)
    dies = die_rows(32, 8)
    flipped = BatchAugmentation(False, 1.0)(codes, dies, torch.Generator().manual_seed(0))[
        0
    ].numpy()
    blocks = flipped.reshape(8, 4, 8, 4).transpose(0, 2, 1, 3).reshape(64, 16)
    assert (blocks.min(1) == blocks.max(1)).all()
    assert (flipped[:4] == 0).all() and 0 < (flipped == FAIL).mean() < 1


def test_background_only_adds_fails():
    codes = encode_maps([np.ones((8, 8), np.uint8)] * 20, 32)
    background = torch.zeros(1, 32, 32, dtype=torch.bool)
    background[:, 8:16, 8:16] = True
    add = BatchAugmentation(False, 0.0, background, background_share=1.0)
    noisy = add(codes, die_rows(32, 8).expand(20, 2, 32), torch.Generator().manual_seed(0))
    assert (noisy == FAIL).any() and ((noisy == FAIL) | (noisy == 1)).all()
    assert (codes == 1).all()
