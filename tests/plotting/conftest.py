"""Fixtures of the plots' tests."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pytest
from explained_lots import explanation

from camdenoise.datasets import make_wafer_maps


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def lot():
    """A simulated lot of wafers that differ in size, and an oracle's explanations."""
    wafers = make_wafer_maps(6, classes=["Center", "Edge-Ring"], shapes=[(20, 24)], random_state=0)
    more = make_wafer_maps(2, classes=["Center"], shapes=[(33, 30)], random_state=1)
    maps, truth = wafers.maps + more.maps, wafers.truth + more.truth
    labels = [*wafers.target, *more.target]
    why = [
        explanation(grid, mask, label=label, probability=0.9)
        for grid, mask, label in zip(maps, truth, labels, strict=True)
    ]
    return maps, truth, why
