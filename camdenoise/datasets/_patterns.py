"""The shapes of the failure patterns: how strongly each die of a wafer is affected, 0 to 1.

Each shape is a function of the wafer and a random generator. Lengths are in wafer radii if the
cause does not depend on dies (a blob of particles), else in dies (the width of a scratch). The
ranges were measured on real wafers, see docs/simulator.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from camdenoise.wafers._geometry import Disc

PATTERN_CLASSES = ("Center", "Donut", "Edge-Loc", "Edge-Ring", "Loc", "Scratch")
CLASSES = (*PATTERN_CLASSES, "Near-full", "Random", "none")

# Fewest dies of a pattern; a pattern with fewer has missed the wafer and is drawn again.
FEWEST_DIES = 6
# Draws of a pattern before one with fewer dies is accepted.
_TRIES = 20

Rng = np.random.RandomState


def _fade(distance: np.ndarray, reach: np.ndarray | float, softness: float) -> np.ndarray:
    """Fall from 1 well within `reach` to 0 well outside; half way at `reach`."""
    return 1 / (1 + np.exp(np.clip((distance - reach) / softness, -30, 30)))


def _angle_between(angle: np.ndarray, middle: float) -> np.ndarray:
    return np.abs((angle - middle + np.pi) % (2 * np.pi) - np.pi)


def _draw_angle(rng: Rng) -> float:
    return rng.uniform(-np.pi, np.pi)


def _wobble(angle: np.ndarray, size: float, rng: Rng) -> np.ndarray:
    """Draw an uneven outline: a few low harmonics of the angle."""
    total = np.zeros_like(angle)
    for harmonic in (1, 2, 3):
        weight = rng.standard_normal() / harmonic
        total += weight * np.cos(harmonic * angle + _draw_angle(rng))
    return size * total


def _lognormal(rng: Rng, median: float, spread: float, low: float, high: float) -> float:
    return float(np.clip(median * rng.lognormal(0, spread), low, high))


def _die(disc: Disc) -> float:
    """Side of a die in wafer radii."""
    return 2 / min(disc.shape)


def _blob(disc: Disc, at: tuple[float, float], size: float, stretch: float, rng: Rng) -> np.ndarray:
    """Draw a soft, uneven ellipse in a random direction, at times in a thin halo."""
    turn = rng.uniform(0, np.pi)
    dy, dx = disc.y - at[0], disc.x - at[1]
    along = (dx * np.cos(turn) + dy * np.sin(turn)) / stretch
    across = (dy * np.cos(turn) - dx * np.sin(turn)) * stretch
    distance = np.hypot(along, across)
    outline = size * (1 + _wobble(np.arctan2(across, along), 0.1, rng))
    core = _fade(distance, outline, rng.uniform(0.06, 0.22) * size)
    if rng.uniform() < 0.6:
        return core
    return np.maximum(core, rng.uniform(0.1, 0.35) * _fade(distance, 1.7 * size, 0.3 * size))


def center(disc: Disc, rng: Rng) -> np.ndarray:
    """Affect a blob at the middle of the wafer."""
    at = (rng.normal(0, 0.055), rng.normal(0, 0.055))
    size = _lognormal(rng, 0.22, 0.38, max(0.08, _die(disc)), 0.65)
    return _blob(disc, at, size, rng.uniform(0.87, 1.15), rng)


def donut(disc: Disc, rng: Rng) -> np.ndarray:
    """Affect a ring around the middle, often stronger and broader on one side."""
    dy, dx = disc.y - rng.normal(0, 0.05), disc.x - rng.normal(0, 0.05)
    angle = np.arctan2(dy, dx)
    weakening = rng.uniform(0.4, 1) if rng.uniform() < 0.6 else rng.uniform(0, 0.3)
    side = 1 - weakening * (1 - np.cos(angle - _draw_angle(rng))) / 2
    half = _lognormal(rng, 0.14, 0.45, max(0.05, 0.7 * _die(disc)), 0.33)
    inner = _lognormal(rng, 0.28, 0.25, 0.15, 0.55)
    reach = half * (0.4 + 0.7 * side) * (1 + _wobble(angle, 0.1, rng))
    ring = _fade(np.abs(np.hypot(dx, dy) - inner - reach), reach, rng.uniform(0.005, 0.045))
    return ring * side


def _rim_patch(disc: Disc, half: float, depth: float, rng: Rng) -> np.ndarray:
    """Draw a patch at the rim, deepest in its middle; `half` in radians, `depth` in radii."""
    off = _angle_between(disc.angle, _draw_angle(rng)) / half
    taper = np.sqrt(np.clip(1 - off**2, 0, 1)) if rng.uniform() < 0.6 else (off < 1).astype(float)
    reach = 0.5 + taper * depth / _die(disc) * (1 + _wobble(disc.angle, 0.12, rng))
    return _fade(disc.rim, reach, rng.uniform(0.15, 0.8)) * _fade(off, 1.0, 0.08)


def edge_loc(disc: Disc, rng: Rng) -> np.ndarray:
    """Affect a patch at the rim, at times a second one."""
    half = _lognormal(rng, 0.62, 0.5, 0.2, 1.5)
    depth = _lognormal(rng, 0.17, 0.6, 1.3 * _die(disc), 0.8)
    patch = _rim_patch(disc, half, depth, rng)
    if rng.uniform() < 0.15:
        patch = np.maximum(patch, _rim_patch(disc, 0.6 * half, 0.6 * depth, rng))
    return patch


def edge_ring(disc: Disc, rng: Rng) -> np.ndarray:
    """Affect a band of one to three dies along all or most of the rim."""
    width = rng.uniform(1.35, 1.75) if rng.uniform() < 0.85 else rng.uniform(1.8, 3.5)
    reach = np.maximum(width * (1 + _wobble(disc.angle, 0.12, rng)), 1.35)
    softness = rng.uniform(0.02, 0.08) if rng.uniform() < 0.8 else rng.uniform(0.08, 0.4)
    band = _fade(disc.rim, reach, softness)
    if rng.uniform() < 0.18:
        gap = _fade(_angle_between(disc.angle, _draw_angle(rng)), rng.uniform(0.15, 1.0), 0.1)
        band = band * (1 - rng.uniform(0.5, 1) * gap)
    return band


def loc(disc: Disc, rng: Rng) -> np.ndarray:
    """Affect a blob between the middle and the rim, at times a second, smaller one."""
    size = _lognormal(rng, 0.17, 0.55, max(0.06, 1.25 * _die(disc)), 0.55)
    stretch = 1 + rng.exponential(0.25)
    region = _blob(disc, _draw_off_center(size, rng), size, min(stretch, 2.0), rng)
    if rng.uniform() < 0.2:
        size = max(0.6 * size, _die(disc))
        region = np.maximum(region, _blob(disc, _draw_off_center(size, rng), size, 1.2, rng))
    return region


def _draw_off_center(size: float, rng: Rng) -> tuple[float, float]:
    """Draw a place away from the center where a blob of `size` stays off the rim."""
    radius = np.sqrt(rng.uniform(0.1, max(0.12, (1.05 - 0.8 * size) ** 2)))
    angle = _draw_angle(rng)
    return radius * np.sin(angle), radius * np.cos(angle)


def _scratch_path(disc: Disc, length: float, heading: float, rng: Rng) -> np.ndarray:
    """Draw the rows and columns along a gently bending line of `length` wafer radii."""
    height, width = disc.shape
    n_steps = max(10, int(length / _die(disc) * 2))
    bend = rng.normal(0, 0.7) * length / n_steps
    turns = heading + np.cumsum(bend + rng.normal(0, 0.02, n_steps))
    path = 0.5 * np.cumsum(np.stack([np.sin(turns), np.cos(turns)]), axis=1)
    radius, angle = 0.95 * np.sqrt(rng.uniform(0.12, 1)), _draw_angle(rng)
    middle = radius * np.array([np.sin(angle) * height, np.cos(angle) * width]) / 2
    middle += [(height - 1) / 2, (width - 1) / 2]
    return path + (middle - path.mean(axis=1))[:, None]


def _break(path: np.ndarray, rng: Rng) -> np.ndarray:
    """Leave out a short part of the line."""
    n_steps = path.shape[1]
    cut = rng.randint(n_steps // 4, 3 * n_steps // 4)
    return np.delete(path, slice(cut, cut + max(3, n_steps // 8)), axis=1)


def _widen(path: np.ndarray, rng: Rng) -> np.ndarray:
    """Make the line two dies wide over a part of its length."""
    n_steps = path.shape[1]
    start, end = np.sort(rng.randint(0, n_steps + 1, 2))
    step = np.array([[1.0], [0.0]]) if np.ptp(path[1]) > np.ptp(path[0]) else [[0.0], [1.0]]
    return np.concatenate([path, path[:, start:end] + step], axis=1)


def scratch(disc: Disc, rng: Rng) -> np.ndarray:
    """Affect thin lines, straight or curved, one or two dies wide, at times broken."""
    line = np.zeros(disc.shape)
    heading = _draw_angle(rng)
    for _ in range(rng.choice([1, 2, 3], p=[0.72, 0.2, 0.08])):
        length = _lognormal(rng, 1.0, 0.65, 5 * _die(disc), 2.4)
        path = _scratch_path(disc, length, heading + rng.normal(0, 0.5), rng)
        path = _break(path, rng) if rng.uniform() < 0.2 else path
        path = _widen(path, rng) if rng.uniform() < 0.5 else path
        rows, columns = np.round(path).astype(int)
        on = (rows >= 0) & (rows < disc.shape[0]) & (columns >= 0) & (columns < disc.shape[1])
        line[rows[on], columns[on]] = 1
    return line


def near_full(disc: Disc, rng: Rng) -> np.ndarray:
    """Affect the whole wafer, less so in a patch."""
    radius = rng.uniform(0.7, 1.2) if rng.uniform() < 0.8 else 0.1
    angle = _draw_angle(rng)
    at = (radius * np.sin(angle), radius * np.cos(angle))
    size = radius * rng.uniform(0.3, 0.8) + 0.1
    return 1 - rng.uniform(0, 0.9) * _blob(disc, at, size, 1.3, rng)


#: Class -> shape, and the range of the share of affected dies that fail where it is strongest.
SHAPES: dict[str, tuple[Callable[[Disc, Rng], np.ndarray], float, float]] = {
    "Center": (center, 0.8, 1.0),
    "Donut": (donut, 0.7, 1.0),
    "Edge-Loc": (edge_loc, 0.75, 1.0),
    "Edge-Ring": (edge_ring, 0.98, 1.0),
    "Loc": (loc, 0.8, 1.0),
    "Scratch": (scratch, 0.88, 1.0),
    "Near-full": (near_full, 0.86, 1.0),
}


def pattern_probability(
    label: str, disc: Disc, density: tuple[float, float] | None, rng: Rng
) -> tuple[np.ndarray, float]:
    """Draw the probability that the pattern fails each die, and its density.

    `density` is the range to draw from; None stands for the range of the class.
    """
    if label not in SHAPES:
        return np.zeros(disc.shape), 0.0
    shape, *limits = SHAPES[label]
    strength = rng.uniform(*(density or limits))
    for _ in range(_TRIES):
        affected = shape(disc, rng)
        if affected[disc.dies].sum() >= FEWEST_DIES:
            break
    return strength * affected, strength
