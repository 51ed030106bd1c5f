"""Reliability of probabilities."""

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pandas as pd

from camdenoise.plotting import (
    DieReliabilityDisplay,
    plot_reliability,
)


def test_reliability_of_an_oracle_is_perfect(lot):
    maps, truth, why = lot
    display = DieReliabilityDisplay.from_predictions(maps, why, truth=truth, n_bins=4)
    assert len(display.table) == 4 and len(display.ax_.lines) == 2
    assert display.ax_.get_legend().get_texts()[0].get_text() == "calibration error 0.000"
    display.plot(display.ax_, name="again", ref_line=False)
    assert len(display.ax_.lines) == 3


def test_reliability_is_drawn_with_the_diagonal():
    sure = pd.DataFrame({"n_dies": [3, 0, 1], "predicted": [0.1, np.nan, 0.8]})
    sure["observed"] = [0.0, np.nan, 1.0]
    ax = plot_reliability({"sure": sure, "right": sure.assign(observed=sure["predicted"])})
    diagonal, first, second = ax.lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
    np.testing.assert_array_equal(first.get_xdata(), sure["predicted"])
    np.testing.assert_array_equal(first.get_ydata(), sure["observed"])
    assert first.get_color() != second.get_color()
    areas = ax.collections[0].get_sizes()
    assert areas[0] > areas[2]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["sure (0.125)", "right (0.000)"]
