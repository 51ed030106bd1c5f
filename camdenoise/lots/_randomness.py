"""Do the fails of a wafer lie at random? Join counts against shuffled wafers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from camdenoise.wafers._maps import FAIL, NO_DIE, check_wafer_map


class RandomnessTest(NamedTuple):
    """Result of `spatial_randomness_test`.

    Attributes
    ----------
    statistic : int
        Pairs of failing dies that touch, at a corner too.
    expected : float
        Mean of that number over the shuffled wafers.
    p_value : float
        Share of the wafers, this one and the shuffled ones, with at least as many.
    """

    statistic: int
    expected: float
    p_value: float


def spatial_randomness_test(
    wafer_map: Any, *, n_permutations: int = 999, random_state: Any = 0
) -> RandomnessTest:
    """Test whether the fails of a wafer touch more often than chance would have it.

    The number of touching pairs of fails (join count) is compared with that of wafers on which as
    many dies fail, drawn at random among all dies. Taam and Hamada [1]_ look at wafers in this way;
    the p-value is that of a permutation test [2]_.

    Parameters
    ----------
    wafer_map : array-like of shape (height, width)
        Die codes.
    n_permutations : int, default=999
        How often to shuffle.
    random_state : int, RandomState instance or None, default=0
        For the shuffles.

    Returns
    -------
    RandomnessTest
        With a p-value of 1 where no die fails, or all do.

    Raises
    ------
    WaferMapError
        For a map that cannot be read.
    ValueError
        For fewer than one permutation.

    Notes
    -----
    Real backgrounds are uneven: dies near the edge fail more often on most products. Such a wafer
    is found not random, though it has no pattern that a person would name.

    References
    ----------
    .. [1] W. Taam, M. Hamada, "Detecting Spatial Effects From Factorial Experiments: An Application
       From Integrated-Circuit Manufacturing", Technometrics 35(2), 1993.
    .. [2] B. Phipson, G. K. Smyth, "Permutation P-values should never be zero", Stat. Appl. Genet.
       Mol. Biol. 9(1), 2010, doi:10.2202/1544-6115.1585.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.lots import spatial_randomness_test
    >>> wafer_map = np.ones((10, 10), int)
    >>> wafer_map[2:5, 2:5] = 2
    >>> spatial_randomness_test(wafer_map).p_value
    0.001
    """
    if n_permutations < 1:
        raise ValueError(f"n_permutations must be at least 1, got {n_permutations}.")
    grid = check_wafer_map(wafer_map)
    dies = grid != NO_DIE
    touching = _list_neighbors(dies)
    fails = np.flatnonzero((grid == FAIL)[dies])
    statistic = _n_pairs(fails, touching)
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31))
    # Only the fails are drawn, not the order of all dies: they are few.
    drawn = np.array(
        [
            _n_pairs(rng.choice(len(touching), len(fails), replace=False, shuffle=False), touching)
            for _ in range(n_permutations)
        ]
    )
    p_value = (1 + np.count_nonzero(drawn >= statistic)) / (1 + n_permutations)
    return RandomnessTest(statistic, float(drawn.mean()), float(p_value))


def _n_pairs(fails: np.ndarray, touching: np.ndarray) -> int:
    """Count the pairs of failing dies, given by their numbers, that touch."""
    # One more than there are dies: the neighbor that a die at the edge has not.
    fails_here = np.zeros(len(touching) + 1, bool)
    fails_here[fails] = True
    return int(np.count_nonzero(fails_here[touching[fails]]))


def _list_neighbors(dies: np.ndarray) -> np.ndarray:
    """List four neighbors of each die by their numbers, or -1: each pair of dies once."""
    n_dies = np.count_nonzero(dies)
    number = np.full(np.add(dies.shape, 2), -1)
    number[1:-1, 1:-1][dies] = np.arange(n_dies)
    height, width = dies.shape
    # Right, and the three below.
    return np.stack(
        [
            number[1 + down : 1 + down + height, 1 + right : 1 + right + width][dies]
            for down, right in ((0, 1), (1, -1), (1, 0), (1, 1))
        ],
        axis=1,
    )
