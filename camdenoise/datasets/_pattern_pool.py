"""Find the real wafers that planted ones are made of: patterns, and backgrounds for them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from camdenoise.datasets._extraction import extract_pattern, is_patternless
from camdenoise.datasets._patterns import PATTERN_CLASSES
from camdenoise.datasets._recognition import recognize_shape
from camdenoise.wafers._maps import FAIL, check_wafer_map

BACKGROUND = "none"

# Fewest patterns of a class, so that its wafers are not all alike.
_FEWEST_PATTERNS = 3
# Least share of the wafers of a class of unknown shape that has to give a pattern. The general rule
# extracts one from at least 8 % of the wafers of each class of WM-811K, but 2 % of "none".
_FEWEST_BY_GENERAL_RULE = 0.05


class PatternPool:
    """Wafers to draw from; the least used come first.

    Attributes
    ----------
    rows : ndarray of int, shape (n_wafers,)
        Their rows in the collection that they come from.
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


def read_backgrounds(
    maps: Sequence[Any], rows: np.ndarray, limits: tuple[float, float]
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Collect the wafers without a pattern that fail evenly at a rate within the limits.

    Parameters
    ----------
    maps : sequence of wafer maps
        Only those of `rows` are read.
    rows : ndarray of int
        Wafers that are labeled as without a pattern.
    limits : (low, high)
        Share of the dies that may fail.

    Returns
    -------
    grids : dict of int to ndarray
        Wafer maps by row.
    rates : ndarray of float
        Share of the dies that fail on each of them.

    Raises
    ------
    ValueError
        If there is no such wafer.
    """
    grids = {int(row): check_wafer_map(maps[row], row) for row in rows}
    rates = np.array([_fail_rate(grid) for grid in grids.values()])
    usable = np.array(
        [
            limits[0] <= rate <= limits[1] and is_patternless(grid)
            for rate, grid in zip(rates, grids.values(), strict=True)
        ],
        bool,
    )
    if not usable.any():
        found = f"; theirs are {rates.min():.3f} to {rates.max():.3f}" if grids else ""
        raise ValueError(
            f"none of the {len(grids)} backgrounds fails evenly at a rate from {limits[0]} to "
            f"{limits[1]}{found}. Widen `background_rate`, or give more wafers or `rows`."
        )
    kept = dict(item for item, use in zip(grids.items(), usable, strict=True) if use)
    return kept, rates[usable]


def shape_of_label(label: Hashable, maps: Sequence[Any], rows: np.ndarray) -> str | None:
    """Return the known shape of a label's patterns: by its name, else by its wafers.

    Parameters
    ----------
    label : label
        A class name of WM-811K has the shape of that class.
    maps : sequence of wafer maps
        Only those of `rows` are read.
    rows : ndarray of int
        Wafers that have this pattern alone.

    Returns
    -------
    str or None
        One of `PATTERN_CLASSES`; None for another shape.
    """
    if label in PATTERN_CLASSES:
        return str(label)
    return recognize_shape([maps[row] for row in rows])


def read_patterns(
    maps: Sequence[Any], rows: np.ndarray, label: Hashable, shape: str | None
) -> dict[int, np.ndarray]:
    """Extract the patterns of the wafers of a label that are clean enough.

    Parameters
    ----------
    maps : sequence of wafer maps
        Only those of `rows` are read.
    rows : ndarray of int
        Wafers that have this pattern alone.
    label : label
        Its name in an error message.
    shape : str or None
        Shape of the pattern; None for an unknown shape.

    Returns
    -------
    dict of int to ndarray of bool
        Masks by row.

    Raises
    ------
    ValueError
        If there are too few.
    """
    masks = {int(row): extract_pattern(check_wafer_map(maps[row], row), shape) for row in rows}
    found = {row: mask for row, mask in masks.items() if mask is not None}
    n_needed = _FEWEST_PATTERNS
    if shape is None:
        n_needed = max(n_needed, math.ceil(_FEWEST_BY_GENERAL_RULE * len(rows)))
    if len(found) < n_needed:
        known = "" if shape is None else ", or use kind='diffuse', which needs no patterns"
        raise ValueError(
            f"class {label!r} has {len(found)} wafers clean enough to read the pattern off, among "
            f"{len(rows)}; {n_needed} are needed. Give more wafers or `rows`, leave the class out "
            f"of `classes`{known}."
        )
    return found
