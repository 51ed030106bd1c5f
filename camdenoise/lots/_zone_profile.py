"""How kept and removed fails spread over the rings and sectors of a wafer.

A pattern has a place. The fails that a good denoiser removes do not: dies outside of the pattern
fail equally often in all zones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.utils import check_random_state

from camdenoise.wafers._geometry import N_RINGS, N_SECTORS, rings, sectors
from camdenoise.wafers._maps import NO_DIE

#: Ways to cut a wafer up: the zone of each die, and the number of zones.
ZONES: dict[str, tuple[Callable[[int, int], np.ndarray], int]] = {
    "ring": (rings, N_RINGS),
    "sector": (sectors, N_SECTORS),
}
_N_RESAMPLES = 999


def count_by_zone(
    masks: Sequence[np.ndarray], maps: Sequence[np.ndarray], zones: str
) -> np.ndarray:
    """Count marked dies in each zone of each wafer.

    Parameters
    ----------
    masks : sequence of bool arrays, one per wafer, each of its map's shape
    maps : sequence of ndarray of uint8, shape (height, width)
        Cells without a die count nowhere.
    zones : {"ring", "sector"}

    Returns
    -------
    ndarray of int, shape (n_wafers, 8)

    Examples
    --------
    >>> count_by_zone([np.eye(2, dtype=bool)], [np.ones((2, 2))], "sector").tolist()
    [[0, 0, 0, 1, 0, 0, 0, 1]]
    """
    zone_of, n_zones = ZONES[zones]
    return np.array(
        [
            np.bincount(zone_of(*grid.shape)[mask & (grid != NO_DIE)], minlength=n_zones)
            for mask, grid in zip(masks, maps, strict=True)
        ]
    )


def share_with_interval(counts: np.ndarray, of: np.ndarray) -> pd.DataFrame:
    """Compute shares with their 95 % Wilson intervals; NaN without dies.

    Examples
    --------
    >>> share_with_interval(np.array([5, 0]), np.array([10, 0])).round(2)
       share   low  high
    0    0.5  0.24  0.76
    1    NaN   NaN   NaN
    """
    rows = []
    for count, n_dies in zip(counts.tolist(), of.tolist(), strict=True):
        if n_dies:
            rows.append((count / n_dies, *binomtest(count, n_dies).proportion_ci(method="wilson")))
        else:
            rows.append((np.nan,) * 3)
    return pd.DataFrame(rows, columns=["share", "low", "high"])


def expected_removed(removed: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Compute the number of removed fails per zone if each wafer's are spread evenly.

    Parameters
    ----------
    removed, free : ndarray of int, shape (n_wafers, n_zones)
        Removed fails; dies that are not kept fails, with the removed fails among them.

    Returns
    -------
    ndarray of float, shape (n_zones,)

    Examples
    --------
    >>> expected_removed(np.array([[3, 0], [0, 2]]), np.array([[20, 10], [20, 0]]))
    array([4., 1.])
    """
    rates = removed.sum(axis=1) / np.maximum(free.sum(axis=1), 1)
    return rates @ free


def evenness_test(removed: np.ndarray, free: np.ndarray, *, random_state: Any = None) -> float:
    """Test whether removed fails are spread evenly over zones.

    If they are, each wafer's removed fails could as well be any other of the free dies. So they are
    moved to random free dies of the wafer. The p-value is the share of random placements whose sums
    over wafers are as far from the expected ones (by Pearson's chi-squared). Wafers may differ in
    their number of removed fails and in their free dies.

    Parameters
    ----------
    removed, free : ndarray of int, shape (n_wafers, n_zones)
        As in `expected_removed`.
    random_state : int, RandomState instance or None, default=None
        For the 999 random places.

    Returns
    -------
    float
        The p-value, .001 or more; NaN where nothing is removed.

    Examples
    --------
    >>> free = np.array([[20, 20]])
    >>> evenness_test(np.array([[10, 0]]), free, random_state=0) < 0.01
    True
    >>> evenness_test(np.array([[5, 5]]), free, random_state=0)
    1.0
    """
    expected = expected_removed(removed, free)
    if not expected.any():
        return float("nan")
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31))
    drawn = np.zeros((_N_RESAMPLES, len(expected)))
    for room, number in zip(free, removed.sum(axis=1), strict=True):
        drawn += rng.multivariate_hypergeometric(room, number, size=_N_RESAMPLES)
    there = expected > 0

    def distance(counts: np.ndarray) -> np.ndarray:
        return ((counts - expected) ** 2)[..., there] @ (1 / expected[there])

    # A little less, so that rounding errors do not decide about ties.
    at_least = distance(drawn) >= distance(removed.sum(axis=0)) * (1 - 1e-9)
    return float((1 + at_least.sum()) / (1 + _N_RESAMPLES))
