"""Maps that show the mask alone."""

import numpy as np
from leakage_stubs import masks

from camdenoise.leakage import (
    CrossFit,
    marked_map,
)


def test_marked_map_hides_which_dies_fail(fit):
    swapped = [np.array([0, 2, 1], np.uint8)[grid] for grid in fit.maps]
    other = CrossFit(swapped, fit.target, fit.train, fit.models)
    other.__dict__["own"] = fit.own  # the same saliency on a wafer of other fails
    for grid, mask, other_grid, other_mask in zip(
        fit.maps, masks("mask alone", fit), swapped, masks("mask alone", other), strict=True
    ):
        shown = marked_map(grid, mask)
        np.testing.assert_array_equal(shown, marked_map(other_grid, other_mask))
        assert (shown[grid == 2] == 1).any() or (shown[grid == 1] == 2).any()
        np.testing.assert_array_equal(shown == 0, grid == 0)
