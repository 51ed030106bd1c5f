"""How well a denoiser separates pattern and noise, measured on failing dies only.

Most dies pass and can be neither kept nor removed; counting them would make every denoiser look
good. So each failing die is one decision: it belongs to the pattern or not, and was kept or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.metrics import average_precision_score, precision_recall_curve

from camdenoise.wafers._maps import (
    FAIL,
    WaferMaps,
    check_die_arrays,
    check_die_masks,
    check_lengths,
    check_wafer_maps,
)

COUNTS = ["n_fail", "n_pattern", "n_kept", "true_positive"]
RATES = ["precision", "recall", "f1", "iou", "specificity"]


def die_scores(
    maps: WaferMaps, truth: Sequence[np.ndarray], kept: Sequence[np.ndarray]
) -> pd.DataFrame:
    """Score each wafer's kept fails against the fails that belong to its pattern.

    Parameters
    ----------
    maps : collection of wafer maps
        The maps that were denoised, not the result.
    truth : sequence of bool arrays, one per wafer, each of its map's shape
        Where the pattern is. Its dies that do not fail are ignored.
    kept : sequence of bool arrays, one per wafer, each of its map's shape
        Fails that the denoiser kept, as in `Explanation.kept`.

    Returns
    -------
    DataFrame, one row per wafer in the order of `maps`
        Counts of failing dies: ``n_fail``, ``n_pattern`` (in the truth), ``n_kept`` and
        ``true_positive`` (in both). Rates between 0 and 1: ``precision``, ``recall`` (share of the
        pattern's fails that was kept), ``f1``, ``iou`` and ``specificity`` (share of the other
        fails, the noise, that was removed).

    Raises
    ------
    ValueError
        For lengths or shapes that do not match, masks that are not boolean, or a kept die that
        does not fail; the message names the wafer.

    Notes
    -----
    If a rate would be 0 / 0:

    - No pattern and nothing kept is the right answer: precision, f1 and iou are 1.
    - A pattern and nothing kept: precision is 0, so that keeping nothing has no advantage.
    - No pattern: recall is NaN. No noise: specificity is NaN.
    - No failing die: there was nothing to decide, and every rate is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.metrics import die_scores
    >>> wafer_map = np.array([[2, 2, 1], [2, 1, 2]])
    >>> truth = np.array([[True, True, False], [True, False, False]])
    >>> kept = np.array([[True, True, False], [False, False, True]])
    >>> die_scores([wafer_map], [truth], [kept]).round(2).T
                      0
    n_fail         4.00
    n_pattern      3.00
    n_kept         3.00
    true_positive  2.00
    precision      0.67
    recall         0.67
    f1             0.67
    iou            0.50
    specificity    0.00
    """
    grids = check_wafer_maps(maps)
    truth = check_die_masks(truth, grids, "truth")
    kept = _check_kept(kept, grids)
    counts = [_count(grid == FAIL, t, k) for grid, t, k in zip(grids, truth, kept, strict=True)]
    return add_rates(pd.DataFrame(counts, columns=COUNTS))


def die_report(
    maps: WaferMaps,
    truth: Sequence[np.ndarray],
    kept: Sequence[np.ndarray],
    target: Sequence[Any],
    *,
    average: str = "wafer",
) -> pd.DataFrame:
    """Summarize `die_scores` per class, with a row for the mean over classes.

    Parameters
    ----------
    maps, truth, kept
        As in `die_scores`.
    target : array-like of shape (n_wafers,)
        The class of each wafer.
    average : {"wafer", "die"}, default="wafer"
        "wafer": mean of the wafers' rates without NaN, so that each wafer has the same weight.
        "die": rates of all dies of the class, so that each failing die has the same weight.

    Returns
    -------
    DataFrame, one row per class in sorted order, then "macro"
        ``n_wafers`` and the columns of `die_scores`. Counts are sums. The rates of "macro" are
        means over the classes in which they are defined.

    Raises
    ------
    ValueError
        As `die_scores`, and for a missing label, a class called "macro" or another `average`.

    Examples
    --------
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.metrics import die_report
    >>> wafers = make_wafer_maps(40, classes=["Center", "Scratch"], random_state=0)
    >>> kept = [e.kept for e in MedianFilter().explain(wafers.maps)]
    >>> report = die_report(wafers.maps, wafers.truth, kept, wafers.target)
    >>> bool(report.loc["Center", "recall"] > report.loc["Scratch", "recall"])
    True
    """
    if average not in ("wafer", "die"):
        raise ValueError(f"average must be 'wafer' or 'die', got {average!r}.")
    scores = die_scores(maps, truth, kept)
    by_class = scores.groupby(_check_target(target, len(scores)), sort=True)
    report = by_class[COUNTS].sum()
    if average == "die":
        report = add_rates(report)
    else:
        report = report.join(by_class[RATES].mean())
    report.insert(0, "n_wafers", by_class.size())
    return _add_macro(report)


def die_average_precision(
    maps: WaferMaps, truth: Sequence[np.ndarray], saliency: Sequence[np.ndarray]
) -> np.ndarray:
    """Score how well the saliency ranks a wafer's pattern fails above its other fails.

    Parameters
    ----------
    maps : collection of wafer maps
        The maps that were denoised, not the result.
    truth : sequence of bool arrays, one per wafer, each of its map's shape
        Where the pattern is.
    saliency : sequence of float arrays, one per wafer, each of its map's shape
        Score of each die, as in `Explanation.saliency`; only the order within a wafer matters.

    Returns
    -------
    ndarray of float, shape (n_wafers,)
        Average precision over the failing dies. A random order scores the pattern's share of the
        fails. NaN for a wafer without pattern fails or without other fails.

    Raises
    ------
    ValueError
        For lengths or shapes that do not match, masks that are not boolean, or a saliency that
        is not finite on a failing die; the message names the wafer.

    See Also
    --------
    sklearn.metrics.average_precision_score : What is computed for each wafer.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.metrics import die_average_precision
    >>> truth = np.array([[True, True, False, False]])
    >>> die_average_precision([[[2, 2, 2, 1]]], [truth], [np.array([[0.9, 0.2, 0.5, 1.0]])])
    array([0.83333333])
    """
    grids = check_wafer_maps(maps)
    truth = check_die_masks(truth, grids, "truth")
    saliency = _check_saliency(saliency, grids)
    with config_context(skip_parameter_validation=True, assume_finite=True):
        return np.array(
            [
                _average_precision(t[grid == FAIL], s[grid == FAIL])
                for grid, t, s in zip(grids, truth, saliency, strict=True)
            ]
        )


def die_precision_recall(
    maps: WaferMaps, truth: Sequence[np.ndarray], saliency: Sequence[np.ndarray]
) -> pd.DataFrame:
    """Compute precision and recall for each threshold on the saliency, over all failing dies.

    Parameters
    ----------
    maps : collection of wafer maps
        The maps that were denoised, not the result.
    truth : sequence of bool arrays, one per wafer, each of its map's shape
        Where the pattern is.
    saliency : sequence of float arrays, one per wafer, each of its map's shape
        Score of each die, as in `Explanation.saliency`.

    Returns
    -------
    DataFrame, one row per distinct saliency of a failing die, in rising order
        ``threshold``, at or above which a fail is kept; ``precision``, the share of the kept fails
        that belongs to the pattern; ``recall``, the share of the pattern's fails that is kept.

    Raises
    ------
    ValueError
        For lengths or shapes that do not match, masks that are not boolean, a saliency that is
        not finite on a failing die, or no fail of a pattern on any wafer.

    See Also
    --------
    camdenoise.plotting.DiePrecisionRecallDisplay : Draws it.
    sklearn.metrics.precision_recall_curve : What is computed.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.metrics import die_precision_recall
    >>> truth = np.array([[True, True, False]])
    >>> die_precision_recall([[[2, 2, 2]]], [truth], [np.array([[0.9, 0.4, 0.5]])]).round(2)
       threshold  precision  recall
    0        0.4       0.67     1.0
    1        0.5       0.50     0.5
    2        0.9       1.00     0.5
    """
    grids = check_wafer_maps(maps)
    truth = check_die_masks(truth, grids, "truth")
    in_pattern, scores = _select_fails(grids, truth, _check_saliency(saliency, grids))
    if not in_pattern.any():
        raise ValueError(
            "No failing die is in the truth, so there is nothing to retain. Pass wafers with a "
            "pattern, such as those of make_planted_wafers."
        )
    precision, recall, threshold = precision_recall_curve(in_pattern, scores)
    # The last point of scikit-learn's curve, nothing kept, has no threshold.
    return pd.DataFrame(
        {"threshold": threshold, "precision": precision[:-1], "recall": recall[:-1]}
    )


def die_reliability(
    maps: WaferMaps,
    truth: Sequence[np.ndarray],
    saliency: Sequence[np.ndarray],
    *,
    n_bins: int = 10,
) -> pd.DataFrame:
    """Compare the predicted probability of fails with how often they belong to the pattern.

    Parameters
    ----------
    maps : collection of wafer maps
        The maps that were denoised, not the result.
    truth : sequence of bool arrays, one per wafer, each of its map's shape
        Where the pattern is.
    saliency : sequence of float arrays, one per wafer, each of its map's shape
        Probability that each die belongs to the pattern, as in `Explanation.saliency` of a
        `CamDenoiser` with ``method="evidence"``. Only failing dies count.
    n_bins : int, default=10
        Number of equal parts of the range from 0 to 1.

    Returns
    -------
    DataFrame, one row per bin
        ``low`` and ``high``, its limits (the lower one belongs to it, in the last bin both);
        ``n_dies``, the fails in it; ``predicted``, their mean probability; ``observed``, the share
        of them that belongs to the pattern. The last two are NaN for a bin without fails.

    Raises
    ------
    ValueError
        For lengths or shapes that do not match, masks that are not boolean, or a saliency of a
        failing die that is not a number from 0 to 1; the message names the wafer.

    See Also
    --------
    calibration_error : One number for the table.
    camdenoise.plotting.DieReliabilityDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.metrics import die_reliability
    >>> truth = np.array([[False, True, True, False]])
    >>> die_reliability([[[2, 2, 2, 1]]], [truth], [np.array([[0.1, 0.3, 0.8, 1]])], n_bins=2)
       low  high  n_dies  predicted  observed
    0  0.0   0.5       2        0.2       0.5
    1  0.5   1.0       1        0.8       1.0
    """
    grids = check_wafer_maps(maps)
    truth = check_die_masks(truth, grids, "truth")
    saliency = _check_saliency(saliency, grids)
    _check_probability(saliency, grids)
    observed, predicted = _select_fails(grids, truth, saliency)
    edges = np.arange(n_bins + 1) / n_bins
    bins = np.searchsorted(edges[1:-1], predicted, side="right")
    dies = pd.DataFrame({"predicted": predicted.astype(float), "observed": observed.astype(float)})
    means = dies.groupby(bins).mean().reindex(range(n_bins))
    counts = np.bincount(bins, minlength=n_bins)
    limits = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "n_dies": counts})
    return limits.join(means)


def calibration_error(reliability: pd.DataFrame) -> float:
    """Compute the expected calibration error of fails.

    Parameters
    ----------
    reliability : DataFrame
        As `die_reliability` returns it.

    Returns
    -------
    float
        Mean distance between a bin's predicted probability and observed share, weighted by the
        bin's fails. NaN without fails.

    References
    ----------
    .. [1] M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities
       Using Bayesian Binning", AAAI 2015.

    Examples
    --------
    >>> import pandas as pd
    >>> from camdenoise.metrics import calibration_error
    >>> table = pd.DataFrame({"n_dies": [3, 1], "predicted": [0.1, 0.8], "observed": [0, 1]})
    >>> round(calibration_error(table), 3)
    0.125
    """
    off = (reliability["predicted"] - reliability["observed"]).abs()
    n_dies = reliability["n_dies"].sum()
    return float((off * reliability["n_dies"]).sum() / n_dies) if n_dies else float("nan")


def _check_kept(kept: Any, grids: Sequence[np.ndarray]) -> list[np.ndarray]:
    read = check_die_masks(kept, grids, "kept")
    for row, (mask, grid) in enumerate(zip(read, grids, strict=True)):
        wrong = mask & (grid != FAIL)
        if wrong.any():
            y, x = np.argwhere(wrong)[0]
            raise ValueError(
                f"wafer map {row}: the die at row {y}, column {x} is kept but does not fail "
                f"(code {grid[y, x]}). Pass the map as it was before denoising, and masks of fails."
            )
    return read


def _check_saliency(saliency: Any, grids: Sequence[np.ndarray]) -> list[np.ndarray]:
    read = check_die_arrays(saliency, grids, "saliency")
    for row, (score, grid) in enumerate(zip(read, grids, strict=True)):
        if not np.isfinite(score[grid == FAIL]).all():
            raise ValueError(
                f"wafer map {row}: saliency is not finite on every failing die. "
                "Give dies without evidence the score 0."
            )
    return read


def _select_fails(grids: Sequence[np.ndarray], *arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Return the values on the failing dies of all wafers, one array for each of `arrays`."""
    fails = [grid == FAIL for grid in grids]
    return [
        np.concatenate([values[fail] for values, fail in zip(array, fails, strict=True)])
        for array in arrays
    ]


