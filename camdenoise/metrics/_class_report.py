"""How well classes are predicted, with intervals that allow for the likeness of a lot's wafers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length, column_or_1d

from camdenoise.metrics._statistics import interval_of_totals

# Fewest wafers of a class; with fewer, one wafer moves a score by a tenth or more.
_FEWEST_OF_CLASS = 10


def few_wafers_warning(target: Any, fewest: int = _FEWEST_OF_CLASS) -> str | None:
    """Write which classes have too few wafers to train on or to score.

    Parameters
    ----------
    target : array-like of shape (n_wafers,)
        True labels.
    fewest : int, default=10
        Smallest number of wafers of a class.

    Returns
    -------
    str or None
        A warning that names the classes and their numbers; None if all classes have enough.

    Examples
    --------
    >>> from camdenoise.metrics._class_report import few_wafers_warning
    >>> few_wafers_warning(["Loc"] * 3 + ["none"] * 50)
    'fewer than 10 wafers of these classes: Loc (3). What is trained or scored on so few ...'
    """
    labels, counts = np.unique(np.asarray(target, str), return_counts=True)
    few = [f"{label} ({n})" for label, n in zip(labels, counts, strict=True) if n < fewest]
    if not few:
        return None
    return (
        f"fewer than {fewest} wafers of these classes: {', '.join(few)}. What is trained or scored "
        "on so few wafers says little about others. Add wafers of these classes."
    )


def class_report(
    target: Any, predicted: Any, groups: Any = None, *, random_state: Any = 0
) -> pd.DataFrame:
    """Score predicted classes, for each class and overall.

    Parameters
    ----------
    target, predicted : array-like of str, shape (n_wafers,)
        True and predicted labels.
    groups : array-like of shape (n_wafers,), default=None
        The lot of each wafer. None: each wafer is a lot of its own.
    random_state : int, RandomState instance or None, default=0
        For the intervals.

    Returns
    -------
    DataFrame, one row per class in sorted order, then "macro" and "accuracy"
        ``n_wafers``; ``precision``, ``recall``, ``f1``; ``low`` and ``high``, a 95 % percentile
        bootstrap interval of the F1 over lots. In the row "accuracy", ``recall`` is the share of
        wafers with the right class, and the interval is of this share. NaN with one lot, or if a
        score is not defined.

    Raises
    ------
    ValueError
        For lengths that do not match, or no wafer.

    Notes
    -----
    "macro" is the mean over the classes of `target`. A class that is only predicted has a row too.

    Examples
    --------
    >>> from camdenoise.metrics import class_report
    >>> report = class_report(["Loc", "Loc", "none", "none"], ["Loc", "none", "none", "none"])
    >>> report["f1"].round(2).to_dict()
    {'Loc': 0.67, 'none': 0.8, 'macro': 0.73, 'accuracy': nan}
    """
    target, predicted = (column_or_1d(np.asarray(y, str)) for y in (target, predicted))
    check_consistent_length(target, predicted, groups)
    if not len(target):
        raise ValueError("There is no wafer to score. Give labeled wafers.")
    labels = np.unique([*target, *predicted])
    true, positive = (y[:, np.newaxis] == labels for y in (target, predicted))
    counts = np.hstack([true & positive, positive, true]).astype(float)
    true_positive, n_predicted, n_true = np.split(counts.sum(axis=0), 3)
    in_target = n_true > 0
    with np.errstate(invalid="ignore"):
        report = pd.DataFrame(
            {
                "n_wafers": n_true,
                "precision": true_positive / n_predicted,
                "recall": true_positive / n_true,
                "f1": 2 * true_positive / (n_predicted + n_true),
            },
            index=labels,
        )
    report.loc["macro"] = report[in_target].mean()
    report.loc["macro", "n_wafers"] = len(target)
    accuracy = true_positive.sum() / len(target)
    report.loc["accuracy", ["n_wafers", "recall"]] = len(target), accuracy
    report["low"], report["high"] = interval_of_totals(
        counts, lambda totals: _scores(totals, in_target), groups=groups, random_state=random_state
    )
    return report.astype({"n_wafers": int})


def _scores(totals: np.ndarray, in_target: np.ndarray) -> np.ndarray:
    """Return the F1 of each class, the macro mean and the accuracy of each resample."""
    true_positive, n_predicted, n_true = np.split(totals, 3, axis=1)
    # A resample may lack a class.
    with np.errstate(invalid="ignore"):
        f1 = 2 * true_positive / (n_predicted + n_true)
    macro = np.nanmean(f1[:, in_target], axis=1)
    return np.column_stack([f1, macro, true_positive.sum(axis=1) / n_true.sum(axis=1)])
