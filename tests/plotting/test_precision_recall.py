"""Precision and retention over thresholds."""

import matplotlib

matplotlib.use("Agg")
import numpy as np
import pytest
from explained_lots import explanation

from camdenoise.metrics import die_precision_recall, die_scores
from camdenoise.plotting import (
    DiePrecisionRecallDisplay,
    DieReliabilityDisplay,
)


def test_precision_retention_has_a_point_per_threshold():
    truth = [np.array([[True, True, False, False]]), np.array([[False, True]])]
    saliency = [np.array([[0.9, 0.4, 0.4, 0.9]]), np.array([[0.1, 0.7]])]
    maps = [np.array([[2, 2, 2, 1]]), np.array([[2, 2]])]
    table = die_precision_recall(maps, truth, saliency)
    assert table["threshold"].tolist() == [0.1, 0.4, 0.7, 0.9]
    for row in table.itertuples():
        kept = [(s >= row.threshold) & (g == 2) for s, g in zip(saliency, maps, strict=True)]
        counts = die_scores(maps, truth, kept)[["true_positive", "n_kept", "n_pattern"]].sum()
        assert row.precision == pytest.approx(counts["true_positive"] / counts["n_kept"])
        assert row.recall == pytest.approx(counts["true_positive"] / counts["n_pattern"])
    with pytest.raises(ValueError, match="nothing to retain"):
        die_precision_recall(maps, [np.zeros_like(t) for t in truth], saliency)


def test_precision_retention_marks_the_decision(lot):
    maps, truth, why = lot
    wrong = [explanation(grid, ~w.kept) for grid, w in zip(maps[:3], why[:3], strict=True)]
    display = DiePrecisionRecallDisplay.from_predictions(maps, wrong + why[3:], truth=truth)
    curve, diamond = display.ax_.lines
    np.testing.assert_array_equal(curve.get_xdata(), display.table["recall"])
    np.testing.assert_array_equal(curve.get_ydata(), display.table["precision"])
    # Here saliency is 1 or 0, so that the decision is the threshold 1.
    at_one = display.table.set_index("threshold").loc[1]
    assert diamond.get_xdata()[0] == pytest.approx(at_one["recall"]) != 1
    assert diamond.get_ydata()[0] == pytest.approx(at_one["precision"]) != 1
    display.plot(display.ax_, name="again", color="red", linestyle=":")
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["a threshold for all dies", "decided", "again", "again, decided"]


def test_precision_retention_refuses_foreign_truth(lot):
    maps, truth, why = lot
    with pytest.raises(ValueError, match="truth has 2 entries for 8 wafer maps"):
        DiePrecisionRecallDisplay.from_predictions(maps, why, truth=truth[:2])
    with pytest.raises(ValueError, match="wafer map 0: truth has shape"):
        DieReliabilityDisplay.from_predictions(maps, why, truth=truth[::-1])
