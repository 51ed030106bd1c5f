"""The checksum of a model file."""

import torch

from camdenoise.nets._checkpoint import checksum


def test_checksum_covers_names_dtypes_and_shapes():
    ones = torch.ones(2, 3)
    others = [{"v": ones}, {"w": ones.T.contiguous()}, {"w": ones.view(torch.int32)}]
    assert checksum({}, {"w": ones}) not in [checksum({}, weights) for weights in others]
