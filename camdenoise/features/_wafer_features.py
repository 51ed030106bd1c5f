"""WaferFeatures: a wafer map as a row of hand-made features."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from camdenoise.features._radon import N_VALUES, radon_features
from camdenoise.features._region import REGION_FEATURES, region_features
from camdenoise.wafers._components import fail_components
from camdenoise.wafers._geometry import N_RINGS, N_ZONES, rings, zones
from camdenoise.wafers._maps import (
    FAIL,
    NO_DIE,
    StatelessInput,
    WaferMapError,
    WaferMaps,
    check_wafer_map,
    map_items,
)

NAMES = (
    "fail_rate",
    *(f"zone_{number}" for number in range(N_ZONES)),
    *(f"ring_{number}" for number in range(N_RINGS)),
    "n_components",
    "largest_share",
    *(f"region_{name}" for name in REGION_FEATURES),
    *(f"radon_mean_{number}" for number in range(N_VALUES)),
    *(f"radon_std_{number}" for number in range(N_VALUES)),
)

#: Order of the features of a wafer after each of the eight symmetries of the square. Only the zones
#: change places; a die on the border of two zones may change its zone, which the table leaves out.
SYMMETRIES = np.tile(np.arange(len(NAMES)), (8, 1))


def _zone_orders() -> list[list[int]]:
    """Return the order of the zones after each of the eight symmetries."""
    orders = []
    inner, frame = np.arange(9).reshape(3, 3), [9, 10, 11, 12]
    for _ in range(4):
        above, right, below, left = frame
        orders.append([*inner.ravel().tolist(), *frame])
        orders.append([*np.fliplr(inner).ravel().tolist(), above, left, below, right])
        # A quarter turn counterclockwise brings what is at the right to the top.
        inner, frame = np.rot90(inner), [right, below, left, above]
    return orders


SYMMETRIES[:, NAMES.index("zone_0") : NAMES.index("zone_0") + N_ZONES] = np.array(
    _zone_orders()
) + NAMES.index("zone_0")


def wafer_features(grid: np.ndarray) -> np.ndarray:
    """Describe one checked wafer map by the numbers that `NAMES` names."""
    fails, dies = grid == FAIL, grid != NO_DIE
    parts = [
        _densities(fails, dies, np.zeros(grid.shape, np.intp), 1),
        _densities(fails, dies, zones(*grid.shape), N_ZONES),
        _densities(fails, dies, rings(*grid.shape), N_RINGS),
        _component_features(grid, dies),
        radon_features(fails),
    ]
    return np.concatenate(parts)


def _densities(fails: np.ndarray, dies: np.ndarray, part: np.ndarray, n_parts: int) -> np.ndarray:
    """Return the share of the dies of each part that fail; 0 where it has none."""
    n_dies = np.bincount(part[dies], minlength=n_parts)
    n_fails = np.bincount(part[fails], minlength=n_parts)
    return n_fails / np.maximum(n_dies, 1)


def _component_features(grid: np.ndarray, dies: np.ndarray) -> np.ndarray:
    """Describe the components of the fails, and the largest of them, the first of equals."""
    labels, n_components = fail_components(grid)
    if n_components == 0:
        return np.zeros(2 + len(REGION_FEATURES))
    size = np.bincount(labels.ravel())[1:]
    largest = size.argmax()
    shares = [n_components / np.count_nonzero(dies), size[largest] / size.sum()]
    return np.concatenate([shares, region_features(labels == largest + 1)])


class WaferFeatures(StatelessInput, TransformerMixin, BaseEstimator):
    """Describe each wafer map by 72 hand-made features, after Wu et al. [1]_.

    Densities of fails, the shape of the largest group of touching fails and a summary of the Radon
    transform: a table for any classifier, as an alternative to a convolutional net.

    Parameters
    ----------
    on_error : {"raise", "keep"}, default="raise"
        What `transform` does with a map that cannot be read: raise, or keep its row, all NaN.

    See Also
    --------
    camdenoise.filters.MedianFilter : The filter that [1]_ applies first.

    Notes
    -----
    Lengths are in wafer radii, the die grid being stretched to a round wafer, and densities are
    shares of the dies at their place, so that wafers of all products can be compared.

    ======================== =====================================================================
    ``fail_rate``            Share of the dies that fail.
    ``zone_0`` ... ``12``    The same of 13 zones: the inner 3 x 3 of 5 x 5 equal parts of the
                             grid, row by row, and the frame around them above, right, below, left.
    ``ring_0`` ... ``7``     The same of eight rings of equal width, from the center out.
    ``n_components``         Groups of touching fails (at a corner, too), per die.
    ``largest_share``        Share of the fails that are in the largest of them.
    ``region_...``           Of the largest: ``area``, ``perimeter``, ``major_axis``,
                             ``minor_axis``, ``eccentricity``, ``solidity`` (the share of its convex
                             hull that it fills), ``mean_radius`` and ``radius_spread`` (mean and
                             standard deviation of its dies' distance from the center).
    ``radon_mean_0`` ... 19  Length of fails on a line across the wafer, mean over 60 directions,
                             at 20 offsets from rim to rim, by cubic interpolation.
    ``radon_std_0`` ... 19   The standard deviation over the directions instead of the mean.
    ======================== =====================================================================

    The 13 zones, the Radon features and those of the region up to the solidity follow [1]_; the
    rings and the others are additions. A feature without anything to measure is 0, such as a zone
    without dies. Of several largest groups the first in reading order is described.

    References
    ----------
    .. [1] M.-J. Wu, J.-S. R. Jang, J.-L. Chen, "Wafer Map Failure Pattern Recognition and
       Similarity Ranking for Large-Scale Data Sets", IEEE Trans. Semicond. Manuf. 28(1), 2015.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.features import WaferFeatures
    >>> wafers = make_wafer_maps(60, classes=["Center", "Edge-Ring"], random_state=0)
    >>> WaferFeatures().transform(wafers.maps).shape
    (60, 72)
    >>> clf = make_pipeline(WaferFeatures(), RandomForestClassifier(random_state=0))
    >>> clf.fit(wafers.maps[:40], wafers.target[:40]).score(wafers.maps[40:], wafers.target[40:])
    1.0
    """

    def __init__(self, *, on_error="raise"):
        self.on_error = on_error

    def transform(self, X: WaferMaps) -> np.ndarray:
        """Measure the features of each wafer.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail).

        Returns
        -------
        ndarray of float64, shape (n_wafers, 72)
            One row per wafer, in the order of `X`; a DataFrame after ``set_output``.

        Raises
        ------
        WaferMapError
            For a map that cannot be read, with ``on_error="raise"``.
        ValueError
            For a bad parameter.
        """
        self._validate_params()
        if self.on_error == "raise" or self._takes_table(X, False):
            return np.stack([wafer_features(grid) for grid in self._read_maps(X, reset=False)])
        items = map_items(X, min_maps=1)
        return np.stack([_features_or_nan(item, row) for row, item in enumerate(items)])

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the features.

        Parameters
        ----------
        input_features : object, default=None
            Ignored; it exists for scikit-learn's pipelines.

        Returns
        -------
        ndarray of str objects, shape (72,)
        """
        return np.array(NAMES, dtype=object)


def _features_or_nan(item: Any, row: int) -> np.ndarray:
    try:
        return wafer_features(check_wafer_map(item, row))
    except WaferMapError:
        return np.full(len(NAMES), np.nan)
