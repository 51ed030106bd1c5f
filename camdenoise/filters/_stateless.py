"""What the classical denoisers share: nothing to fit, one decision per wafer map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from camdenoise.denoising._base import BaseDenoiser
from camdenoise.wafers._explanation import Explanation, build_explanation
from camdenoise.wafers._maps import StatelessInput, WaferMaps


def window_counts(mask: np.ndarray, size: int) -> np.ndarray:
    """Count the marked cells in the `size` x `size` window around each cell.

    Cells outside the grid count as not marked.

    Examples
    --------
    >>> window_counts(np.array([[True, False, True]]), 3)
    array([[1., 2., 1.]])
    """
    ones = np.ones(size)
    rows = ndimage.correlate1d(mask.astype(np.float64), ones, axis=1, mode="constant")
    return ndimage.correlate1d(rows, ones, axis=0, mode="constant")


def check_odd(denoiser: BaseDenoiser, name: str) -> None:
    """Refuse a window without a middle die."""
    value = getattr(denoiser, name)
    if value % 2 == 0:
        raise ValueError(
            f"The {name!r} parameter of {type(denoiser).__name__} must be odd, so that the window "
            f"has a middle die. Got {value} instead; try {value + 1}."
        )


class StatelessFilter(StatelessInput, BaseDenoiser):
    """A denoiser with nothing to learn.

    A subclass implements ``_decide(grid)``, which returns for one checked map which dies it would
    keep, and the score behind that.
    """

    def explain(self, X: WaferMaps) -> list[Explanation]:
        """Tell for each wafer which fails are kept, which are removed, and why.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail).

        Returns
        -------
        list of Explanation
            One per wafer, in the order of `X`.

        Raises
        ------
        WaferMapError
            For a map that cannot be read, with ``on_error="raise"``.
        ValueError
            For a bad parameter.
        """
        self._validate_params()
        return super().explain(X)

    def _explain_maps(self, maps: Sequence[np.ndarray]) -> list[Explanation]:
        return [build_explanation(grid, *self._decide(grid)) for grid in maps]

    def _decide(self, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError
