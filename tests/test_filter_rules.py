"""What each filter decides, beside a slow computation of what its method says."""

from itertools import combinations, product

import numpy as np
import pytest
from filter_cases import random_maps
from sklearn.cluster import DBSCAN, HDBSCAN

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
    _component_permutation,
)


def around(grid, y, x, reach):
    """Cells of the grid at most `reach` rows and columns away, the cell itself among them."""
    rows = range(max(0, y - reach), min(grid.shape[0], y + reach + 1))
    columns = range(max(0, x - reach), min(grid.shape[1], x + reach + 1))
    return list(product(rows, columns))


def touching(grid, y, x, connectivity):
    straight = [c for c in around(grid, y, x, 1) if c[0] == y or c[1] == x]
    near = around(grid, y, x, 1) if connectivity == 8 else straight
    return [cell for cell in near if grid[cell] == 2 and cell != (y, x)]


def steps_from(grid, y, x, connectivity):
    """Number of steps over fails to each fail that can be reached."""
    steps, todo = {(y, x): 0}, [(y, x)]
    for cell in todo:
        for neighbor in touching(grid, *cell, connectivity):
            if neighbor not in steps:
                steps[neighbor] = steps[cell] + 1
                todo.append(neighbor)
    return steps


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


def slow_spatial(grid, size, threshold):
    weight = {1: [1], 3: [1, 2, 1], 5: [1, 4, 6, 4, 1], 7: [1, 6, 15, 20, 15, 6, 1]}[size]
    reach = size // 2

    def decide(y, x):
        of_cell = {
            (v, u): weight[v - y + reach] * weight[u - x + reach]
            for v, u in around(grid, y, x, reach)
            if grid[v, u] != 0
        }
        of_fails = sum(w for cell, w in of_cell.items() if grid[cell] == 2)
        return of_fails >= threshold * sum(of_cell.values())

    return where_fails(grid, decide)


def slow_component_size(grid, min_size, connectivity):
    return where_fails(grid, lambda y, x: len(steps_from(grid, y, x, connectivity)) >= min_size)


def slow_largest_component(grid, connectivity):
    size = {tuple(f): len(steps_from(grid, *f, connectivity)) for f in np.argwhere(grid == 2)}
    return where_fails(grid, lambda y, x: size[y, x] == max(size.values()))


def slow_connected_path(grid, min_length, connectivity):
    reached = {tuple(f): steps_from(grid, *f, connectivity) for f in np.argwhere(grid == 2)}
    farthest = {cell: max(steps.values()) for cell, steps in reached.items()}
    return where_fails(
        grid, lambda y, x: 1 + max(farthest[cell] for cell in reached[y, x]) >= min_length
    )


def slow_neighbor_count(grid, min_neighbors, rounds):
    left = grid.copy()
    for _ in range(rounds):
        before = left.copy()
        for y, x in np.argwhere(before == 2):
            failing = sum(before[cell] == 2 for cell in around(grid, y, x, 1)) - 1
            if failing < min_neighbors:
                left[y, x] = 1
    return left == 2


def squares(grid, size):
    """The dies of each square, also of those that reach over the edge, with dies in half of it."""
    for top, left in product(*(range(1 - size, side) for side in grid.shape)):
        cells = product(range(top, top + size), range(left, left + size))
        inside = [(y, x) for y, x in cells if 0 <= y < grid.shape[0] and 0 <= x < grid.shape[1]]
        dies = [cell for cell in inside if grid[cell] != 0]
        if 2 * len(dies) >= size**2:
            yield dies


def slow_opening(grid, size):
    solid = [dies for dies in squares(grid, size) if all(grid[die] == 2 for die in dies)]
    return where_fails(grid, lambda y, x: any((y, x) in dies for dies in solid))


def slow_closing(grid, size):
    empty = [dies for dies in squares(grid, size) if all(grid[die] == 1 for die in dies)]
    filled = grid.copy()
    for y, x in np.argwhere(grid == 1):
        if not any((y, x) in dies for dies in empty):
            filled[y, x] = 2
    return slow_opening(filled, size) & (grid == 2)


def slow_reconstruction(grid, size):
    opened = slow_opening(grid, size)
    return where_fails(grid, lambda y, x: any(opened[cell] for cell in steps_from(grid, y, x, 8)))


