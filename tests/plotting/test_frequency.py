"""How often each place of the wafer fails."""

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pytest

from camdenoise.filters import MedianFilter
from camdenoise.plotting import (
    FrequencyDisplay,
    unit_wafer_mean,
)


def test_frequencies_are_stacked_by_class_on_one_scale(lot):
    maps, _, why = lot
    display = FrequencyDisplay.from_predictions(maps, why)
    assert display.n_wafers == {"Center": 5, "Edge-Ring": 3}
    for name, axes in zip(display.means, display.axes_, strict=True):
        fails, kept, removed = display.means[name]
        np.testing.assert_allclose(fails, kept + removed)
        assert {ax.images[0].get_clim() for ax in axes} == {(0, np.nanmax(fails))}
    assert display.means["Center"][1][20, 20] > 0.8 > 0.1 > display.means["Edge-Ring"][1][20, 20]
    regrouped = FrequencyDisplay.from_predictions(maps, why, target=[1] * 7 + [2])
    assert regrouped.n_wafers == {"1": 7, "2": 1}
    with pytest.raises(ValueError, match="target has 2 entries"):
        FrequencyDisplay.from_predictions(maps, why, target=[1, 2])


def test_frequencies_without_classes_are_one_stack(lot):
    assert FrequencyDisplay.from_estimator(MedianFilter(), lot[0]).n_wafers == {"all": 8}


def test_unit_wafer_mean_averages_different_grids():
    maps = [np.ones((3, 3), int), np.ones((6, 6), int), np.ones((6, 6), int)]
    values = [np.zeros(m.shape) for m in maps]
    values[1][:2, :2] = 1
    mean = unit_wafer_mean(values, maps, size=6)
    np.testing.assert_allclose(mean[:2, :2], 1 / 3)
    assert mean[2:].sum() == 0


def test_unit_wafer_mean_skips_places_without_dies():
    maps = [np.array([[0, 2]]), np.array([[2, 2]]), np.array([[0, 1]])]
    mean = unit_wafer_mean([m == 2 for m in maps], maps, size=2)
    assert np.isnan(mean[0, 0])  # one wafer of three has a die there
    np.testing.assert_allclose(mean[0, 1], 2 / 3)
