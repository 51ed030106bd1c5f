"""Intervals and tests for scores of wafers, which allow for the likeness of a lot's wafers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.utils import check_random_state

from camdenoise.wafers._maps import check_lengths

#: A function of the values of a resample.
Statistic: TypeAlias = Callable[[np.ndarray], Any]

# Resamples of an interval; the standard error of each end is then 1.5 % of the width.
_N_RESAMPLES = 2000
_CONFIDENCE = 0.95
# Resampled values in memory at a time: 32 MB.
_BATCH_VALUES = 4_000_000


def bootstrap_interval(
    values: ArrayLike,
    statistic: Statistic = np.mean,
    *,
    groups: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    n_resamples: int = _N_RESAMPLES,
    confidence: float = _CONFIDENCE,
    random_state: Any = None,
) -> tuple[float, float]:
    """Compute the percentile bootstrap interval of a statistic of one value per wafer.

    Parameters
    ----------
    values : array-like of float, shape (n_wafers,)
        One score per wafer. NaN (a wafer on which the score is undefined) is left out.
    statistic : callable, default=numpy.mean
        Function of the values of a resample, an array of one dimension.
    groups : array-like of shape (n_wafers,), default=None
        Wafers that are not independent share a group: those of a lot, or with the same planted
        pattern. Whole groups are drawn. None: all wafers are independent.
    strata : array-like of shape (n_wafers,), default=None
        Groups are drawn within each stratum, and the statistics of the strata are averaged. With
        classes as strata, this is the interval of a macro average. None: one stratum.
    n_resamples : int, default=2000
        Number of resamples, drawn with replacement.
    confidence : float between 0 and 1, default=0.95
        Confidence level.
    random_state : int, RandomState instance or None, default=None
        For the resamples.

    Returns
    -------
    low, high : float
        NaN if a stratum has fewer than two groups.

    Raises
    ------
    ValueError
        For values that are not one-dimensional, or lengths that do not match.

    Notes
    -----
    Without `groups`, wafers of a lot count as independent. Where lots differ, the interval is then
    too narrow.

    Examples
    --------
    >>> from camdenoise.metrics import bootstrap_interval
    >>> low, high = bootstrap_interval([0.7, 0.8, 0.9, 0.8], random_state=0)
    >>> 0.7 <= low < 0.8 < high <= 0.9
    True
    """
    table = _tabulate(values, groups, strata)
    rng = check_random_state(random_state)
    parts = [part for _, part in table.groupby("stratum")]
    if not parts or min(part["group"].nunique() for part in parts) < 2:
        return np.nan, np.nan
    drawn = np.mean([_resample(part, statistic, n_resamples, rng) for part in parts], axis=0)
    low, high = np.quantile(drawn, _quantile_levels(confidence))
    return float(low), float(high)


def interval_of_totals(
    counts: np.ndarray,
    score: Callable[[np.ndarray], np.ndarray],
    *,
    groups: ArrayLike | None = None,
    random_state: Any = None,
) -> tuple[np.ndarray | float, np.ndarray | float]:
    """Compute the percentile bootstrap intervals of scores that follow from sums over wafers.

    Parameters
    ----------
    counts : ndarray of shape (n_wafers, n_counts)
        Counts of each wafer.
    score : callable
        Takes the sums over the wafers of each resample, shape (n_resamples, n_counts). Returns the
        scores, shape (n_resamples, n_scores); NaN, such as for a resample without the class, is
        left out.
    groups, random_state
        As in `bootstrap_interval`.

    Returns
    -------
    low, high : ndarray of shape (n_scores,)
        One NaN each with fewer than two groups.
    """
    codes = _codes(np.arange(len(counts)) if groups is None else groups)
    if codes.max() < 1:
        return np.nan, np.nan
    totals = _resample_totals(counts, codes, _N_RESAMPLES, check_random_state(random_state))
    low, high = np.nanquantile(score(totals), _quantile_levels(_CONFIDENCE), axis=0)
    return low, high


def _quantile_levels(confidence: float) -> tuple[float, float]:
    return (1 - confidence) / 2, (1 + confidence) / 2


def _tabulate(values: Any, groups: Any, strata: Any) -> pd.DataFrame:
    """Return a row per wafer that has a value: value, group and stratum."""
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1:
        raise ValueError(f"values must be one number per wafer, got shape {numbers.shape}.")
    table = pd.DataFrame({"value": numbers, "group": np.arange(len(numbers)), "stratum": 0})
    for column, name, labels in (("group", "groups", groups), ("stratum", "strata", strata)):
        if labels is not None:
            check_lengths(labels, len(numbers), name)
            table[column] = np.asarray(labels)
    return table.dropna(subset="value")


def _codes(groups: Any) -> np.ndarray:
    """Return the number of each wafer's group: 0 for the first in sorted order."""
    return np.unique(np.asarray(groups), return_inverse=True)[1]


