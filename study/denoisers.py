"""The denoisers that the study compares, and the controls that tell a gain from a leak."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, Explanation, WaferClassifier
from camdenoise._backbones import make_backbone
from camdenoise.filters import (
    ComponentSizeFilter,
    LargestComponentFilter,
    MedianFilter,
    NeighborCountFilter,
)

NOTHING = "nothing removed"
MEDIAN = "median 3x3"
NEIGHBOURS = "neighbour count"
COMPONENTS = "component size"
LARGEST = "largest component"
PLAIN = "Grad-CAM, thresholded"
OURS = "CAM with components"

#: In the order of every table. The first is no denoiser.
DENOISERS = (NOTHING, MEDIAN, NEIGHBOURS, COMPONENTS, LARGEST, PLAIN, OURS)

TRUE_CLASS = "control: true class"
WRONG_CLASS = "control: wrong class"
RANDOM_NET = "control: random weights"
REGION = "control: region alone"

#: What each control shows if a classifier does as well on it as on maps denoised honestly.
CONTROLS = {
    TRUE_CLASS: "masks made with the label: what a mask can tell about the class it was made for",
    WRONG_CLASS: "masks for a class drawn at random from the others: evidence for nothing true",
    RANDOM_NET: "masks of a net that was never trained",
    REGION: "where the CAM is strong, and no fail at all: the mask without the wafer",
}


def denoiser(name: str, clf: WaferClassifier, maps: list[np.ndarray]):
    """Build a denoiser around a trained classifier."""
    filters = {MEDIAN: MedianFilter, NEIGHBOURS: NeighborCountFilter}
    filters |= {COMPONENTS: ComponentSizeFilter, LARGEST: LargestComponentFilter}
    if name in filters:
        return filters[name]()
    if name == PLAIN:
        options = {"method": "gradcam", "layers": [clf.module_.layer_names[-1]], "refine": None}
    else:
        options = {}
    return CamDenoiser(FrozenEstimator(clf), progress=True, **options).fit(maps)


def explain(
    name: str, clf: WaferClassifier, maps: list[np.ndarray], target: np.ndarray, seed: int
) -> list[Explanation]:
    """Explain wafers by a denoiser or a control.

    Parameters
    ----------
    name : str
        One of `DENOISERS` (but the first) or `CONTROLS`.
    clf : WaferClassifier
        Trained on other wafers than these.
    maps : list of ndarray
        The wafers.
    target : ndarray of str
        Their labels, which only `TRUE_CLASS` and `WRONG_CLASS` look at.
    seed : int
        For what is random in a control.
    """
    if name == RANDOM_NET:
        clf = _with_random_weights(clf, seed)
    method = denoiser(OURS if name in CONTROLS else name, clf, maps)
    if name == TRUE_CLASS:
        return method.explain(maps, target)
    if name == WRONG_CLASS:
        return method.explain(maps, _other_class(target, clf.classes_, seed))
    return method.explain(maps)


def mask(name: str, why: Explanation, wafer_map: np.ndarray) -> np.ndarray:
    """Return the dies that the next classifier sees as failing."""
    if name == REGION:
        return (why.saliency >= 0.5 * why.saliency.max()) & (wafer_map > 0)
    return why.kept


def _other_class(target: np.ndarray, classes: np.ndarray, seed: int) -> np.ndarray:
    """Draw for each wafer a class that is not its own."""
    own = np.searchsorted(classes, target)
    shift = np.random.default_rng(seed).integers(1, len(classes), len(target))
    return classes[(own + shift) % len(classes)]


def _with_random_weights(clf: WaferClassifier, seed: int) -> WaferClassifier:
    """Return a classifier of the same form that has learnt nothing."""
    untrained = WaferClassifier(**clf.get_params())
    untrained.classes_ = clf.classes_
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = make_backbone(clf.backbone, len(clf.classes_), width=clf.width)
    untrained.module_ = net.eval()
    untrained.temperature_ = clf.temperature_
    return untrained
