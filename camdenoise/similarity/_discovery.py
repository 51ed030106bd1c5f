"""Groups of similar wafers without a name."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import HDBSCAN
from sklearn.utils import check_random_state

from camdenoise.similarity._embedding import WaferEmbedding
from camdenoise.wafers._geometry import unit_wafer_mean
from camdenoise.wafers._maps import WaferMaps, check_wafer_maps

# Share of the wafers in each resample.
_SHARE = 0.8
# Least distance of a wafer's vector from that of an evenly covered one; nearer ones have no place.
_NOTHING = 1e-3


@dataclass(frozen=True)
class ProposedPattern:
    """A group of similar wafers.

    Attributes
    ----------
    members : ndarray of int
        Rows of the wafers, the most typical first.
    stability : float
        Mean Jaccard index of the group with the nearest group of resampled wafers [1]_. Above .85
        a group is stable, above .75 valid; below .6 it is not to be trusted.
    mean_map : ndarray of float, shape (41, 41)
        How often a die there is part of the pattern, on a grid for all wafers; NaN where most have
        no die.

    References
    ----------
    .. [1] C. Hennig, "Cluster-wise assessment of cluster stability", Computational Statistics &
       Data Analysis 52, 2007, doi:10.1016/j.csda.2006.11.025.
    """

    members: np.ndarray = field(repr=False)
    stability: float
    mean_map: np.ndarray = field(repr=False)

    @property
    def n_wafers(self) -> int:
        """How many wafers look like this."""
        return len(self.members)


def discover_patterns(
    maps: WaferMaps,
    *,
    embedding: WaferEmbedding | None = None,
    masks: Sequence[np.ndarray] | None = None,
    min_wafers: int = 10,
    min_stability: float = 0.6,
    n_resamples: int = 20,
    random_state: Any = None,
) -> list[ProposedPattern]:
    """Find groups among wafers that no class fits, and propose each as a pattern.

    Wafers are clustered with HDBSCAN [1]_ by how their vectors differ from the vector of a wafer
    that fails everywhere. Wafers without similar ones are in no group. The stability of a group is
    measured on resamples of the wafers.

    Parameters
    ----------
    maps : list, object array or Series of 2-D maps, or 3-D array
        The wafers, such as those on which a denoiser abstained.
    embedding : WaferEmbedding or None, default=None
        Defines which wafers are similar; ``WaferEmbedding()`` if not given.
    masks : sequence of ndarray of bool or None, default=None
        Dies that count, one array per wafer, such as `Explanation.kept`. If not given, the dies
        that the embedding counts.
    min_wafers : int, default=10
        The fewest that make a pattern.
    min_stability : float, default=0.6
        Groups below are not proposed.
    n_resamples : int, default=20
        Number of resamples, each of four fifths of the wafers.
    random_state : int, RandomState instance or None, default=None
        Draws the resamples.

    Returns
    -------
    list of ProposedPattern
        The largest first; empty where no group is found.

    Raises
    ------
    WaferMapError
        For a map that cannot be read.
    ValueError
        For a bad parameter, or masks that do not fit the maps.

    References
    ----------
    .. [1] R. Campello, D. Moulavi and J. Sander, "Density-Based Clustering Based on Hierarchical
       Density Estimates", PAKDD 2013, doi:10.1007/978-3-642-37456-2_14.

    Examples
    --------
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.similarity import discover_patterns
    >>> wafers = make_wafer_maps(40, classes=["Center", "Edge-Ring"], random_state=0)
    >>> found = discover_patterns(wafers.maps, random_state=0)
    >>> [(pattern.n_wafers, str(wafers.target[pattern.members[0]])) for pattern in found]
    [(21, 'Edge-Ring'), (18, 'Center')]
    """
    if min_wafers < 2 or n_resamples < 1:
        raise ValueError(
            f"min_wafers must be at least 2 and n_resamples at least 1, got {min_wafers} and "
            f"{n_resamples}."
        )
    grids = check_wafer_maps(maps)
    embedding = copy(embedding or WaferEmbedding()).fit(grids)
    counted = _choose_masks(grids, embedding, masks)
    vectors = _remove_even_part(embedding, counted)
    rows = np.flatnonzero(vectors.any(axis=1))
    if len(rows) < 2 * min_wafers:
        # HDBSCAN does not find a group of all wafers.
        return []
    groups = _groups(vectors[rows], min_wafers)
    stabilities = _stabilities(vectors[rows], groups, min_wafers, n_resamples, random_state)
    proposed = []
    for group, stability in zip(groups, stabilities, strict=True):
        if stability >= min_stability:
            typical = vectors[rows[group]] @ vectors[rows[group]].mean(axis=0)
            members = rows[group[np.argsort(-typical, kind="stable")]]
            mean_map = unit_wafer_mean(
                [counted[row] for row in members], [grids[row] for row in members]
            )
            proposed.append(ProposedPattern(members, float(stability), mean_map))
    return sorted(proposed, key=lambda pattern: -pattern.n_wafers)


def _remove_even_part(embedding: WaferEmbedding, counted) -> np.ndarray:
    """Return vectors of length 1 without the direction of an evenly covered wafer.

    All wafers with scattered fails are similar in that direction.
    """
    y, x = np.mgrid[-1:1:101j, -1:1:101j]
    (everywhere,) = embedding.transform_masks([y**2 + x**2 < 1])
    vectors = embedding.transform_masks(counted).astype(np.float64)
    vectors -= np.outer(vectors @ everywhere, everywhere)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.where(length > _NOTHING, vectors / np.maximum(length, _NOTHING), 0)


def _choose_masks(grids, embedding: WaferEmbedding, masks) -> list[np.ndarray]:
    if masks is None:
        return embedding.masks(grids)
    counted = [np.asarray(mask, bool) for mask in masks]
    if [mask.shape for mask in counted] != [grid.shape for grid in grids]:
        raise ValueError("masks must have one array per wafer, each of its map's shape.")
    return counted


def _groups(vectors: np.ndarray, min_wafers: int) -> list[np.ndarray]:
    """Cluster vectors of length 1, for which the distance is a function of the cosine."""
    labels = HDBSCAN(min_cluster_size=min_wafers, copy=True).fit_predict(vectors)
    return [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]


def _stabilities(vectors, groups, min_wafers: int, n_resamples: int, random_state) -> np.ndarray:
    rng = check_random_state(random_state)
    n_drawn = max(2, round(_SHARE * len(vectors)))
    fewest = max(2, round(_SHARE * min_wafers))
    found = []
    for _ in range(n_resamples):
        drawn = np.sort(rng.permutation(len(vectors))[:n_drawn])
        again = [drawn[group] for group in _groups(vectors[drawn], fewest)]
        found.append([_nearest(np.intersect1d(group, drawn), again) for group in groups])
    return pd.DataFrame(found).mean().to_numpy()


def _nearest(group: np.ndarray, others: list[np.ndarray]) -> float:
    """Return the largest Jaccard index of a group with any of the others."""
    shared = [len(np.intersect1d(group, other)) for other in others]
    return max(
        (n / (len(group) + len(other) - n) for n, other in zip(shared, others, strict=True)),
        default=0.0,
    )
