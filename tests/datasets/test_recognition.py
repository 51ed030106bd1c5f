"""Shapes of patterns, recognized on the wafers of a class."""

import numpy as np
import pytest

from camdenoise.datasets import (
    PATTERN_CLASSES,
)
from camdenoise.datasets._recognition import recognize_shape


@pytest.mark.parametrize("n_wafers", [30, 60, 300])
@pytest.mark.parametrize("label", PATTERN_CLASSES)
def test_real_shapes_are_recognized(dev, label, n_wafers):
    of_label = np.flatnonzero(dev.target == label)
    rng = np.random.RandomState(0)
    found = [
        recognize_shape([dev.maps[row] for row in rng.permutation(of_label)[:n_wafers]])
        for _ in range(3)
    ]
    assert found == [label] * 3


@pytest.mark.parametrize("label", ["none", "Random", "Near-full"])
def test_classes_without_a_place_have_no_shape(dev, label):
    rows = np.flatnonzero(dev.target == label)[:200]
    assert recognize_shape([dev.maps[row] for row in rows]) is None


@pytest.mark.parametrize("n_wafers", [0, 1, 2])
def test_classes_of_few_wafers_have_no_shape(labeled, n_wafers):
    rows = np.flatnonzero(labeled.target == "Edge-Ring")[:n_wafers]
    assert recognize_shape([labeled.maps[row] for row in rows]) is None
