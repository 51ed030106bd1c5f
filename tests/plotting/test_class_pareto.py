"""Wafers counted by class."""

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pandas as pd
import pytest

from camdenoise.filters import MedianFilter
from camdenoise.plotting import (
    ClassParetoDisplay,
)


def test_pareto_counts_classes_in_falling_order(lot):
    maps, _, why = lot
    display = ClassParetoDisplay.from_predictions(maps[::-1], why[::-1])
    assert [bar.get_height() for bar in display.ax_.patches] == [5, 3]
    labels = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert labels == ["Center: 5", "Edge-Ring: 3"]
    np.testing.assert_allclose(display.share_ax_.lines[0].get_ydata(), [5 / 8, 1])
    with pytest.raises(ValueError, match="name no class"):
        ClassParetoDisplay.from_estimator(MedianFilter(), maps)


def test_pareto_orders_equal_classes_by_name():
    display = ClassParetoDisplay(pd.Series({"Loc": 1, "Center": 1, "none": 3})).plot()
    labels = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert labels == ["none: 3", "Center: 1", "Loc: 1"]
