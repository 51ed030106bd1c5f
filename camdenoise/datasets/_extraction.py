"""Extract patterns from real wafers, and find the wafers without any pattern.

Real wafers have a label and no list of the dies that the pattern hit. Some have hardly any other
fails: there the large components are the pattern, if they look like the class. Other wafers are
labeled `none` and still have clustered fails. The rules below were set by looking at the wafers of
WM-811K that they accept and refuse; docs/planted.md lists the mistakes that each rule prevents. A
general rule serves for all other classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from camdenoise.wafers._components import fail_components
from camdenoise.wafers._geometry import Disc, measure_disc
from camdenoise.wafers._maps import FAIL

# Fewest fails of a component of a pattern, and its least share of the largest component.
FEWEST_FAILS = 8
_SHARE_OF_LARGEST = 0.3
# Directions from the center; a component covers some of them.
_SECTORS = 24
# Distance from the rim, in dies, below which a die is an outermost one.
_AT_RIM = 1.5
# Least share of a whole wafer's grid that has dies. A disc covers 0.79 of its grid; half a wafer,
# or one that was tested in a few places, covers less than this.
_COVERED = 0.6
# Share of the rows, and of the columns, that a window takes.
_WINDOW = 1 / 4
# Largest excess of a window's fail rate without clusters, in binomial standard deviations.
_CLUSTERED = 5.0


@dataclass(frozen=True)
class Figure:
    """A set of dies on a wafer, with its measures. Lengths are in wafer radii unless in dies."""

    mask: np.ndarray
    disc: Disc

    @cached_property
    def size(self) -> int:
        """Number of dies."""
        return int(self.mask.sum())

    @cached_property
    def share(self) -> float:
        """Share of the wafer's dies."""
        return self.size / self.disc.dies.sum()

    @cached_property
    def box(self) -> tuple[int, int]:
        """Rows and columns of the bounding box, in dies."""
        rows, columns = ndimage.find_objects(self.mask.astype(np.uint8))[0]
        return rows.stop - rows.start, columns.stop - columns.start

    @property
    def length(self) -> int:
        """Fewest dies of a line from end to end."""
        return max(self.box)

    @property
    def thickness(self) -> float:
        """Mean width across the length, in dies; 1 for a line of single dies."""
        return self.size / self.length

    @property
    def roundness(self) -> float:
        """Area relative to that of the disc around the box's longer side."""
        height, width = self.disc.shape
        reach = max(self.box[0] / height, self.box[1] / width)
        return self.size / (height * width * reach**2 * np.pi / 4)

    @property
    def offset(self) -> float:
        """Distance of the centroid from the center of the wafer."""
        return float(np.hypot(self.disc.y[self.mask].mean(), self.disc.x[self.mask].mean()))

    @property
    def rim_share(self) -> float:
        """Share of the dies that are outermost dies of the wafer."""
        return float((self.disc.rim[self.mask] < _AT_RIM).mean())

    @property
    def outer_share(self) -> float:
        """Share of the dies in the outer third of the radius."""
        return float((self.disc.radius[self.mask] > 2 / 3).mean())

    @property
    def turn(self) -> float:
        """Share of the directions from the center of the wafer that have a die."""
        sector = ((self.disc.angle[self.mask] + np.pi) / (2 * np.pi) * _SECTORS).astype(int)
        return len(np.unique(sector % _SECTORS)) / _SECTORS

    def density_within(self, radius: float) -> float:
        """Share of the dies around the center of the wafer that belong to the figure."""
        inner = self.disc.dies & (self.disc.radius <= radius)
        return float(self.mask[inner].mean()) if inner.any() else 0.0


@dataclass(frozen=True)
class Rule:
    """When a wafer of a class shows its pattern alone.

    Attributes
    ----------
    others : float
        Largest share of the dies that may fail outside the pattern.
    part : callable
        Whether a component can be a part of such a pattern.
    whole : callable
        Whether the parts together are such a pattern.
    """

    others: float
    part: Callable[[Figure], bool]
    whole: Callable[[Figure], bool]


