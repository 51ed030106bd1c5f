"""From what a classifier says about cells to a decision about each failing die."""

from __future__ import annotations

from collections.abc import Sequence
from warnings import warn

import numpy as np
import pandas as pd
import torch
from scipy.special import expit, logit

from camdenoise.metrics._dies import COUNTS, with_rates
from camdenoise.wafers._components import component_sums, fail_components
from camdenoise.wafers._maps import FAIL, NO_DIE

# What a probability and an expected number at least are, so that they have a logarithm.
SMALLEST = 1e-9


def pattern_probability(evidence: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Return how likely it is that some pattern claims a fail.

    Parameters
    ----------
    evidence : Tensor of float32, shape (n, n_classes, height, width)
        Log-odds of each class, as `evidence_maps` gives them.
    counted : Tensor of bool, shape (n, n_classes) or (1, n_classes)
        Whose claims count.

    Returns
    -------
    Tensor of float32, shape (n, height, width)
        One less the probability that all of them disown it, as if they were independent: so that
        a wafer can carry several patterns.

    Examples
    --------
    >>> claims = torch.tensor([0.0, 0.0, 9.0])[None, :, None, None]
    >>> pattern_probability(claims, torch.tensor([[True, True, False]])).item()
    0.75
    """
    disowned = torch.ones_like(evidence[:, 0])
    # Factor by factor: a sum of logarithms takes ten times as long.
    for of_class, counts in zip(evidence.unbind(1), counted.unbind(1), strict=True):
        if counts.any():
            disowns = torch.sigmoid(-of_class)
            disowned *= disowns if counts.all() else disowns.where(counts[:, None, None], 1)
    return 1 - disowned


def strength_of_claim(grid: np.ndarray, saliency: np.ndarray, probability: float) -> float:
    """Return how strongly a wafer is claimed to have a pattern.

    Class scores see the wafer as a whole and miss faint patterns; evidence on fails finds those,
    and too many of them. Together they tell wafers with and without a pattern apart better than
    either does.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.
    saliency : ndarray of float, shape (height, width)
        Probability of each die to belong to a pattern, were it to fail.
    probability : float
        Of a pattern on the wafer.

    Returns
    -------
    float
        Logarithm of the odds of a pattern times the expected number of its fails; large and
        negative where there is no fail.

    Examples
    --------
    >>> grid, saliency = np.array([[2, 2, 1]]), np.array([[0.9, 0.1, 0.9]])
    >>> round(strength_of_claim(grid, saliency, 0.5), 3)  # one fail expected, at even odds
    0.0
    """
    n_expected = float(saliency[grid == FAIL].sum())
    return float(
        logit(np.clip(probability, SMALLEST, 1 - SMALLEST)) + np.log(n_expected + SMALLEST)
    )


def relative_saliency(grid: np.ndarray, layers: Sequence[np.ndarray]) -> np.ndarray:
    """Average the layers' maps, each as a share of its largest value on a die of the wafer.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.
    layers : sequence of ndarray of float, shape (height, width)
        One raw, non-negative map per target layer, on the die grid.

    Returns
    -------
    ndarray of float, shape (height, width)
        Between 0 and 1; all zero where no layer has any evidence; zero where there is no die.
    """
    on_dies = np.where(grid != NO_DIE, np.stack(layers), 0)
    peaks = on_dies.max(axis=(1, 2), keepdims=True)
    return (on_dies / np.where(peaks > 0, peaks, 1)).sum(axis=0) / len(layers)


def die_evidence(grid: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Let each die stand for itself: the plain thresholded CAM."""
    return saliency


def component_evidence(grid: np.ndarray, saliency: np.ndarray) -> np.ndarray:
    """Let the fails of a connected component stand together, by their summed saliency.

    The sum counts as a share of the largest on the wafer. A coarse CAM says which clump of fails
    mattered; the clump itself says where it ends.
    """
    labels, n_components = fail_components(grid)
    sums = component_sums(labels, saliency, n_components)
    peak = sums.max()
    return (sums / peak if peak > 0 else sums)[labels]


#: What a die's evidence is, between 0 and 1. A fail is kept where it reaches the threshold.
REFINEMENTS = {None: die_evidence, "component": component_evidence}

#: Thresholds to choose from: evenly spread log-odds, so that they are dense near 0 and 1.
THRESHOLDS = np.concatenate([[0.0], expit(np.linspace(-7, 7, 141)).round(5), [1.0]])


def trade_off(
    evidence: Sequence[np.ndarray], truth: Sequence[np.ndarray], strata: Sequence[tuple]
) -> pd.DataFrame:
    """Tell for each threshold what is kept of the patterns and removed of the rest.

    Parameters
    ----------
    evidence : sequence of ndarray of float, shape (n_fails,)
        Of each wafer's fails. Where none reaches the threshold, all are kept.
    truth : sequence of ndarray of bool, shape (n_fails,)
        Which of them belong to the pattern.
    strata : sequence of tuple
        What sort of wafer each is. The mean is over the wafers that agree in all entries, then
        over those that agree in all but the last, and so on.

    Returns
    -------
    DataFrame, one row per threshold in rising order
        ``threshold``; ``retention``, ``removal`` and ``f1``, means of what `die_scores` calls
        retention, noise_removal and f1.
    """
    counts = [_counts(*of_wafer) for of_wafer in zip(evidence, truth, strict=True)]
    rates = with_rates(pd.DataFrame(np.concatenate(counts), columns=COUNTS))
    rates = rates[["retention", "noise_removal", "f1"]]
    keys = [np.tile(THRESHOLDS, len(counts))]
    keys += [np.repeat(key, len(THRESHOLDS)) for key in zip(*strata, strict=True)]
    means = rates.groupby(keys).mean()
    while means.index.nlevels > 1:
        means = means.groupby(level=list(range(means.index.nlevels - 1))).mean()
    renamed = means.rename(columns={"noise_removal": "removal"})
    return renamed.rename_axis("threshold").reset_index()


def best_threshold(
    table: pd.DataFrame,
    target_retention: float | None = None,
    target_removal: float | None = None,
) -> float:
    """Choose a threshold from a table that `trade_off` made.

    Parameters
    ----------
    table : DataFrame
    target_retention, target_removal : float or None
        One of them: the threshold that does best by the other rate among those that reach it.

    Returns
    -------
    float

    Warns
    -----
    UserWarning
        Where no threshold reaches the target; the nearest to it is taken.
    """
    asked, other, target = "retention", "removal", target_retention
    if target is None:
        asked, other, target = "removal", "retention", target_removal
    reached = table[table[asked] >= target]
    if reached.empty:
        warn(
            f"target_{asked}={target} is not reached on the calibration wafers; the threshold "
            f"with the most {asked}, {table[asked].max():.3f}, is taken. See `calibration_`.",
            stacklevel=2,
        )
        reached, other = table, asked
    return float(reached["threshold"][reached[other].idxmax()])


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
