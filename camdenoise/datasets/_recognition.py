"""Recognize the shape of a class's patterns from its wafers, without its name.

Rules and simulated shapes exist for the six patterns of WM-811K. A class with another name uses
those of the shape that its wafers have. Limits were set on WM-811K without the names. With 30
wafers, each of the six classes is recognized at least 97 times in 100; with 60, at least 99 times.
Most others remain unknown; at most 1 in 200 is taken for another shape. docs/planted.md has the
table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage

from camdenoise.datasets._extraction import (
    RULES,
    Figure,
    Rule,
    extract_by_rule,
    is_patternless,
)
from camdenoise.wafers._geometry import measure_disc
from camdenoise.wafers._maps import FAIL, WaferMaps, check_wafer_maps

# Candidates may have many other fails; the cleanest of them vote.
_CANDIDATE = Rule(others=0.2, part=lambda figure: True, whole=lambda figure: True)
# Most wafers of a class that are read, so that the time does not grow with the data.
_MOST_WAFERS = 300
# Share of these wafers that vote, the cleanest, and their smallest number.
_CLEANEST = 0.34
_FEWEST_CLEANEST = 10
# Least share of the fails of a candidate that a shape has to explain.
_EXPLAINED = 0.6
# Fewest votes for a shape, their least share of all votes, and their least ratio to the votes for
# the second best shape.
_FEWEST_VOTES = 3
_CONVINCING = 0.4
_AHEAD = 1.5
# Share of wafers without clustered fails above which a class has no pattern: 99 % of the wafers
# labeled "none", at most 47 % of any class but Edge-Ring, whose rim is not checked.
_MOSTLY_EVEN = 0.9
# Least share of outermost dies in a component at the rim: 95 % of the Edge-Locs have more, most
# Locs that touch the rim have less.
_OF_RIM = 0.12
# The narrower shape first: a short Scratch at the rim would pass as an Edge-Loc too, a small Center
# as a Loc. To be planted, a Loc must not touch the rim; to be recognized, it may.
_RULES = {
    **{shape: RULES[shape] for shape in ("Scratch", "Donut", "Edge-Ring", "Center")},
    "Loc": replace(
        RULES["Loc"], part=lambda figure: figure.rim_share < _OF_RIM and figure.roundness >= 0.25
    ),
    "Edge-Loc": replace(RULES["Edge-Loc"], part=lambda figure: figure.rim_share >= _OF_RIM),
}


def recognize_shape(maps: WaferMaps) -> str | None:
    """Recognize which known shape the patterns of a class have.

    Synthetic wafers of the class are made by the rules of this shape.

    Parameters
    ----------
    maps : list, object array or Series of 2-D maps, or 3-D array
        Wafers of one class, each with its pattern alone. 30 or more are enough.

    Returns
    -------
    str or None
        Center, Donut, Edge-Loc, Edge-Ring, Loc or Scratch; None if no shape has enough votes.

    Examples
    --------
    >>> from camdenoise.datasets import make_wafer_maps, recognize_shape
    >>> wafers = make_wafer_maps(400, random_state=0)
    >>> recognize_shape([w for w, label in zip(wafers.maps, wafers.target) if label == "Scratch"])
    'Scratch'
    """
    grids = check_wafer_maps(maps, min_maps=0)
    chosen = np.unique(np.linspace(0, len(grids) - 1, min(len(grids), _MOST_WAFERS)).astype(int))
    grids = [grids[row] for row in chosen]
    candidates = _select_cleanest(grids)
    votes = Counter(_find_shape(grid, mask) for grid, mask in candidates)
    ranked = sorted(_RULES, key=lambda shape: -votes[shape])
    best, second = ranked[0], votes[ranked[1]]
    n_needed = max(_FEWEST_VOTES, _CONVINCING * len(candidates), _AHEAD * second)
    if votes[best] < n_needed or (best != "Edge-Ring" and _is_mostly_even(grids)):
        return None
    return best


def _select_cleanest(grids: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the wafers with the fewest fails outside their large components, with these."""
    masks = [extract_by_rule(grid, _CANDIDATE) for grid in grids]
    found = [(grid, mask) for grid, mask in zip(grids, masks, strict=True) if mask is not None]
    found.sort(key=lambda item: _share_of_others(*item))
    return found[: max(_FEWEST_CLEANEST, int(_CLEANEST * len(grids)))]


def _share_of_others(grid: np.ndarray, mask: np.ndarray) -> float:
    return (np.count_nonzero(grid == FAIL) - mask.sum()) / np.count_nonzero(grid)


def _find_shape(grid: np.ndarray, mask: np.ndarray) -> str | None:
    """Return the narrowest shape that explains most of a candidate."""
    disc = measure_disc(ndimage.binary_fill_holes(grid > 0))
    labels, n_parts = ndimage.label(mask, np.ones((3, 3)))
    figures = {number: Figure(labels == number, disc) for number in range(1, n_parts + 1)}
    for shape, rule in _RULES.items():
        explained = np.isin(labels, [n for n, figure in figures.items() if rule.part(figure)])
        large = explained.sum() >= _EXPLAINED * mask.sum()
        if large and rule.whole(Figure(explained, disc)):
            return shape
    return None


def _is_mostly_even(grids: Sequence[np.ndarray]) -> bool:
    return bool(np.mean([is_patternless(grid) for grid in grids]) >= _MOSTLY_EVEN)
