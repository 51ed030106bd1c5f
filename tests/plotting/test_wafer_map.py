"""Pictures of one wafer: orientation, dies, colors."""

import matplotlib
from explained_lots import GRID, SMALL_GRID, UNREADABLE, shown

matplotlib.use("Agg")
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from camdenoise.filters import MedianFilter
from camdenoise.plotting import (
    PALETTES,
    ExplanationDisplay,
    FrequencyDisplay,
    LotGalleryDisplay,
    WaferMapDisplay,
    plot_wafer_map,
)


@pytest.mark.parametrize("notch, corner", [("down", 0), ("left", 1), ("up", 2), ("right", 3)])
def test_picture_turns_the_notch_to_the_bottom(notch, corner):
    """A fail beside the notch is in the middle of the last row of the picture."""
    grid = np.ones((5, 7), int)
    beside = {"down": (4, 3), "left": (2, 0), "up": (0, 3), "right": (2, 6)}[notch]
    grid[beside] = 2
    before = grid.copy()
    display = WaferMapDisplay(grid).plot(notch=notch)
    codes = np.asarray(display.ax_.images[0].get_array())
    assert codes[-1, codes.shape[1] // 2] == 2 and (codes == 2).sum() == 1
    assert codes.shape == ((5, 7) if corner % 2 == 0 else (7, 5))
    (mark,) = display.ax_.lines
    assert mark.get_ydata()[0] < 0  # below the wafer
    np.testing.assert_array_equal(grid, before)


def test_picture_is_turned_not_mirrored():
    grid = np.array([[1, 2, 1], [1, 1, 1], [1, 1, 1]])
    grid[0, 0] = 0  # counterclockwise of the fail on the rim
    for notch in ("down", "left", "up", "right"):
        codes = np.asarray(WaferMapDisplay(grid).plot(notch=notch).ax_.images[0].get_array())
        rim = codes[[0, 0, 0, 1, 2, 2, 2, 1], [0, 1, 2, 2, 2, 1, 0, 0]].tolist()
        assert rim[(rim.index(0) + 1) % 8] == 2


def test_picture_without_notch_is_not_turned():
    ax = WaferMapDisplay(GRID).plot().ax_
    np.testing.assert_array_equal(ax.images[0].get_array(), GRID)
    assert not ax.lines


@pytest.mark.parametrize("display", [ExplanationDisplay, LotGalleryDisplay, FrequencyDisplay])
def test_orientation_changes_the_picture_not_the_data(display, lot):
    maps, _, why = lot
    plain, turned = (display.from_predictions(maps[:2], why[:2], notch=n) for n in (None, "left"))
    axes = plain.axes_.ravel(), turned.axes_.ravel()
    for before, after in zip(*axes, strict=True):
        values = (np.ma.filled(a.images[0].get_array().astype(float), -1) for a in (before, after))
        straight, left = values
        np.testing.assert_array_equal(np.rot90(straight), left)
    assert [a.get_title() for a in axes[0]] == [a.get_title() for a in axes[1]]


def test_die_aspect_options_set_the_picture_aspect():
    aspect = {"round": 4 / 3, "equal": 1}
    for name, wanted in aspect.items():
        assert WaferMapDisplay(GRID).plot(aspect=name).ax_.get_aspect() == pytest.approx(wanted)
    flat = {"aspect": "die", "die_size": (10, 4)}
    assert WaferMapDisplay(GRID).plot(**flat).ax_.get_aspect() == pytest.approx(0.4)
    assert WaferMapDisplay(GRID).plot(**flat, notch="up").ax_.get_aspect() == pytest.approx(0.4)
    assert WaferMapDisplay(GRID).plot(**flat, notch="left").ax_.get_aspect() == pytest.approx(2.5)
    assert WaferMapDisplay(GRID).plot(notch="left").ax_.get_aspect() == pytest.approx(3 / 4)


@pytest.mark.parametrize(
    "look, message",
    [
        ({"palette": "red"}, "Unknown palette 'red'; choose one of colorblind, fab"),
        ({"palette": {"pass": "w"}}, "a color for each of pass, fail, removed"),
        ({"notch": "north"}, "notch must be one of .*'left'.*got 'north'"),
        ({"aspect": "oval"}, "aspect must be one of round, equal, die; got 'oval'"),
        ({"aspect": "die"}, "go together"),
        ({"die_size": (1, 2)}, "go together"),
        ({"aspect": "die", "die_size": (1, 0)}, "two lengths above 0"),
        ({"aspect": "die", "die_size": (1, 2, 3)}, "two lengths above 0"),
    ],
)
def test_unusable_style_options_are_refused(look, message):
    with pytest.raises(ValueError, match=message):
        WaferMapDisplay(GRID).plot(**look)


def test_custom_palette_is_drawn():
    mine = {"removed": "#0000ff", "fail": "#ff0000", "pass": "#ffffff"}
    removed = np.zeros(GRID.shape, bool)
    removed[2, 2] = True
    seen = shown(WaferMapDisplay(GRID, removed=removed).plot(palette=mine).ax_)
    assert [tuple(seen[at]) for at in [(0, 2), (0, 1), (2, 2)]] == [
        (255, 255, 255, 255), (255, 0, 0, 255), (0, 0, 255, 255),
    ]  # fmt: skip


def test_default_colors_differ_in_gray_print():
    gray = sorted(
        np.dot(to_rgb(color), [0.299, 0.587, 0.114]) for color in PALETTES["colorblind"].values()
    )
    assert np.diff(gray).min() > 0.2


def test_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"removed has shape \(2, 2\), the map has \(3, 4\)"):
        WaferMapDisplay(GRID, removed=np.zeros((2, 2), bool)).plot()


def test_wafer_with_explanation_shows_removed_fails():
    display = WaferMapDisplay.from_estimator(MedianFilter(), GRID)
    np.testing.assert_array_equal(display.removed, MedianFilter().explain([GRID])[0].removed)
    with pytest.raises(ValueError, match="value 9"):
        WaferMapDisplay.from_predictions(GRID, UNREADABLE)


@pytest.mark.parametrize("palette", PALETTES)
def test_each_kind_of_die_has_its_color(palette):
    removed = np.zeros(SMALL_GRID.shape, bool)
    removed[2, 2] = removed[0, 2] = True
    seen = shown(plot_wafer_map(SMALL_GRID, removed=removed, palette=palette))
    wanted = {
        name: tuple(round(255 * c) for c in matplotlib.colors.to_rgba(color))
        for name, color in PALETTES[palette].items()
    }
    assert tuple(seen[1, 1]) == wanted["fail"] and tuple(seen[2, 2]) == wanted["removed"]
    assert tuple(seen[0, 2]) == wanted["pass"]  # a passing die cannot be a removed fail
    assert seen[0, 0, 3] == 0  # no die


def test_wafers_are_round_for_any_die_shape():
    ax = plot_wafer_map(np.ones((10, 20), int))
    assert ax.get_aspect() == 2
