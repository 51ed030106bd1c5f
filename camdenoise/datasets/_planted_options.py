"""The options of the planted benchmark and their checks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from camdenoise.datasets._options import Range, check_range
from camdenoise.datasets._patterns import PATTERN_CLASSES
from camdenoise.wafers._classes import ClassRoles, as_labels
from camdenoise.wafers._labels import plain_label
from camdenoise.wafers._maps import map_items

KINDS = ("planted", "two", "diffuse", "simulated")
#: Kinds whose patterns come from real wafers.
REAL_PATTERNS = ("planted", "two")
# Shapes that take the same place; no wafer of MixedWM38 has both of such a pair either.
_SAME_PLACE = (
    {"Center", "Donut"},
    {"Edge-Loc", "Edge-Ring"},
    # Two classes may have one shape. Only these shapes always take the same place.
    {"Center"},
    {"Donut"},
    {"Edge-Ring"},
)


def check_kind(kind: str) -> str:
    """Accept one of the kinds."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, got {kind!r}.")
    return kind


def check_patterns(classes: Any, roles: ClassRoles) -> tuple[Hashable, ...]:
    """Accept one or more classes with a pattern: those of WM-811K, and those of the wafers."""
    names = tuple(dict.fromkeys(as_labels(classes)))
    usable = tuple(dict.fromkeys((*PATTERN_CLASSES, *roles.patterns)))
    unknown = [name for name in names if name not in usable]
    if unknown or not names:
        raise ValueError(f"classes must be some of {usable}, got {unknown or names}.")
    return names


def check_rates(background_rate: Range) -> tuple[float, float]:
    """Accept a range of background rates."""
    limits = check_range("background_rate", background_rate)
    if limits is None:
        raise ValueError("background_rate must be a pair (low, high) of shares, got None.")
    return limits


def check_wafers(wafers: Mapping[str, Any]) -> tuple[Sequence[Any], np.ndarray, np.ndarray]:
    """Take maps, target and groups out of a Bunch, all of one length."""
    names = ("maps", "target", "groups")
    missing = [name for name in names if not isinstance(wafers, Mapping) or name not in wafers]
    if missing:
        raise ValueError(
            f"wafers has no {missing}. Pass what load_wafer_maps or make_wafer_maps returns, or a "
            "dict of maps, target and groups, with the lot of each wafer as its group."
        )
    maps = map_items(wafers["maps"])
    target, groups = np.asarray(wafers["target"]), np.asarray(wafers["groups"])
    if not (len(maps),) == target.shape == groups.shape:
        raise ValueError(
            f"wafers has {len(maps)} maps, targets of shape {target.shape} and groups of shape "
            f"{groups.shape}; there must be one of each for every wafer."
        )
    return maps, target, groups


def check_rows(rows: Any, n_wafers: int) -> np.ndarray:
    """Accept None, positions or a mask of the wafers that may become parents."""
    if rows is None:
        return np.arange(n_wafers)
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n_wafers,):
        return np.flatnonzero(rows)
    usable = rows.ndim == 1 and rows.size > 0 and rows.dtype.kind in "iu"
    if not usable or rows.min() < 0 or rows.max() >= n_wafers:
        raise ValueError(
            f"rows must be positions from 0 to {n_wafers - 1}, or a bool mask of {n_wafers} "
            f"wafers; got {rows.dtype} {rows.shape}"
            + (f" from {rows.min()} to {rows.max()}." if usable else ".")
        )
    return np.unique(rows)


def rows_by_label(target: np.ndarray, rows: np.ndarray) -> dict[Hashable, np.ndarray]:
    """Sort rows by their label as a plain Python value."""
    found: dict[Hashable, list[int]] = {}
    labels = target.tolist()
    for row in rows.tolist():
        found.setdefault(plain_label(labels[row]), []).append(row)
    return {label: np.array(rows, int) for label, rows in found.items()}


def pattern_choices(
    classes: Sequence[Hashable], kind: str, shapes: Mapping[Hashable, str | None]
) -> list[tuple[Hashable, ...]]:
    """List the patterns that a wafer can have: one class, or two in different places.

    A class of unknown shape is combined with all others; planting refuses pairs that do not fit.
    """
    if kind != "two":
        return [(name,) for name in classes]
    ordered: list[Hashable] = [name for name in PATTERN_CLASSES if name in classes]
    ordered += [name for name in classes if name not in ordered]
    pairs: list[tuple[Hashable, ...]] = [
        pair
        for pair in combinations(ordered, 2)
        if {shapes[name] for name in pair} not in _SAME_PLACE
    ]
    if not pairs:
        raise ValueError(
            f"classes {tuple(classes)} make no two patterns in different places; kind='two' needs "
            "for example ('Center', 'Scratch')."
        )
    return pairs
