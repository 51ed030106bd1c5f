"""Put one wafer together from a background and one or two patterns, each real or simulated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from camdenoise.datasets._parents import Parents
from camdenoise.datasets._patterns import FEWEST_DIES, pattern_probability
from camdenoise.datasets._planted_options import REAL_PATTERNS
from camdenoise.datasets._wafers import background_probability
from camdenoise.wafers._geometry import Disc, disc_of
from camdenoise.wafers._maps import FAIL, NO_DIE, PASS

_TRIES = 20

Rng = np.random.RandomState


@dataclass(frozen=True)
class Recipe:
    """What all wafers of one benchmark share; see `make_planted_wafers` for the meanings."""

    kind: str
    density: tuple[float, float]
    clumping: float
    edge_gradient: float


@dataclass(frozen=True)
class Composition:
    """One wafer and how it came about.

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
    labels: tuple[str, ...], rate: float, parents: Parents, recipe: Recipe, rng: Rng
) -> Composition:
    """Plant real patterns on a real background."""
    planting = parents.draw_planting(labels, rate, rng)
    density = rng.uniform(*recipe.density)
    masks = np.stack([m & (rng.uniform(size=m.shape) < density) for m in planting.masks])
    background, position = parents.backgrounds, planting.background
    return Composition(
        grid=_fail(background.grids[position], masks),
        masks=masks,
        parents=[int(background.rows[position]), *planting.rows],
        background_rate=float(parents.rates[position]),
        density=density,
        turns=planting.turns,
    )


def _draw_pattern(
    label: str, dies: np.ndarray, disc: Disc, recipe: Recipe, rng: Rng
) -> tuple[np.ndarray, float]:
    """Simulate a pattern that hits a few dies at least; give its density too."""
    for _ in range(_TRIES):
        chance, density = pattern_probability(label, disc, recipe.density, rng)
        mask = dies & (rng.uniform(size=dies.shape) < chance)
        if mask.sum() >= FEWEST_DIES:
            break
    return mask, density


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
    labels: tuple[str, ...], rate: float, parents: Parents, recipe: Recipe, rng: Rng
) -> Composition:
    """Simulate a pattern on a real background, or on a simulated one that has its dies and rate."""
    position = parents.draw_background(rate, rng)
    rate = float(parents.rates[position])
    background = parents.backgrounds.grids[position]
    dies = background != NO_DIE
    # A hole inside the wafer is no rim.
    disc = disc_of(ndimage.binary_fill_holes(dies))
    mask, density = _draw_pattern(labels[0], dies, disc, recipe, rng)
    if recipe.kind == "simulated":
        background = _draw_background(dies, disc, rate, recipe, rng)
    masks, row = mask[np.newaxis], int(parents.backgrounds.rows[position])
    return Composition(_fail(background, masks), masks, [row], rate, density, [])


def compose(
    labels: tuple[str, ...], rate: float, parents: Parents, recipe: Recipe, rng: Rng
) -> Composition:
    """Make one wafer with the patterns `labels` whose background fails at about `rate`."""
    real = recipe.kind in REAL_PATTERNS
    return (_compose_real if real else _compose_drawn)(labels, rate, parents, recipe, rng)
