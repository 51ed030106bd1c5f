"""ConnectedPathFilter: keep fails that hang together over a long enough way."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from scipy import ndimage
from sklearn.utils._param_validation import Interval, Options

from camdenoise._components import fail_components
from camdenoise._maps import FAIL
from camdenoise.filters._stateless import StatelessFilter


def path_length(grid: np.ndarray, connectivity: int) -> np.ndarray:
    """Return for each die the longest of the shortest paths through its component, in fails.

    That is one more than the component's diameter as a graph; 0 where no die fails.
    """
    labels, n_components = fail_components(grid, connectivity)
    longest = np.zeros(n_components + 1)
    if n_components:
        farthest = _eccentricity(grid == FAIL, connectivity)
        longest[1:] = 1 + ndimage.maximum(farthest, labels, np.arange(1, n_components + 1))
    return longest[labels]


def _eccentricity(mask: np.ndarray, connectivity: int) -> np.ndarray:
    """Return how many steps the farthest cell that can be reached is away from each marked one.

    All cells walk at once: each holds the set of cells that have reached it, one bit for each, and
    hands it on to its neighbours. A cell's last new visitor is the farthest one.
    """
    n_cells = int(mask.sum())
    visitors = np.zeros((*mask.shape, n_cells // 64 + 1), np.uint64)
    number = np.arange(n_cells)
    visitors[(*np.nonzero(mask), number // 64)] = np.uint64(1) << (number % 64).astype(np.uint64)
    farthest = np.zeros(mask.shape, int)
    step, moved = 0, mask
    while moved.any():
        farthest[moved] = step
        before, visitors = visitors, _handed_on(visitors, connectivity)
        visitors[~mask] = 0
        step, moved = step + 1, (visitors != before).any(axis=2)
    return farthest


def _handed_on(sets: np.ndarray, connectivity: int) -> np.ndarray:
    """Join each cell's set with those of its neighbours."""
    across = sets.copy()
    across[:, 1:] |= sets[:, :-1]
    across[:, :-1] |= sets[:, 1:]
    joined = across.copy()
    from_rows = across if connectivity == 8 else sets
    joined[1:] |= from_rows[:-1]
    joined[:-1] |= from_rows[1:]
    return joined


class ConnectedPathFilter(StatelessFilter):
    """Keep the fails of components that a path of at least `min_length` fails leads through.

    Connected-path filtering [1]_ keeps the fails on a path of enough connected fails. The longest
    path of any kind cannot be found in reasonable time and winds through every die of a blob, so
    that asking for it comes down to asking for the component's size. Here the path is a shortest
    one: it leads straight from one end to the other, and a blob is as long as it is wide.

    Parameters
    ----------
    min_length : int, default=5
        Fewest fails on the longest of the shortest paths between two fails of a component
        that stays, both ends included.
    connectivity : {4, 8}, default=8
        Whether dies that touch at a corner are connected (8) or not (4).
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.

    See Also
    --------
    ComponentSizeFilter : Counts all fails of the component.

    Notes
    -----
    The saliency is the number of fails on that path, the same for all fails of a component; 0 for a
    passing die. A line one die wide counts in full, which makes this the filter for scratches
    that are whole. A hole or the edge of the wafer ends a path.

    All pairs of fails are measured: the time grows with the square of the wafer's dies.

    References
    ----------
    .. [1] J. Kim, Y. Lee, H. Kim, "Detection and clustering of mixed-type defect patterns in wafer
       bin maps", IISE Trans. 50(2), 2018, doi:10.1080/24725854.2017.1386337.

    Examples
    --------
    Four fails in a row, and four in a square:

    >>> import numpy as np
    >>> from camdenoise.filters import ConnectedPathFilter
    >>> wafer_map = np.array([[2, 2, 2, 2, 1, 1, 1], [1, 1, 1, 1, 1, 2, 2], [1, 1, 1, 1, 1, 2, 2]])
    >>> ConnectedPathFilter(min_length=4).transform([wafer_map])[0]
    array([[2, 2, 2, 2, 1, 1, 1],
           [1, 1, 1, 1, 1, 1, 1],
           [1, 1, 1, 1, 1, 1, 1]])
    """

    _parameter_constraints: dict = {
        **StatelessFilter._parameter_constraints,
        "min_length": [Interval(Integral, 1, None, closed="left")],
        "connectivity": [Options(Integral, {4, 8})],
    }

    def __init__(self, min_length=5, *, connectivity=8, on_error="raise"):
        self.min_length = min_length
        self.connectivity = connectivity
        self.on_error = on_error

    def _decide(self, grid):
        length = path_length(grid, self.connectivity)
        return length >= self.min_length, length
