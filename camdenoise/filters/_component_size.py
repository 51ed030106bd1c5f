"""Filters by the size of connected components: a smallest size, or the largest component only."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from camdenoise._sklearn_compat import Interval, Options
from camdenoise.filters._stateless import StatelessFilter
from camdenoise.wafers._components import fail_components


def component_size(grid: np.ndarray, connectivity: int) -> np.ndarray:
    """Return for each die the number of fails in its connected component; 0 for no fail."""
    labels, _ = fail_components(grid, connectivity)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return sizes[labels]


class ComponentSizeFilter(StatelessFilter):
    """Keep the fails whose connected component has at least `min_size` fails.

    The usual form of connected-path filtering [1]_, which asks for a path of a given number of
    connected fails: random fails touch few others, a pattern's fails touch many.

    Parameters
    ----------
    min_size : int, default=8
        Fewest fails of a component that stays.
    connectivity : {4, 8}, default=8
        Whether dies that touch at a corner are connected (8) or not (4).
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.

    See Also
    --------
    NeighborCountFilter : Looks at the eight neighbors only.

    Notes
    -----
    The saliency is the size of the fail's component, in dies; 0 for a passing die. A size counts
    dies, so the right `min_size` grows with the number of dies on the wafer.

    References
    ----------
    .. [1] J. Kim, Y. Lee, H. Kim, "Detection and clustering of mixed-type defect patterns in wafer
       bin maps", IISE Trans. 50(2), 2018, doi:10.1080/24725854.2017.1386337.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import ComponentSizeFilter
    >>> wafer_map = np.array([[2, 1, 1, 1], [1, 2, 1, 1], [1, 2, 1, 2]])
    >>> ComponentSizeFilter(min_size=3).transform([wafer_map])[0]
    array([[2, 1, 1, 1],
           [1, 2, 1, 1],
           [1, 2, 1, 1]])
    """

    _parameter_constraints: dict = {
        **StatelessFilter._parameter_constraints,
        "min_size": [Interval(Integral, 1, None, closed="left")],
        "connectivity": [Options(Integral, {4, 8})],
    }

    def __init__(self, min_size=8, *, connectivity=8, on_error="raise"):
        self.min_size = min_size
        self.connectivity = connectivity
        self.on_error = on_error

    def _decide(self, grid):
        size = component_size(grid, self.connectivity)
        return size >= self.min_size, size


class LargestComponentFilter(StatelessFilter):
    """Keep the largest connected component of fails, remove every other fail.

    It has nothing to tune, and is hard to beat where a pattern hangs together; of a pattern in
    pieces, or of two patterns on one wafer, it keeps one piece.

    Parameters
    ----------
    connectivity : {4, 8}, default=8
        Whether dies that touch at a corner are connected (8) or not (4).
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.

    See Also
    --------
    ComponentSizeFilter : Keeps every component of a given size.

    Notes
    -----
    The saliency is the size of the fail's component, in dies; 0 for a passing die. Components of
    the same, largest size are all kept, so that the result does not depend on how the map lies.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import LargestComponentFilter
    >>> wafer_map = np.array([[2, 1, 1, 1], [1, 2, 1, 2], [1, 2, 1, 2]])
    >>> LargestComponentFilter().transform([wafer_map])[0]
    array([[2, 1, 1, 1],
           [1, 2, 1, 1],
           [1, 2, 1, 1]])
    """

    _parameter_constraints: dict = {
        **StatelessFilter._parameter_constraints,
        "connectivity": [Options(Integral, {4, 8})],
    }

    def __init__(self, *, connectivity=8, on_error="raise"):
        self.connectivity = connectivity
        self.on_error = on_error

    def _decide(self, grid):
        size = component_size(grid, self.connectivity)
        return size == size.max(), size
