"""Wafers to practise and to calibrate on: planted, so that the truth is known die by die.

Labels say what is on a wafer, not where. Patterns that are read off labelled wafers and planted on
wafers without one say both, and nobody has to draw a mask.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from camdenoise.datasets import make_planted_wafers, make_wafer_maps
from camdenoise.datasets._options import SMALLEST_SIDE
from camdenoise.datasets._patterns import PATTERN_CLASSES
from camdenoise.datasets._supply import BACKGROUND, find_backgrounds, find_patterns

_RATES = (0.0, 0.2)
# Those of the planted benchmark.
_RATES_TO_CALIBRATE = (0.02, 0.2)
_KINDS_TO_CALIBRATE = ("planted", "diffuse", "two")
_THIN = (0.5, 1.0)
# Those whose fails are hardest to tell from the background's.
_HARD = ("Edge-Loc", "Loc", "Scratch")
# Kind of planted wafers, density of their patterns, their classes, share of them. The rest is bare
# backgrounds.
_MIXTURE = (
    ("planted", None, PATTERN_CLASSES, 0.30),
    ("planted", _THIN, PATTERN_CLASSES, 0.10),
    ("planted", None, ("Scratch",), 0.04),
    ("diffuse", _THIN, PATTERN_CLASSES, 0.22),
    ("diffuse", _THIN, _HARD, 0.06),
    ("two", None, PATTERN_CLASSES, 0.22),
)


class Practice(NamedTuple):
    """Wafers whose patterns are known.

    Attributes
    ----------
    maps : list of ndarray of uint8, shape (height, width)
    labels : list of tuple of str
        The patterns on each wafer; none, one or two.
    truth : list of ndarray of bool, shape (n_patterns, height, width)
        The fails of each of them.
    """

    maps: list[np.ndarray]
    labels: list[tuple[str, ...]]
    truth: list[np.ndarray]


NOTHING = Practice([], [], [])


class KnownWafers(NamedTuple):
    """Wafers of which it is known which fails belong to a pattern.

    Attributes
    ----------
    maps : list of ndarray of uint8, shape (height, width)
    truth : list of ndarray of bool, shape (height, width)
    strata : list of (str, str)
        Kind of planted wafer, and its class or pair of classes.
    """

    maps: list[np.ndarray]
    truth: list[np.ndarray]
    strata: list[tuple[str, str]]


def practice_wafers(
    maps: Sequence[np.ndarray], target: np.ndarray, n_samples: int, rng: np.random.RandomState
) -> Practice:
    """Make wafers to practise on out of labelled ones.

    Parameters
    ----------
    maps : sequence of ndarray of uint8, shape (height, width)
        The training wafers.
    target : ndarray of shape (n_wafers,)
        Their labels. Those of `PATTERN_CLASSES` are planted, on wafers labelled `none`; where
        there are no such wafers, all is simulated, on the grids of the training wafers.
    n_samples : int
        About how many to make.
    rng : RandomState

    Returns
    -------
    Practice
        Empty where no label is one of `PATTERN_CLASSES`.
    """
    classes = tuple(name for name in PATTERN_CLASSES if name in set(target.tolist()))
    if not classes or n_samples == 0:
        return NOTHING
    if not _has_backgrounds(maps, target):
        return _simulated(maps, classes, n_samples, rng)
    wafers = {"maps": maps, "target": target.astype(str), "groups": np.arange(len(maps))}
    real = tuple(name for name in classes if _can_be_read(maps, target, name))
    made = _bare(maps, target, n_samples, rng)
    for kind, density, wanted, share in _MIXTURE:
        there = classes if kind == "diffuse" else real
        plantable = tuple(name for name in there if name in wanted)
        n_planted = round(share * n_samples)
        made = _joined(made, _planted(wafers, n_planted, kind, plantable, _RATES, rng, density))
    return made


def wafers_to_calibrate(
    maps: Sequence[np.ndarray], target: np.ndarray, n_samples: int, rng: np.random.RandomState
) -> KnownWafers:
    """Make wafers of every kind of the planted benchmark out of labelled ones.

    Parameters
    ----------
    maps : sequence of ndarray of uint8, shape (height, width)
        Wafers that the net has not seen.
    target : ndarray of shape (n_wafers,)
        Their labels. Those of `PATTERN_CLASSES` are planted, on wafers labelled `none`.
    n_samples : int
        How many to make of each kind.
    rng : RandomState

    Returns
    -------
    KnownWafers
        Without the kinds that these wafers cannot be made into.
    """
    classes = tuple(name for name in PATTERN_CLASSES if name in set(target.tolist()))
    real = tuple(name for name in classes if _can_be_read(maps, target, name))
    wafers = {"maps": maps, "target": target.astype(str), "groups": np.arange(len(maps))}
    made = KnownWafers([], [], [])
    for kind in _KINDS_TO_CALIBRATE:
        plantable = classes if kind == "diffuse" else real
        planted = _planted(wafers, n_samples, kind, plantable, _RATES_TO_CALIBRATE, rng)
        made.maps.extend(planted.maps)
        made.truth.extend(np.any(masks, axis=0) for masks in planted.truth)
        made.strata.extend((kind, "+".join(labels)) for labels in planted.labels)
    return made


def _joined(first: Practice, second: Practice) -> Practice:
    return Practice(
        first.maps + second.maps, first.labels + second.labels, first.truth + second.truth
    )


def _has_backgrounds(maps, target: np.ndarray) -> bool:
    """Tell whether there are wafers without a pattern to plant on."""
    try:
        find_backgrounds(maps, target, np.arange(len(maps)), _RATES)
    except ValueError:
        return False
    return True


def _can_be_read(maps, target: np.ndarray, name: str) -> bool:
    """Tell whether enough patterns of a class can be told from the rest of their wafers."""
    try:
        find_patterns(maps, target, np.arange(len(maps)), name)
    except ValueError:
        return False
    return True


def _bare(maps, target: np.ndarray, n_samples: int, rng: np.random.RandomState) -> Practice:
    share = 1 - sum(share for *_, share in _MIXTURE)
    rows = rng.choice(np.flatnonzero(target == BACKGROUND), round(share * n_samples))
    nothing = [np.zeros((0, *maps[row].shape), bool) for row in rows]
    return Practice([maps[row] for row in rows], [()] * len(rows), nothing)


def _planted(
    wafers, n_samples: int, kind: str, classes, rates, rng, density: tuple | None = None
) -> Practice:
    """Plant patterns; give nothing where there are too few to plant."""
    if len(classes) < (2 if kind == "two" else 1):
        return NOTHING
    options = {"density": density, "background_rate": rates, "random_state": rng}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of pairs of classes left out
        try:
            made = make_planted_wafers(wafers, n_samples, kind=kind, classes=classes, **options)
        except ValueError:  # of few wafers, none may have grids that fit
            return NOTHING
    labels = [tuple(label.split("+")) for label in made.target.tolist()]
    return Practice(made.maps, labels, list(made.pattern_truth))


def _simulated(maps, classes, n_samples: int, rng: np.random.RandomState) -> Practice:
    shapes = sorted({grid.shape for grid in maps if min(grid.shape) >= SMALLEST_SIDE}) or None
    made = make_wafer_maps(
        n_samples, classes=classes, shapes=shapes, density=_THIN, random_state=rng
    )
    labels: list[tuple[str, ...]] = [(label,) for label in made.target.tolist()]
    return Practice(made.maps, labels, [truth[None] for truth in made.truth])
