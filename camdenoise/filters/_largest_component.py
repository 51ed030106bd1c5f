"""LargestComponentFilter: take the largest group of touching fails for the pattern."""

from __future__ import annotations

from numbers import Integral

from camdenoise._sklearn_compat import Options
from camdenoise.filters._component_size import component_size
from camdenoise.filters._stateless import StatelessFilter


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
