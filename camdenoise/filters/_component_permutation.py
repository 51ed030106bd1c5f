"""ComponentPermutationFilter: keep components too large to have come about by chance."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state

from camdenoise._sklearn_compat import Interval, Options
from camdenoise.filters._component_size import component_size
from camdenoise.filters._stateless import StatelessFilter
from camdenoise.wafers._components import fail_components
from camdenoise.wafers._explanation import build_explanation
from camdenoise.wafers._maps import FAIL, NO_DIE


def permuted_sizes(
    dies: np.ndarray,
    n_fails: int,
    n_permutations: int,
    connectivity: int,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Shuffle the fails over the dies; return the size of the largest component each time.

    Parameters
    ----------
    dies : ndarray of bool, shape (height, width)
        Where there are dies.
    n_fails : int
        How many of them fail.
    n_permutations : int
    connectivity : {4, 8}
    rng : RandomState

    Returns
    -------
    ndarray of int, shape (n_permutations,)
        In ascending order.
    """
    cells = np.flatnonzero(dies)
    largest = np.empty(n_permutations, int)
    for number in range(n_permutations):
        shuffled = np.zeros(dies.shape, np.uint8)
        shuffled.ravel()[rng.permutation(cells)[:n_fails]] = FAIL
        labels, _ = fail_components(shuffled, connectivity)
        largest[number] = np.bincount(labels.ravel())[1:].max(initial=0)
    return np.sort(largest)


def p_values(size: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Return how often chance makes a component as large, the observed wafer counted in.

    Examples
    --------
    >>> p_values(np.array([1, 3, 5]), largest=np.array([1, 2, 3]))
    array([1.  , 0.5 , 0.25])
    """
    as_large = len(largest) - np.searchsorted(largest, size)
    return (1 + as_large) / (1 + len(largest))


class ComponentPermutationFilter(StatelessFilter):
    """Keep the connected components that are larger than chance makes them.

    The wafer's fails are shuffled over the wafer's dies many times. A component is kept if hardly
    any shuffled wafer has one as large: its p-value is the share of the wafers whose largest
    component has at least its size, the observed wafer being one of them [2]_. As the largest one
    of each counts, the chance that anything at all is kept of a wafer that fails at random is at
    most `alpha`. wafermap [1]_ tests its clusters in this way.

    Parameters
    ----------
    alpha : float between 0 and 1, default=0.05
        Largest p-value of a component that stays.
    n_permutations : int, default=199
        How often to shuffle. The smallest p-value there can be is ``1 / (n_permutations + 1)``;
        with an `alpha` below that nothing is kept.
    connectivity : {4, 8}, default=8
        Whether dies that touch at a corner are connected (8) or not (4).
    random_state : int, RandomState instance or None, default=0
        For the shuffles. An integer makes `transform` and `explain` decide alike.
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.

    See Also
    --------
    ComponentSizeFilter : Needs a size to be given; here it follows from the wafer.

    Notes
    -----
    The saliency is one minus the p-value of the fail's component; 0 for a passing die.

    The null hypothesis is that all dies fail alike. Real backgrounds are uneven, so more than
    `alpha` of them have a component that is kept. On the other side the test loses its power where
    every fail is of one component by chance as well, from about 40 % of failing dies on (the
    percolation threshold of a square lattice with eight neighbors): of a wafer that fails
    everywhere nothing is kept. A scratch is kept if it has enough dies; its form does not matter.

    Shuffling takes nearly all the time, and depends on nothing but where the dies are and how many
    of them fail: wafers of a batch that agree in both share the shuffles.

    References
    ----------
    .. [1] wafermap, "Spatial Detection Analysis", https://github.com/wafertools/wafermap
    .. [2] B. Phipson, G. K. Smyth, "Permutation P-values should never be zero", Stat. Appl. Genet.
       Mol. Biol. 9(1), 2010, doi:10.2202/1544-6115.1585.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import ComponentPermutationFilter
    >>> wafer_map = np.ones((8, 8), int)
    >>> wafer_map[1, 1:6] = 2
    >>> wafer_map[6, 6] = 2
    >>> (explanation,) = ComponentPermutationFilter().explain([wafer_map])
    >>> bool(explanation.kept[1, 1]), bool(explanation.kept[6, 6])
    (True, False)
    >>> p = 1 - explanation.saliency
    >>> bool(p[1, 1] < 0.05 < p[6, 6])
    True
    """

    _parameter_constraints: dict = {
        **StatelessFilter._parameter_constraints,
        "alpha": [Interval(Real, 0, 1, closed="both")],
        "n_permutations": [Interval(Integral, 1, None, closed="left")],
        "connectivity": [Options(Integral, {4, 8})],
        "random_state": ["random_state"],
    }

    def __init__(
        self, alpha=0.05, n_permutations=199, *, connectivity=8, random_state=0, on_error="raise"
    ):
        self.alpha = alpha
        self.n_permutations = n_permutations
        self.connectivity = connectivity
        self.random_state = random_state
        self.on_error = on_error

    def _explain_maps(self, maps):
        # One seed for all, so that a wafer's result does not depend on the others of the batch.
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        known = {}
        return [build_explanation(grid, *self._test(grid, seed, known)) for grid in maps]

    def _test(self, grid, seed, known):
        """Decide by p-values; `known` holds what chance made of earlier wafers."""
        dies, n_fails = grid != NO_DIE, int((grid == FAIL).sum())
        wafer = dies.shape, dies.tobytes(), n_fails
        if wafer not in known:
            rng = np.random.RandomState(seed)
            shuffles = self.n_permutations, self.connectivity, rng
            known[wafer] = permuted_sizes(dies, n_fails, *shuffles)
        p = p_values(component_size(grid, self.connectivity), known[wafer])
        return p <= self.alpha, np.where(grid == FAIL, 1 - p, 0)