SLOW_MORPHOLOGY = {
    "opening": slow_opening,
    "closing": slow_closing,
    "reconstruction": slow_reconstruction,
}


def clustered(grid, model, fewest):
    """What a clustering of scikit-learn does not call noise."""
    kept, fails = np.zeros(grid.shape, bool), np.argwhere(grid == 2)
    if len(fails) >= fewest:
        kept[tuple(fails.T)] = model.fit_predict(fails) >= 0
    return kept


def slow_tensors(grid, y, x, scale):
    """Eigenvalues, in ascending order, of the sum of the votes that a die gets."""
    total = np.zeros((2, 2))
    for fail in np.argwhere(grid == 2):
        way = np.array([y, x]) - fail
        squared = float(way @ way)
        if 0 < np.abs(way).max() <= np.ceil(3 * scale):
            total += np.exp(-squared / scale**2) * (np.eye(2) - np.outer(way, way) / squared)
    return np.linalg.eigvalsh(total)


@pytest.mark.parametrize("size", [1, 3, 5, 25])
def test_median_filter(size):
    maps = random_maps()
    for grid, e in zip(maps, MedianFilter(size).explain(maps), strict=True):
        np.testing.assert_array_equal(e.kept, slow_median(grid, size))


@pytest.mark.parametrize("threshold", [0, 0.375, 0.5, 1])
@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_spatial_filter(size, threshold):
    maps = random_maps()
    for grid, e in zip(maps, SpatialFilter(size, threshold).explain(maps), strict=True):
        np.testing.assert_array_equal(e.kept, slow_spatial(grid, size, threshold))


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("min_size", [1, 2, 4, 9])
def test_component_size_filter(min_size, connectivity):
    maps = random_maps()
    found = ComponentSizeFilter(min_size, connectivity=connectivity).explain(maps)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, slow_component_size(grid, min_size, connectivity))


@pytest.mark.parametrize("connectivity", [4, 8])
def test_largest_component_filter(connectivity):
    maps = random_maps()
    found = LargestComponentFilter(connectivity=connectivity).explain(maps)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, slow_largest_component(grid, connectivity))


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("min_length", [1, 2, 3, 5])
def test_connected_path_filter(min_length, connectivity):
    maps = random_maps()
    found = ConnectedPathFilter(min_length, connectivity=connectivity).explain(maps)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, slow_connected_path(grid, min_length, connectivity))


def test_the_longest_shortest_path_of_known_shapes():
    spiral = np.full((9, 9), 1)
    spiral[0, :], spiral[:, 8], spiral[8, 1:], spiral[2:, 1], spiral[2, 1:7] = 2, 2, 2, 2, 2
    shapes = {17: np.full((1, 17), 2), 10: np.full((10, 10), 2), 31: spiral}
    for length, grid in shapes.items():
        (e,) = ConnectedPathFilter().explain([grid])
        assert set(np.unique(e.saliency[grid == 2])) == {length}


@pytest.mark.parametrize("rounds", [1, 2, 50])
@pytest.mark.parametrize("min_neighbors", range(9))
def test_neighbor_count_filter(min_neighbors, rounds):
    maps = random_maps()
    found = NeighborCountFilter(min_neighbors, rounds).explain(maps)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, slow_neighbor_count(grid, min_neighbors, rounds))


@pytest.mark.parametrize("eps", [0.5, 1, 1.5, 2, 2.3, 3.7, 1e6])
@pytest.mark.parametrize("min_samples", [1, 3, 4, 7])
def test_dbscan_filter_equals_scikit_learn_s(eps, min_samples):
    maps = random_maps(40)
    for grid, e in zip(maps, DBSCANFilter(eps, min_samples).explain(maps), strict=True):
        expected = clustered(grid, DBSCAN(eps=eps, min_samples=min_samples), 1)
        np.testing.assert_array_equal(e.kept, expected)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(("size", "samples"), [(2, None), (3, 2), (5, 1), (4, 9)])
def test_hdbscan_filter_equals_scikit_learn_s(size, samples, single):
    maps = random_maps(40)
    found = HDBSCANFilter(size, samples, allow_single_cluster=single).explain(maps)
    model = HDBSCAN(size, samples, allow_single_cluster=single, copy=True)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, clustered(grid, model, max(size, samples or 0)))


