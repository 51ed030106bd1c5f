"""Pictures of explanations."""

import matplotlib
from explained_lots import SMALL_GRID, shown

matplotlib.use("Agg")
import numpy as np
import pytest

from camdenoise import Explanation
from camdenoise.filters import MedianFilter
from camdenoise.plotting import (
    ExplanationDisplay,
    plot_explanation,
    plot_wafer_map,
)


def test_explanation_row_shows_class_and_counts(lot):
    maps, _, why = lot
    shy = Explanation(
        why[1].saliency, maps[1] == 2, np.zeros(maps[1].shape, bool), "none", 0.7, abstained=True
    )
    axes = ExplanationDisplay.from_predictions(maps[:2], [why[0], shy]).axes_
    verdicts = [row[0].texts[0].get_text() for row in axes]
    assert verdicts == [f"wafer 0\n{why[0].label}\np = 0.90", "wafer 1\nnone\np = 0.70\nabstained"]
    n_fails, n_kept = (maps[0] == 2).sum(), why[0].kept.sum()
    wanted = [f"{n_fails} fails", "saliency to 1", f"{n_kept} kept", f"{n_fails - n_kept} removed"]
    assert [ax.get_title() for ax in axes[0]] == wanted


def test_plot_explanation_draws_four_pictures():
    why = MedianFilter().explain([SMALL_GRID])[0]
    axes = plot_explanation(SMALL_GRID, why)
    raw, saliency, kept, removed = (shown(ax) for ax in axes)
    assert np.isnan(axes[1].images[0].get_array().filled(np.nan)[0, 0])
    fail, passed = raw[1, 1], raw[0, 2]
    assert ((kept == fail).all(-1) == why.kept).all()
    assert ((kept == passed).all(-1) == ((SMALL_GRID == 1) | why.removed)).all()
    assert not (removed == fail).all(-1).any()
    assert saliency.shape == raw.shape


def test_plot_explanation_refuses_an_unreadable_map():
    nothing = np.zeros((0, 0), bool)
    with pytest.raises(ValueError, match="value 9"):
        plot_explanation(SMALL_GRID, Explanation(nothing, nothing, nothing, error="value 9"))
    with pytest.raises(ValueError, match="Unknown palette 'red'; choose one of colorblind, fab"):
        plot_wafer_map(SMALL_GRID, palette="red")
