"""Patterns read off real and simulated wafers."""

import numpy as np
import pytest
from round_wafers import disc, radius

from camdenoise.datasets import (
    PATTERN_CLASSES,
    make_wafer_maps,
)
from camdenoise.datasets._extraction import extract_pattern, is_patternless

SHAPES = [(40, 40), (44, 42), (48, 48)]


def test_extract_pattern_recovers_simulated_patterns():
    made = make_wafer_maps(240, shapes=SHAPES, noise_rate=(0, 0.01), random_state=2)
    overlap = {label: [] for label in PATTERN_CLASSES}
    for grid, truth, label in zip(made.maps, made.truth, made.target, strict=True):
        mask = extract_pattern(grid, label)
        if mask is not None:
            overlap[label].append((mask & truth).sum() / (mask | truth).sum())
    medians = {label: np.median(values) for label, values in overlap.items()}
    assert min(medians.values()) > 0.75, medians


@pytest.mark.parametrize(
    ("label", "figure"),
    [
        ("Scratch", radius() < 5),
        ("Scratch", radius() > 18.5),
        ("Edge-Loc", radius() > 18.5),
        ("Edge-Loc", radius() < 5),
        ("Edge-Ring", (radius() > 18) & (np.indices((40, 40))[0] < 12)),
        ("Center", np.roll(radius() < 4, 12, axis=1)),
        ("Center", radius() < 16),
        ("Donut", radius() < 8),
        ("Donut", (abs(radius() - 9) < 2) & (np.indices((40, 40))[0] < 14)),
        ("Loc", (radius() > 15) & (np.indices((40, 40))[0] < 6)),
        ("Loc", np.indices((40, 40))[0] == 17),
    ],
)
def test_extract_pattern_refuses_shapes_unlike_class(label, figure):
    assert extract_pattern(np.where(figure & (disc() > 0), 2, disc()), label) is None


@pytest.mark.parametrize(
    ("label", "figure"),
    [
        ("Scratch", (np.indices((40, 40))[0] == 17) & (radius() < 12)),
        ("Edge-Loc", (radius() > 17) & (np.indices((40, 40))[0] < 10)),
        ("Edge-Ring", radius() > 18.5),
        ("Center", radius() < 5),
        ("Donut", abs(radius() - 9) < 2),
        ("Loc", np.roll(radius() < 4, 10, axis=1)),
    ],
)
def test_extract_pattern_keeps_shapes_of_class_whole(label, figure):
    grid = np.where(figure & (disc() > 0), 2, disc())
    np.testing.assert_array_equal(extract_pattern(grid, label), grid == 2)


def test_extract_pattern_leaves_single_fails_out():
    grid = np.where(radius() < 5, 2, disc())
    grid[8, 14] = grid[30, 22] = 2
    np.testing.assert_array_equal(extract_pattern(grid, "Center"), radius() < 5)


def test_extract_pattern_refuses_many_other_fails():
    grid = np.where(radius() < 5, 2, disc())
    grid[::3, ::3] = np.where(disc()[::3, ::3] > 0, 2, 0)
    assert extract_pattern(grid, "Center") is None


def test_is_patternless_refuses_a_cluster_of_fails(sources):
    heap = np.where((radius() < 6) & ((np.indices((40, 40)).sum(axis=0)) % 2 == 0), 2, disc())
    assert is_patternless(disc()) and not is_patternless(heap)
    plain = [g for g, t in zip(sources["maps"], sources["target"], strict=True) if t == "none"]
    assert np.mean([is_patternless(grid) for grid in plain]) > 0.98


def test_extract_pattern_refuses_partial_wafers():
    half = np.where(np.indices((40, 40))[0] < 20, disc(), 0)
    assert not is_patternless(half)
    assert extract_pattern(np.where((radius() < 5) & (half > 0), 2, half), "Center") is None