def _draw_groups(
    n_groups: int, n_resamples: int, rng: np.random.RandomState
) -> Iterator[np.ndarray]:
    """Draw groups with replacement: arrays of shape (some resamples, n_groups)."""
    batch = max(1, _BATCH_VALUES // n_groups)
    for done in range(0, n_resamples, batch):
        yield rng.randint(n_groups, size=(min(batch, n_resamples - done), n_groups))


def _resample(
    part: pd.DataFrame, statistic: Statistic, n_resamples: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return the statistic of each resample of a stratum."""
    values, codes = part["value"].to_numpy(), _codes(part["group"])
    if statistic is np.mean:
        counts = np.column_stack([values, np.ones_like(values)])
        sums, sizes = _resample_totals(counts, codes, n_resamples, rng).T
        return sums / sizes
    ends = np.cumsum(np.bincount(codes))
    members = np.split(values[np.argsort(codes, kind="stable")], ends[:-1])
    return np.array(
        [
            statistic(np.concatenate([members[code] for code in drawn]))
            for batch in _draw_groups(len(members), n_resamples, rng)
            for drawn in batch
        ]
    )


def _resample_totals(
    counts: np.ndarray, codes: np.ndarray, n_resamples: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return the sums of the counts over each resample: shape (n_resamples, n_counts)."""
    by_group = np.zeros((codes.max() + 1, counts.shape[1]))
    np.add.at(by_group, codes, counts)
    n_groups, totals = len(by_group), []
    for drawn in _draw_groups(n_groups, n_resamples, rng):
        places = drawn + n_groups * np.arange(len(drawn))[:, np.newaxis]
        times = np.bincount(places.ravel(), minlength=drawn.size).reshape(drawn.shape)
        totals.append(times @ by_group)
    return np.concatenate(totals)


def sign_flip_test(
    differences: Sequence[float],
    *,
    groups: Sequence[Any] | None = None,
    strata: Sequence[Any] | None = None,
    n_resamples: int = 9999,
    random_state: Any = None,
) -> float:
    """Test whether two denoisers scored on the same wafers differ in the mean.

    If they are equally good, each difference could as well have the other sign. So the signs are
    flipped at random, those of a group together. The p-value is the share of flips after which the
    mean is as far from zero as without them.

    Parameters
    ----------
    differences : array-like of float, shape (n_wafers,)
        One denoiser's score less the other's on each wafer. NaN (a wafer on which a score is
        undefined) is left out.
    groups : array-like of shape (n_wafers,), default=None
        Wafers that are not independent share a group: those of a lot, or with the same planted
        pattern. None: all wafers are independent.
    strata : array-like of shape (n_wafers,), default=None
        The mean is over the wafers of each stratum, then over the strata. With classes as strata,
        this is the difference of macro averages. None: one stratum.
    n_resamples : int, default=9999
        Number of random flips. If fewer flips are possible, each is tried once.
    random_state : int, RandomState instance or None, default=None
        For the flips.

    Returns
    -------
    float
        The two-sided p-value.

    Raises
    ------
    ValueError
        For lengths that do not match, or fewer than two groups.

    See Also
    --------
    holm : For several such tests.
    scipy.stats.permutation_test : What is computed, on one sum per group.

    Examples
    --------
    >>> from camdenoise.metrics import sign_flip_test
    >>> sign_flip_test([0.1, 0.2, 0.1, 0.3, 0.2])  # 2 of the 32 ways to choose the signs
    0.0625
    """
    table = _tabulate(differences, groups, strata)
    sizes = table.groupby("stratum")["value"].transform("size")
    shares = table["value"] / (sizes * table["stratum"].nunique())
    sums = shares.groupby(table["group"]).sum().to_numpy()
    if len(sums) < 2:
        raise ValueError(f"A paired test needs wafers of at least two groups, got {len(sums)}.")
    tested = stats.permutation_test(
        (sums,),
        np.sum,
        permutation_type="samples",
        n_resamples=n_resamples,
        batch=max(1, _BATCH_VALUES // len(sums)),
        random_state=check_random_state(random_state),
    )
    return float(tested.pvalue)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Adjust the p-values of several tests, so that their level holds for all of them together.

    Parameters
    ----------
    p_values : array-like of float, shape (n_tests,)

    Returns
    -------
    ndarray of float, shape (n_tests,)
        Compare them with the level for all tests together.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
       Journal of Statistics 6(2), 1979.

    Examples
    --------
    >>> from camdenoise.metrics import holm
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values)
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1)
    return adjusted
