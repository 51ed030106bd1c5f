"""Every filter that the library exports, the variants worth trying, and maps to try them on."""

import numpy as np

from camdenoise import filters
from camdenoise.filters._stateless import StatelessFilter

#: A filter joins all tests of the interface and of the invariants by being exported.
CLASSES = [
    kind
    for kind in (getattr(filters, name) for name in filters.__all__)
    if issubclass(kind, StatelessFilter)
]

#: Small maps need small sizes for something to be kept and something removed.
VARIANTS = {
    "median 5": filters.MedianFilter(5),
    "components of 3": filters.ComponentSizeFilter(3),
    "components, 4": filters.ComponentSizeFilter(2, connectivity=4),
    "largest component, 4": filters.LargestComponentFilter(connectivity=4),
    "permutation": filters.ComponentPermutationFilter(0.3, 19),
    "permutation, 4": filters.ComponentPermutationFilter(0.5, 9, connectivity=4),
    "paths of 3": filters.ConnectedPathFilter(3),
    "paths, 4": filters.ConnectedPathFilter(3, connectivity=4),
    "neighbors, rounds": filters.NeighborCountFilter(3, rounds=4),
    "neighbors, enough rounds": filters.NeighborCountFilter(3, rounds=100),
    "spatial 3": filters.SpatialFilter(3, 0.5),
    "DBSCAN 2.3": filters.DBSCANFilter(2.3, 6),
    "HDBSCAN of 3": filters.HDBSCANFilter(3, 2),
    "HDBSCAN, split": filters.HDBSCANFilter(2, allow_single_cluster=False),
    "adjacency, weak": filters.AdjacencyClusteringFilter(0.16),
    "adjacency, strong": filters.AdjacencyClusteringFilter(0.4),
    "tensor voting, near": filters.TensorVotingFilter(1.5, 0.6),
    "opening": filters.MorphologyFilter("opening"),
    "opening 3": filters.MorphologyFilter("opening", 3),
    "reconstruction 3": filters.MorphologyFilter("reconstruction", 3),
    "closing": filters.MorphologyFilter("closing"),
}
FILTERS = {kind.__name__: kind() for kind in CLASSES} | VARIANTS


def random_maps(n=12, seed=0):
    """Wafers of all shapes and fail rates, with holes and dies beyond any disc."""
    rng = np.random.default_rng(seed)
    maps = []
    for _ in range(n):
        p = rng.dirichlet([1, 2, 2])
        maps.append(rng.choice(3, rng.integers(1, 12, 2), p=p).astype(np.uint8))
    return maps
