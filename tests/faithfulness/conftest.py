"""Fixtures of the faithfulness tests."""

import pytest
from first_column import FirstColumn, wafer


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
