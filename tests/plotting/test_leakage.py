"""Gains of denoising and their controls, drawn."""

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pandas as pd

from camdenoise.plotting import (
    plot_leakage,
)


def test_leakage_plot_shows_gains_and_controls():
    names = ["raw", "denoised", "true class", "equal area"]
    gains = np.array([np.nan, 0.1, 0.2, -0.1])
    columns = {"condition": names, "accuracy": 0.8 + np.nan_to_num(gains), "gain": gains}
    summary = pd.DataFrame(columns | {"gain_low": gains - 0.05, "gain_high": gains + 0.03})
    ax = plot_leakage(summary)
    bars = [container[0] for container in ax.containers]
    np.testing.assert_allclose([bar.get_width() for bar in bars], gains[1:])
    assert [bool(bar.get_hatch()) for bar in bars] == [False, False, True]
    assert len({bar.get_facecolor() for bar in bars}) == 3
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0.05, 0.13])
    assert "raw wafers (0.800)" in ax.get_xlabel()
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["denoised", "other controls", "without evidence for the class"]
