"""The shapes of the failure patterns: how strongly each die of a wafer is affected, 0 to 1.

Each shape is a function of the wafer and a random generator. Lengths are in wafer radii, except
for scratches, whose width is a matter of single dies.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from camdenoise.datasets._wafers import Disc

PATTERN_CLASSES = ("Center", "Donut", "Edge-Loc", "Edge-Ring", "Loc", "Scratch")
CLASSES = (*PATTERN_CLASSES, "Near-full", "Random", "none")


def _falling(distance: np.ndarray, reach: np.ndarray | float, softness: float) -> np.ndarray:
    """1 well within `reach`, 0 well outside, a soft edge of width `softness` between."""
    return 1 / (1 + np.exp(np.clip((distance - reach) / softness, -30, 30)))


def _angle_between(angle: np.ndarray, middle: float) -> np.ndarray:
    return np.abs((angle - middle + np.pi) % (2 * np.pi) - np.pi)


def _wobble(angle: np.ndarray, size: float, rng: np.random.RandomState) -> np.ndarray:
    """Uneven outline: a few low harmonics of the angle."""
    harmonics = np.arange(1, 4)
    phase = rng.uniform(-np.pi, np.pi, 3)
    weight = rng.standard_normal(3) / harmonics
    return size * (weight * np.cos(angle[..., None] * harmonics + phase)).sum(-1)


def _blob(
    disc: Disc, at: tuple[float, float], size: float, stretch: float, rng: np.random.RandomState
) -> np.ndarray:
    """A soft, uneven ellipse in a random direction."""
    turn = rng.uniform(0, np.pi)
    dy, dx = disc.y - at[0], disc.x - at[1]
    along = (dx * np.cos(turn) + dy * np.sin(turn)) / stretch
    across = (dy * np.cos(turn) - dx * np.sin(turn)) * stretch
    outline = size * (1 + _wobble(np.arctan2(across, along), 0.12, rng))
    return _falling(np.hypot(along, across), outline, 0.12 * size)


def center(disc: Disc, rng: np.random.RandomState) -> np.ndarray:
    """A blob at the middle of the wafer."""
    at = rng.normal(0, 0.07, 2)
    return _blob(disc, at, rng.uniform(0.22, 0.5), rng.uniform(0.85, 1.18), rng)


def donut(disc: Disc, rng: np.random.RandomState) -> np.ndarray:
    """A ring around the middle, well inside the rim."""
    at = rng.normal(0, 0.06, 2)
    dy, dx = disc.y - at[0], disc.x - at[1]
    middle = rng.uniform(0.4, 0.62) * (1 + _wobble(np.arctan2(dy, dx), 0.05, rng))
    return _falling(np.abs(np.hypot(dx, dy) - middle), rng.uniform(0.12, 0.25), 0.04)


def _rim_band(disc: Disc, depth: np.ndarray | float) -> np.ndarray:
    return 1 - _falling(disc.radius, 1 - depth, 0.02)


def edge_loc(disc: Disc, rng: np.random.RandomState) -> np.ndarray:
    """A patch at the rim."""
    middle = rng.uniform(-np.pi, np.pi)
    off = _angle_between(disc.angle, middle)
    half = rng.uniform(0.2, 0.9)
    depth = rng.uniform(0.15, 0.4) * np.sqrt(np.clip(1 - (off / (1.3 * half)) ** 2, 0, 1))
    return _rim_band(disc, depth) * _falling(off, half, 0.06)


def edge_ring(disc: Disc, rng: np.random.RandomState) -> np.ndarray:
    """A band along all or most of the rim."""
    dies_across = min(disc.shape)
    depth = rng.uniform(1.5, 4.0) * 2 / dies_across + rng.uniform(0, 0.05)
    band = _rim_band(disc, depth * (1 + _wobble(disc.angle, 0.15, rng)))
    if rng.uniform() < 0.25:
        gap = rng.uniform(0.2, 1.2)
        band = band * (1 - _falling(_angle_between(disc.angle, rng.uniform(-3.1, 3.1)), gap, 0.15))
    return band


def loc(disc: Disc, rng: np.random.RandomState) -> np.ndarray:
    """A blob somewhere between the middle and the rim."""
    radius, angle = rng.uniform(0.35, 0.8), rng.uniform(-np.pi, np.pi)
    at = (radius * np.sin(angle), radius * np.cos(angle))
    return _blob(disc, at, rng.uniform(0.1, 0.28), rng.uniform(1.0, 1.6), rng)


def scratch(disc: Disc, rng: np.random.RandomState) -> np.ndarray:
    """A thin line, straight or curved, one or two dies wide, sometimes broken."""
    height, width = disc.shape
    n_steps = int(rng.uniform(0.3, 1.3) * (height + width) / 4 * 2) + 8
    heading = rng.uniform(-np.pi, np.pi) + np.cumsum(
        np.full(n_steps, rng.normal(0, 1.0) / n_steps) + rng.normal(0, 0.02, n_steps)
    )
    path = 0.5 * np.cumsum(np.stack([np.sin(heading), np.cos(heading)]), axis=1)
    radius, angle = 0.75 * np.sqrt(rng.uniform()), rng.uniform(-np.pi, np.pi)
    middle = np.array([np.sin(angle) * radius * height, np.cos(angle) * radius * width]) / 2
    path += (middle + [(height - 1) / 2, (width - 1) / 2] - path.mean(axis=1))[:, None]
    if rng.uniform() < 0.3:
        cut = rng.randint(n_steps // 4, 3 * n_steps // 4)
        path = np.delete(path, slice(cut, cut + max(3, n_steps // 8)), axis=1)
    if rng.uniform() < 0.4:
        path = np.concatenate([path, path + np.array([[0.0], [1.0]])], axis=1)
    rows, columns = np.round(path).astype(int)
    on = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    line = np.zeros(disc.shape)
    line[rows[on], columns[on]] = 1
    return line


def near_full(disc: Disc, rng: np.random.RandomState) -> np.ndarray:
    """The whole wafer but for a patch."""
    radius, angle = rng.uniform(0.5, 1.1), rng.uniform(-np.pi, np.pi)
    at = (radius * np.sin(angle), radius * np.cos(angle))
    return 1 - rng.uniform(0.2, 1) * _blob(disc, at, rng.uniform(0.1, 0.4), 1.2, rng)


#: Class -> shape, and the range of the share of affected dies that fail where it is strongest.
SHAPES: dict[str, tuple[Callable[[Disc, np.random.RandomState], np.ndarray], float, float]] = {
    "Center": (center, 0.5, 1.0),
    "Donut": (donut, 0.5, 1.0),
    "Edge-Loc": (edge_loc, 0.5, 1.0),
    "Edge-Ring": (edge_ring, 0.5, 1.0),
    "Loc": (loc, 0.5, 1.0),
    "Scratch": (scratch, 0.7, 1.0),
    "Near-full": (near_full, 0.75, 1.0),
}
