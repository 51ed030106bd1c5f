"""Classical denoisers, which decide by the neighborhood of a fail and know no classes.

All share the interface of `CamDenoiser`: `transform` gives maps, `explain` gives reasons. They have
nothing to learn, so they need no `fit`. docs/filters.md compares them.
"""

from camdenoise.filters._adjacency_clustering import AdjacencyClusteringFilter
from camdenoise.filters._component_permutation import ComponentPermutationFilter
from camdenoise.filters._component_size import ComponentSizeFilter, LargestComponentFilter
from camdenoise.filters._connected_path import ConnectedPathFilter
from camdenoise.filters._dbscan import DBSCANFilter
from camdenoise.filters._hdbscan import HDBSCANFilter
from camdenoise.filters._median import MedianFilter
from camdenoise.filters._morphology import MorphologyFilter
from camdenoise.filters._neighbor_count import NeighborCountFilter
from camdenoise.filters._spatial import SpatialFilter
from camdenoise.filters._tensor_voting import TensorVotingFilter

__all__ = [
    "AdjacencyClusteringFilter",
    "ComponentPermutationFilter",
    "ComponentSizeFilter",
    "ConnectedPathFilter",
    "DBSCANFilter",
    "HDBSCANFilter",
    "LargestComponentFilter",
    "MedianFilter",
    "MorphologyFilter",
    "NeighborCountFilter",
    "SpatialFilter",
    "TensorVotingFilter",
]
