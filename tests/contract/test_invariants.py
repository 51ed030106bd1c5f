"""What every denoiser promises about every wafer map, on maps that hypothesis makes up."""

from functools import cache

import numpy as np
import pytest
from filter_cases import FILTERS
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from small_models import fitted_classifier

from camdenoise import CamDenoiser, WaferMapError
from camdenoise.filters import (
    AdjacencyClusteringFilter,
    ComponentPermutationFilter,
    ComponentSizeFilter,
    ConnectedPathFilter,
    DBSCANFilter,
    HDBSCANFilter,
    MedianFilter,
    MorphologyFilter,
    NeighborCountFilter,
    SpatialFilter,
    TensorVotingFilter,
)

#: Why these need not decide alike on a wafer that is turned or mirrored.
DEPENDS_ON_HOW_THE_WAFER_LIES = {
    ComponentPermutationFilter: "the fails are shuffled over the dies in the order of the rows",
    HDBSCANFilter: "many distances tie, and the order of the dies breaks the ties",
}
#: Why these may remove more of what they have kept.
NOT_IDEMPOTENT = {
    MedianFilter: "what was removed no longer fails in the windows of what was kept",
    SpatialFilter: "as the median",
    NeighborCountFilter(): "each round leaves other fails without company, until none is left",
    NeighborCountFilter(3, rounds=4): "as above",
    HDBSCANFilter: "without the noise there are other densities to compare",
    TensorVotingFilter: "votes of removed fails are missing, and shares are of a new maximum",
    MorphologyFilter("closing"): "removed fails no longer close gaps",
}
CAM_OPTIONS = {
    "layercam": {},
    "layercam, die by die": {"aggregation": None, "threshold": 0.3},
    "gradcam, last layer": {"method": "gradcam", "layers": ["stage4"], "aggregation": None},
    "hirescam": {"method": "hirescam", "aggregation": None, "threshold": 0.8},
    "gradcam++": {"method": "gradcam++", "threshold": 0.9},
    "xgradcam": {"method": "xgradcam"},
    "evidence": {"backbone": "wafer_unet"},
    "evidence, whole components": {"backbone": "wafer_unet", "aggregation": "component"},
    "evidence, low threshold": {"backbone": "wafer_unet", "threshold": 0.1},
    "evidence, always": {"backbone": "wafer_unet", "false_alarm_rate": None},
}
DENOISERS = [*FILTERS, *CAM_OPTIONS]


@cache
def denoiser_of(name):
    if name in FILTERS:
        return FILTERS[name]
    options = dict(CAM_OPTIONS[name])
    frozen = FrozenEstimator(fitted_classifier(options.pop("backbone", "wafer_resnet")))
    return CamDenoiser(frozen, **options).fit([np.ones((2, 2))])


def lenient(denoiser):
    return clone(denoiser).set_params(on_error="keep").fit([np.ones((2, 2))])


def on_every_denoiser(test):
    return pytest.mark.parametrize("denoiser", DENOISERS)(settings(max_examples=15)(test))


def on_every_filter_except(exceptions):
    """Run a test on all filters but those of a class, or with the parameters, in `exceptions`."""
    excused = {kind if isinstance(kind, type) else str(kind) for kind in exceptions}
    names = [name for name, f in FILTERS.items() if not {type(f), str(f)} & excused]
    return lambda test: pytest.mark.parametrize("denoiser", names)(settings(max_examples=50)(test))


sides = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
wafer_maps = hnp.arrays(np.uint8, sides, elements=st.integers(0, 2))
collections = st.lists(wafer_maps, min_size=1, max_size=6)


def assert_keeps_its_promises(grid, clean, why):
    """Check one wafer: what went in, what came out, and the explanation."""
    assert clean.shape == grid.shape and clean.dtype == grid.dtype
    np.testing.assert_array_equal(clean == 0, grid == 0)  # no-die cells never change
    assert not ((clean == 2) & (grid != 2)).any()  # a pass never becomes a fail
    np.testing.assert_array_equal(clean == 2, why.kept)
    np.testing.assert_array_equal(why.kept | why.removed, grid == 2)
    assert not (why.kept & why.removed).any()
    np.testing.assert_array_equal(clean[why.removed], 1)
    assert why.saliency.shape == grid.shape and np.isfinite(why.saliency).all()
    assert (why.saliency >= 0).all() and (why.saliency[grid == 0] == 0).all()
    assert not (why.abstained and why.removed.any()) and why.error is None


