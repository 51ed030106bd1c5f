"""Kept and removed fails by ring and sector."""

import matplotlib
from explained_lots import GRID

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from explained_lots import explanation

from camdenoise import Explanation
from camdenoise.datasets import make_wafer_maps
from camdenoise.plotting import (
    ZoneProfileDisplay,
)
from camdenoise.wafers._geometry import rings


def flat_wafers(seed, n=30):
    """Patterns on a background that is the same everywhere."""
    return make_wafer_maps(
        n, classes=["Center", "Edge-Ring", "Edge-Loc"], noise_rate=(0.05, 0.2), clumping=0,
        edge_gradient=1, hole_fraction=0, random_state=seed,
    )  # fmt: skip


def test_perfect_denoiser_has_a_flat_removed_profile():
    p_values = []
    for seed in range(6):
        wafers = flat_wafers(seed)
        why = [explanation(*both) for both in zip(wafers.maps, wafers.truth, strict=True)]
        display = ZoneProfileDisplay.from_predictions(wafers.maps, why, random_state=seed)
        p_values += display.p_values.values()
        by_ring = display.profile.query("zones == 'ring'")
        beyond_the_middle = by_ring["removed"].iloc[1:]  # which has few dies
        assert beyond_the_middle.max() < 1.5 * beyond_the_middle.min()
        assert by_ring["kept"].max() > 5 * by_ring["kept"].min()
        inside = by_ring["removed"].between(by_ring["removed_low"], by_ring["removed_high"])
        assert inside.all()
        plt.close("all")
    assert min(p_values) > 0.002 and np.mean(p_values) > 0.3  # 12 of them, even from 0 to 1


def test_zones_free_only_on_noisy_wafers_stay_even():
    rng = np.random.default_rng(0)
    edge = rings(120, 120) > 4
    noisy = np.where(~edge | (rng.random(edge.shape) < 0.5), 2, 1)
    quiet = np.where(edge | (rng.random(edge.shape) < 0.1), 2, 1)
    why = [explanation(noisy, ~edge), explanation(quiet, edge)]
    display = ZoneProfileDisplay.from_predictions([noisy, quiet], why, random_state=0)
    removed = display.profile.query("zones == 'ring' and zone > 1")["removed"]
    assert removed.max() < 1.6 * removed.min()
    assert display.p_values["ring"] > 0.05


def test_removed_patterns_are_not_flat():
    wafers = flat_wafers(0)
    why = [explanation(g, ~t) for g, t in zip(wafers.maps, wafers.truth, strict=True)]
    display = ZoneProfileDisplay.from_predictions(wafers.maps, why, random_state=0)
    assert display.p_values["ring"] == 0.001
    texts = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert texts == ["kept", "removed (even: p = 0.001)"]


def test_removed_rate_is_a_share_of_dies_not_kept(lot):
    maps, _, why = lot
    profile = ZoneProfileDisplay.from_predictions(maps, why, random_state=0).profile
    sums = profile.groupby("zones")[["n_dies", "n_kept", "n_removed"]].sum()
    n_dies = sum((grid > 0).sum() for grid in maps)
    wanted = [n_dies, *(sum(getattr(w, kind).sum() for w in why) for kind in ("kept", "removed"))]
    assert sums.loc["ring"].tolist() == sums.loc["sector"].tolist() == wanted
    one = ZoneProfileDisplay.from_predictions(maps[:1], why[:1], random_state=0).profile
    free = one["n_dies"] - one["n_kept"]
    np.testing.assert_allclose(one["removed"], one["n_removed"] / free)
    np.testing.assert_allclose(profile["kept"], profile["n_kept"] / profile["n_dies"])


def test_abstained_wafers_are_left_out(lot):
    maps, _, why = lot
    shy = [
        Explanation(w.saliency, grid == 2, np.zeros(grid.shape, bool), abstained=True)
        for grid, w in zip(maps, why, strict=True)
    ]
    both = ZoneProfileDisplay.from_predictions(maps[:2], [why[0], shy[1]])
    assert both.profile.query("zones == 'ring'")["n_dies"].sum() == (maps[0] > 0).sum()
    with pytest.raises(ValueError, match="abstained on every wafer"):
        ZoneProfileDisplay.from_predictions(maps, shy)


def test_profile_without_removed_fails_has_no_p_value():
    everything = explanation(GRID, np.ones(GRID.shape, bool))
    display = ZoneProfileDisplay.from_predictions([GRID], [everything])
    assert np.isnan(display.p_values["ring"])
    assert display.axes_[0].get_legend().get_texts()[1].get_text() == "none removed"


def test_profiles_repeat_with_a_random_state(lot):
    maps, _, why = lot
    first, second = (
        ZoneProfileDisplay.from_predictions(maps, why, random_state=3).p_values for _ in range(2)
    )
    assert first == second
