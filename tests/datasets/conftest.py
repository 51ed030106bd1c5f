"""Fixtures of the tests of data sets."""

import numpy as np
import pytest

from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, make_wafer_maps

PARENT_SHAPES = [(40, 40), (44, 42), (48, 48)]
LABELED_SHAPES = [(30, 30), (32, 34)]


@pytest.fixture(scope="module")
def sources():
    """Simulated parents: nearly clean patterns, and backgrounds at rates of 1 to 25 %."""
    patterns = make_wafer_maps(360, shapes=PARENT_SHAPES, noise_rate=(0, 0.01), random_state=0)
    empty = make_wafer_maps(
        250, classes=["none"], shapes=PARENT_SHAPES, noise_rate=(0.01, 0.25), random_state=1
    )
    groups = np.concatenate([patterns.groups, 1000 + empty.groups])
    return {
        "maps": patterns.maps + empty.maps,
        "target": np.concatenate([patterns.target, empty.target]),
        "groups": groups,
    }


@pytest.fixture(scope="module")
def labeled():
    """Nearly clean wafers of every class."""
    classes = [*PATTERN_CLASSES, "none"]
    return make_wafer_maps(
        490, classes=classes, shapes=LABELED_SHAPES, noise_rate=(0, 0.04), random_state=0
    )


@pytest.fixture(scope="module")
def dev(data_folder):
    """Real wafers of the larger file."""
    if not (data_folder / "wm811k_dev.npz").exists():
        pytest.skip("no wm811k_dev.npz in the folder of real wafers")
    return load_wafer_maps(data_folder / "wm811k_dev.npz")
