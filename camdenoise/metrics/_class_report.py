"""How well classes are named, with intervals that know that wafers of a lot are alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, column_or_1d

_N_RESAMPLES = 2000
_ENDS = (0.025, 0.975)
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
    >>> from camdenoise.metrics._class_report import class_report
    >>> report = class_report(["Loc", "Loc", "none", "none"], ["Loc", "none", "none", "none"])
    >>> report["f1"].round(2).to_dict()
    {'Loc': 0.67, 'none': 0.8, 'macro': 0.73, 'accuracy': nan}
    """
    target, predicted = (column_or_1d(np.asarray(of, str)) for of in (target, predicted))
    groups = np.arange(len(target)) if groups is None else np.asarray(groups)
    check_consistent_length(target, predicted, groups)
    if not len(target):
        raise ValueError("There is no wafer to score. Give labelled wafers.")
    labels = np.unique([*target, *predicted])
    hits, named, there = (
        _by_group(of[:, np.newaxis] == labels, mask, groups)
        for of, mask in (
            (target, target == predicted),
            (predicted, np.full(len(target), True)),
            (target, np.full(len(target), True)),
        )
    )
    in_truth = there.sum(axis=0) > 0
    with np.errstate(invalid="ignore"):
        report = pd.DataFrame(
            {
                "n_wafers": there.sum(axis=0),
                "precision": hits.sum(axis=0) / named.sum(axis=0),
                "recall": hits.sum(axis=0) / there.sum(axis=0),
                "f1": _f1(hits.sum(axis=0), named.sum(axis=0), there.sum(axis=0)),
            },
            index=labels,
        )
    report.loc["macro"] = report[in_truth].mean()
    right = hits.sum() / len(target)
    report.loc["accuracy", ["n_wafers", "recall"]] = len(target), right
    report.loc["macro", "n_wafers"] = len(target)
    ends = _intervals(hits, named, there, in_truth, random_state)
    report[["low", "high"]] = ends.T
    return report.astype({"n_wafers": int})


def _by_group(of_class: np.ndarray, counted: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Count wafers of each class in each group: shape (n_groups, n_classes)."""
    number = np.unique(groups, return_inverse=True)[1]
    counts = np.zeros((number.max() + 1, of_class.shape[1]))
    np.add.at(counts, number[counted], of_class[counted])
    return counts


def _f1(hits: np.ndarray, named: np.ndarray, there: np.ndarray) -> np.ndarray:
    return 2 * hits / (named + there)


def _intervals(hits, named, there, in_truth: np.ndarray, random_state: Any) -> np.ndarray:
    """Give both ends for each class, the macro mean and the accuracy."""
    n_groups, n_classes = hits.shape
    if n_groups < 2:
        return np.full((2, n_classes + 2), np.nan)
    rng = check_random_state(random_state)
    times = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=_N_RESAMPLES)
    with np.errstate(invalid="ignore"):
        f1 = _f1(times @ hits, times @ named, times @ there)
        # A resample may lack a class.
        macro = np.nanmean(f1[:, in_truth], axis=1)
        right = (times @ hits).sum(axis=1) / (times @ there).sum(axis=1)
    return np.nanquantile(np.column_stack([f1, macro, right]), _ENDS, axis=0)
