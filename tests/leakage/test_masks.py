"""Maps that show the mask alone."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser
from camdenoise.leakage import (
    CONTROLS,
    CrossFit,
    marked_map,
)


@pytest.fixture
def fit(classifier, wafers):
    """Sixty wafers, forty of which train, explained by one net."""
    maps, target = wafers.maps[:60], wafers.target[:60]
    denoiser = CamDenoiser(FrozenEstimator(classifier)).fit(maps)
    train = np.arange(40)
    models = [(denoiser, np.arange(40, 60)), (denoiser, train)]
    return CrossFit(maps, target, train, models, independent=models)


def masks(name, fit, seed=0):
    return CONTROLS[name].masks(fit, np.random.default_rng(seed))


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