def _check_probability(saliency: list[np.ndarray], grids: Sequence[np.ndarray]) -> None:
    for row, (score, grid) in enumerate(zip(saliency, grids, strict=True)):
        on_fails = score[grid == FAIL]
        wrong = on_fails[(on_fails < 0) | (on_fails > 1)]
        if len(wrong):
            raise ValueError(
                f"wafer map {row}: saliency {wrong[0]} of a failing die is not a probability. "
                "Pass numbers from 0 to 1, such as those of CamDenoiser(method='evidence')."
            )


def _check_target(target: Any, n_wafers: int) -> np.ndarray:
    target = np.asarray(target)
    check_lengths(target, n_wafers, "target")
    missing = np.flatnonzero(pd.isna(target))
    if len(missing):
        raise ValueError(
            f"target of wafer {missing[0]} is missing; leave out wafers without a label."
        )
    if (target == "macro").any():
        raise ValueError("A class called 'macro' would clash with the report's last row.")
    return target


def _count(fails: np.ndarray, truth: np.ndarray, kept: np.ndarray) -> list[int]:
    pattern = truth & fails
    return [int(np.count_nonzero(m)) for m in (fails, pattern, kept, pattern & kept)]


def add_rates(counts: pd.DataFrame) -> pd.DataFrame:
    """Add the rates to counts of failing dies, as `die_scores` defines them."""
    n_fail, n_pattern, n_kept, true_positive = (counts[name].to_numpy(float) for name in COUNTS)
    noise = n_fail - n_pattern
    rates = {
        "precision": _ratio(true_positive, n_kept, np.where(n_pattern > 0, 0.0, 1.0)),
        "recall": _ratio(true_positive, n_pattern, np.nan),
        "f1": _ratio(2 * true_positive, n_kept + n_pattern, 1.0),
        "iou": _ratio(true_positive, n_kept + n_pattern - true_positive, 1.0),
        "specificity": 1 - _ratio(n_kept - true_positive, noise, np.nan),
    }
    decided = {name: np.where(n_fail > 0, rate, np.nan) for name, rate in rates.items()}
    return counts.assign(**decided)


def _ratio(part: np.ndarray, whole: np.ndarray, otherwise: Any) -> np.ndarray:
    """Divide; the result is `otherwise` where the divisor is 0."""
    return np.divide(part, whole, out=np.zeros_like(part) + otherwise, where=whole > 0)


def _add_macro(report: pd.DataFrame) -> pd.DataFrame:
    sums = report[["n_wafers", *COUNTS]].sum()
    macro = pd.concat([sums, report[RATES].mean()]).to_frame("macro").T
    macro = macro.astype(report.dtypes.to_dict())
    return pd.concat([report, macro]).rename_axis("class")


def _average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    if truth.all() or not truth.any():
        return float("nan")
    return float(average_precision_score(truth, score))