#: Shape, by the name of its class in WM-811K -> rule.
RULES = {
    "Center": Rule(
        others=0.07,
        part=lambda figure: figure.offset <= 0.35 and figure.roundness >= 0.25,
        whole=lambda figure: figure.share <= 0.4,
    ),
    "Donut": Rule(
        others=0.10,
        part=lambda figure: figure.rim_share <= 0.2,
        whole=lambda figure: (
            figure.turn >= 0.5 and figure.density_within(0.15) <= 0.5 and figure.share <= 0.4
        ),
    ),
    "Edge-Loc": Rule(
        others=0.03,
        part=lambda figure: figure.rim_share > 0,
        whole=lambda figure: figure.turn <= 0.6 and figure.share <= 0.3,
    ),
    "Edge-Ring": Rule(
        others=0.03,
        part=lambda figure: figure.rim_share > 0,
        whole=lambda figure: figure.turn >= 0.75 and figure.outer_share >= 0.9,
    ),
    "Loc": Rule(
        others=0.03,
        part=lambda figure: figure.rim_share == 0 and figure.roundness >= 0.25,
        whole=lambda figure: figure.share <= 0.12,
    ),
    "Scratch": Rule(
        others=0.05,
        part=lambda figure: (
            figure.thickness <= 3
            and figure.length >= 4 * figure.thickness
            and figure.rim_share <= 0.5
        ),
        whole=lambda figure: True,
    ),
}
#: Rule for a class of unknown shape. `others` is the median of the rules above. Patterns on more
#: dies are refused, because nine tenths of the Random wafers are one large component.
GENERAL_RULE = Rule(others=0.05, part=lambda figure: True, whole=lambda figure: figure.share <= 0.4)


def is_whole(grid: np.ndarray) -> bool:
    """Tell whether a wafer is a disc that fills its grid, not a part of one or a sample of dies."""
    return bool(np.count_nonzero(grid) >= _COVERED * grid.size)


def extract_pattern(grid: np.ndarray, shape: str | None) -> np.ndarray | None:
    """Find the fails that are the pattern of a near-clean wafer.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.
    shape : str or None
        Shape of the pattern, one of `RULES`; None for an unknown shape.

    Returns
    -------
    ndarray of bool, shape (height, width), or None
        None if the wafer is not a whole disc or has too many other fails, or if its components do
        not look like the shape.
    """
    return extract_by_rule(grid, GENERAL_RULE if shape is None else RULES[shape])


def extract_by_rule(grid: np.ndarray, rule: Rule) -> np.ndarray | None:
    """Find the fails that are the pattern of a near-clean wafer by a rule."""
    labels, n_components = fail_components(grid)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    allowed = rule.others * np.count_nonzero(grid)
    large = np.flatnonzero(sizes >= FEWEST_FAILS)
    # Measuring costs time; most wafers have too many single fails for any choice of components.
    if len(large) == 0 or sizes.sum() - sizes[large].sum() > allowed or not is_whole(grid):
        return None
    disc = measure_disc(ndimage.binary_fill_holes(grid > 0))
    parts = [number for number in large if rule.part(Figure(labels == number, disc))]
    if not parts:
        return None
    parts = [number for number in parts if sizes[number] >= _SHARE_OF_LARGEST * sizes[parts].max()]
    mask = np.isin(labels, parts)
    if sizes.sum() - mask.sum() > allowed or not rule.whole(Figure(mask, disc)):
        return None
    return mask


def is_patternless(grid: np.ndarray) -> bool:
    """Tell whether a wafer is whole and its fails are not clustered.

    The fail rate of each window, a quarter of the rows and columns, is compared with the fail rate
    of the wafer. Windows that reach over the rim are left out: fails are usual there.

    Examples
    --------
    >>> wafer = np.ones((20, 20), np.uint8)
    >>> wafer[::4, ::4] = 2
    >>> is_patternless(wafer)
    True
    >>> wafer[8:11, 8:11] = 2
    >>> is_patternless(wafer)
    False
    """
    if not is_whole(grid):
        return False
    size = [max(3, int(side * _WINDOW)) for side in grid.shape]
    share = ndimage.uniform_filter(
        np.stack([grid > 0, grid == FAIL]).astype(float), [0, *size], mode="constant"
    )
    dies, fails = share
    inside = dies > 0.95
    if not inside.any():
        return True
    rate = np.count_nonzero(grid == FAIL) / np.count_nonzero(grid)
    highest = (fails[inside] / dies[inside]).max()
    return bool(highest - rate <= _CLUSTERED * np.sqrt(rate * (1 - rate) / (size[0] * size[1])))
