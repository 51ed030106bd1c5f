"""Wafer maps that must be equal, map for map."""

import numpy as np


def assert_same_maps(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.uint8 and one.shape == other.shape
        np.testing.assert_array_equal(one, other)
