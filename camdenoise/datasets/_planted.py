"""Wafers made of real parts, with a known cause of every fail: a pattern or the background.

A pattern is extracted from one real wafer and planted on another one without a pattern. So patterns
and backgrounds look as in a fab, and the truth is known die by die, as in a simulation.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any
from warnings import warn

import numpy as np
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from camdenoise.datasets._composition import Composition, Recipe, compose
from camdenoise.datasets._options import Range, check_count, check_number, check_range
from camdenoise.datasets._pattern_pool import (
    BACKGROUND,
    read_backgrounds,
    read_patterns,
    shape_of_label,
)
from camdenoise.datasets._patterns import PATTERN_CLASSES
from camdenoise.datasets._planted_options import (
    REAL_PATTERNS,
    check_kind,
    check_patterns,
    check_rates,
    check_rows,
    check_wafers,
    pattern_choices,
    rows_by_label,
)
from camdenoise.datasets._source_wafers import SourceWafers
from camdenoise.wafers._classes import NONE_LABELS, ClassRoles

# Share of a pattern's dies that fail by default: real patterns as they are, simulated ones thinned.
_AS_FOUND = (1.0, 1.0)
_DIFFUSE = (0.5, 1.0)
_NO_ROWS = np.array([], int)


def _plan(
    choices: list[tuple[Hashable, ...]],
    n_samples: int,
    limits: tuple[float, float],
    rng: np.random.RandomState,
) -> list[tuple[tuple[Hashable, ...], float]]:
    """Spread the wafers evenly over the choices, and each choice evenly over the rates."""
    choice = rng.permutation(np.arange(n_samples) % len(choices))
    share = np.empty(n_samples)
    for number in range(len(choices)):
        rows = np.flatnonzero(choice == number)
        share[rows] = (rng.permutation(len(rows)) + rng.uniform(size=len(rows))) / max(1, len(rows))
    rates = limits[0] + share * (limits[1] - limits[0])
    return [(choices[c], float(rate)) for c, rate in zip(choice, rates, strict=True)]


def _leave_out(
    choices: list[tuple[Hashable, ...]], sources: SourceWafers, rng: np.random.RandomState
) -> list[tuple[Hashable, ...]]:
    """Leave out the pairs of classes whose patterns no background can take together."""
    usable = [labels for labels in choices if len(labels) == 1 or sources.can_plant(labels, rng)]
    missing = [join_labels(labels) for labels in choices if labels not in usable]
    if not usable:
        raise ValueError(
            f"no background has a grid that takes any two patterns ({', '.join(missing)}). Give "
            "more wafers or `rows`, widen `background_rate`, or use kind='planted'."
        )
    if missing:
        warn(
            f"no background has a grid that takes both patterns of {', '.join(missing)}; wafers "
            "are made of the other pairs. Give more wafers or `rows` to have them too.",
            stacklevel=4,
        )
    return usable


def _describe(
    labels: tuple[Hashable, ...], wafer: Composition, groups: np.ndarray
) -> dict[str, Any]:
    """Write one row of the frame."""
    row = {
        "label": join_labels(labels),
        "height": wafer.grid.shape[0],
        "width": wafer.grid.shape[1],
        "background_rate": wafer.background_rate,
        "density": wafer.density,
        "n_pattern": int(wafer.masks.any(axis=0).sum()),
    }
    for role, parent in zip(("background", "pattern", "second"), wafer.parents, strict=False):
        row |= {f"{role}_row": parent, f"{role}_group": groups[parent]}
    for role, turn in zip(("pattern", "second"), wafer.turns, strict=False):
        row[f"{role}_turn"] = turn
    return row


def _available(sources: SourceWafers) -> dict[Hashable, int]:
    counts = {label: len(pool) for label, pool in sources.patterns.items()}
    return counts | {BACKGROUND: len(sources.backgrounds)}


def join_labels(labels: Sequence[Hashable]) -> str:
    """Write the patterns of a wafer as one name."""
    return "+".join(map(str, labels))


def default_density(kind: str) -> tuple[float, float]:
    """Return the default share of a pattern's dies that fail."""
    return _AS_FOUND if kind in REAL_PATTERNS else _DIFFUSE


def plant_wafers(
    choices: list[tuple[Hashable, ...]],
    n_samples: int,
    limits: tuple[float, float],
    sources: SourceWafers,
    recipe: Recipe,
    rng: np.random.RandomState,
) -> list[tuple[tuple[Hashable, ...], Composition]]:
    """Make planted wafers.

    Parameters
    ----------
    choices : list of tuple of labels
        Patterns that a wafer can have; each choice is made equally often.
    n_samples : int
        Number of wafers.
    limits : (low, high)
        Share of the dies that fail on the background.
    sources : SourceWafers
    recipe : Recipe
    rng : RandomState

    Returns
    -------
    list of (tuple of labels, Composition)

    Raises
    ------
    ValueError
        If the grids of patterns and backgrounds do not fit.
    """
    plan = _plan(_leave_out(choices, sources, rng), n_samples, limits, rng)
    return [(labels, compose(labels, rate, sources, recipe, rng)) for labels, rate in plan]


