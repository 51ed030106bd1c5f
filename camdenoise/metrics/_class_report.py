"""How well classes are named, with intervals that know that wafers of a lot are alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length, column_or_1d

from camdenoise.metrics._statistics import interval_of_totals

# Of fewer wafers, one more or less right moves a score by a tenth or more.
_FEWEST_OF_CLASS = 10


def few_wafers_warning(target: Any, fewest: int = _FEWEST_OF_CLASS) -> str | None:
    """Say which classes have too few wafers to train or to score by.

    Parameters
    ----------
    target : array-like of shape (n_wafers,)
        True labels.
    fewest : int, default=10
        How many wafers of a class are enough.

    Returns
    -------
    str or None
        A warning to show that names the classes and their numbers; None where all have enough.

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
    """Score predicted classes, for each class and in all.

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
    DataFrame, one row per class that is there, in sorted order, then "macro" and "accuracy"
        ``n_wafers``; ``precision``, ``recall``, ``f1``; ``low`` and ``high``, a 95 % percentile
        bootstrap over lots of the F1, in "accuracy" of the share of wafers that are named rightly,
        which is also its ``recall``. NaN where there is one lot, or a score is not defined.

    Raises
    ------
    ValueError
        For lengths that do not match, or no wafer.

    Notes
    -----
    "macro" is the mean over the classes of `target`; a class that is only predicted has a row.

    Examples
    --------
    >>> from camdenoise.metrics import class_report
    >>> report = class_report(["Loc", "Loc", "none", "none"], ["Loc", "none", "none", "none"])
    >>> report["f1"].round(2).to_dict()
    {'Loc': 0.67, 'none': 0.8, 'macro': 0.73, 'accuracy': nan}
    """
    target, predicted = (column_or_1d(np.asarray(of, str)) for of in (target, predicted))
    check_consistent_length(target, predicted, groups)
    if not len(target):
        raise ValueError("There is no wafer to score. Give labeled wafers.")
    labels = np.unique([*target, *predicted])
    of_target, of_predicted = (of[:, np.newaxis] == labels for of in (target, predicted))
    counts = np.hstack([of_target & of_predicted, of_predicted, of_target]).astype(float)
    hits, named, there = np.split(counts.sum(axis=0), 3)
    in_truth = there > 0
    with np.errstate(invalid="ignore"):
        report = pd.DataFrame(
            {
                "n_wafers": there,
                "precision": hits / named,
                "recall": hits / there,
                "f1": _f1(hits, named, there),
            },
            index=labels,
        )
    report.loc["macro"] = report[in_truth].mean()
    report.loc["macro", "n_wafers"] = len(target)
    report.loc["accuracy", ["n_wafers", "recall"]] = len(target), hits.sum() / len(target)
    report["low"], report["high"] = interval_of_totals(
        counts, lambda totals: _scores(totals, in_truth), groups=groups, random_state=random_state
    )
    return report.astype({"n_wafers": int})


def _f1(hits: np.ndarray, named: np.ndarray, there: np.ndarray) -> np.ndarray:
    return 2 * hits / (named + there)


def _scores(totals: np.ndarray, in_truth: np.ndarray) -> np.ndarray:
    """Give the F1 of each class, the macro mean and the accuracy of each resample."""
    hits, named, there = np.split(totals, 3, axis=1)
    # A resample may lack a class.
    with np.errstate(invalid="ignore"):
        f1 = _f1(hits, named, there)
    macro = np.nanmean(f1[:, in_truth], axis=1)
    return np.column_stack([f1, macro, hits.sum(axis=1) / there.sum(axis=1)])
