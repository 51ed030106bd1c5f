"""The order of dies, and the maps with dies changed in that order."""

import numpy as np
import pytest

from camdenoise.faithfulness import (
    CURVES,
)
from camdenoise.faithfulness._perturbation import die_order, variants


def test_die_order_sorts_by_saliency():
    saliency = np.array([[3.0, 1, 2], [2, 2, 9]])
    ties = np.array([[0.0, 0, 0.5], [0.1, 0.9, 0]])
    chosen = np.array([[True, True, True], [True, True, False]])
    assert die_order(chosen, saliency, ties).tolist() == [0, 3, 2, 4, 1]


@pytest.mark.parametrize("kind", CURVES)
def test_variants_are_valid_maps_changed_only_at_dies(kind, ragged):
    grid = ragged[5]
    before = grid.copy()
    steps = variants(kind, grid, np.random.default_rng(0).random(grid.shape), 5, seed=3)
    for variant in steps:
        assert variant.dtype == np.uint8 and set(np.unique(variant)) <= {0, 1, 2}
        np.testing.assert_array_equal(variant == 0, grid == 0)
        if not kind.startswith("road"):
            assert not ((variant == 2) & (grid != 2)).any()
    np.testing.assert_array_equal(grid, before)
    whole = steps[-1] if kind == "insertion" else steps[0]
    np.testing.assert_array_equal(whole, grid)