@pytest.mark.parametrize("operation", SLOW_MORPHOLOGY)
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_morphology_filter(operation, size):
    maps = random_maps(30)
    for grid, e in zip(maps, MorphologyFilter(operation, size).explain(maps), strict=True):
        np.testing.assert_array_equal(e.kept, SLOW_MORPHOLOGY[operation](grid, size))


@pytest.mark.parametrize("scale", [0.7, 1.5, 5.0])
def test_tensor_voting_filter(scale):
    maps = random_maps(10)
    for grid, e in zip(maps, TensorVotingFilter(scale, 0.4).explain(maps), strict=True):
        fails = np.argwhere(grid == 2)
        values = np.array([slow_tensors(grid, *fail, scale) for fail in fails]).reshape(-1, 2)
        measures = [values[:, 1] - values[:, 0], values[:, 0]]
        largest = [max(m.max(initial=0), 1e-9) for m in measures]
        share = np.max([m / top for m, top in zip(measures, largest, strict=True)], axis=0)
        np.testing.assert_allclose(e.saliency[grid == 2], share, atol=1e-6)
        clear = np.abs(share - 0.4) > 1e-6
        np.testing.assert_array_equal(e.kept[grid == 2][clear], (share > 0.4)[clear])


def test_votes_tell_a_curve_from_a_region():
    line, block = np.ones((11, 11), int), np.ones((11, 11), int)
    line[5], block[3:8, 3:8] = 2, 2
    (low, high), (ball, _) = (slow_tensors(grid, 5, 5, 2.0) for grid in (line, block))
    assert low < 1e-9 < high and ball > 0.5
    assert TensorVotingFilter(2.0).explain([line])[0].kept.sum() == 11


def energy(grid, x, smoothness):
    """What adjacency clustering minimises, for one wafer `x` of zeros and ones."""
    total = 0.0
    for y, u in np.argwhere(grid != 0):
        near = [cell for cell in around(grid, y, u, 1) if grid[cell] != 0 and cell != (y, u)]
        weight = {cell: 1 / np.hypot(cell[0] - y, cell[1] - u) for cell in near}
        fidelity = sum(weight.values()) / (4 + 4 / np.sqrt(2))
        total += fidelity * (x[y, u] != (grid[y, u] == 2))
        total += smoothness * sum(w * (x[c] != x[y, u]) for c, w in weight.items()) / 2
    return total


def every_wafer(grid):
    for values in product([False, True], repeat=int((grid != 0).sum())):
        x = np.zeros(grid.shape, bool)
        x[grid != 0] = values
        yield x


@pytest.mark.parametrize("smoothness", [0, 0.15, 0.2, 0.3, 2])
def test_adjacency_clustering_is_optimal(smoothness):
    tiny = [grid[:3, :3] for grid in random_maps(25, seed=2)]
    for grid, e in zip(tiny, AdjacencyClusteringFilter(smoothness).explain(tiny), strict=True):
        found = (e.saliency >= 0.5) & (grid != 0)
        np.testing.assert_array_equal(e.kept, found & (grid == 2))
        least = min(energy(grid, x, smoothness) for x in every_wafer(grid))
        # Weights are rounded to 1 / 10000 of a die's fidelity.
        assert energy(grid, found, smoothness) == pytest.approx(least, abs=2e-3)


def test_adjacency_clustering_says_at_which_price_what_goes():
    single, pair, line = (np.ones((9, 30), int) for _ in range(3))
    single[4, 15], pair[4, 14:16], line[4, 2:28] = 2, 2, 2
    for grid, price in [(single, 0.1464), (pair, 0.1716), (line, 0.204)]:
        for smoothness, left in [(price - 0.001, (grid == 2).sum()), (price + 0.001, 0)]:
            (e,) = AdjacencyClusteringFilter(smoothness).explain([grid])
            assert e.kept.sum() == left


def test_adjacency_clustering_treats_the_edge_as_the_middle():
    """A single fail goes at the same price wherever it is; without neighbours it stays."""
    grid = np.ones((7, 7), int)
    for cell in [(0, 0), (0, 3), (3, 3)]:
        with_fail = grid.copy()
        with_fail[cell] = 2
        assert AdjacencyClusteringFilter(0.145).explain([with_fail])[0].kept.any()
        assert not AdjacencyClusteringFilter(0.148).explain([with_fail])[0].kept.any()
    assert AdjacencyClusteringFilter(5).explain([[[2, 0, 1]]])[0].kept.any()


