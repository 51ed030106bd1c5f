"""MorphologyFilter: keep the fails that a solid square of fails fits over."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from scipy import ndimage

from camdenoise._sklearn_compat import Interval, StrOptions
from camdenoise.filters._stateless import StatelessFilter, window_counts
from camdenoise.wafers._components import fail_components
from camdenoise.wafers._maps import FAIL, NO_DIE, PASS


def square_shares(grid: np.ndarray, size: int) -> np.ndarray:
    """Return the share of the dies in each `size` x `size` square that fail.

    A square that holds dies in fewer than half of its cells says nothing and gets NaN.
    """
    dies = window_counts(grid != NO_DIE, size)
    fails = window_counts(grid == FAIL, size)
    return np.divide(fails, dies, out=np.full(grid.shape, np.nan), where=2 * dies >= size**2)


def best_square(grid: np.ndarray, size: int) -> np.ndarray:
    """Return for each cell the largest share of failing dies in a square over it.

    Where it is 1 the cell is in the opening of the fails.
    """
    shares = np.nan_to_num(square_shares(grid, size), nan=0)
    return ndimage.maximum_filter(shares, size, mode="constant", origin=_origin(size))


def close_gaps(grid: np.ndarray, size: int) -> np.ndarray:
    """Mark as fail the passing dies that no square free of fails covers: the closing."""
    shares = np.nan_to_num(square_shares(grid, size), nan=1)
    emptiest = ndimage.minimum_filter(shares, size, mode="constant", cval=1, origin=_origin(size))
    return np.where((grid == PASS) & (emptiest > 0), FAIL, grid)


def _origin(size: int) -> int:
    """Return scipy's origin for a reflected square; an even side has no middle cell."""
    return size % 2 - 1


class MorphologyFilter(StatelessFilter):
    """Keep the fails that survive a morphological opening.

    An opening by a square keeps what a solid square of fails fits over, and so removes everything
    narrower than the square [1]_. It never adds a fail; the other two operations are restricted
    to the fails as well.

    Parameters
    ----------
    operation : {"reconstruction", "opening", "closing"}, default="reconstruction"
        - "opening": keep the fails in a solid square of fails
        - "reconstruction": opening by reconstruction [2]_, keep the components (corners touch) in
          which there is such a square, whole
        - "closing": fill gaps narrower than the square first, then open; keep the fails in the
          result. For patterns with holes.
    size : int, default=2
        Side of the square in dies.
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.

    See Also
    --------
    ComponentSizeFilter : Keeps components of any form by their size.

    Notes
    -----
    Cells without a die fit anything, but a square must have dies in half of its cells: two fails
    side by side at the edge of the wafer fill a square of 2 x 2 that reaches over the edge.

    The saliency is the largest share of failing dies in a square over the fail (for
    "reconstruction": over its component, for "closing": in the filled map); a fail is kept where
    it is 1.

    Scratches one die wide are removed by every operation and size, unless with "reconstruction"
    something broader touches them.

    References
    ----------
    .. [1] J. Serra, "Image Analysis and Mathematical Morphology", Academic Press, 1982.
    .. [2] L. Vincent, "Morphological grayscale reconstruction in image analysis: applications and
       efficient algorithms", IEEE Trans. Image Process. 2(2), 1993.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import MorphologyFilter
    >>> wafer_map = np.array([[2, 2, 1, 1, 1], [2, 2, 1, 2, 1], [1, 1, 2, 1, 1]])
    >>> MorphologyFilter("opening").transform([wafer_map])[0]
    array([[2, 2, 1, 1, 1],
           [2, 2, 1, 1, 1],
           [1, 1, 1, 1, 1]])
    >>> MorphologyFilter("reconstruction").transform([wafer_map])[0]
    array([[2, 2, 1, 1, 1],
           [2, 2, 1, 2, 1],
           [1, 1, 2, 1, 1]])
    """

    _parameter_constraints: dict = {
        **StatelessFilter._parameter_constraints,
        "operation": [StrOptions({"reconstruction", "opening", "closing"})],
        "size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, operation="reconstruction", size=2, *, on_error="raise"):
        self.operation = operation
        self.size = size
        self.on_error = on_error

    def _decide(self, grid):
        # Squares may reach over the edge of the grid.
        margin = self.size - 1
        wide = np.pad(grid, margin, constant_values=NO_DIE)
        if self.operation == "closing":
            wide = close_gaps(wide, self.size)
        inside = np.s_[margin : margin + grid.shape[0], margin : margin + grid.shape[1]]
        share = best_square(wide, self.size)[inside]
        if self.operation == "reconstruction":
            share = _best_of_component(grid, share)
        return share == 1, share


def _best_of_component(grid: np.ndarray, share: np.ndarray) -> np.ndarray:
    labels, n_components = fail_components(grid)
    best = np.zeros(n_components + 1)
    np.maximum.at(best, labels, share)
    best[0] = 0
    return best[labels]
