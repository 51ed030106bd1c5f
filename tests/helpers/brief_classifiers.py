"""Classifiers that have learned little, so that something is left to calibrate."""

from functools import cache

from sklearn.frozen import FrozenEstimator
from small_models import TINY

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.datasets import make_wafer_maps

CLASSES = ["none", "Center", "Edge-Ring"]
#: A net that has learned little of where patterns are, so that something is left to calibrate.
BRIEF = TINY | {"synthetic_ratio": 0.2}


@cache
def labeled_wafers():
    return make_wafer_maps(210, classes=CLASSES, noise_rate=(0.02, 0.1), random_state=0)


@cache
def brief_classifier(backbone="wafer_unet"):
    wafers = labeled_wafers()
    return WaferClassifier(backbone, **BRIEF).fit(wafers.maps[:150], wafers.target[:150])


def frozen(backbone="wafer_unet", **options):
    """A denoiser around the brief classifier, and calibrated on all labeled wafers."""
    denoiser = CamDenoiser(FrozenEstimator(brief_classifier(backbone)), random_state=0, **options)
    return denoiser.fit(labeled_wafers().maps, labeled_wafers().target)
