"""The interface that the classical filters share; and what none of their own files tests."""

import numpy as np
import pandas as pd
import pytest
from filter_cases import CLASSES, FILTERS, random_maps
from sklearn.base import clone

from camdenoise import WaferMapError
from camdenoise.filters import (
    AdjacencyClusteringFilter,
    ComponentPermutationFilter,
    ComponentSizeFilter,
    ConnectedPathFilter,
    DBSCANFilter,
    HDBSCANFilter,
    LargestComponentFilter,
    MedianFilter,
    MorphologyFilter,
    NeighborCountFilter,
    SpatialFilter,
    TensorVotingFilter,
)
from camdenoise.filters._stateless import StatelessFilter


def on_every_filter(test):
    return pytest.mark.parametrize("denoiser", FILTERS.values(), ids=list(FILTERS))(test)


def test_every_filter_is_exported():
    ours = {f for f in StatelessFilter.__subclasses__() if f.__module__.startswith("camdenoise.")}
    assert set(CLASSES) == ours


@on_every_filter
def test_filters_have_no_classes_and_never_abstain(denoiser):
    for e in denoiser.explain(random_maps()):
        assert e.label is None and np.isnan(e.probability) and not e.abstained and e.error is None


@on_every_filter
def test_filters_need_no_fit_and_fit_changes_nothing(denoiser):
    maps = random_maps()
    fresh = clone(denoiser)
    before = fresh.transform(maps)
    after = fresh.fit(maps[:2], ["any", "labels"]).transform(maps)
    fitted_at_once = clone(denoiser).fit_transform(maps)
    for a, b, c in zip(before, after, fitted_at_once, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


@on_every_filter
def test_transform_keeps_collection_kind_and_order(denoiser):
    maps = random_maps()
    expected = denoiser.transform(maps)
    column = pd.Series(maps, index=range(100, 112), name="map")
    kinds = {list: maps, tuple: tuple(maps), pd.Series: column, np.ndarray: column.to_numpy()}
    for kind, X in kinds.items():
        clean = denoiser.transform(X)
        assert type(clean) is kind and len(clean) == len(maps)
        for a, b in zip(clean, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert denoiser.transform(column).index.equals(column.index)
    assert type(denoiser.transform(iter(maps))) is list


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_transform_of_a_stack_keeps_shape_and_dtype(dtype):
    stack = np.random.default_rng(0).integers(0, 3, (5, 6, 7)).astype(dtype)
    clean = NeighborCountFilter(4).transform(stack)
    assert clean.shape == stack.shape and clean.dtype == dtype and (clean != stack).any()
    for one, grid in zip(clean, stack, strict=True):
        np.testing.assert_array_equal(one, NeighborCountFilter(4).transform([grid])[0])


@on_every_filter
def test_bad_map_raises_or_comes_back_unchanged(denoiser):
    good = np.ones((20, 20), int)
    good[2:6, 2:6], good[19, 19] = 2, 2
    bad = [np.full((2, 2), 7), np.array([[1.0, np.nan]]), [[1, 2], [1]], "wafer", None]
    for item in bad:
        with pytest.raises(WaferMapError, match="wafer map 1: "):
            denoiser.transform([good, item, good])
    lenient = clone(denoiser).set_params(on_error="keep")
    clean = lenient.transform([good, *bad, good])
    assert all(a is b for a, b in zip(clean[1:-1], bad, strict=True))
    for one in (clean[0], clean[-1]):
        np.testing.assert_array_equal(one, denoiser.transform([good])[0])
        assert one[19, 19] == 1
    explained = lenient.explain([good, *bad, good])
    assert [e.error is None for e in explained] == [True, *[False] * len(bad), True]
    assert "wafer map 1: value 7" in explained[1].error
    assert explained[1].abstained and explained[1].kept.size == explained[1].removed.size == 0


def test_batch_of_bad_maps_comes_back_unchanged():
    bad = [np.full((2, 2), 7)]
    assert MedianFilter(on_error="keep").transform(bad)[0] is bad[0]


@on_every_filter
def test_fit_raises_for_every_on_error(denoiser):
    with pytest.raises(WaferMapError, match="wafer map 0: value 7"):
        clone(denoiser).set_params(on_error="keep").fit([np.full((2, 2), 7)])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (MedianFilter(4), r"must be odd.* Got 4 instead; try 5"),
        (MedianFilter(0), "'size' parameter of MedianFilter"),
        (MedianFilter(3.0), "'size' parameter of MedianFilter"),
        (MedianFilter(on_error="skip"), "'on_error' parameter of MedianFilter"),
        (ComponentSizeFilter(0), "'min_size' parameter of ComponentSizeFilter"),
        (ComponentSizeFilter(connectivity=6), "'connectivity' parameter of ComponentSizeFilter"),
        (LargestComponentFilter(connectivity=6), "'connectivity' parameter of LargestComponent"),
        (SpatialFilter(4), r"must be odd.* Got 4 instead; try 5"),
        (SpatialFilter(threshold=1.1), "'threshold' parameter of SpatialFilter"),
        (ConnectedPathFilter(0), "'min_length' parameter of ConnectedPathFilter"),
        (ConnectedPathFilter(connectivity=6), "'connectivity' parameter of ConnectedPath"),
        (ComponentPermutationFilter(1.5), "'alpha' parameter of ComponentPermutation"),
        (ComponentPermutationFilter(n_permutations=0), "'n_permutations' parameter"),
        (ComponentPermutationFilter(random_state="x"), "'random_state' parameter"),
        (DBSCANFilter(0), "'eps' parameter of DBSCANFilter"),
        (DBSCANFilter(min_samples=0), "'min_samples' parameter of DBSCANFilter"),
        (HDBSCANFilter(1), "'min_cluster_size' parameter of HDBSCANFilter"),
        (HDBSCANFilter(min_samples=0), "'min_samples' parameter of HDBSCANFilter"),
        (AdjacencyClusteringFilter(-1), "'smoothness' parameter of AdjacencyClustering"),
        (AdjacencyClusteringFilter(101), "'smoothness' parameter of AdjacencyClustering"),
        (TensorVotingFilter(0), "'scale' parameter of TensorVotingFilter"),
        (TensorVotingFilter(threshold=2), "'threshold' parameter of TensorVotingFilter"),
        (MorphologyFilter("erosion"), "'operation' parameter of MorphologyFilter"),
        (MorphologyFilter(size=0), "'size' parameter of MorphologyFilter"),
        (NeighborCountFilter(9), "'min_neighbors' parameter of NeighborCountFilter"),
        (NeighborCountFilter(-1), "'min_neighbors' parameter of NeighborCountFilter"),
        (NeighborCountFilter(rounds=0), "'rounds' parameter of NeighborCountFilter"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_even_without_fit(wrong, message):
    maps = [np.ones((3, 3))]
    for method in (wrong.fit, wrong.transform, wrong.explain):
        with pytest.raises(ValueError, match=message):
            method(maps)


def test_bad_collections_are_refused():
    with pytest.raises(ValueError, match="Found 0 wafer map"):
        MedianFilter().transform([])
    with pytest.raises(ValueError, match="Wrap a single wafer map in a list"):
        MedianFilter().transform(np.ones((3, 3)))


def test_die_at_edge_is_judged_by_existing_neighbors():
    corner = np.array([[2, 2, 1], [1, 1, 1]])  # 2 of the corner's 4 dies fail: not more than half
    beside_holes = np.array([[2, 0, 1], [2, 0, 1]])
    removed, kept = MedianFilter().transform([corner, beside_holes])
    assert not (removed == 2).any()
    np.testing.assert_array_equal(kept, beside_holes)
    np.testing.assert_array_equal(SpatialFilter().transform([beside_holes])[0], beside_holes)
    np.testing.assert_array_equal(MorphologyFilter().transform([beside_holes])[0], beside_holes)


def test_hole_does_not_connect():
    across = np.array([[2, 0, 2]])
    assert (ComponentSizeFilter(2).transform([across])[0] != 2).all()
    assert (ConnectedPathFilter(2).transform([across])[0] != 2).all()
    assert (NeighborCountFilter(1).transform([across])[0] != 2).all()


def test_neighbor_count_rounds_shorten_a_scratch():
    scratch = np.full((1, 9), 2)
    left = [(NeighborCountFilter(2, n).transform([scratch])[0] == 2).sum() for n in (1, 2, 3, 9)]
    assert left == [7, 5, 3, 0]


def scratches(length=16):
    """One die wide, in the middle of a wafer: straight, and diagonal."""
    straight, diagonal = np.ones((20, 20), int), np.ones((20, 20), int)
    straight[10, 2 : 2 + length] = 2
    np.fill_diagonal(diagonal[2 : 2 + length, 2 : 2 + length], 2)
    return [straight, diagonal]


@pytest.mark.parametrize(
    ("denoiser", "straight", "diagonal"),
    [
        (MedianFilter(), 0, 0),
        (SpatialFilter(), 0, 0),
        (SpatialFilter(3, 0.375), 16, 14),
        (DBSCANFilter(), 0, 0),
        (DBSCANFilter(min_samples=3), 16, 16),
        (AdjacencyClusteringFilter(), 0, 0),
        (AdjacencyClusteringFilter(0.2), 16, 0),
        (AdjacencyClusteringFilter(0.18), 16, 16),
        (MorphologyFilter(), 0, 0),
        (MorphologyFilter("closing", 3), 0, 0),
        (ConnectedPathFilter(16), 16, 16),
        (ComponentPermutationFilter(), 16, 16),
        (TensorVotingFilter(), 16, 16),
    ],
    ids=str,
)
def test_filters_keep_scratches_as_documented(denoiser, straight, diagonal):
    kept = [int(e.kept.sum()) for e in denoiser.explain(scratches())]
    assert kept == [straight, diagonal]


@pytest.mark.parametrize(
    ("denoiser", "decides"),
    [
        (MedianFilter(5), lambda s: s > 0.5),
        (SpatialFilter(3, 0.5), lambda s: s >= 0.5),
        (ComponentSizeFilter(4), lambda s: s >= 4),
        (ConnectedPathFilter(3), lambda s: s >= 3),
        (ComponentPermutationFilter(0.3, 19), lambda s: s >= np.float32(0.7)),
        (NeighborCountFilter(3, rounds=2), lambda s: s >= 3),
        (DBSCANFilter(2.3, 5), lambda s: s >= 5),
        (HDBSCANFilter(3), lambda s: s > 0),
        (AdjacencyClusteringFilter(), lambda s: s >= 0.5),
        (TensorVotingFilter(2, 0.5), lambda s: s >= 0.5),
        (MorphologyFilter("opening"), lambda s: s == 1),
        (MorphologyFilter("closing", 3), lambda s: s == 1),
        (MorphologyFilter(), lambda s: s == 1),
    ],
    ids=lambda value: "" if callable(value) else str(value),
)
def test_saliency_is_the_value_compared_with_threshold(denoiser, decides):
    maps = random_maps(30, seed=1)
    for grid, e in zip(maps, denoiser.explain(maps), strict=True):
        np.testing.assert_array_equal(e.kept, (grid == 2) & decides(e.saliency))
        assert e.saliency.dtype == np.float32 and (e.saliency[grid == 0] == 0).all()


def test_saliency_has_the_documented_unit():
    grid = np.array([[2, 2, 1], [2, 1, 0]])
    filters = [MedianFilter(), ComponentSizeFilter(3), LargestComponentFilter()]
    filters += [NeighborCountFilter(), ConnectedPathFilter(), DBSCANFilter()]
    share, size, largest, count, path, density = (f.explain([grid])[0].saliency for f in filters)
    np.testing.assert_allclose(share, [[0.75, 0.6, 1 / 3], [0.75, 0.6, 0]])
    np.testing.assert_array_equal(size, [[3, 3, 0], [3, 0, 0]])
    np.testing.assert_array_equal(largest, size)
    np.testing.assert_array_equal(count, [[2, 2, 1], [2, 3, 0]])
    np.testing.assert_array_equal(path, [[2, 2, 0], [2, 0, 0]])
    np.testing.assert_array_equal(density, [[3, 3, 3], [3, 3, 0]])
