"""The classical filters: equal to slow definitions, and the interface they share."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from camdenoise import WaferMapError
from camdenoise.filters import (
    ComponentSizeFilter,
    LargestComponentFilter,
    MedianFilter,
    NeighborCountFilter,
)

FILTERS = [
    MedianFilter(),
    ComponentSizeFilter(3),
    LargestComponentFilter(),
    NeighborCountFilter(),
]


def random_maps(n=12, seed=0):
    """Wafers of all shapes and fail rates, with holes and dies beyond any disc."""
    rng = np.random.default_rng(seed)
    maps = []
    for _ in range(n):
        p = rng.dirichlet([1, 2, 2])
        maps.append(rng.choice(3, rng.integers(1, 12, 2), p=p).astype(np.uint8))
    return maps


def around(grid, y, x, reach):
    """Cells of the grid at most `reach` rows and columns away, the cell itself among them."""
    rows = range(max(0, y - reach), min(grid.shape[0], y + reach + 1))
    columns = range(max(0, x - reach), min(grid.shape[1], x + reach + 1))
    return list(product(rows, columns))


def where_fails(grid, decide):
    kept = np.zeros(grid.shape, bool)
    for y, x in np.argwhere(grid == 2):
        kept[y, x] = decide(y, x)
    return kept


def slow_median(grid, size):
    def decide(y, x):
        dies = [grid[cell] for cell in around(grid, y, x, size // 2) if grid[cell] != 0]
        return dies.count(2) > len(dies) / 2

    return where_fails(grid, decide)


def slow_component_size(grid, min_size, connectivity):
    def component(y, x):
        found, todo = set(), [(y, x)]
        while todo:
            cell = todo.pop()
            if grid[cell] == 2 and cell not in found:
                found.add(cell)
                near = around(grid, *cell, 1)
                straight = [c for c in near if c[0] == cell[0] or c[1] == cell[1]]
                todo += near if connectivity == 8 else straight
        return found

    return where_fails(grid, lambda y, x: len(component(y, x)) >= min_size)


def slow_largest_component(grid, connectivity):
    sizes = range(1, grid.size + 1)
    kept = [slow_component_size(grid, size, connectivity) for size in sizes]
    return next((k for k in reversed(kept) if k.any()), kept[0])


def slow_neighbor_count(grid, min_neighbors, rounds):
    left = grid.copy()
    for _ in range(rounds):
        before = left.copy()
        for y, x in np.argwhere(before == 2):
            failing = sum(before[cell] == 2 for cell in around(grid, y, x, 1)) - 1
            if failing < min_neighbors:
                left[y, x] = 1
    return left == 2


@pytest.mark.parametrize("connectivity", [4, 8])
def test_largest_component_filter(connectivity):
    maps = random_maps()
    found = LargestComponentFilter(connectivity=connectivity).explain(maps)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, slow_largest_component(grid, connectivity))


@pytest.mark.parametrize("size", [1, 3, 5, 25])
def test_median_filter(size):
    maps = random_maps()
    for grid, e in zip(maps, MedianFilter(size).explain(maps), strict=True):
        np.testing.assert_array_equal(e.kept, slow_median(grid, size))


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("min_size", [1, 2, 4, 9])
def test_component_size_filter(min_size, connectivity):
    maps = random_maps()
    found = ComponentSizeFilter(min_size, connectivity=connectivity).explain(maps)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, slow_component_size(grid, min_size, connectivity))


@pytest.mark.parametrize("rounds", [1, 2, 50])
@pytest.mark.parametrize("min_neighbors", range(9))
def test_neighbor_count_filter(min_neighbors, rounds):
    maps = random_maps()
    found = NeighborCountFilter(min_neighbors, rounds).explain(maps)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, slow_neighbor_count(grid, min_neighbors, rounds))


def test_a_die_at_the_edge_or_a_hole_is_judged_by_the_dies_it_has():
    corner = np.array([[2, 2, 1], [1, 1, 1]])  # 2 of the corner's 4 dies fail: not more than half
    beside_holes = np.array([[2, 0, 1], [2, 0, 1]])
    removed, kept = MedianFilter().transform([corner, beside_holes])
    assert not (removed == 2).any()
    np.testing.assert_array_equal(kept, beside_holes)


def test_a_hole_does_not_connect():
    across = np.array([[2, 0, 2]])
    assert (ComponentSizeFilter(2).transform([across])[0] != 2).all()
    assert (NeighborCountFilter(1).transform([across])[0] != 2).all()


def test_rounds_eat_a_scratch_from_its_ends():
    scratch = np.full((1, 9), 2)
    left = [(NeighborCountFilter(2, n).transform([scratch])[0] == 2).sum() for n in (1, 2, 3, 9)]
    assert left == [7, 5, 3, 0]


@pytest.mark.parametrize(
    ("denoiser", "decides"),
    [
        (MedianFilter(5), lambda s: s > 0.5),
        (ComponentSizeFilter(4), lambda s: s >= 4),
        (NeighborCountFilter(3, rounds=2), lambda s: s >= 3),
    ],
    ids=["median", "component size", "neighbor count"],
)
def test_the_saliency_is_what_was_compared(denoiser, decides):
    maps = random_maps(30, seed=1)
    for grid, e in zip(maps, denoiser.explain(maps), strict=True):
        np.testing.assert_array_equal(e.kept, (grid == 2) & decides(e.saliency))
        assert e.saliency.dtype == np.float32 and (e.saliency[grid == 0] == 0).all()


def test_saliencies_have_the_units_they_claim():
    grid = np.array([[2, 2, 1], [2, 1, 0]])
    share, size, largest, count = (f.explain([grid])[0].saliency for f in FILTERS)
    np.testing.assert_allclose(share, [[0.75, 0.6, 1 / 3], [0.75, 0.6, 0]])
    np.testing.assert_array_equal(size, [[3, 3, 0], [3, 0, 0]])
    np.testing.assert_array_equal(largest, size)
    np.testing.assert_array_equal(count, [[2, 2, 1], [2, 3, 0]])


@pytest.mark.parametrize("denoiser", FILTERS, ids=str)
def test_a_filter_knows_no_classes_and_never_abstains(denoiser):
    for e in denoiser.explain(random_maps()):
        assert e.label is None and np.isnan(e.probability) and not e.abstained and e.error is None


@pytest.mark.parametrize("denoiser", FILTERS, ids=str)
def test_needs_no_fit_and_fit_changes_nothing(denoiser):
    maps = random_maps()
    fresh = clone(denoiser)
    before = fresh.transform(maps)
    after = fresh.fit(maps[:2], ["any", "labels"]).transform(maps)
    fitted_at_once = clone(denoiser).fit_transform(maps)
    for a, b, c in zip(before, after, fitted_at_once, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


@pytest.mark.parametrize("denoiser", FILTERS, ids=str)
def test_kind_comes_back_row_for_row(denoiser):
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
def test_a_stack_keeps_its_shape_and_number_type(dtype):
    stack = np.random.default_rng(0).integers(0, 3, (5, 6, 7)).astype(dtype)
    clean = NeighborCountFilter(4).transform(stack)
    assert clean.shape == stack.shape and clean.dtype == dtype and (clean != stack).any()
    for one, grid in zip(clean, stack, strict=True):
        np.testing.assert_array_equal(one, NeighborCountFilter(4).transform([grid])[0])


@pytest.mark.parametrize("denoiser", FILTERS, ids=str)
def test_a_bad_map_raises_or_is_given_back_as_it_came(denoiser):
    good = np.array([[2, 2, 1, 1], [2, 2, 1, 2]])
    bad = [np.full((2, 2), 7), np.array([[1.0, np.nan]]), [[1, 2], [1]], "wafer", None]
    for item in bad:
        with pytest.raises(WaferMapError, match="wafer map 1: "):
            denoiser.transform([good, item, good])
    lenient = clone(denoiser).set_params(on_error="keep")
    clean = lenient.transform([good, *bad, good])
    assert all(a is b for a, b in zip(clean[1:-1], bad, strict=True))
    for one in (clean[0], clean[-1]):
        np.testing.assert_array_equal(one, denoiser.transform([good])[0])
        assert one[1, 3] == 1
    explained = lenient.explain([good, *bad, good])
    assert [e.error is None for e in explained] == [True, *[False] * len(bad), True]
    assert "wafer map 1: value 7" in explained[1].error
    assert explained[1].abstained and explained[1].kept.size == explained[1].removed.size == 0


def test_a_batch_of_bad_maps_only_comes_back():
    bad = [np.full((2, 2), 7)]
    assert MedianFilter(on_error="keep").transform(bad)[0] is bad[0]


@pytest.mark.parametrize("denoiser", FILTERS, ids=str)
def test_fit_is_strict_whatever_on_error_says(denoiser):
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
        (NeighborCountFilter(9), "'min_neighbors' parameter of NeighborCountFilter"),
        (NeighborCountFilter(-1), "'min_neighbors' parameter of NeighborCountFilter"),
        (NeighborCountFilter(rounds=0), "'rounds' parameter of NeighborCountFilter"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_with_and_without_fit(wrong, message):
    maps = [np.ones((3, 3))]
    for method in (wrong.fit, wrong.transform, wrong.explain):
        with pytest.raises(ValueError, match=message):
            method(maps)


def test_bad_collections():
    with pytest.raises(ValueError, match="Found 0 wafer map"):
        MedianFilter().transform([])
    with pytest.raises(ValueError, match="Wrap a single wafer map in a list"):
        MedianFilter().transform(np.ones((3, 3)))
