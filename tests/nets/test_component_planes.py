"""Input planes with the sizes of components."""

import numpy as np
import torch
from maps_of_shapes import MAP_SHAPES, some_maps

from camdenoise.filters._component_size import component_size
from camdenoise.nets._component_planes import add_component_planes, input_planes
from camdenoise.nets._encoding import encode_dies, encode_maps


def test_planes_hold_the_component_size_in_dies():
    maps = some_maps()
    dies = encode_dies(MAP_SHAPES, 40)
    planes = add_component_planes(encode_maps(maps, 40), dies)
    sizes = [component_size(grid, 8) for grid in maps]
    doublings = [np.round(20 * np.log2(1 + size)).astype(np.uint8) for size in sizes]
    shares = [np.round(255 * size / size.max()).astype(np.uint8) for size in sizes]
    for plane, wanted in zip(planes.unbind(1), (maps, doublings, shares), strict=True):
        assert torch.equal(plane, encode_maps(wanted, 40))


def test_planes_of_a_wafer_without_fails_are_zero():
    codes = torch.ones(1, 8, 8, dtype=torch.uint8)
    assert add_component_planes(codes, encode_dies([(8, 8)], 8))[:, 1:].sum() == 0


def test_input_planes_are_between_zero_and_one():
    codes = encode_maps(some_maps(), 32)
    planes = input_planes(add_component_planes(codes, encode_dies(MAP_SHAPES, 32)))
    assert planes.shape == (4, 5, 32, 32) and planes.min() == 0 and planes.max() == 1
    assert torch.equal(planes[:, :3], input_planes(codes))
