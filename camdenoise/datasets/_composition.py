"""Compose one wafer of a background and one or two patterns, each real or simulated."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from camdenoise.datasets._patterns import FEWEST_DIES, pattern_probability
from camdenoise.datasets._planted_options import REAL_PATTERNS
from camdenoise.datasets._source_wafers import SourceWafers
from camdenoise.datasets._wafers import background_probability
from camdenoise.wafers._geometry import Disc, measure_disc
from camdenoise.wafers._maps import FAIL, NO_DIE, PASS

# Draws of a pattern before one with few dies is accepted.
_TRIES = 20
# Standard deviation of the blur, in half widths of the pattern. It is the softness of the edge of
# a simulated blob: a logistic softness of 0.06 to 0.22, times 1.8.
_SOFTNESS = (0.1, 0.4)

Rng = np.random.RandomState


@dataclass(frozen=True)
class Recipe:
    """Options that all wafers of one benchmark share, see `make_planted_wafers`."""

    kind: str
    density: tuple[float, float]
    clumping: float = 0.3
    edge_gradient: float = 2.35


@dataclass(frozen=True)
class Composition:
    """One wafer and its parts.

    Attributes
    ----------
    grid : ndarray of uint8, shape (height, width)
        The wafer map.
    masks : ndarray of bool, shape (n_patterns, height, width)
        The fails that each pattern caused.
    parents : list of int
        Rows of the background's wafer and of each real pattern's wafer.
    background_rate : float
        Share of the dies that fail on the background.
    density : float
        Share of the pattern's dies that fail.
    turns : list of str
        How each real pattern was turned.
    """

    grid: np.ndarray
    masks: np.ndarray
    parents: list[int]
    background_rate: float
    density: float
    turns: list[str]


def _fail(background: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Fail the patterns' dies on a background; leave the rest as it is."""
    return np.where(masks.any(axis=0), np.uint8(FAIL), background)


def _compose_real(
    labels: tuple[Hashable, ...], rate: float, sources: SourceWafers, recipe: Recipe, rng: Rng
) -> Composition:
    """Plant real patterns on a real background."""
    placement = sources.draw_placement(labels, rate, rng)
    density = rng.uniform(*recipe.density)
    masks = np.stack([m & (rng.uniform(size=m.shape) < density) for m in placement.masks])
    background, position = sources.backgrounds, placement.background
    return Composition(
        grid=_fail(background.grids[position], masks),
        masks=masks,
        parents=[int(background.rows[position]), *placement.rows],
        background_rate=float(sources.rates[position]),
        density=density,
        turns=placement.turns,
    )


def _draw_pattern(
    shape: str, dies: np.ndarray, disc: Disc, recipe: Recipe, rng: Rng
) -> tuple[np.ndarray, float]:
    """Simulate a pattern that hits at least a few dies; return its density too."""
    for _ in range(_TRIES):
        chance, density = pattern_probability(shape, disc, recipe.density, rng)
        mask = dies & (rng.uniform(size=dies.shape) < chance)
        if mask.sum() >= FEWEST_DIES:
            break
    return mask, density


def _blur_pattern(
    mask: np.ndarray, dies: np.ndarray, recipe: Recipe, rng: Rng
) -> tuple[np.ndarray, float]:
    """Draw a pattern with soft, thin edges, like a simulated one, from a real one."""
    half_width = ndimage.distance_transform_edt(np.pad(mask, 1)).max()
    reach = rng.uniform(*_SOFTNESS) * half_width
    # Divided, so that cells without a die do not change the probability at the rim.
    blurred, weight = (ndimage.gaussian_filter(part.astype(float), reach) for part in (mask, dies))
    affected = np.where(dies, blurred / np.maximum(weight, 1e-9), 0)
    affected /= affected.max()
    density = rng.uniform(*recipe.density)
    for _ in range(_TRIES):
        drawn = rng.uniform(size=dies.shape) < density * affected
        if drawn.sum() >= FEWEST_DIES:
            break
    return drawn, density


def _draw_background(
    dies: np.ndarray, disc: Disc, rate: float, recipe: Recipe, rng: Rng
) -> np.ndarray:
    """Simulate a wafer without a pattern."""
    chance = background_probability(
        disc, rate, clumping=recipe.clumping, edge_gradient=recipe.edge_gradient, drift=0, rng=rng
    )
    fails = dies & (rng.uniform(size=dies.shape) < chance)
    return np.where(fails, FAIL, np.where(dies, PASS, NO_DIE)).astype(np.uint8)


def _compose_drawn(
    labels: tuple[Hashable, ...], rate: float, sources: SourceWafers, recipe: Recipe, rng: Rng
) -> Composition:
    """Simulate a pattern, or blur a real one of unknown shape, on a real or simulated background.

    A simulated background has the dies and the fail rate of a real one.
    """
    shape, rows, turns = sources.shapes[labels[0]], [], []
    if shape is None:
        placement = sources.draw_placement(labels, rate, rng)
        position, rows, turns = placement.background, placement.rows, placement.turns
    else:
        position = sources.draw_background(rate, rng)
    rate = float(sources.rates[position])
    background = sources.backgrounds.grids[position]
    dies = background != NO_DIE
    # A hole inside the wafer is not a rim.
    disc = measure_disc(ndimage.binary_fill_holes(dies))
    if shape is None:
        mask, density = _blur_pattern(placement.masks[0], dies, recipe, rng)
    else:
        mask, density = _draw_pattern(shape, dies, disc, recipe, rng)
    if recipe.kind == "simulated":
        background = _draw_background(dies, disc, rate, recipe, rng)
    masks, row = mask[np.newaxis], int(sources.backgrounds.rows[position])
    return Composition(_fail(background, masks), masks, [row, *rows], rate, density, turns)


def compose(
    labels: tuple[Hashable, ...], rate: float, sources: SourceWafers, recipe: Recipe, rng: Rng
) -> Composition:
    """Make one wafer with the patterns `labels` whose background fails at about `rate`."""
    make = _compose_real if recipe.kind in REAL_PATTERNS else _compose_drawn
    return make(labels, rate, sources, recipe, rng)
