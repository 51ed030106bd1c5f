"""The denoisers that the study compares, and the controls that tell a gain from a leak."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, Explanation, WaferClassifier
from camdenoise.filters import (
    ComponentSizeFilter,
    LargestComponentFilter,
    MedianFilter,
    NeighborCountFilter,
)
from camdenoise.leakage import BLIND as BLIND_CONTROLS
from camdenoise.leakage import CONTROLS as LEAKAGE_CONTROLS
from camdenoise.leakage import CrossFit

NOTHING = "nothing removed"
MEDIAN = "median 3x3"
NEIGHBOURS = "neighbour count"
COMPONENTS = "component size"
LARGEST = "largest component"
PLAIN = "Grad-CAM, thresholded"
CAM = "CAM with components"
OURS = "CamDenoiser"

#: In the order of every table. The first is no denoiser.
DENOISERS = (NOTHING, MEDIAN, NEIGHBOURS, COMPONENTS, LARGEST, PLAIN, CAM, OURS)
#: What a classifier is trained on after denoising. Raw wafers are those of the models stage.
BEFORE_AFTER = (MEDIAN, COMPONENTS, PLAIN, CAM, OURS)

#: Stages whose nets `OURS` may be around: those that classify, or others of a profile's own.
MODELS, EXPLAINERS = "models", "explainers"

#: What a gain under each control would mean, by its name in tables.
CONTROLS = {f"control: {name}": c.gain_means for name, c in LEAKAGE_CONTROLS.items()}
TRUE_CLASS, REGION = "control: true class", "control: mask alone"
RANDOM_NET, INDEPENDENT = "control: random weights", "control: independent architecture"
#: Those that are around an explainer.
OF_EXPLAINER = (OURS, RANDOM_NET)
#: Controls that a gain must be larger than.
RIVALS = (*(f"control: {name}" for name in BLIND_CONTROLS), REGION)


def explainer_of(profile: dict[str, Any]) -> str:
    """Name the stage whose nets `OURS` is around."""
    return EXPLAINERS if "explainer" in profile else MODELS


def stage_of(name: str, explainer: str) -> str:
    """Name the stage whose nets a denoiser or control is around, where `explainer` is ours."""
    return explainer if name in OF_EXPLAINER else MODELS


def without_repeats(names: tuple[str, ...], explainer: str) -> list[str]:
    """Leave out `CAM` where `OURS` is the same: around the nets of the models stage, not others."""
    return [name for name in names if name != CAM or explainer != MODELS]


def denoiser(name: str, clf: WaferClassifier, maps: list[np.ndarray]):
    """Build a denoiser around a trained classifier; `CAM` and `OURS` have all defaults."""
    filters = {MEDIAN: MedianFilter, NEIGHBOURS: NeighborCountFilter}
    filters |= {COMPONENTS: ComponentSizeFilter, LARGEST: LargestComponentFilter}
    if name in filters:
        return filters[name]()
    if name == PLAIN:
        options = {
            "method": "gradcam",
            "layers": [clf.module_.layer_names[-1]],
            "aggregation": None,
        }
    else:
        options = {}
    shown = copy(clf).set_params(progress=True)
    return CamDenoiser(FrozenEstimator(shown), **options).fit(maps)


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
    return denoiser(name, clf, maps).explain(maps)


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
    fit = CrossFit(maps, np.array([]), every[:0], [(denoiser(OURS, clf, maps), every)])
    control = LEAKAGE_CONTROLS[name.removeprefix("control: ")]
    return control.masks(fit, np.random.default_rng(seed))
