"""Wafers as record batches."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from camdenoise.stream import (
    wafer_batch,
    wafers_of,
)

GRIDS = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 2))
)


@given(st.lists(GRIDS, max_size=6), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_wafer_batch_returns_equal_maps(maps, start):
    batch = wafer_batch(maps, pd.DataFrame({"slot": range(len(maps))})).slice(start)
    back, errors = wafers_of(batch)
    assert errors == [None] * len(maps[start:])
    for grid, again in zip(maps[start:], back, strict=True):
        np.testing.assert_array_equal(grid, again)


def test_wafer_batch_refuses_mismatched_keys():
    with pytest.raises(ValueError, match="1 rows of keys for 2"):
        wafer_batch([np.ones((2, 2), np.uint8)] * 2, pd.DataFrame({"lot": ["a"]}))
