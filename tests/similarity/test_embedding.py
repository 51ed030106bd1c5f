"""Wafers that look alike, and groups of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wafers_by_position import with_fails

from camdenoise import WaferMapError
from camdenoise.filters import LargestComponentFilter
from camdenoise.similarity import (
    WaferEmbedding,
)


def at(angle, radius=0.7, reach=0.25):
    """A blob at an angle, in degrees clockwise from the right."""
    cy, cx = radius * np.sin(np.radians(angle)), radius * np.cos(np.radians(angle))
    return lambda y, x: (y - cy) ** 2 + (x - cx) ** 2 < reach**2


def test_embedding_product_equals_gaussian_mixtures():
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
def test_embedding_hardly_depends_on_the_grid(sizes):
    small, large = (with_fails(size, at(-60)) for size in sizes)
    a, b = WaferEmbedding().fit_transform([small, large])
    assert a @ b > 0.98


def test_embedding_without_orientation_ignores_turns():
    wafer = with_fails(40, at(20))
    turned = WaferEmbedding(any_orientation=True).fit_transform([wafer, np.rot90(wafer)])
    fixed = WaferEmbedding().fit_transform([wafer, np.rot90(wafer)])
    np.testing.assert_allclose(turned[0], turned[1], atol=1e-5)
    assert fixed[0] @ fixed[1] < 0.1


def test_embedding_uses_the_fails_a_denoiser_keeps():
    wafer = with_fails(40, at(20))
    noisy = wafer.copy()
    rng = np.random.default_rng(0)
    noisy[(rng.random(noisy.shape) < 0.1) & (noisy == 1)] = 2
    clean, raw = WaferEmbedding().fit_transform([wafer, noisy])
    kept = WaferEmbedding(LargestComponentFilter().fit([noisy])).fit_transform([noisy])[0]
    assert clean @ raw < clean @ kept


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4))
def test_embedding_vectors_have_length_one_or_zero(shapes):
    rng = np.random.default_rng(len(shapes))
    maps = [rng.integers(0, 3, shape).astype(np.uint8) for shape in shapes]
    vectors = WaferEmbedding().fit(maps).transform(maps)
    length = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(length, [float((grid == 2).any()) for grid in maps], atol=1e-5)
    assert vectors.shape == (len(maps), 256) and (vectors >= 0).all()


def test_embedding_names_and_errors_are_clear():
    embedding = WaferEmbedding(n_rings=2, n_sectors=4).fit([np.ones((3, 3))])
    assert embedding.get_feature_names_out().tolist()[3:5] == ["ring0_sector3", "ring1_sector0"]
    turned = WaferEmbedding(n_rings=1, n_sectors=4, any_orientation=True).fit([np.ones((3, 3))])
    assert turned.get_feature_names_out().tolist() == ["ring0_wave0", "ring0_wave1", "ring0_wave2"]
    with pytest.raises(WaferMapError, match="wafer map 1: value 7"):
        embedding.transform([np.ones((3, 3)), np.full((3, 3), 7)])
    with pytest.raises(ValueError, match="blur"):
        WaferEmbedding(blur=-1).fit([np.ones((3, 3))])