@on_every_denoiser
@given(maps=collections)
def test_denoising_changes_nothing_but_removed_fails(denoiser, maps):
    denoiser = denoiser_of(denoiser)
    before = [grid.copy() for grid in maps]
    cleaned, explained = denoiser.transform(maps), denoiser.explain(maps)
    for grid, was, clean, why in zip(maps, before, cleaned, explained, strict=True):
        np.testing.assert_array_equal(grid, was)  # the input is not touched
        assert not np.shares_memory(clean, grid)
        assert_keeps_its_promises(grid, clean, why)


@on_every_denoiser
@given(maps=collections)
def test_batch_of_mixed_shapes_equals_one_by_one(denoiser, maps):
    denoiser = denoiser_of(denoiser)
    for grid, together in zip(maps, denoiser.explain(maps), strict=True):
        (alone,) = denoiser.explain([grid])
        assert alone.label == together.label and alone.abstained == together.abstained
        # Convolutions differ by some 1e-7 between batch sizes.
        np.testing.assert_allclose(alone.saliency, together.saliency, atol=1e-4)
        np.testing.assert_allclose(alone.probability, together.probability, atol=1e-5)
        if getattr(denoiser, "refine", None) is not None:
            continue
        threshold = getattr(denoiser, "threshold_", getattr(denoiser, "threshold", None))
        if threshold is None and hasattr(denoiser, "threshold_"):
            # Of two sets that are nearly as good, either may be kept.
            one, other = (expected_f1(e.kept, alone.saliency, grid) for e in (alone, together))
            assert one == pytest.approx(other, abs=1e-3)
            continue
        clear = threshold is None or np.abs(alone.saliency - threshold) > 1e-3
        np.testing.assert_array_equal(alone.kept & clear, together.kept & clear)


def expected_f1(kept, saliency, grid):
    total = kept.sum() + saliency[grid == 2].sum()
    return 2 * saliency[kept].sum() / total if total else 0.0


DEGENERATE = {
    "no die": np.zeros((5, 4)),
    "no fail": np.ones((4, 5)),
    "every die fails": np.full((6, 6), 2),
    "one die": np.array([[2]]),
    "one row": np.array([[0, 2, 2, 1, 2, 0]]),
    "one column": np.array([[2], [1], [2], [2]]),
    "one fail": np.pad([[2]], 4, constant_values=1),
    "larger than the input of the net": np.tile([[2, 1, 1], [0, 1, 2]], (60, 50)),
}


@pytest.mark.parametrize("denoiser", DENOISERS)
@pytest.mark.parametrize("wafer", DEGENERATE)
def test_degenerate_wafers_have_defined_results(denoiser, wafer):
    denoiser, grid = denoiser_of(denoiser), DEGENERATE[wafer].astype(np.uint8)
    (clean,), (why,) = denoiser.transform([grid]), denoiser.explain([grid])
    assert_keeps_its_promises(grid, clean, why)
    if not (grid == 2).any():
        np.testing.assert_array_equal(clean, grid)


def with_a_wrong_code(maps, data):
    """Give one cell of one map a code that does not exist; return the maps and its row."""
    row = data.draw(st.integers(0, len(maps) - 1), label="row")
    y, x = (data.draw(st.integers(0, side - 1)) for side in maps[row].shape)
    code = data.draw(st.one_of(st.integers(3, 255), st.just(np.nan), st.floats(-9, -0.01)))
    bad = maps[row].astype(float)
    bad[y, x] = code
    return [*maps[:row], bad, *maps[row + 1 :]], row


@on_every_denoiser
@given(maps=collections, data=st.data())
def test_unknown_code_error_names_the_wafer(denoiser, maps, data):
    maps, row = with_a_wrong_code(maps, data)
    with pytest.raises(WaferMapError, match=f"wafer map {row}: value .* allowed are 0"):
        denoiser_of(denoiser).transform(maps)


