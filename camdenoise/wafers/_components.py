"""Connected components of the failing dies, the unit in which a pattern is kept or removed."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from camdenoise.wafers._maps import FAIL

_TOUCHING = {4: ndimage.generate_binary_structure(2, 1), 8: ndimage.generate_binary_structure(2, 2)}


def fail_components(grid: np.ndarray, connectivity: int = 8) -> tuple[np.ndarray, int]:
    """Label the connected components of the failing dies.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.
    connectivity : {4, 8}, default=8
        Whether dies that touch at a corner are connected.

    Returns
    -------
    labels : ndarray of int32, shape (height, width)
        0 where no die fails, else the component's number from 1.
    n_components : int

    Examples
    --------
    >>> fail_components(np.array([[2, 1], [1, 2]]), connectivity=4)[1]
    2
    """
    return ndimage.label(grid == FAIL, _TOUCHING[connectivity])


def component_sums(labels: np.ndarray, values: np.ndarray, n_components: int) -> np.ndarray:
    """Sum `values` over each component; entry 0, the rest of the wafer, is set to 0."""
    sums = np.bincount(labels.ravel(), values.ravel(), minlength=n_components + 1)
    sums[0] = 0
    return sums
