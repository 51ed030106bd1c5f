"""A classifier small enough to be trained in a test, and the wafers that it learns."""

from functools import cache

from camdenoise import WaferClassifier
from camdenoise.datasets import make_wafer_maps

#: Parameters of a classifier that is trained in about a second.
TINY = {"width": 4, "input_size": 32, "batch_size": 16}
TINY |= {"max_epochs": 6, "learning_rate": 0.01, "random_state": 0}


@cache
def three_class_wafers():
    return make_wafer_maps(120, classes=["Center", "Edge-Ring", "Scratch"], random_state=0)


@cache
def fitted_classifier(backbone="wafer_resnet"):
    wafers = three_class_wafers()
    return WaferClassifier(backbone, **TINY).fit(wafers.maps, wafers.target)
