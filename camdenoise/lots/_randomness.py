"""Do the fails of a wafer lie at random? Join counts against shuffled wafers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from camdenoise._maps import FAIL, NO_DIE, check_wafer_map


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
    first, second = _touching(dies)
    fails = (grid == FAIL)[dies]
    statistic = int((fails[first] & fails[second]).sum())
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31))
    drawn = np.empty(n_permutations, int)
    for number in range(n_permutations):
        rng.shuffle(fails)
        drawn[number] = np.count_nonzero(fails[first] & fails[second])
    p_value = (1 + np.count_nonzero(drawn >= statistic)) / (1 + n_permutations)
    return RandomnessTest(statistic, float(drawn.mean()), float(p_value))


def _touching(dies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List pairs of dies that touch, each die by its number among the dies."""
    number = np.full(np.add(dies.shape, 2), -1)
    number[1:-1, 1:-1][dies] = np.arange(np.count_nonzero(dies))
    here = number[1:-1, 1:-1]
    height, width = dies.shape
    pairs = []
    # Right, and the three below: each pair once.
    for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
        there = number[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        both = (here >= 0) & (there >= 0)
        pairs.append((here[both], there[both]))
    first, second = zip(*pairs, strict=True)
    return np.concatenate(first), np.concatenate(second)
