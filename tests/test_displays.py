"""Displays: what is computed from explanations, what is drawn where, what never changes."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from sklearn.metrics import ConfusionMatrixDisplay

from camdenoise import CamDenoiser, Explanation, RaggedWaferMaps, WaferClassifier
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, make_wafer_maps
from camdenoise.filters import MedianFilter
from camdenoise.lots._zone_profile import count_by_zone, evenness_test
from camdenoise.metrics import die_precision_recall, die_scores
from camdenoise.plotting import (
    PALETTES,
    ClassParetoDisplay,
    DiePrecisionRecallDisplay,
    DieReliabilityDisplay,
    ExplanationDisplay,
    FrequencyDisplay,
    LotGalleryDisplay,
    WaferMapDisplay,
    ZoneProfileDisplay,
)
from camdenoise.wafers._geometry import rings, sectors

GRID = np.array([[0, 2, 1, 1], [2, 2, 1, 1], [1, 1, 2, 0]], np.uint8)
NOTHING = np.zeros((0, 0), bool)
UNREADABLE = Explanation(NOTHING, NOTHING, NOTHING, abstained=True, error="value 9 at row 0")
OF_MANY = [ExplanationDisplay, LotGalleryDisplay, FrequencyDisplay, ZoneProfileDisplay]
#: Arguments that a display needs beside maps and explanations, given the truth.
DISPLAYS = dict.fromkeys([*OF_MANY, ClassParetoDisplay], lambda truth: {}) | dict.fromkeys(
    [DiePrecisionRecallDisplay, DieReliabilityDisplay], lambda truth: {"truth": truth}
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def explanation(grid, keep, **about):
    fails = grid == 2
    return Explanation(keep.astype(np.float32), fails & keep, fails & ~keep, **about)


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


def shown(ax):
    return ax.images[0].to_rgba(ax.images[0].get_array(), bytes=True)


@pytest.mark.parametrize("notch, corner", [("down", 0), ("left", 1), ("up", 2), ("right", 3)])
def test_the_picture_is_turned_until_the_notch_is_at_the_bottom(notch, corner):
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


def test_the_picture_is_turned_not_mirrored():
    grid = np.array([[1, 2, 1], [1, 1, 1], [1, 1, 1]])
    grid[0, 0] = 0  # counterclockwise of the fail on the rim
    for notch in ("down", "left", "up", "right"):
        codes = np.asarray(WaferMapDisplay(grid).plot(notch=notch).ax_.images[0].get_array())
        rim = codes[[0, 0, 0, 1, 2, 2, 2, 1], [0, 1, 2, 2, 2, 1, 0, 0]].tolist()
        assert rim[(rim.index(0) + 1) % 8] == 2


def test_without_a_notch_the_map_is_as_it_came_and_unmarked():
    ax = WaferMapDisplay(GRID).plot().ax_
    np.testing.assert_array_equal(ax.images[0].get_array(), GRID)
    assert not ax.lines


@pytest.mark.parametrize("display", [ExplanationDisplay, LotGalleryDisplay, FrequencyDisplay])
def test_orientation_is_of_the_picture_and_never_of_the_data(display, lot):
    maps, _, why = lot
    plain, turned = (display.from_predictions(maps[:2], why[:2], notch=n) for n in (None, "left"))
    axes = plain.axes_.ravel(), turned.axes_.ravel()
    for before, after in zip(*axes, strict=True):
        values = (np.ma.filled(a.images[0].get_array().astype(float), -1) for a in (before, after))
        straight, left = values
        np.testing.assert_array_equal(np.rot90(straight), left)
    assert [a.get_title() for a in axes[0]] == [a.get_title() for a in axes[1]]


def test_dies_are_round_wafer_square_or_of_their_own_size():
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
def test_a_look_that_cannot_be_drawn_is_refused(look, message):
    with pytest.raises(ValueError, match=message):
        WaferMapDisplay(GRID).plot(**look)


def test_a_palette_of_one_s_own():
    mine = {"removed": "#0000ff", "fail": "#ff0000", "pass": "#ffffff"}
    removed = np.zeros(GRID.shape, bool)
    removed[2, 2] = True
    seen = shown(WaferMapDisplay(GRID, removed=removed).plot(palette=mine).ax_)
    assert [tuple(seen[at]) for at in [(0, 2), (0, 1), (2, 2)]] == [
        (255, 255, 255, 255), (255, 0, 0, 255), (0, 0, 255, 255),
    ]  # fmt: skip


def test_default_colours_differ_in_grey_print():
    grey = sorted(
        np.dot(to_rgb(colour), [0.299, 0.587, 0.114]) for colour in PALETTES["colorblind"].values()
    )
    assert np.diff(grey).min() > 0.2


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"removed has shape \(2, 2\), the map has \(3, 4\)"):
        WaferMapDisplay(GRID, removed=np.zeros((2, 2), bool)).plot()


def test_a_wafer_by_its_denoiser_shows_what_that_removes():
    display = WaferMapDisplay.from_estimator(MedianFilter(), GRID)
    np.testing.assert_array_equal(display.removed, MedianFilter().explain([GRID])[0].removed)
    with pytest.raises(ValueError, match="value 9"):
        WaferMapDisplay.from_predictions(GRID, UNREADABLE)


@pytest.mark.parametrize("display", DISPLAYS)
def test_by_estimator_as_by_predictions(display, lot):
    maps, truth, why = lot

    class Oracle:
        def explain(self, X):
            assert len(X) == len(maps)
            return why

    options = DISPLAYS[display](truth)
    assert display.from_estimator(Oracle(), iter(maps), **options).figure_ is not None
    with pytest.raises(ValueError, match=r"explanations has 8 entries for 3 wafer maps"):
        display.from_predictions(maps[:3], why, **options)


def test_any_collection_of_maps_will_do(lot):
    maps, _, why = lot
    for X in (RaggedWaferMaps.from_maps(maps), pd.Series(maps), tuple(maps)):
        assert ClassParetoDisplay.from_predictions(X, why).counts.sum() == len(maps)


@pytest.mark.parametrize("display", DISPLAYS)
def test_an_unreadable_row_costs_nothing_but_itself(display, lot):
    maps, truth, why = lot
    maps, why, truth = [*maps, "no map"], [*why, UNREADABLE], [*truth, NOTHING]
    display.from_predictions(maps, why, **DISPLAYS[display](truth))
    if display not in (ExplanationDisplay, LotGalleryDisplay):
        with pytest.raises(ValueError, match="None of 1 wafer maps can be drawn: value 9 at row 0"):
            display.from_predictions(["no map"], [UNREADABLE], **DISPLAYS[display]([NOTHING]))


def test_an_unreadable_row_is_named_where_it_would_be(lot):
    maps, _, why = lot
    both = [maps[0], None], [why[0], UNREADABLE]
    gallery = LotGalleryDisplay.from_predictions(*both, names=["W1", "W2"])
    assert [ax.get_title() for ax in gallery.axes_[:, 1]] == ["W2: unreadable"] * 2
    rows = ExplanationDisplay.from_predictions(*both).axes_
    assert [text.get_text() for text in rows[1, 0].texts] == ["wafer 1", "value 9 at row 0"]
    assert not any(ax.images for ax in rows[1])


def test_a_long_error_takes_no_room_from_other_wafers(lot):
    maps, _, why = lot
    wordy = Explanation(NOTHING, NOTHING, NOTHING, error="value 9 " * 30)
    plain, beside = (
        ExplanationDisplay.from_predictions([maps[0], None], [why[0], other])
        for other in (UNREADABLE, wordy)
    )
    for display in (plain, beside):
        display.figure_.canvas.draw()
    assert beside.axes_[0, 3].get_position().width == plain.axes_[0, 3].get_position().width


@pytest.mark.parametrize("display", DISPLAYS)
def test_maps_that_were_denoised_already_are_refused(display, lot):
    maps, truth, why = lot
    clean = [np.where(w.removed, 1, grid) for grid, w in zip(maps, why, strict=True)]
    with pytest.raises(ValueError, match="wafer map 0: its .* as they were before denoising"):
        display.from_predictions(clean, why, **DISPLAYS[display](truth))


@pytest.mark.parametrize("display", DISPLAYS)
def test_a_wafer_without_fails_is_drawn(display, lot):
    maps, truth, why = lot
    passes = np.where(maps[0] == 2, 1, maps[0])
    nothing = explanation(passes, np.zeros(passes.shape, bool), label="none", probability=0.5)
    none = np.zeros(passes.shape, bool)
    display.from_predictions(
        [passes, maps[1]], [nothing, why[1]], **DISPLAYS[display]([none, truth[1]])
    ).figure_.canvas.draw()


@pytest.mark.parametrize("display", OF_MANY)
def test_a_wafer_without_dies_is_drawn(display):
    empty = np.zeros((4, 4), np.uint8)
    display.from_predictions([empty], [explanation(empty, empty > 0)]).figure_.canvas.draw()


@pytest.mark.parametrize("display", DISPLAYS)
def test_into_given_axes_and_without_side_effects(display, lot):
    maps, truth, why = lot
    copies = [grid.copy() for grid in maps]
    before = dict(matplotlib.rcParams)
    figure, (left, right) = plt.subplots(1, 2)
    made = display.from_predictions(maps[:3], why[:3], ax=right, **DISPLAYS[display](truth[:3]))
    assert made.figure_ is figure and plt.get_fignums() == [figure.number]
    drawn = made.axes_.ravel() if hasattr(made, "axes_") else [made.ax_]
    figure.canvas.draw()
    assert right.axison == (list(drawn) == [right])  # no frame around panels
    assert min(ax.get_position().x0 for ax in drawn) > left.get_position().x1
    assert dict(matplotlib.rcParams) == before
    assert all(map(np.array_equal, maps, copies))


def test_panels_need_a_place_or_as_many_axes(lot):
    maps, _, why = lot
    axes = plt.subplots(2, 4)[1]
    given = ExplanationDisplay.from_predictions(maps[:2], why[:2], ax=axes)
    assert given.axes_[1, 3] is axes[1, 3]
    with pytest.raises(ValueError, match="1 x 4 panels, got 8 Axes"):
        ExplanationDisplay.from_predictions(maps[:1], why[:1], ax=axes)
    with pytest.raises(ValueError, match=r"plt\.subplots"):
        ExplanationDisplay.from_predictions(
            maps[:1], why[:1], ax=plt.figure().add_axes([0, 0, 1, 1])
        )


def texts_of(figure):
    figure.canvas.draw()
    return [
        (text.get_text(), text.get_window_extent())
        for text in figure.findobj(matplotlib.text.Text)
        if text.get_visible() and text.get_text().strip() and text.axes and text.axes.get_visible()
        and (text.axes.axison or text in text.axes.texts or text is text.axes.title)
    ]  # fmt: skip


@pytest.mark.parametrize("display", [ExplanationDisplay, LotGalleryDisplay, FrequencyDisplay])
@pytest.mark.parametrize("n_wafers", [1, 2, 8])
def test_no_text_overlaps_another_at_the_size_of_the_figure(display, n_wafers, lot):
    maps, _, why = lot
    longest = [
        explanation(grid, w.kept, label="Edge-Ring", probability=0.99)
        for grid, w in zip(maps, why, strict=True)
    ]
    figure = display.from_predictions(maps[:n_wafers], longest[:n_wafers]).figure_
    boxes = texts_of(figure)
    assert boxes
    for place, (text, box) in enumerate(boxes):
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width, text
        assert box.y0 >= 0 and box.y1 <= figure.bbox.height, text
        for other, around in boxes[place + 1 :]:
            assert not box.overlaps(around), (text, other)


def test_a_row_of_an_explanation_says_what_was_found(lot):
    maps, _, why = lot
    shy = Explanation(
        why[1].saliency, maps[1] == 2, np.zeros(maps[1].shape, bool), "none", 0.7, abstained=True
    )
    axes = ExplanationDisplay.from_predictions(maps[:2], [why[0], shy]).axes_
    verdicts = [row[0].texts[0].get_text() for row in axes]
    assert verdicts == [f"wafer 0\n{why[0].label}\np = 0.90", "wafer 1\nnone\np = 0.70\nabstained"]
    n_fails, n_kept = (maps[0] == 2).sum(), why[0].kept.sum()
    wanted = [f"{n_fails} fails", "saliency to 1", f"{n_kept} kept", f"{n_fails - n_kept} removed"]
    assert [ax.get_title() for ax in axes[0]] == wanted


def test_a_gallery_shows_each_wafer_before_and_after(lot):
    maps, _, why = lot
    display = LotGalleryDisplay.from_predictions(maps, why)
    assert display.axes_.shape == (2, 8)
    fail, removed = (
        np.round(255 * np.array(to_rgb(PALETTES["colorblind"][kind])))
        for kind in ("fail", "removed")
    )
    for row, (before, after) in enumerate(display.axes_.T):
        assert ((shown(before)[..., :3] == fail).all(-1) == (maps[row] == 2)).all()
        assert ((shown(after)[..., :3] == fail).all(-1) == why[row].kept).all()
        assert ((shown(after)[..., :3] == removed).all(-1) == why[row].removed).all()
        assert before.get_title() == f"{row}: {(maps[row] == 2).sum()} fails"
        assert after.get_title() == f"{why[row].label} 0.90\n{why[row].kept.sum()} kept"
    with pytest.raises(ValueError, match="names has 2 entries"):
        LotGalleryDisplay.from_predictions(maps, why, names=["1", "2"])


def test_a_gallery_is_read_like_text(lot):
    maps, _, why = lot
    display = LotGalleryDisplay.from_predictions(maps[:5], why[:5])  # three and two
    display.figure_.canvas.draw()
    for half in display.axes_:
        left, middle, right, *below = (ax.get_position() for ax in half)
        assert left.x1 <= middle.x0 and middle.x1 <= right.x0
        assert max(box.y1 for box in below) < min(left.y0, middle.y0, right.y0)
    assert max(ax.get_position().x1 for ax in display.axes_[0]) <= left.x0


def test_frequencies_are_stacked_by_class_on_one_scale(lot):
    maps, _, why = lot
    display = FrequencyDisplay.from_predictions(maps, why)
    assert display.n_wafers == {"Center": 5, "Edge-Ring": 3}
    for name, axes in zip(display.means, display.axes_, strict=True):
        fails, kept, removed = display.means[name]
        np.testing.assert_allclose(fails, kept + removed)
        assert {ax.images[0].get_clim() for ax in axes} == {(0, np.nanmax(fails))}
    assert display.means["Center"][1][20, 20] > 0.8 > 0.1 > display.means["Edge-Ring"][1][20, 20]
    regrouped = FrequencyDisplay.from_predictions(maps, why, target=[1] * 7 + [2])
    assert regrouped.n_wafers == {"1": 7, "2": 1}
    with pytest.raises(ValueError, match="target has 2 entries"):
        FrequencyDisplay.from_predictions(maps, why, target=[1, 2])


def test_frequencies_of_a_denoiser_without_classes_are_one_stack(lot):
    assert FrequencyDisplay.from_estimator(MedianFilter(), lot[0]).n_wafers == {"all": 8}


def test_a_pareto_counts_wafers_by_class_in_falling_order(lot):
    maps, _, why = lot
    display = ClassParetoDisplay.from_predictions(maps[::-1], why[::-1])
    assert [bar.get_height() for bar in display.ax_.patches] == [5, 3]
    labels = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert labels == ["Center: 5", "Edge-Ring: 3"]
    np.testing.assert_allclose(display.share_ax_.lines[0].get_ydata(), [5 / 8, 1])
    with pytest.raises(ValueError, match="name no class"):
        ClassParetoDisplay.from_estimator(MedianFilter(), maps)


def test_equally_frequent_classes_are_in_the_order_of_their_names():
    display = ClassParetoDisplay(pd.Series({"Loc": 1, "Center": 1, "none": 3})).plot()
    labels = [text.get_text() for text in display.ax_.get_xticklabels()]
    assert labels == ["none: 3", "Center: 1", "Loc: 1"]


def flat_wafers(seed, n=30):
    """Patterns on a background that is the same everywhere."""
    return make_wafer_maps(
        n, classes=["Center", "Edge-Ring", "Edge-Loc"], noise_rate=(0.05, 0.2), clumping=0,
        edge_gradient=1, hole_fraction=0, random_state=seed,
    )  # fmt: skip


def test_what_a_perfect_denoiser_removes_is_flat_and_what_it_keeps_is_not():
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


def test_zones_that_only_noisy_wafers_have_free_do_not_stand_out():
    rng = np.random.default_rng(0)
    edge = rings(120, 120) > 4
    noisy = np.where(~edge | (rng.random(edge.shape) < 0.5), 2, 1)
    quiet = np.where(edge | (rng.random(edge.shape) < 0.1), 2, 1)
    why = [explanation(noisy, ~edge), explanation(quiet, edge)]
    display = ZoneProfileDisplay.from_predictions([noisy, quiet], why, random_state=0)
    removed = display.profile.query("zones == 'ring' and zone > 1")["removed"]
    assert removed.max() < 1.6 * removed.min()
    assert display.p_values["ring"] > 0.05


def test_patterns_that_are_removed_are_not_flat():
    wafers = flat_wafers(0)
    why = [explanation(g, ~t) for g, t in zip(wafers.maps, wafers.truth, strict=True)]
    display = ZoneProfileDisplay.from_predictions(wafers.maps, why, random_state=0)
    assert display.p_values["ring"] == 0.001
    texts = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert texts == ["kept", "removed (even: p = 0.001)"]


def test_wafers_with_other_rates_and_other_rooms_do_not_make_zones_differ():
    """Pooled, zone 1 would look worse: most of its dies are of the wafer with more fails."""
    free = np.array([[1000, 100], [100, 1000]])
    removed = np.array([[100, 10], [33, 330]])
    assert evenness_test(removed, free, random_state=0) > 0.5
    assert evenness_test(removed + [[0, 40], [0, 0]], free, random_state=0) < 0.01


def test_removed_fails_are_a_share_of_the_dies_that_are_not_kept(lot):
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


def test_wafers_that_were_not_decided_about_are_in_no_profile(lot):
    maps, _, why = lot
    shy = [
        Explanation(w.saliency, grid == 2, np.zeros(grid.shape, bool), abstained=True)
        for grid, w in zip(maps, why, strict=True)
    ]
    both = ZoneProfileDisplay.from_predictions(maps[:2], [why[0], shy[1]])
    assert both.profile.query("zones == 'ring'")["n_dies"].sum() == (maps[0] > 0).sum()
    with pytest.raises(ValueError, match="abstained on every wafer"):
        ZoneProfileDisplay.from_predictions(maps, shy)


def test_nothing_removed_has_no_p_value():
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


def test_sectors_follow_the_map_s_quarter_turns():
    numbers = sectors(11, 11)
    turned = np.rot90(numbers, -1)  # clockwise: what pointed up points right
    middle = np.zeros((11, 11), bool)
    middle[5, 5] = True
    np.testing.assert_array_equal(((turned + 2) % 8)[~middle], numbers[~middle])
    assert numbers[5, 5] == 0
    np.testing.assert_array_equal(
        count_by_zone([numbers == 3], [np.ones((11, 11))], "sector")[0] > 0, np.arange(8) == 3
    )


def test_one_point_per_threshold():
    truth = [np.array([[True, True, False, False]]), np.array([[False, True]])]
    saliency = [np.array([[0.9, 0.4, 0.4, 0.9]]), np.array([[0.1, 0.7]])]
    maps = [np.array([[2, 2, 2, 1]]), np.array([[2, 2]])]
    table = die_precision_recall(maps, truth, saliency)
    assert table["threshold"].tolist() == [0.1, 0.4, 0.7, 0.9]
    for row in table.itertuples():
        kept = [(s >= row.threshold) & (g == 2) for s, g in zip(saliency, maps, strict=True)]
        counts = die_scores(maps, truth, kept)[["true_positive", "n_kept", "n_pattern"]].sum()
        assert row.precision == pytest.approx(counts["true_positive"] / counts["n_kept"])
        assert row.recall == pytest.approx(counts["true_positive"] / counts["n_pattern"])
    with pytest.raises(ValueError, match="nothing to retain"):
        die_precision_recall(maps, [np.zeros_like(t) for t in truth], saliency)


def test_the_curve_and_what_was_decided(lot):
    maps, truth, why = lot
    wrong = [explanation(grid, ~w.kept) for grid, w in zip(maps[:3], why[:3], strict=True)]
    display = DiePrecisionRecallDisplay.from_predictions(maps, wrong + why[3:], truth=truth)
    curve, diamond = display.ax_.lines
    np.testing.assert_array_equal(curve.get_xdata(), display.table["recall"])
    np.testing.assert_array_equal(curve.get_ydata(), display.table["precision"])
    # Here saliency is 1 or 0, so that the decision is the threshold 1.
    at_one = display.table.set_index("threshold").loc[1]
    assert diamond.get_xdata()[0] == pytest.approx(at_one["recall"]) != 1
    assert diamond.get_ydata()[0] == pytest.approx(at_one["precision"]) != 1
    display.plot(display.ax_, name="again", color="red", linestyle=":")
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["a threshold for all dies", "decided", "again", "again, decided"]


def test_truth_has_to_be_of_these_wafers(lot):
    maps, truth, why = lot
    with pytest.raises(ValueError, match="truth has 2 entries for 8 wafer maps"):
        DiePrecisionRecallDisplay.from_predictions(maps, why, truth=truth[:2])
    with pytest.raises(ValueError, match="wafer map 0: truth has shape"):
        DieReliabilityDisplay.from_predictions(maps, why, truth=truth[::-1])


def test_reliability_of_an_oracle_is_perfect(lot):
    maps, truth, why = lot
    display = DieReliabilityDisplay.from_predictions(maps, why, truth=truth, n_bins=4)
    assert len(display.table) == 4 and len(display.ax_.lines) == 2
    assert display.ax_.get_legend().get_texts()[0].get_text() == "calibration error 0.000"
    display.plot(display.ax_, name="again", ref_line=False)
    assert len(display.ax_.lines) == 3


def test_scikit_learn_draws_confusion_matrices_of_the_classifier():
    wafers = make_wafer_maps(12, random_state=0)
    classifier = WaferClassifier.from_pretrained("wm811k")
    display = ConfusionMatrixDisplay.from_estimator(classifier, wafers.maps, wafers.target)
    assert display.confusion_matrix.sum() == len(wafers.maps)
    assert set(PATTERN_CLASSES) <= set(display.display_labels)


def test_real_wafers_by_the_model_of_the_package(data_folder):
    maps = [*load_wafer_maps(data_folder / "wm811k_mini.npz").maps[::130], "no map"]
    denoiser = CamDenoiser.from_pretrained("wm811k", on_error="keep")
    why = denoiser.explain(maps)
    for display in (*OF_MANY, ClassParetoDisplay):
        display.from_predictions(maps, why).figure_.canvas.draw()
