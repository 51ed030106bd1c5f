"""Simulated wafers without a pattern: die grids, the disc, holes, and random fails.

The constants were measured on the `none` wafers of WM-811K, see docs/simulator.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import ndimage

from camdenoise.wafers._geometry import Disc, grid_positions, measure_disc, polar, positions

#: Grids (rows, columns) that are most frequent in WM-811K, with their shares in percent.
GRID_SHARES = {
    (25, 27): 29, (27, 25): 16, (26, 26): 12, (38, 36): 7, (53, 52): 6, (33, 37): 5,
    (63, 62): 4, (45, 43): 4, (48, 48): 3, (39, 31): 3, (41, 42): 3, (69, 73): 2,
    (50, 43): 2, (56, 41): 2, (32, 29): 1, (35, 40): 1,
}  # fmt: skip

# Median share of failing dies by number of dies. A die of half the area fails half as often, as in
# any yield model by defect density; the measured medians follow this up to 2,000 dies.
_DIES = (300, 516, 1000, 1600, 2800, 10000)
_MEDIAN_RATE = (0.22, 0.165, 0.079, 0.057, 0.035, 0.022)
# Standard deviation of the logarithm of the rate: between lots, and between the wafers of a lot.
_LOT_SPREAD = 0.24
_WAFER_SPREAD = 0.15
# Smallest and largest rate of a wafer.
_RATE_LIMITS = (0.002, 0.32)
# Where the rim begins, and the decay length of its excess of fails inwards, in wafer radii.
_RIM = 0.9
_RIM_DECAY = 0.038
# Standard deviation of the smoothing: of clumps in dies, of drift in shares of the grid's side.
_CLUMP_REACH = 1.0
_DRIFT_REACH = 0.2


@lru_cache(maxsize=64)
def make_disc(height: int, width: int, chord: float) -> Disc:
    """Lay a disc on a grid so that the outermost row is about `chord` of the grid long."""
    radius = polar(*grid_positions(height, width))[0]
    outermost = max(positions(height)[-1], positions(width)[-1])
    return measure_disc(radius <= np.hypot(outermost, chord))


def draw_chord(rng: np.random.RandomState) -> float:
    """Draw the length of a wafer's outermost row of dies, as a share of the grid."""
    return round(rng.uniform(0.14, 0.26), 2)


def draw_grid(
    rng: np.random.RandomState, shapes: Sequence[tuple[int, int]] | None
) -> tuple[int, int]:
    """Draw a grid: one of `shapes`, else as often as it occurs in WM-811K."""
    if shapes is not None:
        return shapes[rng.randint(len(shapes))]
    shares = np.array(list(GRID_SHARES.values()), float)
    return list(GRID_SHARES)[rng.choice(len(shares), p=shares / shares.sum())]


def draw_holes(dies: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Draw where dies are missing inside the disc: a few short rows, as test structures are."""
    holes = np.zeros_like(dies)
    inside = np.argwhere(ndimage.binary_erosion(dies, iterations=2))
    if len(inside) == 0:
        return holes
    for row, column in inside[rng.randint(len(inside), size=rng.randint(1, 6))]:
        holes[row, column : column + rng.randint(1, 4)] = True
    # A missing outer die is not a hole.
    return holes & ndimage.binary_erosion(dies)


def draw_lot_rate(n_dies: int, rng: np.random.RandomState) -> float:
    """Draw a lot's background fail rate for wafers of `n_dies` dies."""
    median = np.exp(np.interp(np.log(n_dies), np.log(_DIES), np.log(_MEDIAN_RATE)))
    return median * rng.lognormal(0, _LOT_SPREAD)


def draw_wafer_rate(lot_rate: float, rng: np.random.RandomState) -> float:
    """Draw one wafer's rate; wafers of a lot differ more than binomial counts do."""
    return float(np.clip(lot_rate * rng.lognormal(0, _WAFER_SPREAD), *_RATE_LIMITS))


def _draw_weights(
    shape: tuple[int, int], strength: float, reach: float, rng: np.random.RandomState
) -> np.ndarray | float:
    """Draw smooth weights; their logarithm has the deviation `strength`, `reach` is in dies."""
    if strength == 0:
        return 1.0
    field = ndimage.gaussian_filter(rng.standard_normal(shape), reach)
    return np.exp(strength * (field - field.mean()) / field.std())


def _rim_excess(disc: Disc, gradient: float) -> np.ndarray:
    """Return weights that rise to the rim, so that the ratio of rim to inside is `gradient`."""
    at_rim = disc.dies & (disc.radius > _RIM)
    inside = disc.dies & ~at_rim
    if not at_rim.any() or not inside.any():
        return np.ones(disc.shape)
    decay = np.exp((np.minimum(disc.radius, 1) - 1) / _RIM_DECAY) * at_rim
    return 1 + np.maximum((gradient - 1) * decay / decay[at_rim].mean(), -1)


def _scale_to_mean(weight: np.ndarray, dies: np.ndarray, rate: float) -> np.ndarray:
    """Scale weights to probabilities of mean `rate` over the dies, none of them above 1."""
    if rate <= 0 or rate >= 1:
        return np.full(dies.shape, float(rate >= 1))
    chance = weight
    for _ in range(50):
        mean = np.minimum(chance[dies], 1).mean()
        if abs(mean - rate) < 1e-4 * rate:
            break
        chance = chance * (rate / mean)
    return np.minimum(chance, 1)


def background_probability(
    disc: Disc,
    rate: float,
    *,
    clumping: float,
    edge_gradient: float,
    drift: float,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Draw the probability of a random fail for each die; the mean over the disc is `rate`."""
    weight = _rim_excess(disc, edge_gradient)
    weight = weight * _draw_weights(disc.shape, clumping, _CLUMP_REACH, rng)
    weight = weight * _draw_weights(disc.shape, drift, _DRIFT_REACH * min(disc.shape), rng)
    return _scale_to_mean(weight, disc.dies, rate)
