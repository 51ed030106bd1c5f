"""Fixtures of the faithfulness tests."""

import numpy as np
import pytest
from first_column import FirstColumn, wafer
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser


@pytest.fixture
def clf():
    return FirstColumn()


@pytest.fixture
def ragged():
    """Wafers of different sizes, with holes."""
    maps = [wafer(4 + i, 5 + i % 3, others=6 + i) for i in range(30)]
    for grid in maps:
        grid[0, -1] = grid[-1, -1] = 0
    return maps


@pytest.fixture
def denoiser(classifier):
    options = {"method": "hirescam", "layers": ["stage3"]}
    return CamDenoiser(FrozenEstimator(classifier), **options).fit([np.ones((3, 3))])
