"""The options of the simulator and their checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from camdenoise.datasets._patterns import CLASSES

SMALLEST_SIDE = 5

Range = float | tuple[float, float] | None


@dataclass(frozen=True)
class Process:
    """Options that all wafers of one simulation share, see `make_wafer_maps`."""

    noise_rate: tuple[float, float] | None
    density: tuple[float, float] | None
    clumping: float
    edge_gradient: float
    hole_fraction: float


def check_count(n_samples: int) -> int:
    """Accept a whole number of wafers, at least one."""
    if isinstance(n_samples, bool) or not isinstance(n_samples, Integral) or n_samples < 1:
        raise ValueError(f"n_samples must be a whole number from 1 up, got {n_samples!r}.")
    return int(n_samples)


def check_range(name: str, value: Range) -> tuple[float, float] | None:
    """Accept None, one share, or a pair of shares from low to high."""
    if value is None:
        return None
    pair = (value, value) if isinstance(value, Real) else value
    if (
        not isinstance(pair, Sequence | np.ndarray)
        or len(pair) != 2
        or not all(isinstance(share, Real) for share in pair)
        or not 0 <= pair[0] <= pair[1] <= 1
    ):
        raise ValueError(
            f"{name} must be a share from 0 to 1 or a pair (low, high) of such, got {value!r}."
        )
    return float(pair[0]), float(pair[1])


def check_number(name: str, value: float, low: float, high: float) -> float:
    """Accept a number within limits."""
    if not (isinstance(value, Real) and low <= value <= high):
        raise ValueError(f"{name} must be a number from {low} to {high}, got {value!r}.")
    return float(value)


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Accept one or more of the nine classes."""
    classes = (classes,) if isinstance(classes, str) else tuple(classes)
    unknown = [name for name in classes if name not in CLASSES]
    if unknown or not classes:
        raise ValueError(f"classes must be some of {CLASSES}, got {unknown or classes}.")
    return classes


def check_shapes(shapes: Sequence[tuple[int, int]] | None) -> list[tuple[int, int]] | None:
    """Accept None, one (height, width) pair, or several."""
    if shapes is None:
        return None
    sides = np.atleast_2d(np.asarray(shapes))
    if (
        sides.ndim != 2
        or sides.shape[1] != 2
        or sides.dtype.kind not in "iu"
        or sides.min() < SMALLEST_SIDE
    ):
        raise ValueError(
            f"shapes must be (height, width) pairs of at least {SMALLEST_SIDE} dies a side, "
            f"got {shapes!r}."
        )
    return [(int(height), int(width)) for height, width in sides]


def class_shares(
    classes: tuple[str, ...], weights: Mapping[str, float] | Sequence[float] | None
) -> np.ndarray:
    """Turn `weights` into probabilities, one per class."""
    if weights is None:
        return np.full(len(classes), 1 / len(classes))
    if isinstance(weights, Mapping):
        unknown = sorted(set(weights) - set(classes))
        if unknown:
            raise ValueError(f"weights names {unknown}, which classes {classes} does not.")
        weights = [weights.get(name, 0) for name in classes]
    shares = np.asarray(weights, float)
    usable = shares.shape == (len(classes),) and np.isfinite(shares).all() and (shares >= 0).all()
    if not usable or shares.sum() == 0:
        raise ValueError(
            f"weights must be {len(classes)} numbers from 0 up, not all 0, one for each of "
            f"{classes}; got {weights!r}."
        )
    return shares / shares.sum()
