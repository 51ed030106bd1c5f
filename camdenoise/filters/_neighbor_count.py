"""NeighborCountFilter: keep fails that have enough failing neighbors."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from camdenoise._sklearn_compat import Interval
from camdenoise.filters._stateless import StatelessFilter, window_counts
from camdenoise.wafers._maps import FAIL


def failing_neighbors(fails: np.ndarray) -> np.ndarray:
    """Count the marked cells among the eight neighbors of each cell."""
    return window_counts(fails, 3) - fails


class NeighborCountFilter(StatelessFilter):
    """Keep the fails that have at least `min_neighbors` failing neighbors among eight.

    Parameters
    ----------
    min_neighbors : int between 0 and 8, default=2
        Fewest failing neighbors of a fail that stays.
    rounds : int, default=1
        How often to repeat it on what is left. Each round removes fails that the last one
        left without company.
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.

    See Also
    --------
    MedianFilter : More than half of the window, counted on the dies that are there.
    ComponentSizeFilter : Looks at whole connected groups.

    Notes
    -----
    The saliency is the number of failing neighbors that the last round counted; it never grows
    from round to round, so a fail is kept just where it is at least `min_neighbors`. With the
    default of 2 a one-die-wide scratch loses the die at each end in every round.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import NeighborCountFilter
    >>> wafer_map = np.array([[2, 2, 1, 1], [2, 2, 1, 1], [1, 1, 1, 2]])
    >>> NeighborCountFilter().transform([wafer_map])[0]
    array([[2, 2, 1, 1],
           [2, 2, 1, 1],
           [1, 1, 1, 1]])
    """

    _parameter_constraints: dict = {
        **StatelessFilter._parameter_constraints,
        "min_neighbors": [Interval(Integral, 0, 8, closed="both")],
        "rounds": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, min_neighbors=2, rounds=1, *, on_error="raise"):
        self.min_neighbors = min_neighbors
        self.rounds = rounds
        self.on_error = on_error

    def _decide(self, grid):
        left = grid == FAIL
        for _ in range(self.rounds):
            before, neighbors = left, failing_neighbors(left)
            left = before & (neighbors >= self.min_neighbors)
            if (left == before).all():
                break
        return left, neighbors
