"""Wafers that look alike, and groups of them."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from camdenoise import WaferMapError
from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import LargestComponentFilter
from camdenoise.similarity import (
    WaferEmbedding,
    discover_patterns,
    mean_average_precision,
    similar_wafers,
)


def disc(size, height=1.0):
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-height, height, size), indexing="ij")
    return np.where(x**2 + y**2 <= 1, 1, 0).astype(np.uint8)


def with_fails(size, where):
    """A wafer whose dies fail where a function of the position (y down, x right) says so."""
    grid = disc(size)
    y, x = np.meshgrid(*[(2 * np.arange(size) + 1) / size - 1] * 2, indexing="ij")
    grid[where(y, x) & (grid == 1)] = 2
    return grid


def at(angle, radius=0.7, reach=0.25):
    """A blob at an angle, in degrees clockwise from the right."""
    cy, cx = radius * np.sin(np.radians(angle)), radius * np.cos(np.radians(angle))
    return lambda y, x: (y - cy) ** 2 + (x - cx) ** 2 < reach**2


def test_the_product_is_that_of_two_gaussian_mixtures():
    """Against the sum over all pairs of fails, which cells can only approximate."""
    blur = 0.3
    wafers = [with_fails(61, at(0)), with_fails(61, at(35)), with_fails(61, at(120, 0.3))]

    def kernel(a, b):
        points = [np.argwhere(grid == 2) / 30.5 - 1 + 1 / 61 for grid in (a, b)]
        squares = ((points[0][:, None] - points[1]) ** 2).sum(axis=2)
        return np.exp(-squares / (2 * blur**2)).mean()

    embedding = WaferEmbedding(n_rings=16, n_sectors=64, blur=blur)
    a = embedding.fit_transform(wafers)
    for i in range(3):
        for j in range(3):
            exact = kernel(wafers[i], wafers[j]) / np.sqrt(
                kernel(wafers[i], wafers[i]) * kernel(wafers[j], wafers[j])
            )
            assert a[i] @ a[j] == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize("sizes", [(26, 80), (41, 53)])
def test_the_grid_of_dies_matters_little(sizes):
    small, large = (with_fails(size, at(-60)) for size in sizes)
    a, b = WaferEmbedding().fit_transform([small, large])
    assert a @ b > 0.98


def test_without_orientation_a_wafer_turned_is_the_same():
    wafer = with_fails(40, at(20))
    turned = WaferEmbedding(any_orientation=True).fit_transform([wafer, np.rot90(wafer)])
    fixed = WaferEmbedding().fit_transform([wafer, np.rot90(wafer)])
    np.testing.assert_allclose(turned[0], turned[1], atol=1e-5)
    assert fixed[0] @ fixed[1] < 0.1


def test_a_denoiser_chooses_the_fails_that_count():
    wafer = with_fails(40, at(20))
    noisy = wafer.copy()
    rng = np.random.default_rng(0)
    noisy[(rng.random(noisy.shape) < 0.1) & (noisy == 1)] = 2
    clean, raw = WaferEmbedding().fit_transform([wafer, noisy])
    kept = WaferEmbedding(LargestComponentFilter().fit([noisy])).fit_transform([noisy])[0]
    assert clean @ raw < clean @ kept


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4))
def test_vectors_have_length_one_or_nothing(shapes):
    rng = np.random.default_rng(len(shapes))
    maps = [rng.integers(0, 3, shape).astype(np.uint8) for shape in shapes]
    vectors = WaferEmbedding().fit(maps).transform(maps)
    length = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(length, [float((grid == 2).any()) for grid in maps], atol=1e-5)
    assert vectors.shape == (len(maps), 256) and (vectors >= 0).all()


def test_names_and_errors():
    embedding = WaferEmbedding(n_rings=2, n_sectors=4).fit([np.ones((3, 3))])
    assert embedding.get_feature_names_out().tolist()[3:5] == ["ring0_sector3", "ring1_sector0"]
    turned = WaferEmbedding(n_rings=1, n_sectors=4, any_orientation=True).fit([np.ones((3, 3))])
    assert turned.get_feature_names_out().tolist() == ["ring0_wave0", "ring0_wave1", "ring0_wave2"]
    with pytest.raises(WaferMapError, match="wafer map 1: value 7"):
        embedding.transform([np.ones((3, 3)), np.full((3, 3), 7)])
    with pytest.raises(ValueError, match="blur"):
        WaferEmbedding(blur=-1).fit([np.ones((3, 3))])


def test_neighbours_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 5))
    found = similar_wafers(vectors, n_neighbors=4)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T - 2 * np.eye(60)
    for query, of_query in found.groupby("query"):
        assert of_query["wafer"].tolist() == np.argsort(-cosine[query])[:4].tolist()
        np.testing.assert_allclose(of_query["similarity"], np.sort(cosine[query])[::-1][:4])
        assert of_query["rank"].tolist() == [1, 2, 3, 4]


def test_neighbours_come_from_other_groups_and_never_from_empty_wafers():
    vectors = np.array([[1.0, 0], [1, 0.1], [1, 0.2], [0, 0]])
    found = similar_wafers(vectors, groups=["a", "a", "b", "b"])
    pairs = list(zip(found["query"], found["wafer"], strict=True))
    assert pairs == [(0, 2), (1, 2), (2, 1), (2, 0)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": [9]}, "no row 9 among 3 wafers"),
        ({"queries": [-1]}, "no row -1"),
        ({"n_neighbors": 0}, "n_neighbors must be at least 1"),
        ({"groups": [1, 2]}, "inconsistent numbers"),
        ({"embedded": np.full((3, 2), np.nan)}, "NaN"),
    ],
)
def test_bad_requests_for_neighbours(change, message):
    with pytest.raises(ValueError, match=message):
        similar_wafers(**({"embedded": np.eye(3, 2)} | change))


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_average_precision_is_that_of_scikit_learn(same):
    labels = ["x", *("x" if one else "y" for one in same)]
    ranks = np.arange(1, len(same) + 1)
    found = pd.DataFrame({"query": 0, "wafer": ranks, "rank": ranks}).sample(frac=1, random_state=0)
    expected = average_precision_score(same, -ranks) if any(same) else 0.0
    assert mean_average_precision(found, labels)["x"] == pytest.approx(expected)


def unnamed(n_each=25, n_noise=20, seed=0):
    """Half wafers, crosses and wafers without a pattern, none of which is a class of WM-811K."""
    rng = np.random.default_rng(seed)

    def cross(y, x):
        return (np.abs(y) < 0.12) | (np.abs(x) < 0.12)

    maps, kinds = [], []
    for number in range(2 * n_each + n_noise):
        kind = ["half", "cross", "nothing"][min(number // n_each, 2)]
        where = {"half": lambda y, x: x > 0.1, "cross": cross, "nothing": lambda y, x: x > 2}[kind]
        grid = with_fails(int(rng.integers(24, 50)), where)
        flip = (rng.random(grid.shape) < 0.08) & (grid > 0)
        grid[flip] = 3 - grid[flip]
        maps.append(grid)
        kinds.append(kind)
    return maps, np.array(kinds)


def test_new_patterns_are_found_and_named_by_nobody():
    maps, kinds = unnamed()
    found = discover_patterns(maps, random_state=0)
    of = [pd.Series(kinds[pattern.members]).value_counts() for pattern in found]
    pure = {counts.index[0]: counts.iloc[0] / counts.sum() for counts in of}
    assert {"half", "cross"} <= set(pure) and min(pure["half"], pure["cross"]) >= 0.85
    half = next(p for p, counts in zip(found, of, strict=True) if counts.index[0] == "half")
    assert half.n_wafers >= 20 and half.stability > 0.75
    assert set(kinds[half.members[:15]]) == {"half"}
    left, right = half.mean_map[:, :18], half.mean_map[:, -18:]
    assert np.nanmean(left) < 0.15 and np.nanmean(right) > 0.8


def test_nothing_is_found_among_few_or_scattered_wafers():
    assert discover_patterns(make_wafer_maps(19, random_state=0).maps) == []
    rng = np.random.default_rng(0)
    maps = [np.where(rng.random((30, 30)) < 0.05, 2, 1) for _ in range(40)]
    assert discover_patterns(maps, min_stability=0.75, random_state=0) == []


def test_discovery_repeats_and_checks_its_masks():
    maps, _ = unnamed(15, 5)
    one, two = (discover_patterns(maps, random_state=1) for _ in range(2))
    assert [p.stability for p in one] == [p.stability for p in two] and one
    with pytest.raises(ValueError, match="masks must have one array per wafer"):
        discover_patterns(maps, masks=[np.ones((2, 2))] * len(maps))
    with pytest.raises(ValueError, match="min_wafers must be at least 2"):
        discover_patterns(maps, min_wafers=1)
