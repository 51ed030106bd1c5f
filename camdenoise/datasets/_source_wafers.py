"""Choose the real wafers that make a planted one: fitting grids, and the required fail rate."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from camdenoise.datasets._pattern_pool import PatternPool
from camdenoise.datasets._planting import TURNS, plant, similar_grids
from camdenoise.wafers._maps import NO_DIE

# Fail rates, as shares of dies, that differ by less than this count as equal.
_RATE_STEP = 0.01

Rng = np.random.RandomState
#: Position of a pattern in its pool, its turn, and its mask on the background.
Planted = tuple[int, str, np.ndarray]


def _span(shapes: np.ndarray) -> str:
    """Write the smallest and the largest grid."""
    (low_rows, low_columns), (rows, columns) = shapes.min(axis=0), shapes.max(axis=0)
    return f"{low_rows} x {low_columns} to {rows} x {columns}"


@dataclass(frozen=True)
class Placement:
    """One planted wafer in its parts.

    Attributes
    ----------
    background : int
        Position in the pool of backgrounds.
    rows : list of int
        Row of each pattern's wafer.
    turns : list of str
        How each pattern was turned.
    masks : list of ndarray of bool
        Each pattern on the background's dies.
    """

    background: int
    rows: list[int]
    turns: list[str]
    masks: list[np.ndarray]


class SourceWafers:
    """Backgrounds, and patterns of each class, to draw fitting ones from.

    Parameters
    ----------
    backgrounds : mapping of int to ndarray
        Wafer maps without a pattern, by row.
    rates : ndarray of float
        Share of the dies that fail on each of them.
    patterns : mapping of label to mapping of int to ndarray of bool
        Masks of each class, by row. A class that is only simulated needs none.
    shapes : mapping of label to str or None
        Shape of each class; None for an unknown one.
    """

    def __init__(
        self,
        backgrounds: Mapping[int, np.ndarray],
        rates: np.ndarray,
        patterns: Mapping[Hashable, Mapping[int, np.ndarray]],
        shapes: Mapping[Hashable, str | None],
    ):
        self.backgrounds = PatternPool(backgrounds)
        self.rates = rates
        self.patterns = {label: PatternPool(masks) for label, masks in patterns.items()}
        self.shapes = shapes
        grids, self._grid_of = np.unique(self.backgrounds.shapes, axis=0, return_inverse=True)
        # For each class, which pattern may be planted on which of the backgrounds' grids.
        self._fits = {
            label: similar_grids(pool.shapes, grids) for label, pool in self.patterns.items()
        }

    def draw_background(self, rate: float, rng: Rng) -> int:
        """Draw a background that fails at about `rate`; give its position."""
        off = self._rate_steps(rate)
        position = int(self.backgrounds.order(np.flatnonzero(off == off.min()), rng)[0])
        self.backgrounds.uses[position] += 1
        return position

    def draw_placement(self, labels: Sequence[Hashable], rate: float, rng: Rng) -> Placement:
        """Draw a background that fails at about `rate`, and a pattern of each class that fits it.

        Raises
        ------
        ValueError
            If no pattern of the first class fits any background, or the other classes never fit
            on the same background.
        """
        found = self._find(labels, rate, rng)
        if found is None:
            raise ValueError(self._no_match(labels))
        return self._take(labels, *found)

    def can_plant(self, labels: Sequence[Hashable], rng: Rng) -> bool:
        """Tell whether a pattern of each class fits on one background."""
        return self._find(labels, float(np.median(self.rates)), rng) is not None

    def _find(
        self, labels: Sequence[Hashable], rate: float, rng: Rng
    ) -> tuple[int, list[Planted]] | None:
        """Try backgrounds and patterns of the first class until the other classes fit too."""
        for pattern, background in self._pairs(labels, rate, rng):
            found = self._plant_all(labels, pattern, background, rng)
            if found is not None:
                return background, found
        return None

    def _rate_steps(self, rate: float) -> np.ndarray:
        return np.floor(np.abs(self.rates - rate) / _RATE_STEP)

    def _pairs(
        self, labels: Sequence[Hashable], rate: float, rng: Rng
    ) -> Iterator[tuple[int, int]]:
        """Yield patterns of the first class and backgrounds for them, the best rates first.

        Each pattern is paired with each grid once, if the other classes may fit on the grid.
        """
        off, pool = self._rate_steps(rate), self.patterns[labels[0]]
        left = self._fits[labels[0]].copy()
        for label in labels[1:]:
            left &= self._fits[label].any(axis=0)
        best = np.full(left.shape[1], np.inf)
        np.minimum.at(best, self._grid_of, off)
        while left.any():
            cost = np.where(left, best, np.inf).min(axis=1)
            for pattern in pool.order(np.flatnonzero(np.isfinite(cost)), rng, cost):
                near = left[pattern][self._grid_of] & (off <= cost[pattern])
                background = int(self.backgrounds.order(np.flatnonzero(near), rng)[0])
                left[pattern, self._grid_of[background]] = False
                yield int(pattern), background

    def _plant(self, label: Hashable, pattern: int, background: int, rng: Rng) -> Planted | None:
        """Plant a pattern on a background, turned at random; remember grids that it never fits."""
        dies = self.backgrounds.grids[background] != NO_DIE
        for turn in rng.permutation(list(TURNS)).tolist():
            mask = plant(TURNS[turn](self.patterns[label].grids[pattern]), dies)
            if mask is not None:
                return pattern, turn, mask
        # Wafers of one grid have nearly the same dies.
        self._fits[label][pattern, self._grid_of[background]] = False
        return None

    def _plant_all(
        self, labels: Sequence[Hashable], pattern: int, background: int, rng: Rng
    ) -> list[Planted] | None:
        """Plant a pattern of the first class, and any that fits of each other class."""
        found = [self._plant(labels[0], pattern, background, rng)]
        for label in labels[1:]:
            if found[-1] is not None:
                found.append(self._plant_any(label, background, rng))
        planted = [item for item in found if item is not None]
        return planted if len(planted) == len(labels) else None

    def _plant_any(self, label: Hashable, background: int, rng: Rng) -> Planted | None:
        """Find a pattern of the class that fits on a given background."""
        fitting = np.flatnonzero(self._fits[label][:, self._grid_of[background]])
        for pattern in self.patterns[label].order(fitting, rng):
            planted = self._plant(label, int(pattern), background, rng)
            if planted is not None:
                return planted
        return None

    def _take(self, labels: Sequence[Hashable], background: int, found: list[Planted]) -> Placement:
        """Count the parents as used, and return the parts."""
        positions, turns, masks = (list(part) for part in zip(*found, strict=True))
        self.backgrounds.uses[background] += 1
        pools = [self.patterns[label] for label in labels]
        for pool, position in zip(pools, positions, strict=True):
            pool.uses[position] += 1
        rows = [int(pool.rows[p]) for pool, p in zip(pools, positions, strict=True)]
        return Placement(background, rows, turns, masks)

    def _no_match(self, labels: Sequence[Hashable]) -> str:
        pools = {"backgrounds": self.backgrounds} | {n: self.patterns[n] for n in labels}
        sides = ", ".join(f"{name} {_span(pool.shapes)}" for name, pool in pools.items())
        return (
            f"no background has a grid similar enough to take a {' and a '.join(map(str, labels))} "
            f"pattern undamaged; rows and columns of dies are: {sides}. Give more wafers or "
            "`rows`, widen `background_rate`, or leave the class out of `classes`."
        )
