"""What a classifier is trained on beside its wafers."""

import numpy as np
from maps_of_shapes import some_maps

from camdenoise.classification._training import add_synthetic_wafers
from camdenoise.datasets._training_sets import SyntheticWafers
from camdenoise.wafers._classes import ClassRoles


def training_set(maps, seed=0):
    """Two labeled wafers, and synthetic ones with one pattern, two and none."""
    rng = np.random.default_rng(seed)
    truth = [
        rng.random((n, *grid.shape)) < 0.3 for n, grid in zip((1, 2, 0), maps[2:], strict=True)
    ]
    labels = [("Loc",), ("Scratch", "Loc"), ()]
    made = SyntheticWafers(list(maps[2:]), labels, truth, ("Loc", "Scratch"))
    roles = ClassRoles(("Loc", "Scratch", "none"))
    codes = np.array([2, 0])
    return add_synthetic_wafers(maps[:2], codes, np.ones(2), roles, made, 3), truth


def test_synthetic_wafers_come_behind_the_labeled_ones():
    maps = some_maps([(8, 8)] * 5)
    lesson, truth = training_set(maps)
    assert lesson.labels.tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]]
    assert lesson.known.tolist() == [False, False, True, True, True]
    for bit, name in enumerate(("Loc", "Scratch")):
        there = [(pattern >> bit & 1).astype(bool) for pattern in lesson.pattern]
        loc = {"Loc": (truth[0][0], truth[1][1]), "Scratch": (np.zeros((8, 8), bool), truth[1][0])}
        np.testing.assert_array_equal(there[2], loc[name][0])
        np.testing.assert_array_equal(there[3], loc[name][1])
        assert not there[0].any() and not there[1].any() and not there[4].any()
