"""Die-level metrics: values computed by hand, what 0 / 0 means, and errors that name the wafer."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, jaccard_score

from camdenoise import WaferMapError
from camdenoise.metrics import (
    calibration_error,
    die_average_precision,
    die_reliability,
    die_report,
    die_scores,
)

NAN = float("nan")


def mask(*values):
    return np.array([values], dtype=bool)


def scores_of(grid, truth, kept):
    return die_scores([grid], [truth], [kept]).iloc[0]


def test_counts_and_rates_match_hand_calculation():
    # Six fails, four of them in the pattern; three of those and one other are kept.
    grid = np.array([[2, 2, 2, 2, 2, 2, 1, 0]])
    scores = scores_of(grid, mask(1, 1, 1, 1, 0, 0, 0, 0), mask(1, 1, 1, 0, 1, 0, 0, 0))
    assert scores[["n_fail", "n_pattern", "n_kept", "true_positive"]].tolist() == [6, 4, 4, 3]
    assert scores["precision"] == 3 / 4
    assert scores["recall"] == 3 / 4
    assert scores["f1"] == 3 / 4
    assert scores["iou"] == 3 / 5
    assert scores["specificity"] == 1 / 2


def test_rates_separate_over_from_under_denoising():
    grid, truth = np.full((1, 4), 2), mask(1, 1, 0, 0)
    too_much = scores_of(grid, truth, mask(1, 1, 1, 1))
    assert too_much[["precision", "recall", "specificity"]].tolist() == [0.5, 1, 0]
    assert too_much["f1"] == pytest.approx(2 / 3) and too_much["iou"] == 0.5
    too_little = scores_of(grid, truth, mask(1, 0, 0, 0))
    assert too_little[["precision", "recall", "specificity"]].tolist() == [1, 0.5, 1]
    assert too_little["f1"] == pytest.approx(2 / 3) and too_little["iou"] == 0.5


def test_rates_equal_scikit_learn_on_failing_dies():
    rng = np.random.default_rng(0)
    grid = rng.integers(0, 3, (20, 20))
    truth, kept = rng.random((2, 20, 20)) < 0.4
    kept &= grid == 2
    scores, fails = scores_of(grid, truth, kept), grid == 2
    assert scores["f1"] == pytest.approx(f1_score(truth[fails], kept[fails]))
    assert scores["iou"] == pytest.approx(jaccard_score(truth[fails], kept[fails]))


def test_truth_on_passing_dies_is_ignored():
    grid = np.array([[2, 1, 0]])
    scores = scores_of(grid, mask(1, 1, 1), mask(1, 0, 0))
    assert scores["n_pattern"] == 1 and scores["recall"] == scores["iou"] == 1


@pytest.mark.parametrize(
    ("grid", "truth", "kept", "rates"),
    [
        # precision, recall, f1, iou, specificity
        ([[2, 2]], mask(0, 0), mask(0, 0), [1, NAN, 1, 1, 1]),
        ([[2, 2]], mask(0, 0), mask(1, 0), [0, NAN, 0, 0, 0.5]),
        ([[2, 2]], mask(1, 0), mask(0, 0), [0, 0, 0, 0, 1]),
        ([[2, 2]], mask(1, 1), mask(1, 1), [1, 1, 1, 1, NAN]),
        ([[2, 2]], mask(1, 1), mask(0, 0), [0, 0, 0, 0, NAN]),
        ([[1, 0]], mask(0, 0), mask(0, 0), [NAN] * 5),
    ],
    ids=[
        "no pattern, nothing kept",
        "no pattern, something kept",
        "a pattern, nothing kept",
        "no noise",
        "no noise, nothing kept",
        "no fails",
    ],
)
def test_zero_by_zero_is_nan_or_the_documented_value(grid, truth, kept, rates):
    scores = scores_of(np.array(grid), truth, kept)
    found = scores[["precision", "recall", "f1", "iou", "specificity"]]
    np.testing.assert_array_equal(found, rates)


def test_die_scores_have_one_row_per_wafer_in_order():
    maps = [np.full((2, 2), 2), np.full((1, 5), 2), np.array([[2]])]
    keep = [np.zeros((2, 2), bool), mask(1, 1, 1, 0, 0), mask(1)]
    scores = die_scores(maps, [np.ones(m.shape, bool) for m in maps], keep)
    assert scores["n_fail"].tolist() == [4, 5, 1] and scores["n_kept"].tolist() == [0, 3, 1]
    assert all(scores[name].dtype == np.int64 for name in ("n_fail", "n_pattern", "n_kept"))


# Two wafers of "a" (one large), one of "b" without a pattern.
MAPS = [np.full((1, 2), 2), np.full((1, 8), 2), np.array([[2, 2, 1]])]
TRUTH = [mask(1, 0), mask(1, 1, 1, 1, 0, 0, 0, 0), mask(0, 0, 0)]
KEPT = [mask(1, 0), mask(1, 1, 0, 0, 1, 1, 0, 0), mask(0, 0, 0)]
TARGET = ["a", "a", "b"]


def test_die_report_averages_over_wafers():
    report = die_report(MAPS, TRUTH, KEPT, TARGET)
    assert report.index.tolist() == ["a", "b", "macro"] and report.index.name == "class"
    assert report["n_wafers"].tolist() == [2, 1, 3]
    assert report["n_fail"].tolist() == [10, 2, 12]
    assert report["true_positive"].tolist() == [3, 0, 3]
    assert report.loc["a", "precision"] == (1 + 1 / 2) / 2
    assert report.loc["a", "recall"] == (1 + 1 / 2) / 2
    assert report.loc["a", "iou"] == pytest.approx((1 + 1 / 3) / 2)
    assert report.loc["a", "specificity"] == (1 + 1 / 2) / 2
    assert report.loc["b", ["precision", "f1", "specificity"]].tolist() == [1, 1, 1]


def test_die_report_pools_dies():
    report = die_report(MAPS, TRUTH, KEPT, TARGET, average="die")
    assert report.loc["a", "precision"] == 3 / 5
    assert report.loc["a", "recall"] == 3 / 5
    assert report.loc["a", "iou"] == 3 / 7
    assert report.loc["a", "specificity"] == 3 / 5
    assert report.loc["macro", "precision"] == (3 / 5 + 1) / 2


def test_macro_is_the_mean_over_classes_with_the_rate():
    report = die_report(MAPS, TRUTH, KEPT, TARGET)
    assert np.isnan(report.loc["b", "recall"])
    assert report.loc["macro", "recall"] == report.loc["a", "recall"]
    assert report.loc["macro", "f1"] == pytest.approx(report.loc[["a", "b"], "f1"].mean())


def test_wafer_without_the_rate_leaves_class_mean():
    report = die_report(MAPS, TRUTH, KEPT, ["a", "a", "a"])
    assert report.loc["a", "recall"] == (1 + 1 / 2) / 2


def test_classes_are_sorted_and_may_be_numbers():
    report = die_report(MAPS, TRUTH, KEPT, pd.Series([3, 1, 2], index=[9, 8, 7]))
    assert report.index.tolist() == [1, 2, 3, "macro"]
    assert report.loc[1, "n_fail"] == 8


def test_average_precision_equals_scikit_learn():
    rng = np.random.default_rng(0)
    maps = [rng.integers(0, 3, (9, 7 + i)) for i in range(6)]
    truth = [rng.random(grid.shape) < 0.5 for grid in maps]
    saliency = [rng.integers(0, 6, grid.shape) / 5 for grid in maps]  # with ties
    found = die_average_precision(maps, truth, saliency)
    expected = [
        average_precision_score(t[grid == 2], s[grid == 2])
        for grid, t, s in zip(maps, truth, saliency, strict=True)
    ]
    np.testing.assert_allclose(found, expected)


def test_average_precision_matches_hand_calculation():
    grid = np.full((1, 4), 2)
    ranked = np.array([[0.9, 0.8, 0.2, 0.1]])
    for truth, expected in [
        (mask(1, 1, 0, 0), 1.0),
        (mask(0, 0, 1, 1), (1 / 3 + 2 / 4) / 2),
        (mask(1, 0, 0, 1), (1 + 2 / 4) / 2),
    ]:
        assert die_average_precision([grid], [truth], [ranked])[0] == pytest.approx(expected)
    flat = np.zeros((1, 4))
    assert die_average_precision([grid], [mask(1, 0, 0, 0)], [flat])[0] == 0.25


@pytest.mark.parametrize("truth", [mask(0, 0, 1), mask(1, 1, 0)], ids=["no pattern", "no noise"])
def test_average_precision_without_fails_is_nan(truth):
    assert np.isnan(die_average_precision([[[2, 2, 1]]], [truth], [np.ones((1, 3))])[0])


def test_saliency_of_passing_dies_is_ignored():
    grid = np.array([[2, 2, 1, 0]])
    plain = die_average_precision([grid], [mask(1, 0, 0, 0)], [np.array([[0.5, 0.4, 0, 0]])])
    other = die_average_precision([grid], [mask(1, 0, 0, 0)], [np.array([[0.5, 0.4, 9, NAN]])])
    assert plain == other == 1


TWO = [np.full((1, 2), 2), np.array([[2, 1]])]
GOOD = [mask(1, 1), mask(1, 0)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kept": GOOD[:1]}, "kept has 1 entries for 2 wafer maps"),
        ({"truth": [*GOOD, GOOD[0]]}, "truth has 3 entries for 2 wafer maps"),
        ({"truth": [GOOD[0], mask(1, 0, 0)]}, r"wafer map 1: truth has shape \(1, 3\)"),
        ({"kept": [GOOD[0], np.array([[2, 1]])]}, "wafer map 1: kept must be a boolean mask"),
        ({"truth": [GOOD[0], np.array([[1.0, 0]])]}, "wafer map 1: truth must be a boolean mask"),
        ({"kept": [GOOD[0], mask(1, 1)]}, r"wafer map 1: the die at row 0, column 1 .*\(code 1\)"),
        ({"maps": [TWO[0], [[2, 5]]]}, "wafer map 1: value 5"),
    ],
)
def test_errors_of_die_scores_name_the_wafer(change, message):
    with pytest.raises(ValueError, match=message):
        die_scores(**{"maps": TWO, "truth": GOOD, "kept": GOOD} | change)


def test_unreadable_map_is_a_wafer_map_error():
    with pytest.raises(WaferMapError, match="wafer map 1"):
        die_average_precision([TWO[0], [[2, 5]]], GOOD, [np.ones((1, 2))] * 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": ["a"]}, "target has 1 entries for 2 wafer maps"),
        ({"target": ["a", None]}, "target of wafer 1 is missing"),
        ({"target": [NAN, 1.0]}, "target of wafer 0 is missing"),
        ({"target": ["a", "macro"]}, "A class called 'macro'"),
        ({"average": "micro"}, "average must be 'wafer' or 'die', got 'micro'"),
    ],
)
def test_die_report_errors_name_the_remedy(change, message):
    with pytest.raises(ValueError, match=message):
        die_report(TWO, GOOD, GOOD, **{"target": ["a", "b"]} | change)


@pytest.mark.parametrize("value", [NAN, np.inf])
def test_saliency_must_be_finite_on_failing_dies(value):
    saliency = [np.ones((1, 2)), np.array([[value, 0]])]
    with pytest.raises(ValueError, match="wafer map 1: saliency is not finite"):
        die_average_precision(TWO, GOOD, saliency)


@pytest.mark.parametrize("n_bins", [1, 5, 10])
def test_reliability_equals_counts_by_fail(n_bins):
    rng = np.random.default_rng(0)
    grids = [rng.integers(0, 3, shape) for shape in ((9, 12), (1, 1), (20, 7))]
    truth = [rng.random(grid.shape) < 0.4 for grid in grids]
    # Steps of 1/20 put many on the limits of bins, and some at 0 and 1.
    saliency = [rng.integers(0, 21, grid.shape) / 20 for grid in grids]
    bins = [([], []) for _ in range(n_bins)]
    for grid, t, s in zip(grids, truth, saliency, strict=True):
        for cell in np.argwhere(grid == 2):
            p = s[tuple(cell)]
            place = min(round(20 * p) * n_bins // 20, n_bins - 1)
            bins[place][0].append(p)
            bins[place][1].append(t[tuple(cell)])
    table = die_reliability(grids, truth, saliency, n_bins=n_bins)
    assert table["n_dies"].tolist() == [len(p) for p, _ in bins]
    assert table["predicted"].tolist() == pytest.approx([np.mean(p) for p, _ in bins])
    assert table["observed"].tolist() == pytest.approx([np.mean(t) for _, t in bins])
    assert table["low"].tolist() == pytest.approx(np.arange(n_bins) / n_bins)
    n_fails = sum(len(p) for p, _ in bins)
    wanted = sum(len(p) * abs(np.mean(p) - np.mean(t)) for p, t in bins) / n_fails
    assert calibration_error(table) == pytest.approx(wanted)


def test_calibration_error_of_truth_is_small():
    rng = np.random.default_rng(0)
    p = rng.random((200, 200))
    truth = rng.random(p.shape) < p
    grid = np.full(p.shape, 2)
    right = calibration_error(die_reliability([grid], [truth], [p]))
    sure = calibration_error(die_reliability([grid], [truth], [(p > 0.5).astype(float)]))
    # On average a probability is a quarter away from the nearer of 0 and 1.
    assert right < 0.01 and sure == pytest.approx(0.25, abs=0.01)


def test_reliability_of_empty_bins_is_nan():
    table = die_reliability([[[2, 1]]], [mask(1, 1)], [np.array([[0.95, 7.0]])], n_bins=2)
    assert table["n_dies"].tolist() == [0, 1] and np.isnan(table["predicted"][0])
    assert calibration_error(table) == pytest.approx(0.05)
    assert np.isnan(
        calibration_error(die_reliability([[[1, 0]]], [mask(0, 0)], [np.zeros((1, 2))]))
    )


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_reliability_takes_probabilities_only(value):
    saliency = [np.zeros((1, 2)), np.array([[0.5, value]])]
    with pytest.raises(ValueError, match=f"wafer map 1: saliency {value} of a failing die is no"):
        die_reliability([[[2, 2]]] * 2, [mask(1, 0)] * 2, saliency)
