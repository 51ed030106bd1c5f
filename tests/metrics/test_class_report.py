"""The report of class predictions, and the warning about rare classes."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from camdenoise.metrics import class_report
from camdenoise.metrics._class_report import few_wafers_warning


def test_few_wafers_warning_names_the_classes():
    message = few_wafers_warning(np.array(["Loc"] * 3 + ["none"] * 10 + ["Donut"]))
    assert "of these classes: Donut (1), Loc (3)." in message


def test_few_wafers_warning_is_silent_with_enough():
    assert few_wafers_warning(["Loc"] * 10 + ["none"] * 11) is None


def some_answers(n=400, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.choice(["Center", "Loc", "Scratch", "none"], n, p=[0.4, 0.3, 0.1, 0.2])
    wrong = rng.random(n) < 0.3
    predicted = np.where(wrong, rng.choice(["Center", "Loc", "none"], n), target)
    return target, predicted


def test_class_report_scores_equal_scikit_learn():
    target, predicted = some_answers()
    report = class_report(target, predicted)
    labels = np.unique(target)
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        expected = score(target, predicted, labels=labels, average=None)
        np.testing.assert_allclose(report.loc[labels, name], expected)
        assert report.loc["macro", name] == pytest.approx(expected.mean())
    assert report.loc["accuracy", "recall"] == pytest.approx(accuracy_score(target, predicted))
    assert report["n_wafers"].tolist() == [*np.unique(target, return_counts=True)[1], 400, 400]
    inside = (report["low"] < report["f1"]) & (report["f1"] < report["high"])
    assert inside[[*labels, "macro"]].all()
    assert report.loc["accuracy", "low"] < report.loc["accuracy", "recall"]


def test_class_report_intervals_resample_whole_lots():
    target, predicted = some_answers(300)
    alone = class_report(target, predicted)
    # Nine wafers of a lot that are all alike tell no more than one.
    nine = np.tile(target, 9), np.tile(predicted, 9)
    of_lots, as_wafers = class_report(*nine, np.tile(np.arange(300), 9)), class_report(*nine)
    widths = [(r["high"] - r["low"])["accuracy"] for r in (alone, of_lots, as_wafers)]
    assert widths[1] == pytest.approx(widths[0]) and widths[2] < widths[0] / 2
    standard_error = np.sqrt(0.79 * 0.21 / 300)
    assert widths[0] == pytest.approx(2 * 1.96 * standard_error, rel=0.2)


def test_class_report_undefined_scores_are_nan():
    report = class_report(["Loc", "Loc"], ["Loc", "none"], ["A", "A"])
    assert np.isnan(report.loc["none", "recall"]) and report.loc["none", "n_wafers"] == 0
    assert report.loc["macro", "f1"] == report.loc["Loc", "f1"] == pytest.approx(2 / 3)
    assert report[["low", "high"]].isna().all(axis=None)
    with pytest.raises(ValueError, match="no wafer to score"):
        class_report([], [])
