"""Displays: what is computed from explanations, what is drawn where, what never changes."""

import matplotlib
from explained_lots import NOTHING, SMALL_GRID, UNREADABLE

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from explained_lots import explanation
from sklearn.metrics import ConfusionMatrixDisplay

from camdenoise import CamDenoiser, Explanation, RaggedWaferMaps, WaferClassifier
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, make_wafer_maps
from camdenoise.plotting import (
    ClassParetoDisplay,
    DiePrecisionRecallDisplay,
    DieReliabilityDisplay,
    ExplanationDisplay,
    FrequencyDisplay,
    LotGalleryDisplay,
    ZoneProfileDisplay,
    plot_frequency,
    plot_wafer_map,
)

OF_MANY = [ExplanationDisplay, LotGalleryDisplay, FrequencyDisplay, ZoneProfileDisplay]
#: Arguments that a display needs beside maps and explanations, given the truth.
DISPLAYS = dict.fromkeys([*OF_MANY, ClassParetoDisplay], lambda truth: {}) | dict.fromkeys(
    [DiePrecisionRecallDisplay, DieReliabilityDisplay], lambda truth: {"truth": truth}
)


@pytest.mark.parametrize("display", DISPLAYS)
def test_from_estimator_equals_from_predictions(display, lot):
    maps, truth, why = lot

    class Oracle:
        def explain(self, X):
            assert len(X) == len(maps)
            return why

    options = DISPLAYS[display](truth)
    assert display.from_estimator(Oracle(), iter(maps), **options).figure_ is not None
    with pytest.raises(ValueError, match=r"explanations has 8 entries for 3 wafer maps"):
        display.from_predictions(maps[:3], why, **options)


def test_displays_accept_any_collection_of_maps(lot):
    maps, _, why = lot
    for X in (RaggedWaferMaps.from_maps(maps), pd.Series(maps), tuple(maps)):
        assert ClassParetoDisplay.from_predictions(X, why).counts.sum() == len(maps)


@pytest.mark.parametrize("display", DISPLAYS)
def test_unreadable_row_leaves_other_rows_drawn(display, lot):
    maps, truth, why = lot
    maps, why, truth = [*maps, "no map"], [*why, UNREADABLE], [*truth, NOTHING]
    display.from_predictions(maps, why, **DISPLAYS[display](truth))
    if display not in (ExplanationDisplay, LotGalleryDisplay):
        with pytest.raises(ValueError, match="None of 1 wafer maps can be drawn: value 9 at row 0"):
            display.from_predictions(["no map"], [UNREADABLE], **DISPLAYS[display]([NOTHING]))


def test_unreadable_row_is_named_in_its_place(lot):
    maps, _, why = lot
    both = [maps[0], None], [why[0], UNREADABLE]
    gallery = LotGalleryDisplay.from_predictions(*both, names=["W1", "W2"])
    assert [ax.get_title() for ax in gallery.axes_[:, 1]] == ["W2: unreadable"] * 2
    rows = ExplanationDisplay.from_predictions(*both).axes_
    assert [text.get_text() for text in rows[1, 0].texts] == ["wafer 1", "value 9 at row 0"]
    assert not any(ax.images for ax in rows[1])


def test_long_error_text_keeps_the_panel_size(lot):
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
def test_denoised_maps_are_refused(display, lot):
    maps, truth, why = lot
    clean = [np.where(w.removed, 1, grid) for grid, w in zip(maps, why, strict=True)]
    with pytest.raises(ValueError, match="wafer map 0: its .* as they were before denoising"):
        display.from_predictions(clean, why, **DISPLAYS[display](truth))


@pytest.mark.parametrize("display", DISPLAYS)
def test_wafer_without_fails_is_drawn(display, lot):
    maps, truth, why = lot
    passes = np.where(maps[0] == 2, 1, maps[0])
    nothing = explanation(passes, np.zeros(passes.shape, bool), label="none", probability=0.5)
    none = np.zeros(passes.shape, bool)
    display.from_predictions(
        [passes, maps[1]], [nothing, why[1]], **DISPLAYS[display]([none, truth[1]])
    ).figure_.canvas.draw()


@pytest.mark.parametrize("display", OF_MANY)
def test_wafer_without_dies_is_drawn(display):
    empty = np.zeros((4, 4), np.uint8)
    display.from_predictions([empty], [explanation(empty, empty > 0)]).figure_.canvas.draw()


@pytest.mark.parametrize("display", DISPLAYS)
def test_displays_draw_into_given_axes(display, lot):
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


def test_given_axes_must_match_the_panels(lot):
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
def test_texts_do_not_overlap(display, n_wafers, lot):
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


def test_scikit_learn_draws_the_confusion_matrix():
    wafers = make_wafer_maps(12, random_state=0)
    classifier = WaferClassifier.from_pretrained("wm811k")
    display = ConfusionMatrixDisplay.from_estimator(classifier, wafers.maps, wafers.target)
    assert display.confusion_matrix.sum() == len(wafers.maps)
    assert set(PATTERN_CLASSES) <= set(display.display_labels)


def test_pretrained_model_explains_real_wafers(data_folder):
    maps = [*load_wafer_maps(data_folder / "wm811k_mini.npz").maps[::130], "no map"]
    denoiser = CamDenoiser.from_pretrained("wm811k", on_error="keep")
    why = denoiser.explain(maps)
    for display in (*OF_MANY, ClassParetoDisplay):
        display.from_predictions(maps, why).figure_.canvas.draw()


def test_functions_draw_into_given_axes():
    before = dict(matplotlib.rcParams)
    figure, axes = plt.subplots(1, 2)
    assert plot_wafer_map(SMALL_GRID, ax=axes[0]) is axes[0]
    assert plot_frequency(np.eye(3), ax=axes[1], vmax=2) is axes[1]
    assert axes[1].images[0].get_clim() == (0, 2)
    assert plt.get_fignums() == [figure.number] and dict(matplotlib.rcParams) == before
