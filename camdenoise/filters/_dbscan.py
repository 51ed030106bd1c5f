"""DBSCANFilter: density-based clustering of the fails; what is in no cluster is removed."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from scipy import ndimage

from camdenoise._sklearn_compat import Interval
from camdenoise.filters._stateless import StatelessFilter
from camdenoise.wafers._maps import FAIL


def disc(radius: float) -> np.ndarray:
    """Mark the cells of a square grid whose centers are within `radius` of the middle one's.

    Examples
    --------
    >>> disc(2.3).astype(int)
    array([[0, 1, 1, 1, 0],
           [1, 1, 1, 1, 1],
           [1, 1, 1, 1, 1],
           [1, 1, 1, 1, 1],
           [0, 1, 1, 1, 0]])
    """
    reach = int(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.sqrt(y**2 + x**2) <= radius


def densest_core(fails: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """Return for each cell the most fails that a fail in its reach has in its own reach."""
    density = ndimage.correlate(fails.astype(np.int32), reach.astype(np.int32), mode="constant")
    return ndimage.maximum_filter(density * fails, footprint=reach, mode="constant")


class DBSCANFilter(StatelessFilter):
    """Keep the fails that belong to a cluster of DBSCAN, remove those it calls noise.

    A fail with at least `min_samples` fails within `eps` is a core of a cluster; a fail is noise if
    it neither is a core nor has one within `eps` [1]_. First used on wafer maps by [2]_.

    Parameters
    ----------
    eps : float, default=1.5
        Distance up to which dies are neighbors, in dies, from center to center. 1 reaches the four
        dies at a die's sides, 1.5 all eight around it, 2.3 a square of 5 x 5 without its corners.
    min_samples : int, default=4
        Fewest fails within `eps` of a core, the fail itself included.
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.

    See Also
    --------
    sklearn.cluster.DBSCAN : The same decision for points anywhere.
    NeighborCountFilter : Keeps the cores only.
    HDBSCANFilter : Needs no `eps`.

    Notes
    -----
    The filter does not label clusters. On a grid, two neighborhood operations tell whether a fail
    is noise, exactly as scikit-learn decides.

    The saliency is the largest number of fails within `eps` that the fail itself or any fail
    within `eps` of it has; a fail is kept just where it is at least `min_samples`.

    Densities are counts: a die at the edge of the wafer has fewer dies around it and is removed
    more easily. A die in a straight line one die wide has three fails within 1.5, so with the
    default of 4 such scratches are kept only where they thicken; ``min_samples=3`` keeps them.

    References
    ----------
    .. [1] M. Ester, H.-P. Kriegel, J. Sander, X. Xu, "A density-based algorithm for discovering
       clusters in large spatial databases with noise", KDD 1996.
    .. [2] C. H. Jin, H. J. Na, M. Piao, G. Pok, K. H. Ryu, "A Novel DBSCAN-Based Defect Pattern
       Detection and Classification Framework for Wafer Bin Map", IEEE Trans. Semicond. Manuf.
       32(3), 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import DBSCANFilter
    >>> wafer_map = np.array([[2, 2, 1, 1, 2], [2, 2, 1, 1, 1], [1, 1, 2, 1, 2]])
    >>> DBSCANFilter().transform([wafer_map])[0]
    array([[2, 2, 1, 1, 1],
           [2, 2, 1, 1, 1],
           [1, 1, 2, 1, 1]])
    """

    _parameter_constraints: dict = {
        **StatelessFilter._parameter_constraints,
        "eps": [Interval(Real, 0, None, closed="neither")],
        "min_samples": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, eps=1.5, min_samples=4, *, on_error="raise"):
        self.eps = eps
        self.min_samples = min_samples
        self.on_error = on_error

    def _decide(self, grid):
        # No two dies are farther apart than the grid is wide.
        reach = disc(min(self.eps, np.hypot(*grid.shape)))
        densest = densest_core(grid == FAIL, reach)
        return densest >= self.min_samples, densest
