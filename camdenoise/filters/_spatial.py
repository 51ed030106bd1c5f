"""SpatialFilter: keep a fail whose neighborhood, near dies weighing more, fails often enough."""

from __future__ import annotations

from math import comb
from numbers import Integral, Real

import numpy as np
from scipy import ndimage

from camdenoise._sklearn_compat import Interval
from camdenoise.filters._stateless import StatelessFilter, check_odd
from camdenoise.wafers._maps import FAIL, NO_DIE


def weighted_fail_share(grid: np.ndarray, size: int) -> np.ndarray:
    """Return the share of the weight of the dies around each cell that lies on fails.

    The weights are binomial, the usual discrete form of a Gaussian: 1 2 1 in each direction for
    size 3, 1 4 6 4 1 for size 5. Cells without a die have none. 0 where no die is around.
    """
    dies = _binomial_sums(grid != NO_DIE, size)
    fails = _binomial_sums(grid == FAIL, size)
    return np.divide(fails, dies, out=np.zeros(grid.shape), where=dies > 0)


def _binomial_sums(mask: np.ndarray, size: int) -> np.ndarray:
    weights = np.array([comb(size - 1, step) for step in range(size)], np.float64)
    rows = ndimage.correlate1d(mask.astype(np.float64), weights, axis=1, mode="constant")
    return ndimage.correlate1d(rows, weights, axis=0, mode="constant")


class SpatialFilter(StatelessFilter):
    """Keep a fail where the weighted average of the dies around it reaches a threshold.

    The spatial filter that [1]_ puts before pattern recognition: each die gets the average of its
    neighborhood, fails counting 1 and passes 0, and the average is compared with a threshold. Here
    near dies weigh more than far ones (binomial weights), cells without a die do not vote, and
    only fails are decided upon: none is added.

    Parameters
    ----------
    size : int, default=5
        Side of the square window in dies; odd. The die itself is part of the window.
    threshold : float between 0 and 1, default=0.4
        Smallest weighted share of failing dies around a fail that stays.
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.

    See Also
    --------
    MedianFilter : All dies of the window weigh alike.

    Notes
    -----
    The saliency is the weighted share. In the middle of a straight line one die wide it is 0.375
    for size 5 and 0.5 for size 3, in the middle of a diagonal one 0.27 and 0.375: at the defaults
    scratches are lost, with ``size=3, threshold=0.375`` they stay and so does more noise.

    References
    ----------
    .. [1] C.-H. Wang, W. Kuo, H. Bensmail, "Detection and classification of defect patterns on
       semiconductor wafers", IIE Trans. 38(12), 2006.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import SpatialFilter
    >>> wafer_map = np.array([[2, 2, 1, 1, 1], [2, 2, 1, 1, 1], [1, 1, 1, 1, 2]])
    >>> SpatialFilter().transform([wafer_map])[0]
    array([[2, 2, 1, 1, 1],
           [2, 2, 1, 1, 1],
           [1, 1, 1, 1, 1]])
    """

    _parameter_constraints: dict = {
        **StatelessFilter._parameter_constraints,
        "size": [Interval(Integral, 1, None, closed="left")],
        "threshold": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, size=5, threshold=0.4, *, on_error="raise"):
        self.size = size
        self.threshold = threshold
        self.on_error = on_error

    def _validate_params(self):
        super()._validate_params()
        check_odd(self, "size")

    def _decide(self, grid):
        share = weighted_fail_share(grid, self.size)
        return share >= self.threshold, share
