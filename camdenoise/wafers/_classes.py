"""What the labels of a classifier stand for: a pattern, several, none, or fails everywhere."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from camdenoise.wafers._labels import plain_label

#: Labels of wafers without a pattern, and of wafers that fail everywhere, as WM-811K names them.
NONE_LABELS = ("none",)
EVERYWHERE_LABELS = ("Random", "Near-full")

_JOIN = "+"


def as_labels(labels: Any) -> tuple[Hashable, ...]:
    """Return one label or several as a tuple of plain Python values.

    Parameters
    ----------
    labels : label, iterable of labels, or None
        Text is one label. None gives an empty tuple.

    Examples
    --------
    >>> as_labels("none"), as_labels(0), as_labels(["ok", "none"]), as_labels(None)
    (('none',), (0,), ('ok', 'none'), ())
    """
    if labels is None:
        return ()
    if isinstance(labels, np.ndarray) and labels.ndim == 0:
        labels = labels.item()
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable):
        labels = (labels,)
    return tuple(plain_label(label) for label in labels)


@dataclass(frozen=True)
class ClassRoles:
    """What the labels of a classifier stand for.

    A text of names joined by "+", such as "Center+Scratch", is a combination of patterns. Labels
    are compared by value.

    Parameters
    ----------
    classes : sequence of labels
        Labels of the classifier in the order of their codes, of any hashable type.
    none : label or sequence of labels, default=("none",)
        Labels of wafers without a pattern.
    everywhere : label or sequence of labels, default=("Random", "Near-full")
        Labels of wafers that fail everywhere, so that no place stands out.

    Examples
    --------
    >>> roles = ClassRoles(("Center", "Scratch+Center", "Random", "none"))
    >>> roles.patterns, roles.has_pattern.tolist()
    (('Center', 'Scratch'), [True, True, False, False])
    >>> roles.parts("Scratch+Center"), roles.combination(("Center", "Scratch"))
    (('Scratch', 'Center'), 'Scratch+Center')
    >>> ClassRoles((0, 17), none=0).patterns
    (17,)
    """

    classes: tuple[Hashable, ...]
    none: tuple[Hashable, ...] = NONE_LABELS
    everywhere: tuple[Hashable, ...] = EVERYWHERE_LABELS

    def __post_init__(self) -> None:
        for name in ("classes", "none", "everywhere"):
            object.__setattr__(self, name, as_labels(getattr(self, name)))

    @cached_property
    def is_none(self) -> np.ndarray:
        """Tell for each class whether its wafers have no pattern."""
        return self._each(self.means_none)

    @cached_property
    def is_everywhere(self) -> np.ndarray:
        """Tell for each class whether its wafers fail everywhere."""
        return self._each(self.means_everywhere)

    @cached_property
    def has_pattern(self) -> np.ndarray:
        """Tell for each class whether its wafers have a pattern in some place."""
        return ~self.is_none & ~self.is_everywhere

    @cached_property
    def patterns(self) -> tuple[Hashable, ...]:
        """The single patterns, those with a class of their own first."""
        parts = [self.parts(label) for label in self.classes]
        parts.sort(key=lambda names: len(names) > 1)
        return tuple(dict.fromkeys(name for names in parts for name in names))

    @property
    def map_labels(self) -> tuple[Hashable, ...]:
        """Labels of the evidence maps: the classes, then patterns without a class of their own."""
        return (*self.classes, *(name for name in self.patterns if name not in self.classes))

    def means_none(self, label: Hashable) -> bool:
        """Tell whether a label stands for wafers without a pattern."""
        return all(name in self.none for name in self._names(label))

    def means_everywhere(self, label: Hashable) -> bool:
        """Tell whether a label stands for wafers that fail everywhere."""
        return any(name in self.everywhere for name in self._names(label))

    def parts(self, label: Hashable) -> tuple[Hashable, ...]:
        """Return the patterns of a label; no pattern for wafers without one or failing everywhere.

        Parameters
        ----------
        label : label
            Need not be one of the classes.
        """
        if self.means_everywhere(label):
            return ()
        return tuple(name for name in self._names(label) if name not in self.none)

    def combination(self, patterns: Sequence[Hashable]) -> Hashable | None:
        """Return the class of a set of patterns, in any order; None without such a class.

        Parameters
        ----------
        patterns : sequence of labels
            Without any pattern the class of wafers without one is returned.
        """
        return self._class_of.get(frozenset(as_labels(patterns)))

    @cached_property
    def _class_of(self) -> dict[frozenset[Hashable], Hashable]:
        """Class of each set of patterns; the first one if several classes are the same set."""
        usable = [label for label in self.classes if not self.means_everywhere(label)]
        return {frozenset(self.parts(label)): label for label in reversed(usable)}

    def _names(self, label: Hashable) -> tuple[Hashable, ...]:
        """Split a combination into its names; every other label is its only name."""
        label = plain_label(label)
        if isinstance(label, str) and label not in (*self.none, *self.everywhere):
            names = [name.strip() for name in label.split(_JOIN)]
            if len(names) > 1 and all(names):
                return tuple(dict.fromkeys(names))
        return (label,)

    def _each(self, holds: Callable[[Hashable], bool]) -> np.ndarray:
        return np.array([holds(label) for label in self.classes], bool)
