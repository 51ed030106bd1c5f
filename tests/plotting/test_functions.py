"""Pictures: what they show where, and that they leave matplotlib alone."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from camdenoise import Explanation
from camdenoise.filters import MedianFilter
from camdenoise.plotting import (
    PALETTES,
    plot_explanation,
    plot_faithfulness_curves,
    plot_frequency,
    plot_leakage,
    plot_reliability,
    plot_wafer_map,
    unit_wafer_mean,
)

GRID = np.array([[0, 2, 1], [2, 2, 1], [1, 1, 2]], np.uint8)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def colours(ax):
    return ax.images[0].to_rgba(ax.images[0].get_array(), bytes=True)


@pytest.mark.parametrize("palette", PALETTES)
def test_each_kind_of_die_has_its_colour(palette):
    removed = np.zeros(GRID.shape, bool)
    removed[2, 2] = removed[0, 2] = True
    seen = colours(plot_wafer_map(GRID, removed=removed, palette=palette))
    wanted = {
        name: tuple(round(255 * c) for c in matplotlib.colors.to_rgba(colour))
        for name, colour in PALETTES[palette].items()
    }
    assert tuple(seen[1, 1]) == wanted["fail"] and tuple(seen[2, 2]) == wanted["removed"]
    assert tuple(seen[0, 2]) == wanted["pass"]  # a passing die cannot be a removed fail
    assert seen[0, 0, 3] == 0  # no die


def test_wafers_are_round_whatever_the_die_s_shape():
    ax = plot_wafer_map(np.ones((10, 20), int))
    assert ax.get_aspect() == 2


def test_four_pictures_of_an_explanation():
    why = MedianFilter().explain([GRID])[0]
    axes = plot_explanation(GRID, why)
    raw, saliency, kept, removed = (colours(ax) for ax in axes)
    assert np.isnan(axes[1].images[0].get_array().filled(np.nan)[0, 0])
    fail, passed = raw[1, 1], raw[0, 2]
    assert ((kept == fail).all(-1) == why.kept).all()
    assert ((kept == passed).all(-1) == ((GRID == 1) | why.removed)).all()
    assert not (removed == fail).all(-1).any()
    assert saliency.shape == raw.shape


def test_an_unreadable_map_is_not_drawn():
    nothing = np.zeros((0, 0), bool)
    with pytest.raises(ValueError, match="value 9"):
        plot_explanation(GRID, Explanation(nothing, nothing, nothing, error="value 9"))
    with pytest.raises(ValueError, match="Unknown palette 'red'; choose one of colorblind, fab"):
        plot_wafer_map(GRID, palette="red")


def test_mean_over_wafers_of_different_grids():
    maps = [np.ones((3, 3), int), np.ones((6, 6), int), np.ones((6, 6), int)]
    values = [np.zeros(m.shape) for m in maps]
    values[1][:2, :2] = 1
    mean = unit_wafer_mean(values, maps, size=6)
    np.testing.assert_allclose(mean[:2, :2], 1 / 3)
    assert mean[2:].sum() == 0


def test_mean_leaves_out_places_without_dies():
    maps = [np.array([[0, 2]]), np.array([[2, 2]]), np.array([[0, 1]])]
    mean = unit_wafer_mean([m == 2 for m in maps], maps, size=2)
    assert np.isnan(mean[0, 0])  # one wafer of three has a die there
    np.testing.assert_allclose(mean[0, 1], 2 / 3)


def test_curves_show_the_mean_over_wafers_and_its_area():
    falling = np.array([[1, 0.5, 0], [1, 0.1, 0], [np.nan] * 3])
    ax = plot_faithfulness_curves({"cam": falling, "random": falling[:1]})
    cam, random = ax.lines
    np.testing.assert_allclose(cam.get_ydata(), [1, 0.3, 0])
    np.testing.assert_allclose(cam.get_xdata(), [0, 0.5, 1])
    assert cam.get_color() != random.get_color() and cam.get_linewidth() < random.get_linewidth()
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["cam (0.40)", "random (0.50)"]
    edge = ax.collections[0].get_paths()[0].vertices[:, 1]
    error = 1.96 * 0.2 / np.sqrt(2)  # of the middle point
    assert {round(0.3 - error, 6), round(0.3 + error, 6)} <= set(edge.round(6))
    road = plot_faithfulness_curves({"cam": falling[:, :2]}, fractions=[0, 0.25])
    assert road.lines[0].get_xdata()[-1] == 0.25


def test_bars_of_gains_and_what_they_can_explain():
    names = ["raw", "denoised", "true class", "equal area"]
    gains = np.array([np.nan, 0.1, 0.2, -0.1])
    columns = {"condition": names, "accuracy": 0.8 + np.nan_to_num(gains), "gain": gains}
    summary = pd.DataFrame(columns | {"gain_low": gains - 0.05, "gain_high": gains + 0.03})
    ax = plot_leakage(summary)
    bars = [container[0] for container in ax.containers]
    np.testing.assert_allclose([bar.get_width() for bar in bars], gains[1:])
    assert [bool(bar.get_hatch()) for bar in bars] == [False, False, True]
    assert len({bar.get_facecolor() for bar in bars}) == 3
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0.05, 0.13])
    assert "raw wafers (0.800)" in ax.get_xlabel()
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["denoised", "other controls", "without evidence for the class"]


def test_into_given_axes_and_without_side_effects():
    before = dict(matplotlib.rcParams)
    figure, axes = plt.subplots(1, 2)
    assert plot_wafer_map(GRID, ax=axes[0]) is axes[0]
    assert plot_frequency(np.eye(3), ax=axes[1], vmax=2) is axes[1]
    assert axes[1].images[0].get_clim() == (0, 2)
    assert plt.get_fignums() == [figure.number] and dict(matplotlib.rcParams) == before


def test_reliability_beside_the_diagonal():
    sure = pd.DataFrame({"n_dies": [3, 0, 1], "predicted": [0.1, np.nan, 0.8]})
    sure["observed"] = [0.0, np.nan, 1.0]
    ax = plot_reliability({"sure": sure, "right": sure.assign(observed=sure["predicted"])})
    diagonal, first, second = ax.lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
    np.testing.assert_array_equal(first.get_xdata(), sure["predicted"])
    np.testing.assert_array_equal(first.get_ydata(), sure["observed"])
    assert first.get_color() != second.get_color()
    areas = ax.collections[0].get_sizes()
    assert areas[0] > areas[2]
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["sure (0.125)", "right (0.000)"]
