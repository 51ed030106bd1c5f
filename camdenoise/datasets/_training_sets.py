"""Make wafers with known patterns, die by die, for training and calibration.

A label names the pattern on a wafer, but not its place. Patterns that are extracted from labeled
wafers and planted on wafers without one have both, and nobody has to draw a mask.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from typing import NamedTuple

import numpy as np

from camdenoise.datasets._composition import Recipe
from camdenoise.datasets._options import SMALLEST_SIDE
from camdenoise.datasets._pattern_pool import read_backgrounds, read_patterns, shape_of_label
from camdenoise.datasets._planted import default_density, join_labels, plant_wafers
from camdenoise.datasets._planted_options import REAL_PATTERNS, pattern_choices, rows_by_label
from camdenoise.datasets._simulate import make_wafer_maps
from camdenoise.datasets._source_wafers import SourceWafers
from camdenoise.wafers._classes import ClassRoles

# Share of the dies that fail on a background; for calibration as in the planted benchmark.
_TRAINING_RATES = (0.0, 0.2)
_CALIBRATION_RATES = (0.02, 0.2)
_CALIBRATION_KINDS = ("planted", "diffuse", "two")
# Share of a thinned pattern's dies that fail.
_THIN = (0.5, 1.0)
# Shapes whose fails are hardest to separate from the background.
_HARD = ("Edge-Loc", "Loc", "Scratch")
# Kind of planted wafers, density of their patterns, their shapes (None for all), share of them. The
# rest are wafers without a pattern.
_MIXTURE = (
    ("planted", None, None, 0.30),
    ("planted", _THIN, None, 0.10),
    ("planted", None, ("Scratch",), 0.04),
    ("diffuse", _THIN, None, 0.22),
    ("diffuse", _THIN, _HARD, 0.06),
    ("two", None, None, 0.22),
)
_NO_ROWS = np.array([], int)


class SyntheticWafers(NamedTuple):
    """Wafers with known patterns.

    Attributes
    ----------
    maps : list of ndarray of uint8, shape (height, width)
    labels : list of tuple of labels
        The patterns on each wafer; none, one or two.
    truth : list of ndarray of bool, shape (n_patterns, height, width)
        The fails of each pattern.
    patterns : tuple of labels
        All patterns that are on these wafers.
    """

    maps: list[np.ndarray]
    labels: list[tuple[Hashable, ...]]
    truth: list[np.ndarray]
    patterns: tuple[Hashable, ...] = ()


class CalibrationSet(NamedTuple):
    """Wafers whose fails are known to belong to a pattern or not.

    Attributes
    ----------
    maps : list of ndarray of uint8, shape (height, width)
    truth : list of ndarray of bool, shape (height, width)
    strata : list of (str, str)
        Kind of planted wafer, and its class or pair of classes.
    patterns : tuple of labels
        All patterns that are on these wafers.
    """

    maps: list[np.ndarray]
    truth: list[np.ndarray]
    strata: list[tuple[str, str]]
    patterns: tuple[Hashable, ...] = ()


NOTHING = SyntheticWafers([], [], [])


def make_training_wafers(
    maps: Sequence[np.ndarray],
    target: np.ndarray,
    roles: ClassRoles,
    n_samples: int,
    rng: np.random.RandomState,
) -> SyntheticWafers:
    """Make wafers with known patterns from labeled ones, for training.

    A warning names the patterns that no synthetic wafer has.

    Parameters
    ----------
    maps : sequence of ndarray of uint8, shape (height, width)
        The training wafers.
    target : ndarray of shape (n_wafers,)
        Their labels. Patterns are planted on wafers without one. If there are no such wafers,
        patterns of a known shape are simulated, on the grids of the training wafers.
    roles : ClassRoles
        What the labels stand for. Only the patterns of its classes are planted.
    n_samples : int
        Approximate number of wafers.
    rng : RandomState

    Returns
    -------
    SyntheticWafers
        Empty if no pattern can be made.
    """
    if n_samples == 0:
        return NOTHING
    source = _LabeledWafers(maps, target, roles, _TRAINING_RATES)
    made = NOTHING
    if not source.backgrounds:
        made = _simulate(source, n_samples, rng)
    elif source.labels:
        made = _take_bare(source, n_samples, rng)
        for kind, density, shapes, share in _MIXTURE:
            labels = source.select_labels(kind, shapes)
            n_planted = round(share * n_samples)
            made = _join(made, _plant(source, n_planted, kind, labels, rng, density))
    made = made._replace(patterns=_find_patterns(made.labels, roles))
    _warn_of_missing(source, made.patterns, "no die-by-die evidence is learned for such a class")
    return made if made.patterns else NOTHING


def make_calibration_wafers(
    maps: Sequence[np.ndarray],
    target: np.ndarray,
    roles: ClassRoles,
    n_samples: int,
    rng: np.random.RandomState,
) -> CalibrationSet:
    """Make wafers of every kind of the planted benchmark from labeled ones, for calibration.

    A warning names the patterns that no synthetic wafer has.

    Parameters
    ----------
    maps : sequence of ndarray of uint8, shape (height, width)
        Wafers that the net has not seen.
    target : ndarray of shape (n_wafers,)
        Their labels. Patterns are planted on wafers without one.
    roles : ClassRoles
        What the labels stand for. Only the patterns of its classes are planted.
    n_samples : int
        Number of wafers of each kind.
    rng : RandomState

    Returns
    -------
    CalibrationSet
        Without the kinds that cannot be made.
    """
    source = _LabeledWafers(maps, target, roles, _CALIBRATION_RATES)
    made, labels = CalibrationSet([], [], []), []
    for kind in _CALIBRATION_KINDS:
        planted = _plant(source, n_samples, kind, source.select_labels(kind), rng)
        made.maps.extend(planted.maps)
        made.truth.extend(np.any(masks, axis=0) for masks in planted.truth)
        made.strata.extend((kind, join_labels(names)) for names in planted.labels)
        labels += planted.labels
    made = made._replace(patterns=_find_patterns(labels, roles))
    _warn_of_missing(source, made.patterns, "no die-by-die evidence is calibrated on such a class")
    return made


@dataclass(frozen=True)
class _LabeledWafers:
    """The parts of synthetic wafers; each part is extracted once.

    Attributes
    ----------
    maps : sequence of ndarray of uint8, shape (height, width)
    target : ndarray of shape (n_wafers,)
    roles : ClassRoles
    limits : (low, high)
        Share of the dies that may fail on a background.
    """

    maps: Sequence[np.ndarray]
    target: np.ndarray
    roles: ClassRoles
    limits: tuple[float, float]

    @cached_property
    def rows_of(self) -> dict[Hashable, np.ndarray]:
        """Rows of each label."""
        return rows_by_label(self.target, np.arange(len(self.target)))

    @cached_property
    def rows_alone(self) -> dict[Hashable, np.ndarray]:
        """Rows of the wafers that have a pattern alone, for each pattern of the classes."""
        return self._rows_where(lambda pattern, parts: parts == (pattern,))

    @cached_property
    def rows_together(self) -> dict[Hashable, np.ndarray]:
        """Rows of the wafers that have a pattern, alone or not."""
        return self._rows_where(lambda pattern, parts: pattern in parts)

    @cached_property
    def rows_bare(self) -> np.ndarray:
        """Rows of the wafers without a pattern."""
        return _sorted_rows(
            rows for label, rows in self.rows_of.items() if self.roles.means_none(label)
        )

    @property
    def labels(self) -> tuple[Hashable, ...]:
        """Patterns that some wafers have alone, in the order of the classes."""
        return tuple(name for name, rows in self.rows_alone.items() if len(rows))

    @cached_property
    def shapes(self) -> dict[Hashable, str | None]:
        """Shape of each of these; None for an unknown one."""
        return {
            name: shape_of_label(name, self.maps, self.rows_alone[name]) for name in self.labels
        }

    @property
    def backgrounds(self) -> dict[int, np.ndarray]:
        """Wafers to plant on by row; empty where there are none."""
        return self._backgrounds_and_rates[0]

    @cached_property
    def _backgrounds_and_rates(self) -> tuple[dict[int, np.ndarray], np.ndarray]:
        try:
            return read_backgrounds(self.maps, self.rows_bare, self.limits)
        except ValueError:
            return {}, np.array([])

    @property
    def patterns(self) -> dict[Hashable, dict[int, np.ndarray]]:
        """Masks by row of each label with enough patterns that can be extracted."""
        return self._patterns_and_reasons[0]

    @property
    def unreadable(self) -> dict[Hashable, str]:
        """Reason for each label whose patterns are too few."""
        return self._patterns_and_reasons[1]

    @cached_property
    def _patterns_and_reasons(self) -> tuple[dict, dict[Hashable, str]]:
        found, reasons = {}, {}
        for name, shape in self.shapes.items():
            try:
                found[name] = read_patterns(self.maps, self.rows_alone[name], name, shape)
            except ValueError as error:
                reasons[name], *_ = str(error).split(". ")
        return found, reasons

    def select_labels(self, kind: str, shapes: Sequence[str] | None = None) -> tuple[Hashable, ...]:
        """Return the labels of all shapes, or of some, that wafers of a kind can be made of."""
        return tuple(
            name
            for name, shape in self.shapes.items()
            if (shapes is None or shape in shapes)
            and ((kind not in REAL_PATTERNS and shape is not None) or name in self.patterns)
        )

    def sources(self, kind: str, labels: Sequence[Hashable]) -> SourceWafers:
        """Return backgrounds and patterns to draw from, all of them unused."""
        backgrounds, rates = self._backgrounds_and_rates
        shapes = {name: self.shapes[name] for name in labels}
        needed = [name for name in labels if kind in REAL_PATTERNS or shapes[name] is None]
        patterns = {name: self.patterns[name] for name in needed}
        return SourceWafers(backgrounds, rates, patterns, shapes)

    def _rows_where(self, holds: Callable) -> dict[Hashable, np.ndarray]:
        parts = {label: self.roles.parts(label) for label in self.rows_of}
        return {
            name: _sorted_rows(
                rows for label, rows in self.rows_of.items() if holds(name, parts[label])
            )
            for name in self.roles.patterns
        }


def _sorted_rows(rows: Iterable[np.ndarray]) -> np.ndarray:
    return np.sort(np.concatenate([_NO_ROWS, *rows]))


def _find_patterns(labels: Iterable[tuple], roles: ClassRoles) -> tuple[Hashable, ...]:
    found = {name for names in labels for name in names}
    return tuple(name for name in roles.patterns if name in found)


def _join(first: SyntheticWafers, second: SyntheticWafers) -> SyntheticWafers:
    return SyntheticWafers(
        first.maps + second.maps, first.labels + second.labels, first.truth + second.truth
    )


def _take_bare(
    source: _LabeledWafers, n_samples: int, rng: np.random.RandomState
) -> SyntheticWafers:
    """Take wafers without a pattern as they are."""
    share = 1 - sum(share for *_, share in _MIXTURE)
    rows = rng.choice(source.rows_bare, round(share * n_samples))
    maps = [source.maps[row] for row in rows]
    return SyntheticWafers(
        maps, [()] * len(maps), [np.zeros((0, *grid.shape), bool) for grid in maps]
    )


def _plant(
    source: _LabeledWafers,
    n_samples: int,
    kind: str,
    labels: Sequence[Hashable],
    rng: np.random.RandomState,
    density: tuple[float, float] | None = None,
) -> SyntheticWafers:
    """Plant patterns; return nothing if there are too few to plant."""
    if not source.backgrounds or n_samples < 1:
        return NOTHING
    labels = _placeable(source, kind, labels)
    if len(labels) < (2 if kind == "two" else 1):
        return NOTHING
    recipe = Recipe(kind, density=density or default_density(kind))
    sources = source.sources(kind, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about pairs of classes that are left out
        try:
            choices = pattern_choices(labels, kind, source.shapes)
            planted = plant_wafers(choices, n_samples, source.limits, sources, recipe, rng)
        except ValueError:  # with few wafers, no grids may fit
            return NOTHING
    made = [wafer for _, wafer in planted]
    return SyntheticWafers(
        [wafer.grid for wafer in made],
        [names for names, _ in planted],
        [wafer.masks for wafer in made],
    )


def _placeable(
    source: _LabeledWafers, kind: str, labels: Sequence[Hashable]
) -> tuple[Hashable, ...]:
    """Leave out labels that fit no background, so that the others can be planted.

    Labels of known shapes are planted all or not at all: results of the study depend on it.
    """
    if all(source.shapes[name] is not None for name in labels):
        return tuple(labels)
    sources, any_rng = source.sources(kind, labels), np.random.RandomState(0)
    return tuple(
        name
        for name in labels
        if name not in sources.patterns or sources.can_plant((name,), any_rng)
    )


def _simulate(
    source: _LabeledWafers, n_samples: int, rng: np.random.RandomState
) -> SyntheticWafers:
    """Simulate wafers with the known shapes."""
    labels = [name for name in source.labels if source.shapes[name] is not None]
    if not labels:
        return NOTHING
    classes = [source.shapes[name] for name in labels]
    sides = {grid.shape for grid in source.maps if min(grid.shape) >= SMALLEST_SIDE}
    made = make_wafer_maps(
        n_samples,
        classes=classes,  # type: ignore[arg-type]
        shapes=sorted(sides) or None,
        density=_THIN,
        random_state=rng,
    )
    # Labels of one shape take turns.
    turns = {
        shape: cycle([name for name in labels if source.shapes[name] == shape]) for shape in classes
    }
    return SyntheticWafers(
        made.maps,
        [(next(turns[shape]),) for shape in made.target.tolist()],
        [truth[None] for truth in made.truth],
    )


def _warn_of_missing(source: _LabeledWafers, made: Sequence[Hashable], follows: str) -> None:
    """Warn which patterns no synthetic wafer has, why, what follows, and what helps."""
    names_by_reason: dict[str, list[Hashable]] = {}
    for name in source.roles.patterns:
        if name not in made:
            names_by_reason.setdefault(_explain_missing(source, name), []).append(name)
    for reason, names in names_by_reason.items():
        warnings.warn(
            f"No synthetic wafer can be made of {', '.join(map(repr, names))}: {reason}. So "
            f"{follows}. Give more wafers with this pattern alone, and wafers without a pattern; "
            "name the label of wafers without a pattern by `none_labels`.",
            stacklevel=3,
        )


def _explain_missing(source: _LabeledWafers, name: Hashable) -> str:
    if name not in source.labels:
        n_together = len(source.rows_together[name])
        if n_together == 0:
            return f"none of the {len(source.maps)} wafers has it"
        return f"only in combination with others, on {n_together} wafers"
    if not source.backgrounds:
        names = " or ".join(map(repr, source.roles.none)) or "as without a pattern"
        n_bare, (low, high) = len(source.rows_bare), source.limits
        if n_bare == 0:
            return f"no wafers are labeled {names}, to plant patterns on"
        return (
            f"none of the {n_bare} wafers labeled {names} fails evenly on {low:.0%} to {high:.0%} "
            "of its dies"
        )
    if name in source.unreadable:
        return source.unreadable[name]
    return "no wafer without a pattern has a grid that it fits, or too few wafers were asked for"