def exact_p_values(grid, connectivity):
    """Share of all ways to place the fails whose largest component is as large."""
    dies = [tuple(cell) for cell in np.argwhere(grid != 0)]
    largest = []
    for placed in combinations(dies, int((grid == 2).sum())):
        wafer = np.where(grid != 0, 1, 0)
        for cell in placed:
            wafer[cell] = 2
        largest.append(max(len(steps_from(wafer, *cell, connectivity)) for cell in placed))
    size = {tuple(f): len(steps_from(grid, *f, connectivity)) for f in np.argwhere(grid == 2)}
    return {cell: np.mean(np.array(largest) >= s) for cell, s in size.items()}


@pytest.mark.parametrize("connectivity", [4, 8])
def test_permutation_p_values_are_those_of_all_placements(connectivity):
    grid = np.array([[2, 2, 1, 0], [1, 2, 1, 2], [1, 1, 1, 1]])
    denoiser = ComponentPermutationFilter(0.5, 2000, connectivity=connectivity)
    (e,) = denoiser.explain([grid])
    for cell, p in exact_p_values(grid, connectivity).items():
        assert 1 - e.saliency[cell] == pytest.approx(p, abs=0.04)
        assert e.kept[cell] == (1 - e.saliency[cell] <= 0.5)


def test_of_random_wafers_alpha_keep_something():
    rng = np.random.default_rng(0)
    maps = 1 + (rng.random((300, 12, 12)) < 0.15).astype(int)
    kept = [e.kept.any() for e in ComponentPermutationFilter(0.2, 99).explain(maps)]
    assert 0.05 < np.mean(kept) < 0.27  # three standard errors above alpha; sizes tie, so less


def test_wafers_alike_share_the_shuffles(monkeypatch):
    asked = []

    def counting(dies, n_fails, *rest):
        asked.append(n_fails)
        return np.ones(19, int)

    monkeypatch.setattr(_component_permutation, "permuted_sizes", counting)
    one, other, more = np.array([[2, 1, 0]]), np.array([[1, 2, 0]]), np.array([[2, 2, 0]])
    ComponentPermutationFilter(n_permutations=19).explain([one, other, more, one])
    assert asked == [1, 2]


def test_the_random_state_decides_the_shuffles():
    grid = 1 + (np.random.default_rng(0).random((10, 10)) < 0.2)
    p = [
        1 - ComponentPermutationFilter(0.5, 99, random_state=s).explain([grid])[0].saliency
        for s in (0, 0, 1, np.random.RandomState(0))
    ]
    np.testing.assert_array_equal(p[0], p[1])
    assert (p[0] != p[2]).any() and p[3].shape == grid.shape


def test_a_die_at_the_edge_or_a_hole_is_judged_by_the_dies_it_has():
    corner = np.array([[2, 2, 1], [1, 1, 1]])  # 2 of the corner's 4 dies fail: not more than half
    beside_holes = np.array([[2, 0, 1], [2, 0, 1]])
    removed, kept = MedianFilter().transform([corner, beside_holes])
    assert not (removed == 2).any()
    np.testing.assert_array_equal(kept, beside_holes)
    np.testing.assert_array_equal(SpatialFilter().transform([beside_holes])[0], beside_holes)
    np.testing.assert_array_equal(MorphologyFilter().transform([beside_holes])[0], beside_holes)


def test_a_hole_does_not_connect():
    across = np.array([[2, 0, 2]])
    assert (ComponentSizeFilter(2).transform([across])[0] != 2).all()
    assert (ConnectedPathFilter(2).transform([across])[0] != 2).all()
    assert (NeighborCountFilter(1).transform([across])[0] != 2).all()


def test_rounds_eat_a_scratch_from_its_ends():
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
def test_what_happens_to_scratches_is_as_documented(denoiser, straight, diagonal):
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
def test_the_saliency_is_what_was_compared(denoiser, decides):
    maps = random_maps(30, seed=1)
    for grid, e in zip(maps, denoiser.explain(maps), strict=True):
        np.testing.assert_array_equal(e.kept, (grid == 2) & decides(e.saliency))
        assert e.saliency.dtype == np.float32 and (e.saliency[grid == 0] == 0).all()


def test_saliencies_have_the_units_they_claim():
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
