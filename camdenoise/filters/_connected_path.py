"""ConnectedPathFilter: keep fails that hang together over a long enough way."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from scipy import ndimage

from camdenoise._sklearn_compat import Interval, Options
from camdenoise.filters._stateless import StatelessFilter
from camdenoise.wafers._components import fail_components


def path_length(grid: np.ndarray, connectivity: int) -> np.ndarray:
    """Return for each die the longest of the shortest paths through its component, in fails.

    0 where no die fails.
    """
    labels, _ = fail_components(grid, connectivity)
    longest = np.bincount(labels.ravel())
    longest[0] = 0
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if longest[number] > 2:  # One or two fails are a path.
            longest[number] = 1 + diameter(labels[box] == number, connectivity)
    return longest[labels]


def diameter(component: np.ndarray, connectivity: int) -> int:
    """Return how many steps apart those two cells of a component are that are farthest apart.

    All cells walk at once: each holds the set of cells that have reached it, one bit for each, and
    hands it on to its neighbors, until no cell has a new visitor.

    Examples
    --------
    >>> diameter(np.array([[True, True, True], [True, False, False]]), connectivity=4)
    3
    """
    number = np.arange(component.sum())
    visitors = np.zeros((*component.shape, len(number) // 64 + 1), np.uint64)
    own_bit = np.uint64(1) << (number % 64).astype(np.uint64)
    visitors[(*np.nonzero(component), number // 64)] = own_bit
    steps, before = -1, np.zeros_like(visitors)
    while (visitors != before).any():
        before, visitors = visitors, _join_neighbor_sets(visitors, connectivity)
        visitors[~component] = 0
        steps += 1
    return steps


def _join_neighbor_sets(sets: np.ndarray, connectivity: int) -> np.ndarray:
    """Join each cell's set with those of its neighbors."""
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

    All pairs of fails of a component are measured, which takes long where thousands hang together.

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
