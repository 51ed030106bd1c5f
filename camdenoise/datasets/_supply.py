"""The real wafers that can become parents of planted ones: patterns, and backgrounds for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from camdenoise.datasets._extraction import extract_pattern, is_patternless
from camdenoise.wafers._maps import FAIL, check_wafer_map

BACKGROUND = "none"

# A class with fewer patterns than this would show the same ones again and again.
_FEWEST_PATTERNS = 3


class Supply:
    """Wafers to draw from, those first that were drawn least.

    Attributes
    ----------
    rows : ndarray of int, shape (n_wafers,)
        Where they are in the collection that they come from.
    grids : list of ndarray, length n_wafers
        Backgrounds as wafer maps, patterns as bool masks.
    shapes : ndarray of int, shape (n_wafers, 2)
        Their rows and columns of dies.
    uses : ndarray of int, shape (n_wafers,)
        How often each was drawn.
    """

    def __init__(self, grids: Mapping[int, np.ndarray]):
        self.rows = np.array(list(grids), int)
        self.grids = list(grids.values())
        self.shapes = np.array([grid.shape for grid in self.grids], int).reshape(-1, 2)
        self.uses = np.zeros(len(grids), int)

    def __len__(self) -> int:
        return len(self.grids)

    def order(
        self, among: np.ndarray, rng: np.random.RandomState, cost: np.ndarray | None = None
    ) -> np.ndarray:
        """Sort the positions `among` by cost, then by uses, then by chance."""
        keys = [rng.uniform(size=len(among)), self.uses[among]]
        return among[np.lexsort(keys if cost is None else [*keys, cost[among]])]


def _fail_rate(grid: np.ndarray) -> float:
    return int(np.count_nonzero(grid == FAIL)) / max(1, int(np.count_nonzero(grid)))


def find_backgrounds(
    maps: Sequence[Any], target: np.ndarray, rows: np.ndarray, limits: tuple[float, float]
) -> tuple[Supply, np.ndarray]:
    """Collect the wafers without a pattern that fail at a rate within the limits."""
    grids = {row: check_wafer_map(maps[row], row) for row in rows[target[rows] == BACKGROUND]}
    if not grids:
        there = np.unique(target[rows]).tolist()
        raise ValueError(
            f"no wafer of class {BACKGROUND!r} among the rows, only {there}. Patterns are planted "
            "on such: give wafers of that class, or other `rows`."
        )
    rates = np.array([_fail_rate(grid) for grid in grids.values()])
    usable = np.array(
        [
            limits[0] <= rate <= limits[1] and is_patternless(grid)
            for rate, grid in zip(rates, grids.values(), strict=True)
        ]
    )
    if not usable.any():
        raise ValueError(
            f"none of the {len(grids)} backgrounds fails evenly at a rate from {limits[0]} to "
            f"{limits[1]}; theirs are {rates.min():.3f} to {rates.max():.3f}. Widen "
            "`background_rate`, or give more wafers or `rows`."
        )
    kept = dict(item for item, use in zip(grids.items(), usable, strict=True) if use)
    return Supply(kept), rates[usable]


def find_patterns(maps: Sequence[Any], target: np.ndarray, rows: np.ndarray, label: str) -> Supply:
    """Collect the patterns of a class that can be told from the rest of their wafers."""
    candidates = rows[target[rows] == label]
    masks = {row: extract_pattern(check_wafer_map(maps[row], row), label) for row in candidates}
    found = {row: mask for row, mask in masks.items() if mask is not None}
    if len(found) < _FEWEST_PATTERNS:
        raise ValueError(
            f"class {label!r} has {len(found)} wafers clean enough to read the pattern off, among "
            f"{len(candidates)}; {_FEWEST_PATTERNS} are needed. Give more wafers or `rows`, leave "
            "the class out of `classes`, or use kind='diffuse', which needs no patterns."
        )
    return Supply(found)
