"""TensorVotingFilter: keep fails that lie on a curve or in a region of fails, judged from afar."""

from __future__ import annotations

from functools import lru_cache
from numbers import Real

import numpy as np
from scipy import signal

from camdenoise._sklearn_compat import Interval
from camdenoise.filters._stateless import StatelessFilter
from camdenoise.wafers._maps import FAIL

# Distance at which votes end, in scales; a vote there weighs 1e-4 of the nearest ones.
_REACH = 3
# Decimal digits of votes; Fourier transforms leave errors of some 1e-15 where no vote was cast.
_DIGITS = 9


@lru_cache(maxsize=32)
def voting_kernels(scale: float, reach: int) -> np.ndarray:
    """Return the tensor that a fail casts on each place around it.

    Parameters
    ----------
    scale : float
        Distance, in dies, at which a vote weighs 1 / e.
    reach : int
        How many rows and columns away the votes end.

    Returns
    -------
    ndarray of float, shape (3, 2 * reach + 1, 2 * reach + 1)
        The entries yy, xx and yx of ``exp(-d**2 / scale**2) * (I - v v')``, where ``v`` is the
        direction from the fail in the middle; nothing on the fail itself. Read-only.
    """
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    squared = x**2 + y**2
    weight = np.exp(-squared / scale**2)
    weight[reach, reach] = 0
    squared[reach, reach] = 1
    kernels = weight * np.stack([1 - y**2 / squared, 1 - x**2 / squared, -y * x / squared])
    kernels.flags.writeable = False
    return kernels


def stick_and_ball(fails: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how much each cell looks like a part of a curve and like a part of a region.

    These are the difference of the two eigenvalues of the tensor that all fails cast on the cell,
    and the smaller eigenvalue.
    """
    height, width = fails.shape
    reach = int(min(np.ceil(_REACH * scale), max(height, width)))
    kernels = voting_kernels(scale, reach)
    votes = signal.fftconvolve(fails[np.newaxis].astype(np.float64), kernels, axes=(1, 2))
    votes = votes[:, reach : reach + height, reach : reach + width].round(_DIGITS)
    yy, xx, yx = votes
    stick = np.hypot(yy - xx, 2 * yx)
    return stick, (yy + xx - stick) / 2


class TensorVotingFilter(StatelessFilter):
    """Keep the fails that other fails, near and far, see as a part of a curve or of a region.

    Tensor voting [1]_, brought to wafer maps by [2]_. Each fail casts a vote on each other one, the
    tensor ``exp(-d**2 / scale**2) * (I - v v')`` with ``d`` their distance and ``v`` the direction:
    a curve that joins the two would have its normal across ``v``. Votes along a curve agree, and
    their sum has one large eigenvalue (the stick saliency is the difference of the two); the sum of
    votes from all around has two (the ball saliency is the smaller one).

    Parameters
    ----------
    scale : float, default=5.0
        Distance, in dies, at which a vote weighs 1 / e.
    threshold : float between 0 and 1, default=0.3
        A fail stays if its stick saliency is at least this share of the largest one among the
        wafer's fails, or its ball saliency of the largest ball saliency.
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.

    See Also
    --------
    DBSCANFilter : Counts fails nearby in all directions.

    Notes
    -----
    The saliency is the larger of the two shares, compared with `threshold`.

    Being relative to the wafer's own maximum, the rule keeps something of every wafer with two
    fails close enough to see each other; votes end at three scales. Passing dies do not vote, nor
    do cells without a die; at the edge of the wafer votes come from one side only, which lowers the
    ball saliency there.

    A scratch one die wide is what the stick saliency is made for. But at the default scale a fail
    gets votes from some 80 dies, so that noise around a short scratch outvotes it; a smaller
    scale helps.

    References
    ----------
    .. [1] G. Medioni, M.-S. Lee, C.-K. Tang, "A Computational Framework for Segmentation and
       Grouping", Elsevier, 2000.
    .. [2] R. Wang, S. Wang, "Detection and Recognition of Mixed-Type Defect Patterns in Wafer Bin
       Maps via Tensor Voting", IEEE Trans. Semicond. Manuf. 35(3), 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import TensorVotingFilter
    >>> wafer_map = np.ones((7, 9), int)
    >>> wafer_map[1, :] = 2
    >>> wafer_map[5, 7] = 2
    >>> kept = TensorVotingFilter(scale=2).explain([wafer_map])[0].kept
    >>> bool(kept[1].all()), bool(kept[5, 7])
    (True, False)
    """

    _parameter_constraints: dict = {
        **StatelessFilter._parameter_constraints,
        "scale": [Interval(Real, 0, None, closed="neither")],
        "threshold": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(self, scale=5.0, threshold=0.3, *, on_error="raise"):
        self.scale = scale
        self.threshold = threshold
        self.on_error = on_error

    def _decide(self, grid):
        fails = grid == FAIL
        shares = [_share_of_largest(s * fails) for s in stick_and_ball(fails, self.scale)]
        share = np.maximum(*shares)
        return (share >= self.threshold) & (share > 0), share


def _share_of_largest(values: np.ndarray) -> np.ndarray:
    largest = values.max()
    return values / largest if largest > 0 else values
