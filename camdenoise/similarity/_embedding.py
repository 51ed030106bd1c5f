"""Wafers as vectors: where the fails are, independent of the grid and of their number."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from camdenoise._sklearn_compat import HasMethods, Interval
from camdenoise.wafers._geometry import equal_cells
from camdenoise.wafers._maps import FAIL, WaferMapInput, WaferMaps


class WaferEmbedding(WaferMapInput, TransformerMixin, BaseEstimator):
    """Describe where the fails of a wafer are, by a vector of length 1.

    The fails are counted in cells of equal area, rings cut by sectors, and the counts are blurred.
    So the product of two vectors is the cosine between the kernel mean embeddings of two sets of
    dies [1]_: 1 for fails in the same places, 0 for fails that are far apart. It does not depend on
    the grid of dies, nor on the number of fails.

    Parameters
    ----------
    denoiser : fitted denoiser or None, default=None
        Only the fails that it keeps count; None: all fails. In a ``FrozenEstimator`` it stays
        fitted when the embedding is cloned.
    n_rings : int, default=8
        Rings of equal area.
    n_sectors : int, default=32
        Sectors of equal angle.
    blur : float, default=0.15
        Standard deviation of the Gaussian kernel, in wafer radii.
    any_orientation : bool, default=False
        Make the vector independent of rotations, by the magnitudes of the Fourier transform along
        each ring.

    Attributes
    ----------
    n_features_out_ : int
        Length of a vector.
    n_features_in_ : int
        Columns of `X`, only where that was a 2-D table (rows of 1 x p maps).

    See Also
    --------
    similar_wafers : Nearest neighbors by such vectors.
    discover_patterns : Groups of wafers by such vectors.

    References
    ----------
    .. [1] A. Smola, A. Gretton, L. Song and B. Scholkopf, "A Hilbert Space Embedding for
       Distributions", ALT 2007, doi:10.1007/978-3-540-75225-7_5.

    Examples
    --------
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.similarity import WaferEmbedding
    >>> quiet = {"noise_rate": (0.0, 0.0), "random_state": 0}
    >>> rings = make_wafer_maps(2, classes=["Edge-Ring"], **quiet).maps
    >>> (center,) = make_wafer_maps(1, classes=["Center"], **quiet).maps
    >>> a, b, c = WaferEmbedding().fit_transform([*rings, center])
    >>> bool(a @ b > 0.9), bool(a @ c < 0.2)
    (True, True)
    """

    _parameter_constraints: dict[str, list] = {
        "denoiser": [None, HasMethods("explain")],
        "n_rings": [Interval(Integral, 1, 64, closed="both")],
        "n_sectors": [Interval(Integral, 1, 360, closed="both")],
        "blur": [Interval(Real, 0, None, closed="left")],
        "any_orientation": ["boolean"],
    }

    def __init__(self, denoiser=None, *, n_rings=8, n_sectors=32, blur=0.15, any_orientation=False):
        self.denoiser = denoiser
        self.n_rings = n_rings
        self.n_sectors = n_sectors
        self.blur = blur
        self.any_orientation = any_orientation

    def fit(self, X: WaferMaps, y: Any = None) -> WaferEmbedding:
        """Check parameters and maps; there is nothing to learn.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail).
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        WaferMapError
            For a map that cannot be read.
        ValueError
            For a bad parameter.
        """
        self._validate_params()
        self._read_maps(X, reset=True)
        n_angles = self.n_sectors // 2 + 1 if self.any_orientation else self.n_sectors
        self.n_features_out_ = self.n_rings * n_angles
        return self

    def transform(self, X: WaferMaps) -> np.ndarray:
        """Return a vector per wafer.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps.

        Returns
        -------
        ndarray of float32, shape (n_wafers, n_features_out_)
            Of length 1; all zero for a wafer on which no fail counts.

        Raises
        ------
        WaferMapError
            For a map that cannot be read.
        """
        check_is_fitted(self)
        return self.transform_masks(self.masks(self._read_maps(X, reset=False)))

    def masks(self, maps: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the dies that count on each wafer: fails, or those that the denoiser keeps.

        Parameters
        ----------
        maps : sequence of ndarray of uint8, shape (height, width)
            Checked wafer maps.

        Returns
        -------
        list of ndarray of bool, shape (height, width)
        """
        if self.denoiser is None:
            return [grid == FAIL for grid in maps]
        return [explanation.kept for explanation in self.denoiser.explain(maps)]

    def transform_masks(self, masks: list[np.ndarray]) -> np.ndarray:
        """Return a vector per wafer from the dies that count.

        Parameters
        ----------
        masks : list of ndarray of bool, shape (height, width)
            For instance `Explanation.kept` of each wafer.

        Returns
        -------
        ndarray of float32, shape (n_wafers, n_features_out_)
        """
        check_is_fitted(self)
        shape = (len(masks), self.n_rings, self.n_sectors)
        counts = np.zeros(shape, np.float32).reshape(len(masks), -1)
        for row, mask in enumerate(masks):
            cells = equal_cells(*mask.shape, self.n_rings, self.n_sectors)[mask]
            counts[row] = np.bincount(cells, minlength=counts.shape[1])
        vectors = (counts @ _blur_kernel(self.n_rings, self.n_sectors, float(self.blur))).reshape(
            shape
        )
        if self.any_orientation:
            vectors = np.abs(np.fft.rfft(vectors, axis=2)).astype(np.float32)
        vectors = vectors.reshape(len(masks), -1)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(length > 0, length, 1)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return a name per column, such as ``ring0_sector3`` or, turned, ``ring0_wave3``."""
        check_is_fitted(self)
        along = "wave" if self.any_orientation else "sector"
        n_along = self.n_features_out_ // self.n_rings
        return np.array(
            [f"ring{ring}_{along}{k}" for ring in range(self.n_rings) for k in range(n_along)],
            dtype=object,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags


@lru_cache(maxsize=8)
def _blur_kernel(n_rings: int, n_sectors: int, blur: float) -> np.ndarray:
    """Return the share of each cell's count that each cell gets, shape (n_cells, n_cells).

    Its square is the Gaussian kernel up to a factor. So the product of two vectors is the sum of
    the kernel over all pairs of fails.
    """
    if blur == 0:
        return np.eye(n_rings * n_sectors, dtype=np.float32)
    radius = np.sqrt((np.arange(n_rings) + 0.5) / n_rings)[:, None]
    angle = 2 * np.pi * (np.arange(n_sectors) + 0.5) / n_sectors
    x, y = (radius * np.cos(angle)).ravel(), (radius * np.sin(angle)).ravel()
    squares = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    return np.exp(-squares / blur**2).astype(np.float32)