@on_every_denoiser
@given(maps=collections, data=st.data())
def test_bad_map_leaves_rest_of_batch_unchanged(denoiser, maps, data):
    denoiser = lenient(denoiser_of(denoiser))
    maps, row = with_a_wrong_code(maps, data)
    cleaned, explained = denoiser.transform(maps), denoiser.explain(maps)
    assert cleaned[row] is maps[row] and f"wafer map {row}" in explained[row].error
    for i, (grid, clean, why) in enumerate(zip(maps, cleaned, explained, strict=True)):
        if i != row:
            assert_keeps_its_promises(grid, clean, why)


@on_every_filter_except(DEPENDS_ON_HOW_THE_WAFER_LIES)
@given(grid=wafer_maps, turns=st.integers(0, 3), flip=st.booleans())
def test_filters_commute_with_turns_and_flips(denoiser, grid, turns, flip):
    def turned(array):
        array = np.rot90(array, turns)
        return array[:, ::-1] if flip else array

    (clean,), (clean_turned,) = (denoiser_of(denoiser).transform([g]) for g in (grid, turned(grid)))
    np.testing.assert_array_equal(clean_turned, turned(clean))


@on_every_filter_except(NOT_IDEMPOTENT)
@given(grid=wafer_maps)
def test_idempotent_filters_keep_kept_fails(denoiser, grid):
    once = denoiser_of(denoiser).transform([grid])
    np.testing.assert_array_equal(denoiser_of(denoiser).transform(once)[0], once[0])


def kept_by(denoiser, grid):
    return denoiser.explain([grid])[0].kept


@given(grid=wafer_maps, low=st.integers(1, 7), more=st.integers(1, 4))
def test_stricter_filter_keeps_less(grid, low, more):
    for loose, strict in [
        (ComponentSizeFilter(low), ComponentSizeFilter(low + more)),
        (NeighborCountFilter(low), NeighborCountFilter(min(8, low + more))),
        (NeighborCountFilter(low, 1), NeighborCountFilter(low, 1 + more)),
        (ComponentSizeFilter(low, connectivity=8), ComponentSizeFilter(low, connectivity=4)),
        (ConnectedPathFilter(low), ConnectedPathFilter(low + more)),
        (ComponentSizeFilter(low), ConnectedPathFilter(low)),
        (ComponentPermutationFilter(1 / low, 9), ComponentPermutationFilter(1 / (low + more), 9)),
        (SpatialFilter(3, 1 / (low + more)), SpatialFilter(3, 1 / low)),
        (DBSCANFilter(1.5, low), DBSCANFilter(1.5, low + more)),
        (DBSCANFilter(0.7 + more, low), DBSCANFilter(0.7, low)),
        (TensorVotingFilter(2, 1 / (low + more)), TensorVotingFilter(2, 1 / low)),
        (MorphologyFilter("reconstruction"), MorphologyFilter("opening")),
        (MorphologyFilter("closing"), MorphologyFilter("opening")),
        (AdjacencyClusteringFilter(0), AdjacencyClusteringFilter(low / 10)),
    ]:
        assert not (kept_by(strict, grid) & ~kept_by(loose, grid)).any()


@settings(max_examples=30)
@pytest.mark.parametrize("refine", ["component", None])
@given(grid=wafer_maps, thresholds=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_higher_threshold_keeps_less(refine, grid, thresholds):
    frozen = FrozenEstimator(fitted_classifier())
    strict, loose = (
        CamDenoiser(frozen, aggregation=refine, threshold=t).fit([grid])
        for t in sorted(thresholds, reverse=True)
    )
    # Where no fail reaches the threshold, nothing is decided and all are kept.
    if not strict.explain([grid])[0].abstained:
        assert not (kept_by(strict, grid) & ~kept_by(loose, grid)).any()


@settings(max_examples=30)
@given(grid=wafer_maps)
def test_components_are_kept_or_removed_whole(grid):
    kept = kept_by(denoiser_of("layercam"), grid)
    for component in (slow_component(grid, y, x) for y, x in np.argwhere(grid == 2)):
        assert len({bool(kept[cell]) for cell in component}) == 1


def slow_component(grid, y, x):
    found, todo = set(), [(y, x)]
    while todo:
        y, x = todo.pop()
        inside = 0 <= y < grid.shape[0] and 0 <= x < grid.shape[1]
        if inside and grid[y, x] == 2 and (y, x) not in found:
            found.add((y, x))
            todo += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return found
