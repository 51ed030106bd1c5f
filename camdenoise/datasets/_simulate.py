"""Simulated wafer maps, with a known cause of every fail: the pattern or the background.

Real wafers have a label, but no list of the dies that the pattern hit. On simulated wafers a
denoiser can be scored die by die.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from camdenoise.datasets._options import (
    Process,
    Range,
    check_classes,
    check_count,
    check_number,
    check_range,
    check_shapes,
    class_shares,
)
from camdenoise.datasets._patterns import PATTERN_CLASSES, pattern_probability
from camdenoise.datasets._wafers import (
    background_probability,
    draw_chord,
    draw_grid,
    draw_holes,
    draw_lot_rate,
    draw_wafer_rate,
    make_disc,
)
from camdenoise.wafers._geometry import Disc
from camdenoise.wafers._maps import FAIL, PASS

LOT_SIZE = 25
# Fail rate of Random wafers: mean and standard deviation over wafers.
_RANDOM_RATE = (0.49, 0.09)

# Ratio of the background fail rate of a wafer with a pattern to that of its lot: median, and
# standard deviation of its logarithm. A process error seldom makes one pattern and nothing else.
_RATE_FACTOR = {
    "Center": (1.5, 0.25),
    "Donut": (1.4, 0.45),
    "Edge-Loc": (1.5, 0.5),
    "Edge-Ring": (1.15, 0.4),
    "Loc": (0.75, 0.75),
    "Scratch": (0.9, 0.5),
}


@dataclass(frozen=True)
class Lot:
    """What the wafers of one lot share."""

    number: int
    disc: Disc
    holes: np.ndarray
    rate: float


def _draw_labels(
    n_samples: int, classes: tuple[str, ...], shares: np.ndarray, rng: np.random.RandomState
) -> np.ndarray:
    """Draw labels in random order, each class as near to its share as whole wafers allow."""
    edges = np.round(np.cumsum(shares) * n_samples).astype(int)
    labels = np.repeat(np.array(classes), np.diff(edges, prepend=0))
    return rng.permutation(labels)


def _draw_lot(number: int, shapes: list[tuple[int, int]] | None, rng: np.random.RandomState) -> Lot:
    disc = make_disc(*draw_grid(rng, shapes), draw_chord(rng))
    holes = draw_holes(disc.dies, rng)
    return Lot(number, disc, holes, draw_lot_rate(int(disc.dies.sum()), rng))


def _draw_rate(label: str, lot: Lot, process: Process, rng: np.random.RandomState) -> float:
    """Draw the background rate of one wafer; a Random wafer has a very high one."""
    if process.noise_rate is not None:
        return rng.uniform(*process.noise_rate)
    if label == "Random":
        return float(np.clip(rng.normal(*_RANDOM_RATE), 0.25, 0.75))
    factor, spread = _RATE_FACTOR.get(label, (1.0, 0.0))
    return draw_wafer_rate(lot.rate * factor * rng.lognormal(0, spread), rng)


def _background(
    label: str, disc: Disc, rate: float, process: Process, rng: np.random.RandomState
) -> np.ndarray:
    """Draw the probability that each die fails without a pattern.

    On a Random wafer the rate also drifts slowly over the wafer, and the rim stands out less.
    """
    uneven = label == "Random"
    return background_probability(
        disc,
        rate,
        clumping=process.clumping,
        edge_gradient=process.edge_gradient ** (0.35 if uneven else 1),
        drift=process.clumping if uneven else 0,
        rng=rng,
    )


def _make_wafer(
    label: str, wafer: int, lot: Lot, process: Process, rng: np.random.RandomState
) -> tuple[np.ndarray, np.ndarray, dict]:
    """Make one wafer: its map, the fails that the pattern caused, and its row of the frame."""
    dies = lot.disc.dies
    if rng.uniform() < process.hole_fraction:
        dies = dies & ~lot.holes
    rate = _draw_rate(label, lot, process, rng)
    chance = _background(label, lot.disc, rate, process, rng)
    affected, density = pattern_probability(label, lot.disc, process.density, rng)
    truth = dies & (rng.uniform(size=dies.shape) < affected)
    fails = truth | (dies & (rng.uniform(size=dies.shape) < chance))
    grid = np.where(fails, FAIL, np.where(dies, PASS, 0)).astype(np.uint8)
    row = {
        "label": label,
        "lot": lot.number,
        "wafer": wafer,
        "height": grid.shape[0],
        "width": grid.shape[1],
        "background_rate": rate,
        "density": density,
        "n_pattern": int(truth.sum()),
    }
    return grid, truth, row


def _make_lots(
    labels: np.ndarray,
    shapes: list[tuple[int, int]] | None,
    process: Process,
    rng: np.random.RandomState,
) -> Iterator[tuple[np.ndarray, np.ndarray, dict]]:
    """Make a wafer for each label, a lot of 25 at a time."""
    for start in range(0, len(labels), LOT_SIZE):
        lot = _draw_lot(start // LOT_SIZE, shapes, rng)
        for wafer, label in enumerate(labels[start : start + LOT_SIZE], start=1):
            yield _make_wafer(str(label), wafer, lot, process, rng)


def make_wafer_maps(
    n_samples: int = 100,
    *,
    classes: Sequence[str] = PATTERN_CLASSES,
    shapes: Sequence[tuple[int, int]] | None = None,
    noise_rate: Range = None,
    density: Range = None,
    clumping: float = 0.3,
    edge_gradient: float = 2.35,
    hole_fraction: float = 0.10,
    weights: Mapping[str, float] | Sequence[float] | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Simulate wafer maps, so that the cause of every fail is known.

    A wafer is a random background plus at most one pattern. The defaults were measured on WM-811K
    [1]_; docs/simulator.md compares simulated and real wafers.

    Parameters
    ----------
    n_samples : int, default=100
        Number of wafers.
    classes : sequence of str, default=PATTERN_CLASSES
        Classes to draw from: any of `CLASSES`. The default is the six with a localized pattern.
    shapes : sequence of (height, width), or None, default=None
        Die grids to draw from, one for each lot; None takes the frequent grids of WM-811K, as
        often as they occur there (25 x 27 to 69 x 73).
    noise_rate : float, (low, high) or None, default=None
        Share of the dies that fail at random. A pair is a range to draw from for each wafer. None
        draws a rate for each lot, lower for many (hence small) dies, and varies it from wafer to
        wafer. With None, wafers of the class Random have a higher rate.
    density : float, (low, high) or None, default=None
        Share of the dies in the pattern's core that fail. None draws from the range of real
        wafers: .98 to 1 for Edge-Ring, .7 to 1 for other classes. Lower it for harder patterns.
    clumping : float, default=0.3
        How uneven the background is: the spread of the logarithm of its rate from place to place;
        0 makes fails independent of their neighbors.
    edge_gradient : float, default=2.35
        Ratio of the fail rate at the rim to the fail rate inside.
    hole_fraction : float, default=0.10
        Share of wafers with a few dies missing inside the disc.
    weights : mapping, sequence of float or None, default=None
        Share of each class, in any unit; None makes them equal.
    random_state : int, RandomState instance or None, default=None
        Makes the result repeatable.

    Returns
    -------
    sklearn.utils.Bunch
        With these attributes, row for row:

        - ``maps`` : list of ndarray of uint8, shape (height, width); 0 no die, 1 pass, 2 fail
        - ``target`` : ndarray of str, shape (n_samples,)
        - ``truth`` : list of ndarray of bool, shape (height, width); the fails that the pattern
          caused. A die that pattern and background both hit counts as pattern. `none` and
          Random wafers have no pattern, so that their truth is empty. On a Near-full wafer nearly
          all fails are in the truth.
        - ``groups`` : ndarray of int, shape (n_samples,); simulated lots of up to 25 wafers, which
          share their grid and their median background rate
        - ``frame`` : DataFrame with ``label``, ``lot``, ``wafer`` (1 to 25), ``height``, ``width``
          (in dies), ``background_rate``, ``density`` and ``n_pattern`` (fails in ``truth``)

    Raises
    ------
    ValueError
        For an unknown class, or a value out of range.

    References
    ----------
    .. [1] M.-J. Wu, J.-S. R. Jang, J.-L. Chen, "Wafer map failure pattern recognition and
       similarity ranking for large-scale data sets", IEEE Transactions on Semiconductor
       Manufacturing 28(1), 2015.

    Examples
    --------
    >>> from camdenoise.datasets import make_wafer_maps
    >>> wafers = make_wafer_maps(60, random_state=0)
    >>> len(wafers.maps), len(set(wafers.target)), len(set(wafers.groups))
    (60, 6, 3)
    >>> bool((wafers.maps[0][wafers.truth[0]] == 2).all())
    True
    """
    n_samples, classes = check_count(n_samples), check_classes(classes)
    shapes = check_shapes(shapes)
    process = Process(
        noise_rate=check_range("noise_rate", noise_rate),
        density=check_range("density", density),
        clumping=check_number("clumping", clumping, 0, 3),
        edge_gradient=check_number("edge_gradient", edge_gradient, 0, 100),
        hole_fraction=check_number("hole_fraction", hole_fraction, 0, 1),
    )
    rng = check_random_state(random_state)
    labels = _draw_labels(n_samples, classes, class_shares(classes, weights), rng)
    wafers = list(_make_lots(labels, shapes, process, rng))
    maps, truth, rows = (list(column) for column in zip(*wafers, strict=True))
    frame = pd.DataFrame(rows)
    groups = np.array(frame["lot"], int)
    return Bunch(maps=maps, target=labels, truth=truth, groups=groups, frame=frame)
