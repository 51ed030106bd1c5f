"""HDBSCANFilter: hierarchical density-based clustering of the fails, without a distance to set."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.cluster import HDBSCAN

from camdenoise._sklearn_compat import Interval
from camdenoise.filters._stateless import StatelessFilter
from camdenoise.wafers._maps import FAIL


class HDBSCANFilter(StatelessFilter):
    """Keep the fails that belong to a cluster of HDBSCAN, remove those it calls noise.

    HDBSCAN [1]_ looks at the clusters of DBSCAN for all distances at once and takes those that
    last longest, so that no distance has to be chosen. It stands here for the methods that order
    fails by density; OPTICS, the older one, found patterns on wafer maps in [2]_.

    Parameters
    ----------
    min_cluster_size : int, default=8
        Fewest fails of a cluster.
    min_samples : int, default=None
        How many fails, itself included, must be near a fail for it to be in a dense place.
        None: as many as `min_cluster_size`.
    allow_single_cluster : bool, default=True
        Whether all fails may turn out to be of one cluster. Without it, a wafer with one pattern
        has the pattern or the background split.
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.

    See Also
    --------
    sklearn.cluster.HDBSCAN : Does the work.
    DBSCANFilter : One distance; faster, and better where the dies of a pattern touch.

    Notes
    -----
    The saliency is the strength, up to 1, with which a fail belongs to its cluster; 0 for noise.

    It is made for densities that differ from place to place. Dies have few different distances from
    each other, so most of the hierarchy is ties, which are broken by the order of the dies: the
    result can change when the wafer is turned, and docs/filters.md shows it to be weak. Dies at the
    edge have fewer neighbors and are removed more easily, as are those of a line one die wide.

    References
    ----------
    .. [1] R. J. G. B. Campello, D. Moulavi, J. Sander, "Density-based clustering based on
       hierarchical density estimates", PAKDD 2013, doi:10.1007/978-3-642-37456-2_14.
    .. [2] M. Fan, Q. Wang, B. van der Waal, "Wafer defect patterns recognition based on OPTICS and
       multi-label classification", IMCEC 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import HDBSCANFilter
    >>> wafer_map = np.ones((8, 8), int)
    >>> wafer_map[:5, :5] = 2
    >>> wafer_map[7, 7] = 2
    >>> kept = HDBSCANFilter(min_samples=3).explain([wafer_map])[0].kept
    >>> int(kept.sum()), bool(kept[7, 7])
    (25, False)
    """

    _parameter_constraints: dict = {
        **StatelessFilter._parameter_constraints,
        "min_cluster_size": [Interval(Integral, 2, None, closed="left")],
        "min_samples": [Interval(Integral, 1, None, closed="left"), None],
        "allow_single_cluster": ["boolean"],
    }

    def __init__(
        self,
        min_cluster_size=8,
        min_samples=None,
        *,
        allow_single_cluster=True,
        on_error="raise",
    ):
        self.min_cluster_size = min_cluster_size
        self.min_samples = min_samples
        self.allow_single_cluster = allow_single_cluster
        self.on_error = on_error

    def _decide(self, grid):
        dies = np.argwhere(grid == FAIL)
        strength = np.zeros(grid.shape)
        # Fewer fails are not a cluster, and scikit-learn refuses them.
        if len(dies) >= max(self.min_cluster_size, self.min_samples or 0):
            strength[tuple(dies.T)] = self._cluster(dies)
        return strength > 0, strength

    def _cluster(self, dies):
        clusters = HDBSCAN(
            self.min_cluster_size,
            self.min_samples,
            allow_single_cluster=self.allow_single_cluster,
            copy=True,
        ).fit(dies)
        return np.where(clusters.labels_ >= 0, clusters.probabilities_, 0)
