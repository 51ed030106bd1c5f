"""The sinogram of a wafer and its features, compared with slow sums."""

from itertools import product

import numpy as np
import pytest
from feature_cases import disc

from camdenoise.features._radon import cubic_resampling, radon_features, sinogram


def slow_sinogram(fails):
    """Share each fail between the two lines beside it, one direction and one die at a time."""
    height, width = fails.shape
    n_lines = min(height, width)
    lengths = np.zeros((60, n_lines))
    for number, (row, column) in product(range(60), np.argwhere(fails)):
        x, y = (2 * column + 1) / width - 1, (2 * row + 1) / height - 1
        angle = np.deg2rad(3 * number)
        offset = x * np.cos(angle) + y * np.sin(angle)
        for line in range(n_lines):
            at = (2 * line + 1) / n_lines - 1
            distance = abs(np.clip(offset, 1 / n_lines - 1, 1 - 1 / n_lines) - at) * n_lines / 2
            lengths[number, line] += max(0, 1 - distance) * 2 / height * n_lines / width
    return lengths


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (7, 7), (9, 5)])
def test_sinogram_equals_slow_sums(shape):
    fails = np.random.default_rng(0).random(shape) < 0.5
    np.testing.assert_allclose(sinogram(fails), slow_sinogram(fails), atol=1e-12)


def test_sinogram_of_a_disc_is_its_chords():
    lengths = sinogram(disc(101, 1))
    at = (np.arange(101) + 0.5) * 2 / 101 - 1
    np.testing.assert_allclose(lengths.mean(axis=0), 2 * np.sqrt(1 - at**2), atol=0.05)
    # The integral over all lines is the area, whatever the direction.
    np.testing.assert_allclose(lengths.sum(axis=1) * 2 / 101, np.pi, rtol=2e-3)


@pytest.mark.parametrize("n_lines", [2, 3, 4, 26, 60])
def test_resampling_is_exact_for_cubic_functions(n_lines):
    degree = min(n_lines - 1, 3)
    at = np.arange(n_lines) / (n_lines - 1)
    curve = np.polynomial.Polynomial([0.3, -1, 2, 0.7][: degree + 1])
    np.testing.assert_allclose(
        cubic_resampling(n_lines) @ curve(at), curve(np.linspace(0, 1, 20)), atol=1e-10
    )


def test_radon_features_are_sinogram_mean_and_std():
    fails = np.random.default_rng(0).random((20, 23)) < 0.3
    lengths = slow_sinogram(fails)
    # Of 20 lines the 20 values are the lines themselves.
    np.testing.assert_allclose(radon_features(fails)[:20], lengths.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(radon_features(fails)[20:], lengths.std(axis=0), atol=1e-12)


def test_radon_features_depend_on_direction_of_a_line():
    line = np.zeros((41, 41), bool)
    line[20, 5:36] = True
    of_line, of_disc = (radon_features(fails).reshape(2, 20) for fails in (line, disc(41, 0.5)))
    spread_of_line, spread_of_disc = (of[1].max() / of[0].max() for of in (of_line, of_disc))
    assert spread_of_line > 0.7 and spread_of_disc < 0.05


def test_radon_features_ignore_orientation():
    lying = np.zeros((41, 41), bool)
    lying[20, 5:36] = True
    np.testing.assert_allclose(radon_features(lying), radon_features(lying.T), atol=0.02)
