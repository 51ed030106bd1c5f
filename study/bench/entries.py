"""The denoisers that meet on the bench, one entry each: how it is made and what is tuned."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.filters import (
    AdjacencyClusteringFilter,
    ComponentPermutationFilter,
    ComponentSizeFilter,
    ConnectedPathFilter,
    DBSCANFilter,
    HDBSCANFilter,
    LargestComponentFilter,
    MedianFilter,
    MorphologyFilter,
    NeighborCountFilter,
    SpatialFilter,
    TensorVotingFilter,
)
from camdenoise.filters._stateless import StatelessFilter
from study.denoisers import CAM, COMPONENTS, LARGEST, NEIGHBOURS, NOTHING

MEDIAN = "median"
PLAIN = "CAM, thresholded"
CAM_NONE = "CAM with components, knows none"
EVIDENCE = "evidence maps"

UNET = "U-Net"

#: The classes of a classifier, by which an entry asks for it.
PATTERNS, WITH_NONE = "patterns", "patterns and none"
#: A classifier of all classes that keeps a map of evidence for each.
ALL_CLASSES = "all classes, with evidence"


@dataclass(frozen=True)
class Entry:
    """One denoiser of the bench.

    Attributes
    ----------
    name : str
        As in every table.
    family : {"reference", "classical", "learned", "cam"}
        What it goes by. Those of "cam" are the project's own, which are compared with the best of
        the "classical" ones.
    build : callable
        ``build(trained, **parameters)`` makes a denoiser that is ready to explain wafers.
    space : dict of str to list or scipy.stats distribution
        Where its parameters are looked for.
    main : str or None
        The parameter of its sensitivity curve.
    values : tuple
        The values that the curve runs through.
    trained : str or None
        What it is given: a classifier, by its classes, or the denoiser of this name, trained.
    """

    name: str
    family: str
    build: Callable[..., Any]
    space: dict[str, Any] = field(default_factory=dict)
    main: str | None = None
    values: tuple = ()
    trained: str | None = None


class KeepAll(StatelessFilter):
    """Keep every fail: what a denoiser has to improve on."""

    def __init__(self, *, on_error="raise"):
        self.on_error = on_error

    def _decide(self, grid):
        return np.ones(grid.shape, bool), np.zeros(grid.shape)


def _stateless(kind: type[StatelessFilter], **fixed: Any) -> Callable[..., StatelessFilter]:
    return lambda trained, **parameters: kind(**(fixed | parameters))


def _cam(**fixed: Any) -> Callable[..., CamDenoiser]:
    def build(trained: WaferClassifier, **parameters: Any) -> CamDenoiser:
        denoiser = CamDenoiser(FrozenEstimator(trained), **(fixed | parameters))
        # A frozen classifier has nothing to learn from the map: this looks the layers up.
        return denoiser.fit([np.ones((3, 3), np.uint8)])

    return build


def _trained_denoiser(trained: Any, **parameters: Any) -> Any:
    return copy(trained).set_params(**parameters)


_SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
_LAYERS = ["auto", ["stage1"], ["stage2"], ["stage3"], ["stage4"], ["stage1", "stage2", "stage3"]]
_CAM_SPACE = {
    "method": ["layercam", "gradcam", "hirescam", "gradcam++", "xgradcam"],
    "layers": _LAYERS,
    "threshold": stats.uniform(0, 1),
}

#: In the order of every table.
ENTRIES = (
    Entry(NOTHING, "reference", _stateless(KeepAll)),
    Entry(
        MEDIAN, "classical", _stateless(MedianFilter),
        {"size": [3, 5, 7, 9, 11]}, "size", (1, 3, 5, 7, 9, 11),
    ),
    Entry(
        "spatial filter", "classical", _stateless(SpatialFilter),
        {"size": [3, 5, 7, 9], "threshold": stats.uniform(0.1, 0.6)},
        "threshold", (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7),
    ),
    Entry(
        NEIGHBOURS, "classical", _stateless(NeighborCountFilter),
        {"min_neighbors": list(range(1, 8)), "rounds": [1, 2, 3, 5, 10]},
        "min_neighbors", tuple(range(9)),
    ),
    Entry(
        "DBSCAN", "classical", _stateless(DBSCANFilter),
        {"eps": [1.0, 1.5, 2.0, 2.3, 2.9, 3.2], "min_samples": list(range(2, 16))},
        "min_samples", (1, 2, 3, 4, 5, 6, 8, 10, 15),
    ),
    Entry(
        "HDBSCAN", "classical", _stateless(HDBSCANFilter),
        {
            "min_cluster_size": list(range(3, 41)),
            "min_samples": [1, 2, 3, 4, 5, 8, 12],
            "allow_single_cluster": [False, True],
        },
        "min_cluster_size", (2, 3, 5, 8, 12, 16, 24, 40),
    ),
    Entry(
        "morphology", "classical", _stateless(MorphologyFilter),
        {"operation": ["reconstruction", "opening", "closing"], "size": [2, 3, 4]},
        "size", (1, 2, 3, 4),
    ),
    Entry(
        "adjacency clustering", "classical", _stateless(AdjacencyClusteringFilter),
        {"smoothness": stats.loguniform(0.1, 0.5)},
        "smoothness", (0.1, 0.14, 0.16, 0.18, 0.2, 0.22, 0.25, 0.3, 0.4, 0.5),
    ),
    Entry(
        "tensor voting", "classical", _stateless(TensorVotingFilter),
        {"scale": stats.loguniform(0.7, 8), "threshold": stats.uniform(0, 1)},
        "threshold", _SHARES,
    ),
    Entry(
        "connected path", "classical", _stateless(ConnectedPathFilter),
        {"min_length": list(range(2, 21)), "connectivity": [4, 8]},
        "min_length", (1, 2, 3, 4, 5, 6, 8, 12, 20),
    ),
    Entry(
        COMPONENTS, "classical", _stateless(ComponentSizeFilter),
        {"min_size": list(range(2, 41)), "connectivity": [4, 8]},
        "min_size", (1, 2, 3, 5, 8, 12, 16, 24, 40),
    ),
    Entry(
        LARGEST, "classical", _stateless(LargestComponentFilter),
        {"connectivity": [4, 8]}, "connectivity", (4, 8),
    ),
    # Half of the default's permutations, for the sake of time.
    Entry(
        "component permutation", "classical",
        _stateless(ComponentPermutationFilter, n_permutations=99),
        {"alpha": stats.loguniform(0.01, 0.6), "connectivity": [4, 8]},
        "alpha", (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6),
    ),
    Entry(
        UNET, "learned", _trained_denoiser,
        {"threshold": stats.uniform(0, 1)}, "threshold", _SHARES, UNET,
    ),
    Entry(
        PLAIN,
        "cam",
        _cam(threshold=0.5, aggregation=None),
        _CAM_SPACE,
        "threshold",
        _SHARES,
        PATTERNS,
    ),
    Entry(
        CAM, "cam", _cam(threshold=0.5), _CAM_SPACE, "threshold", _SHARES, PATTERNS,
    ),
    Entry(
        CAM_NONE, "cam", _cam(threshold=0.5, no_pattern="remove"),
        _CAM_SPACE, "threshold", _SHARES, WITH_NONE,
    ),
    Entry(
        EVIDENCE, "cam", _cam(no_pattern="remove"),
        {
            "threshold": ["auto", 0.2, 0.3, 0.4, 0.5, 0.6, 0.7],
            "false_alarm_rate": [None, 0.05],
        },
        "threshold", _SHARES, ALL_CLASSES,
    ),
)  # fmt: skip

BY_NAME = {entry.name: entry for entry in ENTRIES}
CLASSICAL = tuple(entry.name for entry in ENTRIES if entry.family == "classical")
CONTENDERS = tuple(entry.name for entry in ENTRIES if entry.family == "cam")
