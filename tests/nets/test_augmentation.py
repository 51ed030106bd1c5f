"""Wafers turned, mirrored and given more fails."""

import numpy as np
import torch

from camdenoise.nets._augmentation import BatchAugmentation, symmetry, undo_symmetry
from camdenoise.nets._encoding import encode_maps
from camdenoise.wafers._maps import FAIL


def die_rows(size, n):
    index = torch.arange(size) * n // size
    return torch.stack([index, index])[None]


def test_symmetries_are_eight_and_distinct():
    image = torch.arange(9).reshape(1, 3, 3)
    assert len({tuple(symmetry(image, i).flatten().tolist()) for i in range(8)}) == 8
    assert all(torch.equal(undo_symmetry(symmetry(image, i), i), image) for i in range(8))


def test_noise_augmentation_flips_whole_dies_only():
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