def _find_sources(
    maps: Sequence[Any],
    rows_of: Mapping[Hashable, np.ndarray],
    roles: ClassRoles,
    limits: tuple[float, float],
    shapes: Mapping[Hashable, str | None],
    kind: str,
) -> SourceWafers:
    """Collect backgrounds, and real patterns where the kind or an unknown shape needs them."""
    none_rows = [rows for label, rows in rows_of.items() if roles.means_none(label)]
    if not none_rows:
        names = " or ".join(map(repr, roles.none))
        raise ValueError(
            f"no wafer of class {names} among the rows, only {sorted(rows_of, key=str)}. Patterns "
            "are planted on such: give wafers of that class, or other `rows`, or name the class "
            "of wafers without a pattern by `none_labels`."
        )
    backgrounds, rates = read_backgrounds(maps, np.sort(np.concatenate(none_rows)), limits)
    patterns = {
        label: read_patterns(maps, rows_of.get(label, _NO_ROWS), label, shape)
        for label, shape in shapes.items()
        if kind in REAL_PATTERNS or shape is None
    }
    return SourceWafers(backgrounds, rates, patterns, shapes)


def _pad_parents(made: list[Composition]) -> np.ndarray:
    """Stack the parents of wafers; missing ones are replaced by the wafer's background."""
    n_most = max(len(wafer.parents) for wafer in made)
    return np.array(
        [wafer.parents + wafer.parents[:1] * (n_most - len(wafer.parents)) for wafer in made]
    )


