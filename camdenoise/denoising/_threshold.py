"""Threshold rules: how much evidence a fail needs to be kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar
from warnings import warn

import numpy as np
import pandas as pd
from scipy.special import expit

from camdenoise.metrics._dies import COUNTS, add_rates

#: Thresholds of a curve: evenly spread log-odds, so that they are dense near 0 and 1.
THRESHOLDS = np.concatenate([[0.0], expit(np.linspace(-7, 7, 141)).round(5), [1.0]])
#: Columns of a curve.
CURVE = ("threshold", "recall", "specificity", "f1")


@dataclass(frozen=True)
class TargetRecall:
    """Choose the threshold that keeps this share of a pattern's fails, on average.

    Of the thresholds that reach it on the calibration wafers, the one that removes most of the
    other fails is taken.

    Parameters
    ----------
    value : float between 0 and 1

    Examples
    --------
    >>> from camdenoise import CamDenoiser
    >>> from camdenoise.denoising import TargetRecall
    >>> CamDenoiser(threshold=TargetRecall(0.9))
    CamDenoiser(threshold=TargetRecall(value=0.9))
    """

    value: float
    reaches: ClassVar[str] = "recall"
    best: ClassVar[str] = "specificity"


@dataclass(frozen=True)
class TargetSpecificity:
    """Choose the threshold that removes this share of the fails without a pattern, on average.

    Of the thresholds that reach it on the calibration wafers, the one that keeps most of the
    patterns' fails is taken.

    Parameters
    ----------
    value : float between 0 and 1
    """

    value: float
    reaches: ClassVar[str] = "specificity"
    best: ClassVar[str] = "recall"


#: Thresholds that are chosen on a curve.
TARGETS = (TargetRecall, TargetSpecificity)


def check_threshold(threshold: Any) -> None:
    """Accept "auto", a share, or a target.

    Raises
    ------
    ValueError
        For anything else.
    """
    value: Any = threshold.value if isinstance(threshold, TARGETS) else threshold
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if (isinstance(threshold, str) and threshold == "auto") or (
        is_number and 0 <= float(value) <= 1
    ):
        return
    raise ValueError(
        "threshold must be 'auto', a number from 0 to 1, TargetRecall(share) or "
        f"TargetSpecificity(share), got {threshold!r}."
    )


def best_expected_f1(probability: np.ndarray) -> tuple[float, float]:
    """Find the threshold on probabilities that makes the expected F1 of what is kept greatest.

    A fixed threshold suits the average wafer. Where every fail is doubtful it keeps nothing, and
    where all is clear it keeps too much. The best threshold for F1 is half of the F1 that can be
    reached on the wafer [1]_.

    Parameters
    ----------
    probability : ndarray of float, shape (n,)
        Probability of each fail to be part of the pattern.

    Returns
    -------
    threshold : float
        The least probability that is kept; infinite where there are no fails.
    f1 : float
        Twice the expected hits, divided by the number kept plus the expected number of fails in
        the pattern. The ratio of expected values is maximized, not the expected ratio, which takes
        far longer to compute and is nearly the same.

    References
    ----------
    .. [1] Z. C. Lipton, C. Elkan, B. Naryanaswamy, "Thresholding Classifiers to Maximize F1
       Score", ECML PKDD 2014, arXiv:1402.1892.

    Examples
    --------
    >>> best_expected_f1(np.array([0.9, 0.1, 0.8]))
    (0.8, 0.8947368421052632)
    >>> best_expected_f1(np.array([0.3, 0.2]))[0]  # keeping nothing would score 0
    0.2
    """
    if not probability.size:
        return float("inf"), 0.0
    ranked = np.sort(probability.astype(float))[::-1]
    n_kept = np.arange(1, len(ranked) + 1)
    f1 = 2 * np.cumsum(ranked) / (n_kept + ranked.sum())
    best = int(f1.argmax())
    return float(ranked[best]), float(f1[best])


def threshold_curve(
    evidence: Sequence[np.ndarray], truth: Sequence[np.ndarray], strata: Sequence[tuple]
) -> pd.DataFrame:
    """Measure for each threshold what is kept of the patterns and removed of the rest.

    Parameters
    ----------
    evidence : sequence of ndarray of float, shape (n_fails,)
        Evidence of each wafer's fails. Where none reaches the threshold, all are kept.
    truth : sequence of ndarray of bool, shape (n_fails,)
        Which of them belong to the pattern.
    strata : sequence of tuple
        Kind of each wafer. The mean is over the wafers that agree in all entries, then over those
        that agree in all but the last, and so on.

    Returns
    -------
    DataFrame, one row per threshold in rising order
        ``threshold``; ``recall`` (share of the pattern's fails that are kept), ``specificity``
        (share of the other fails that are removed) and ``f1``, means over the wafers.
    """
    counts = [_counts(*of_wafer) for of_wafer in zip(evidence, truth, strict=True)]
    rates = add_rates(pd.DataFrame(np.concatenate(counts), columns=COUNTS))
    rates = rates[["recall", "specificity", "f1"]].set_axis(CURVE[1:], axis=1)
    keys = [np.tile(THRESHOLDS, len(counts))]
    keys += [np.repeat(key, len(THRESHOLDS)) for key in zip(*strata, strict=True)]
    means = rates.groupby(keys).mean()
    while means.index.nlevels > 1:
        means = means.groupby(level=list(range(means.index.nlevels - 1))).mean()
    return means.rename_axis("threshold").reset_index()


def threshold_for(target: TargetRecall | TargetSpecificity, curve: pd.DataFrame) -> float:
    """Choose a threshold on a curve.

    Warns
    -----
    UserWarning
        Where no threshold reaches the target; the nearest to it is taken.

    Examples
    --------
    >>> curve = pd.DataFrame([[0.2, 0.9, 0.4], [0.8, 0.5, 1.0]])
    >>> curve.columns = ["threshold", "recall", "specificity"]
    >>> threshold_for(TargetRecall(0.8), curve)
    0.2
    """
    reached, best = curve[curve[target.reaches] >= target.value], target.best
    if reached.empty:
        warn(
            f"{target} is not reached on the calibration wafers; the threshold with the highest "
            f"{target.reaches}, {curve[target.reaches].max():.3f}, is taken. See "
            "`calibration_.threshold_curve`.",
            stacklevel=2,
        )
        reached, best = curve, target.reaches
    return float(reached["threshold"][reached[best].idxmax()])


def _counts(evidence: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count a wafer's fails for each threshold: in all, of the pattern, kept, and both."""
    of_pattern = evidence[truth]
    n_kept, n_hits = (
        len(values) - np.searchsorted(np.sort(values), THRESHOLDS)
        for values in (evidence, of_pattern)
    )
    n_hits = np.where(n_kept > 0, n_hits, len(of_pattern))
    n_kept = np.where(n_kept > 0, n_kept, len(evidence))
    in_all = np.full(len(THRESHOLDS), len(evidence))
    return np.column_stack([in_all, np.full_like(in_all, len(of_pattern)), n_kept, n_hits])
