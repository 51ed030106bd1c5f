"""Successive halving: try many candidates on a few wafers, the better ones on more."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import ParameterGrid, ParameterSampler

Candidate = dict[str, Any]


def draw_candidates(space: dict[str, Any], n_candidates: int, seed: int) -> list[Candidate]:
    """Draw settings from a search space, the defaults (an empty dict) first.

    Parameters
    ----------
    space : dict of str to list or scipy.stats distribution
        As for `sklearn.model_selection.ParameterSampler`.
    n_candidates : int
        How many, the defaults among them. A space of lists may hold fewer: then all of it.
    seed : int
        For the draw.
    """
    n_drawn = n_candidates - 1
    if all(isinstance(values, list) for values in space.values()):
        n_drawn = min(n_drawn, len(ParameterGrid(space)))
    drawn = ParameterSampler(space, n_drawn, random_state=seed) if space else []
    return [{}, *({n: _plain(c[n]) for n in sorted(c)} for c in drawn)]


def _plain(value: Any) -> Any:
    """Turn a number of numpy's into one that JSON holds."""
    return value.item() if isinstance(value, np.generic) else value


def halve(
    candidates: Sequence[Candidate],
    score: Callable[[Candidate, float], float],
    shares: Sequence[float],
) -> tuple[Candidate, pd.DataFrame]:
    """Find the candidate of the highest score by successive halving.

    Parameters
    ----------
    candidates : sequence of dict
        Settings to choose from; of equals the first one wins.
    score : callable
        ``score(candidate, share)`` is its score, the higher the better, on that share of the
        wafers.
    shares : sequence of float
        Growing shares of the wafers, one a round. As many go on as make the next round cost no
        less than the last one.

    Returns
    -------
    best : dict
        The winner of the last round.
    trials : DataFrame
        One row per evaluation: ``candidate`` (its position), ``share`` and ``score``.

    References
    ----------
    .. [1] K. Jamieson, A. Talwalkar, "Non-stochastic best arm identification and hyperparameter
       optimization", AISTATS 2016, arXiv:1502.07943.

    Examples
    --------
    >>> best, trials = halve(
    ...     [{"x": x} for x in range(10)], lambda c, share: -abs(c["x"] - 7), [0.2, 1.0]
    ... )
    >>> best, len(trials)
    ({'x': 7}, 12)
    """
    left, trials = list(range(len(candidates))), []
    for share, following in pairwise([*shares, math.inf]):
        scores = {number: score(candidates[number], share) for number in left}
        trials += [{"candidate": n, "share": share, "score": scores[n]} for n in left]
        n_left = max(1, math.ceil(round(len(left) * share / following, 9)))
        left = sorted(left, key=lambda number: -scores[number])[:n_left]
    return candidates[left[0]], pd.DataFrame(trials)