def make_planted_wafers(
    wafers: Mapping[str, Any],
    n_samples: int = 100,
    *,
    kind: str = "planted",
    classes: Any = PATTERN_CLASSES,
    none_labels: Any = NONE_LABELS,
    rows: Any = None,
    background_rate: Range = (0.02, 0.20),
    density: Range = None,
    clumping: float = 0.3,
    edge_gradient: float = 2.35,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Plant patterns on wafers without a pattern, so that the cause of every fail is known.

    A pattern is extracted from a wafer with hardly any other fails. It is turned, resized to the
    grid of a `none` wafer and added to that wafer's fails. docs/planted.md tells how patterns are
    chosen, what the benchmark favors, and how simple filters score on it.

    Parameters
    ----------
    wafers : Bunch or mapping with ``maps``, ``target`` and ``groups``
        Where patterns and backgrounds come from, as `load_wafer_maps` and `make_wafer_maps` return
        it. ``groups`` has one value per wafer; wafers of a group (a lot) resemble each other.
        Backgrounds are the wafers without a pattern, see `none_labels`.
    n_samples : int, default=100
        Number of wafers, spread evenly over the classes or pairs of classes.
    kind : {"planted", "two", "diffuse", "simulated"}, default="planted"
        - "planted": a real pattern on a real background
        - "two": two real patterns of different classes on one real background. Pairs that would
          take the same place are not made: Center and Donut, Edge-Loc and Edge-Ring, and two
          classes of the shape Center, Donut or Edge-Ring. A pair without a background of a
          fitting grid is left out, with a warning.
        - "diffuse": a simulated pattern with thin, soft edges on a real background. "planted"
          favors connected patterns; this kind does not. If the shape of a class is not known, a
          real pattern is blurred.
        - "simulated": like "diffuse", with a simulated background on the dies and at the fail rate
          of the real one
    classes : label or sequence of labels, default=PATTERN_CLASSES
        Patterns to plant: any of `PATTERN_CLASSES`, and any label of `wafers` that has a pattern.
        A label with another name takes the rule and the simulated shape of the class of
        `PATTERN_CLASSES` whose shape its wafers have. If they have none of these shapes, a general
        rule extracts the pattern: large components on wafers with few other fails.
    none_labels : label or sequence of labels, default=("none",)
        Labels of wafers without a pattern.
    rows : array-like of int or of bool, or None, default=None
        Wafers that may become parents, such as the test rows of a split; None allows all.
    background_rate : (low, high), default=(0.02, 0.20)
        Share of the dies that fail on the background. Rates are spread evenly over the range for
        each class, as far as backgrounds of a fitting grid allow.
    density : float, (low, high) or None, default=None
        Share of the pattern's dies that fail, a range to draw from. None keeps real patterns as
        they are, and stands for (0.5, 1) for simulated ones.
    clumping, edge_gradient : float, default=0.3 and 2.35
        For kind "simulated": how uneven the background is, as in `make_wafer_maps`.
    random_state : int, RandomState instance or None, default=None
        Makes the result repeatable.

    Returns
    -------
    sklearn.utils.Bunch
        With these attributes, row for row:

        - ``maps`` : list of ndarray of uint8, shape (height, width); 0 no die, 1 pass, 2 fail
        - ``target`` : ndarray of str, shape (n_samples,); two classes as ``"Center+Scratch"``,
          other labels converted to text
        - ``truth`` : list of ndarray of bool, shape (height, width); the fails that a pattern
          caused. A die that pattern and background both hit counts as pattern.
        - ``pattern_truth`` : list of ndarray of bool, shape (n_patterns, height, width); the same
          for each pattern, in the order of the target's names. They may overlap.
        - ``parents`` : ndarray of int, shape (n_samples, n_parents); rows of `wafers`: the
          background, then each real pattern. If only some patterns are simulated, the background
          takes the place of a simulated one.
        - ``groups`` : ndarray, shape (n_samples, n_parents); the groups of the parents. A planted
          wafer is unseen only by models that were trained without all of them.
        - ``frame`` : DataFrame with ``label``, ``height``, ``width`` (in dies),
          ``background_rate``, ``density``, ``n_pattern`` (fails in ``truth``); for each parent
          (``background``, ``pattern``, ``second``) its ``_row`` and ``_group``; for each real
          pattern its ``_turn``

        and ``available``, a dict of the number of patterns of each class, and of backgrounds under
        "none", to draw from.

    Raises
    ------
    ValueError
        For an option out of range, a class with fewer than three patterns that can be extracted,
        no background at the given rates, or none of a similar grid.
    WaferMapError
        For a map that cannot be read.

    See Also
    --------
    make_wafer_maps : Wafers that are simulated completely.
    camdenoise.metrics.die_report : Scores a denoiser against the truth.

    Notes
    -----
    To test a model that was trained on a part of the wafers, take both parents from the rest::

        train, test = next(GroupKFold(4).split(wafers.maps, wafers.target, wafers.groups))
        planted = make_planted_wafers(wafers, 600, rows=test, random_state=0)

    or leave out the planted wafers that have a parent in a training group::

        seen = np.isin(planted.groups, wafers.groups[train]).any(axis=1)

    Parents are drawn as evenly as grids and rates allow. With more samples than patterns a pattern
    is planted again, turned in another way and on another background.

    Examples
    --------
    >>> from camdenoise.datasets import make_planted_wafers, make_wafer_maps
    >>> wafers = make_wafer_maps(
    ...     300, classes=["Center", "Loc", "none"], noise_rate=(0.0, 0.1), random_state=0
    ... )
    >>> planted = make_planted_wafers(wafers, 20, classes=["Center", "Loc"], random_state=0)
    >>> len(planted.maps), sorted(set(planted.target.tolist())), planted.groups.shape
    (20, ['Center', 'Loc'], (20, 2))
    >>> bool((planted.maps[0][planted.truth[0]] == 2).all())
    True
    """
    n_samples, kind, limits = check_count(n_samples), check_kind(kind), check_rates(background_rate)
    recipe = Recipe(
        kind,
        density=check_range("density", density) or default_density(kind),
        clumping=check_number("clumping", clumping, 0, 3),
        edge_gradient=check_number("edge_gradient", edge_gradient, 0, 100),
    )
    maps, target, groups = check_wafers(wafers)
    roles = ClassRoles(tuple(dict.fromkeys(target.tolist())), none=none_labels)
    classes = check_patterns(classes, roles)
    rows_of = rows_by_label(target, check_rows(rows, len(maps)))
    shapes = {label: shape_of_label(label, maps, rows_of.get(label, _NO_ROWS)) for label in classes}
    choices = pattern_choices(classes, kind, shapes)
    rng = check_random_state(random_state)
    sources = _find_sources(maps, rows_of, roles, limits, shapes, kind)
    planted = plant_wafers(choices, n_samples, limits, sources, recipe, rng)
    made = [wafer for _, wafer in planted]
    frame = pd.DataFrame([_describe(labels, wafer, groups) for labels, wafer in planted])
    parent_rows = _pad_parents(made)
    return Bunch(
        maps=[wafer.grid for wafer in made],
        target=frame["label"].to_numpy(str),
        truth=[wafer.masks.any(axis=0) for wafer in made],
        pattern_truth=[wafer.masks for wafer in made],
        parents=parent_rows,
        groups=groups[parent_rows],
        frame=frame,
        available=_available(sources),
    )
