"""AdjacencyClusteringFilter: the minimize_energy wafer near the observed one, by a minimum cut."""

from __future__ import annotations

from numbers import Real

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from camdenoise._sklearn_compat import Interval
from camdenoise.filters._stateless import StatelessFilter
from camdenoise.wafers._maps import FAIL, NO_DIE

# Fidelity of a die with eight neighbors, as a whole number, which a maximum flow needs.
_UNIT = 10_000

#: One step to each neighbor such that every pair is met once, and the weight of the pair.
_STEPS = {(0, 1): 1.0, (1, 0): 1.0, (1, 1): 0.5**0.5, (1, -1): 0.5**0.5}
_ALL_NEIGHBORS = 2 * sum(_STEPS.values())


def neighbor_pairs(dies: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the pairs of neighboring dies.

    Parameters
    ----------
    dies : ndarray of bool, shape (height, width)
        Where there are dies.

    Returns
    -------
    first, second : ndarray of int, shape (n_pairs,)
        Numbers of the dies, row by row. Each pair is listed once.
    weight : ndarray of float, shape (n_pairs,)
        One over the distance: 1, or 1 / sqrt(2) at a corner.

    Examples
    --------
    >>> first, second, weight = neighbor_pairs(np.array([[True, False], [True, True]]))
    >>> list(zip(first.tolist(), second.tolist(), weight.round(2).tolist()))
    [(1, 2, 1.0), (0, 1, 1.0), (0, 2, 0.71)]
    """
    number = np.cumsum(dies).reshape(dies.shape) - 1
    pairs = [(*_pairs_at(dies, number, *step), weight) for step, weight in _STEPS.items()]
    weights = np.concatenate([np.full(len(first), weight) for first, _, weight in pairs])
    first, second = (np.concatenate([pair[end] for pair in pairs]) for end in (0, 1))
    return first, second, weights


def _pairs_at(dies: np.ndarray, number: np.ndarray, down: int, right: int):
    height, width = dies.shape
    here = np.s_[: height - down, max(0, -right) : width - max(0, right)]
    there = np.s_[down:, max(0, right) : width - max(0, -right)]
    both = dies[here] & dies[there]
    return number[here][both], number[there][both]


def minimize_energy(
    observed: np.ndarray,
    fidelity: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    coupling: np.ndarray,
) -> np.ndarray:
    """Minimize ``sum fidelity |x - observed| + sum coupling |x[first] - x[second]|`` exactly.

    Parameters
    ----------
    observed : ndarray of bool, shape (n_dies,)
    fidelity : ndarray of int, shape (n_dies,)
    first, second : ndarray of int, shape (n_pairs,)
        Dies of each pair.
    coupling : ndarray of int, shape (n_pairs,)

    Returns
    -------
    ndarray of bool, shape (n_dies,)
        Of all minimizers the one with the most ones; it contains all others.
    """
    n_dies = len(observed)
    source, sink = n_dies, n_dies + 1
    die = np.arange(n_dies)
    tails = [first, second, np.full(observed.sum(), source), die[~observed]]
    heads = [second, first, die[observed], np.full((~observed).sum(), sink)]
    capacities = [coupling, coupling, fidelity[observed], fidelity[~observed]]
    # Older releases of scipy take nothing but 32 bits.
    tail, head, capacity = (
        np.concatenate(parts).astype(np.int32) for parts in (tails, heads, capacities)
    )
    network = sparse.csr_array((capacity, (tail, head)), shape=(n_dies + 2, n_dies + 2))
    left = network - csgraph.maximum_flow(network, source, sink).flow
    # Zero is what cannot be reached against the arcs that have capacity left, from the sink.
    to_sink = csgraph.breadth_first_order((left > 0).T, sink, return_predecessors=False)
    ones = np.ones(n_dies + 2, bool)
    ones[to_sink] = False
    return ones[:n_dies]


def fail_votes(
    x: np.ndarray,
    observed: np.ndarray,
    fidelity: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    coupling: np.ndarray,
) -> np.ndarray:
    """Return the share of the votes on each die that its observation and its neighbors cast for 1.

    Changing a die for which that share is ``s`` changes the sum that `minimize_energy` minimizes by
    ``|2 s - 1|`` times all votes, so of a minimum the ones are just the dies with half or more.
    """
    n_dies = len(x)
    ones = np.bincount(first, coupling * x[second], n_dies)
    ones += np.bincount(second, coupling * x[first], n_dies)
    votes = fidelity + _sums(coupling, first, second, n_dies)
    # A die without neighbors has its own observation only.
    return np.divide(fidelity * observed + ones, votes, out=observed + 0.0, where=votes > 0)


def _sums(values: np.ndarray, first: np.ndarray, second: np.ndarray, n_dies: int) -> np.ndarray:
    """Sum the values of the pairs of each die."""
    return np.bincount(first, values, n_dies) + np.bincount(second, values, n_dies)


class AdjacencyClusteringFilter(StatelessFilter):
    """Keep the fails that are still fails on the minimize_energy wafer near the observed one.

    Adjacency clustering [1]_ looks for the wafer ``x`` that minimizes

    ``sum_i w_i |x_i - y_i| + smoothness * sum_ij c_ij |x_i - x_j|``

    where ``y`` is the observed wafer (1 fail, 0 pass), the second sum goes over neighboring dies,
    and ``c_ij`` is 1 for dies that share a side, ``1 / sqrt(2)`` for dies that touch at a corner.
    It is an Ising model, whose minimum one minimum cut finds exactly [2]_. A fail is kept where
    both ``x`` and ``y`` fail.

    Parameters
    ----------
    smoothness : float, default=0.22
        Cost of a failing die next to a passing one; changing a die with eight neighbors costs 1.
        From 0.146 single fails are removed, from 0.172 pairs, from 0.207 straight lines one die
        wide.
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.

    See Also
    --------
    MedianFilter : Decides by each neighborhood alone.

    Notes
    -----
    A die at the edge of the wafer or at a hole has fewer neighbors. With the same fidelity ``w_i``
    for all dies its own observation would have more weight, and noise would stay at the edge. So
    ``w_i`` is the weight of the die's neighbors as a share of that of eight: 1 with all eight
    neighbors, 0 with none.

    The saliency is the share of votes for "fail" that a die gets on the wafer ``x``: its own
    observation votes with ``w_i``, each neighbor with ``smoothness * c_ij``. In the minimum a die
    fails exactly if that share is at least one half.

    If it costs the same to keep or to remove fails, they are kept. Weights are rounded to
    1 / 10000.

    At the default a scratch one die wide is lost; below 0.207 a straight one is kept if it is long
    enough (at 0.2 from 12 dies on), a diagonal one below 0.185.

    References
    ----------
    .. [1] A. A. Ezzat, S. Liu, D. S. Hochbaum, Y. Ding, "A Graph-Theoretic Approach for Spatial
       Filtering and Its Impact on Mixed-Type Spatial Pattern Recognition in Wafer Bin Maps", IEEE
       Trans. Semicond. Manuf. 34(2), 2021, arXiv:2006.13824.
    .. [2] D. M. Greig, B. T. Porteous, A. H. Seheult, "Exact maximum a posteriori estimation for
       binary images", J. R. Stat. Soc. B 51(2), 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import AdjacencyClusteringFilter
    >>> wafer_map = np.array([[2, 2, 1, 1, 1], [2, 2, 1, 1, 1], [1, 1, 1, 1, 2], [1, 1, 1, 1, 1]])
    >>> AdjacencyClusteringFilter().transform([wafer_map])[0]
    array([[2, 2, 1, 1, 1],
           [2, 2, 1, 1, 1],
           [1, 1, 1, 1, 1],
           [1, 1, 1, 1, 1]])
    """

    _parameter_constraints: dict = {
        **StatelessFilter._parameter_constraints,
        # Far beyond what leaves any fail among passes; larger ones would not fit into 32 bits.
        "smoothness": [Interval(Real, 0, 100, closed="both")],
    }

    def __init__(self, smoothness=0.22, *, on_error="raise"):
        self.smoothness = smoothness
        self.on_error = on_error

    def _decide(self, grid):
        dies = grid != NO_DIE
        first, second, weight = neighbor_pairs(dies)
        coupling = np.rint(_UNIT * self.smoothness * weight).astype(int)
        observed = grid[dies] == FAIL
        fidelity = _sums(weight, first, second, len(observed)) / _ALL_NEIGHBORS
        fidelity = np.rint(_UNIT * fidelity).astype(int)
        x = minimize_energy(observed, fidelity, first, second, coupling)
        votes = np.zeros(grid.shape)
        votes[dies] = fail_votes(x, observed, fidelity, first, second, coupling)
        return votes >= 0.5, votes
