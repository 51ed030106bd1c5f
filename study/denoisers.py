"""All denoisers that the study compares, and the controls that tell a gain from a leak.

The stages take a denoiser at its defaults. The bench tunes each in its space.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, Explanation, WaferClassifier
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
from camdenoise.leakage import BLIND as BLIND_CONTROLS
from camdenoise.leakage import CONTROLS as LEAKAGE_CONTROLS
from camdenoise.leakage import CrossFit
from camdenoise.wafers import FAIL

#: Wafers that were not denoised, as tables name them.
RAW = "raw wafers"

NOTHING = "nothing removed"
MEDIAN = "median"
NEIGHBORS = "neighbor count"
COMPONENTS = "component size"
LARGEST = "largest component"
UNET = "U-Net"
PLAIN = "Grad-CAM, thresholded"
SEARCHED_CAM = "CAM, thresholded"
CAM = "CAM with components"
CAM_NONE = "CAM with components, knows none"
EVIDENCE = "evidence maps"
OURS = "CamDenoiser"

#: The classes of a classifier, by which an entry asks for it.
PATTERNS, WITH_NONE = "patterns", "patterns and none"
#: A classifier of all classes that keeps a map of evidence for each.
ALL_CLASSES = "all classes, with evidence"


@dataclass(frozen=True)
class Entry:
    """One denoiser.

    Attributes
    ----------
    name : str
        As in every table.
    family : {"reference", "classical", "learned", "cam"}
        What it goes by. Those of "cam" are the project's own, which are compared with the best of
        the "classical" ones.
    build : callable
        Makes a denoiser that is ready to explain wafers, of its parameters and, where the entry
        has one, the trained model before them.
    space : dict of str to list or scipy.stats distribution
        Where the bench looks for its parameters.
    main : str or None
        The parameter of its sensitivity curve.
    values : tuple
        The values that the curve runs through.
    trained : str or None
        What it is given: a classifier, by its classes, or a trained denoiser, by its name.
    start : dict
        Parameters on the bench that are not the defaults.
    """

    name: str
    family: str
    build: Callable[..., Any]
    space: dict[str, Any] = field(default_factory=dict)
    main: str | None = None
    values: tuple = ()
    trained: str | None = None
    start: dict[str, Any] = field(default_factory=dict)

    def make(self, trained: Any = None, **parameters: Any) -> Any:
        """Make the denoiser, around the trained model where it takes one."""
        return self.build(*([] if self.trained is None else [trained]), **parameters)

    def make_on_bench(self, trained: Any, candidate: dict[str, Any]) -> Any:
        """Make the denoiser with the parameters that the bench has chosen."""
        return self.make(trained, **(self.start | candidate))


class KeepAll(BaseEstimator):
    """Keep every fail: what a denoiser has to improve on."""

    def explain(self, X: list[np.ndarray]) -> list[Explanation]:
        """Explain each wafer by masks that keep all, and no saliency."""
        grids = [np.asarray(grid) for grid in X]
        return [
            Explanation(np.zeros(g.shape, np.float32), g == FAIL, np.zeros(g.shape, bool))
            for g in grids
        ]


def _cam(trained: WaferClassifier, **parameters: Any) -> CamDenoiser:
    denoiser = CamDenoiser(FrozenEstimator(trained), **parameters)
    # A frozen classifier has nothing to learn from the map: this looks the layers up.
    return denoiser.fit([np.ones((3, 3), np.uint8)])


def _last_layer_cam(trained: WaferClassifier) -> CamDenoiser:
    layers = [trained.module_.layer_names[-1]]
    return _cam(trained, method="gradcam", layers=layers, aggregation=None)


def _copy_trained(trained: Any, **parameters: Any) -> Any:
    return copy(trained).set_params(**parameters)


_SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
_LAYERS = ["auto", ["stage1"], ["stage2"], ["stage3"], ["stage4"], ["stage1", "stage2", "stage3"]]
_CAM_SPACE = {
    "method": ["layercam", "gradcam", "hirescam", "gradcam++", "xgradcam"],
    "layers": _LAYERS,
    "threshold": stats.uniform(0, 1),
}

#: Every denoiser there is, in the order of the tables.
ENTRIES = (
    Entry(NOTHING, "reference", KeepAll),
    Entry(
        MEDIAN, "classical", MedianFilter,
        {"size": [3, 5, 7, 9, 11]}, "size", (1, 3, 5, 7, 9, 11),
    ),
    Entry(
        "spatial filter", "classical", SpatialFilter,
        {"size": [3, 5, 7, 9], "threshold": stats.uniform(0.1, 0.6)},
        "threshold", (0.1, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7),
    ),
    Entry(
        NEIGHBORS, "classical", NeighborCountFilter,
        {"min_neighbors": list(range(1, 8)), "rounds": [1, 2, 3, 5, 10]},
        "min_neighbors", tuple(range(9)),
    ),
    Entry(
        "DBSCAN", "classical", DBSCANFilter,
        {"eps": [1.0, 1.5, 2.0, 2.3, 2.9, 3.2], "min_samples": list(range(2, 16))},
        "min_samples", (1, 2, 3, 4, 5, 6, 8, 10, 15),
    ),
    Entry(
        "HDBSCAN", "classical", HDBSCANFilter,
        {
            "min_cluster_size": list(range(3, 41)),
            "min_samples": [1, 2, 3, 4, 5, 8, 12],
            "allow_single_cluster": [False, True],
        },
        "min_cluster_size", (2, 3, 5, 8, 12, 16, 24, 40),
    ),
    Entry(
        "morphology", "classical", MorphologyFilter,
        {"operation": ["reconstruction", "opening", "closing"], "size": [2, 3, 4]},
        "size", (1, 2, 3, 4),
    ),
    Entry(
        "adjacency clustering", "classical", AdjacencyClusteringFilter,
        {"smoothness": stats.loguniform(0.1, 0.5)},
        "smoothness", (0.1, 0.14, 0.16, 0.18, 0.2, 0.22, 0.25, 0.3, 0.4, 0.5),
    ),
    Entry(
        "tensor voting", "classical", TensorVotingFilter,
        {"scale": stats.loguniform(0.7, 8), "threshold": stats.uniform(0, 1)},
        "threshold", _SHARES,
    ),
    Entry(
        "connected path", "classical", ConnectedPathFilter,
        {"min_length": list(range(2, 21)), "connectivity": [4, 8]},
        "min_length", (1, 2, 3, 4, 5, 6, 8, 12, 20),
    ),
    Entry(
        COMPONENTS, "classical", ComponentSizeFilter,
        {"min_size": list(range(2, 41)), "connectivity": [4, 8]},
        "min_size", (1, 2, 3, 5, 8, 12, 16, 24, 40),
    ),
    Entry(
        LARGEST, "classical", LargestComponentFilter,
        {"connectivity": [4, 8]}, "connectivity", (4, 8),
    ),
    # 99 permutations, half of the default, take half the time.
    Entry(
        "component permutation", "classical",
        ComponentPermutationFilter,
        {"alpha": stats.loguniform(0.01, 0.6), "connectivity": [4, 8]},
        "alpha", (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6),
        start={"n_permutations": 99},
    ),
    Entry(
        UNET, "learned", _copy_trained,
        {"threshold": stats.uniform(0, 1)}, "threshold", _SHARES, UNET,
    ),
    Entry(PLAIN, "cam", _last_layer_cam, trained=PATTERNS),
    Entry(
        SEARCHED_CAM, "cam", _cam, _CAM_SPACE, "threshold", _SHARES, PATTERNS,
        {"threshold": 0.5, "aggregation": None},
    ),
    Entry(
        CAM, "cam", _cam, _CAM_SPACE, "threshold", _SHARES, PATTERNS, {"threshold": 0.5},
    ),
    Entry(
        CAM_NONE, "cam", _cam, _CAM_SPACE, "threshold", _SHARES, WITH_NONE,
        {"threshold": 0.5, "no_pattern": "remove"},
    ),
    Entry(
        EVIDENCE, "cam", _cam,
        {
            "threshold": ["auto", 0.2, 0.3, 0.4, 0.5, 0.6, 0.7],
            "false_alarm_rate": [None, 0.05],
        },
        "threshold", _SHARES, ALL_CLASSES, {"no_pattern": "remove"},
    ),
    Entry(OURS, "cam", _cam, trained=PATTERNS),
)  # fmt: skip

BY_NAME = {entry.name: entry for entry in ENTRIES}
#: What the stages compare, in the order of their tables. The first is not a denoiser.
DENOISERS = (NOTHING, MEDIAN, NEIGHBORS, COMPONENTS, LARGEST, PLAIN, CAM, OURS)
#: What a classifier is trained on after denoising. Raw wafers are those of the models stage.
BEFORE_AFTER = (MEDIAN, COMPONENTS, PLAIN, CAM, OURS)
#: What the bench compares.
BENCH = tuple(entry for entry in ENTRIES if entry.name not in (PLAIN, OURS))
CLASSICAL = tuple(entry.name for entry in BENCH if entry.family == "classical")
CONTENDERS = tuple(entry.name for entry in BENCH if entry.family == "cam")

#: Stages whose nets `OURS` may be around: those that classify, or others of a profile's own.
MODELS, EXPLAINERS = "models", "explainers"

#: What a gain under each control would mean, by its name in tables.
CONTROLS = {f"control: {name}": c.gain_means for name, c in LEAKAGE_CONTROLS.items()}
TRUE_CLASS, REGION = "control: true class", "control: mask alone"
RANDOM_NET, INDEPENDENT = "control: random weights", "control: independent architecture"
#: Those that are around an explainer.
OF_EXPLAINER = (OURS, RANDOM_NET)
#: Controls that a gain must be larger than.
CONTROLS_TO_BEAT = (*(f"control: {name}" for name in BLIND_CONTROLS), REGION)


def explainer_of(profile: dict[str, Any]) -> str:
    """Name the stage whose nets `OURS` is around."""
    return EXPLAINERS if "explainer" in profile else MODELS


def stage_of(name: str, explainer: str) -> str:
    """Name the stage whose nets a denoiser or control is around, where `explainer` is ours."""
    return explainer if name in OF_EXPLAINER else MODELS


def without_repeats(names: tuple[str, ...], explainer: str) -> list[str]:
    """Leave out `CAM` where `OURS` is the same: around the nets of the models stage, not others."""
    return [name for name in names if name != CAM or explainer != MODELS]


def make_denoiser(name: str, clf: WaferClassifier) -> Any:
    """Make a denoiser at its defaults, around a trained classifier that shows its progress."""
    return BY_NAME[name].make(copy(clf).set_params(progress=True))


def explain(name: str, clf: WaferClassifier, maps: list[np.ndarray]) -> list[Explanation]:
    """Explain wafers by a denoiser around a classifier that was trained on others.

    Parameters
    ----------
    name : str
        One of `DENOISERS` but the first.
    clf : WaferClassifier
        Trained on other wafers than these.
    maps : list of ndarray
        The wafers.
    """
    return make_denoiser(name, clf).explain(maps)


def kept_by(name: str, clf: WaferClassifier, maps: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """Return the fails that a denoiser keeps of each wafer, or the control with random weights.

    Parameters
    ----------
    name, clf, maps
        As in `explain`; `RANDOM_NET`, too.
    seed : int
        For random weights.
    """
    if name != RANDOM_NET:
        return [why.kept for why in explain(name, clf, maps)]
    every = np.arange(len(maps))
    fit = CrossFit(maps, np.array([]), every[:0], [(make_denoiser(OURS, clf), every)])
    control = LEAKAGE_CONTROLS[name.removeprefix("control: ")]
    return control.masks(fit, np.random.default_rng(seed))
