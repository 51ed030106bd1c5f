"""MedianFilter: keep a fail that most of its neighborhood shares."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from camdenoise._sklearn_compat import Interval
from camdenoise.filters._stateless import StatelessFilter, check_odd, window_counts
from camdenoise.wafers._maps import FAIL, NO_DIE


def fail_share(grid: np.ndarray, size: int) -> np.ndarray:
    """Return the share of the dies in each `size` x `size` window that fail.

    Only cells with a die count, so a die on the wafer's edge is judged by the dies it has around
    it. 0 if the window does not hold a die.
    """
    dies = window_counts(grid != NO_DIE, size)
    fails = window_counts(grid == FAIL, size)
    return np.divide(fails, dies, out=np.zeros(grid.shape), where=dies > 0)


class MedianFilter(StatelessFilter):
    """Keep a fail where more than half of the dies in the window around it fail.

    The median filter, the usual first step of wafer map recognition since [1]_, restricted in two
    ways: cells without a die do not vote, and it only deletes, so holes in a pattern stay holes.

    Parameters
    ----------
    size : int, default=3
        Side of the square window in dies; odd. The die itself is part of the window.
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.

    See Also
    --------
    NeighborCountFilter : The same window with a threshold of choice.

    Notes
    -----
    The saliency is the share of the window's dies that fail; a fail is kept above 0.5. A line one
    die wide fills only a third of a 3 x 3 window, so scratches are lost.

    References
    ----------
    .. [1] M.-J. Wu, J.-S. R. Jang, J.-L. Chen, "Wafer Map Failure Pattern Recognition and
       Similarity Ranking for Large-Scale Data Sets", IEEE Trans. Semicond. Manuf. 28(1), 2015,
       doi:10.1109/TSM.2014.2364237.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import MedianFilter
    >>> wafer_map = np.array([[2, 2, 1, 1], [2, 2, 1, 1], [1, 1, 1, 2]])
    >>> MedianFilter().transform([wafer_map])[0]
    array([[2, 2, 1, 1],
           [2, 1, 1, 1],
           [1, 1, 1, 1]])
    """

    _parameter_constraints: dict = {
        **StatelessFilter._parameter_constraints,
        "size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, size=3, *, on_error="raise"):
        self.size = size
        self.on_error = on_error

    def _validate_params(self):
        super()._validate_params()
        check_odd(self, "size")

    def _decide(self, grid):
        share = fail_share(grid, self.size)
        return share > 0.5, share
