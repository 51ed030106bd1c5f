"""Deletion and insertion curves, drawn."""

import matplotlib

matplotlib.use("Agg")
import numpy as np

from camdenoise.plotting import (
    plot_faithfulness_curves,
)


def test_curves_show_mean_over_wafers_and_area():
    falling = np.array([[1, 0.5, 0], [1, 0.1, 0], [np.nan] * 3])
    ax = plot_faithfulness_curves({"cam": falling, "random": falling[:1]})
    cam, random = ax.lines
    np.testing.assert_allclose(cam.get_ydata(), [1, 0.3, 0])
    np.testing.assert_allclose(cam.get_xdata(), [0, 0.5, 1])
    assert cam.get_color() != random.get_color() and cam.get_linewidth() < random.get_linewidth()
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["cam (0.40)", "random (0.50)"]
    edge = ax.collections[0].get_paths()[0].vertices[:, 1]
    error = 1.96 * 0.2 / np.sqrt(2)  # of the middle point
    assert {round(0.3 - error, 6), round(0.3 + error, 6)} <= set(edge.round(6))
    road = plot_faithfulness_curves({"cam": falling[:, :2]}, fractions=[0, 0.25])
    assert road.lines[0].get_xdata()[-1] == 0.25
