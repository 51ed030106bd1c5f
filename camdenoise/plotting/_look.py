"""How and where wafers are drawn: colors, shape of dies, orientation, Axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.gridspec import SubplotSpec
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from camdenoise.wafers._maps import FAIL, NO_DIE

#: Colors of a passing die, a failing one, and a fail that is not part of the pattern.
PALETTES = {
    "colorblind": {"pass": "#dfe3e8", "fail": "#b3364b", "removed": "#5fa2d4"},
    "fab": {"pass": "#00cc00", "fail": "#cc0000", "removed": "#ff9900"},
}
#: Color scale of saliency and fail frequency.
SCALE = "magma_r"

# Told apart by their color (Okabe & Ito 2008) and, in gray print, by their dashes.
LINES = [
    ("#0072b2", "-"),
    ("#d55e00", "--"),
    ("#009e73", "-."),
    ("#cc79a7", ":"),
    ("#e69f00", (0, (5, 1, 1, 1, 1, 1))),
    ("#56b4e9", (0, (8, 2))),
]
BASELINE = ("#b5bac0", "-")

_REMOVED = FAIL + 1
# Quarter turns counterclockwise that bring a notch to the bottom.
_TURNS = {None: 0, "down": 0, "left": 1, "up": 2, "right": 3}
_ASPECTS = ("round", "equal", "die")


def die_colors(palette: str | Mapping[str, str]) -> dict[str, str]:
    """Give the colors of dies that pass, fail, and fail without being part of the pattern."""
    kinds = list(PALETTES["colorblind"])
    if isinstance(palette, Mapping):
        if set(palette) != set(kinds):
            raise ValueError(
                f"A palette of your own needs a color for each of {', '.join(kinds)}, "
                f"and no others; got {', '.join(map(str, palette)) or 'none'}."
            )
        return {kind: palette[kind] for kind in kinds}
    if palette not in PALETTES:
        raise ValueError(f"Unknown palette {palette!r}; choose one of {', '.join(PALETTES)}.")
    return PALETTES[palette]


@dataclass(frozen=True)
class Look:
    """How wafers are drawn; the parameters are those of `WaferMapDisplay.plot`."""

    palette: str | Mapping[str, str] = "colorblind"
    aspect: str = "round"
    die_size: tuple[float, float] | None = None
    notch: str | None = None

    def __post_init__(self):
        die_colors(self.palette)
        if self.notch not in _TURNS:
            raise ValueError(f"notch must be one of {list(_TURNS)}, got {self.notch!r}.")
        if self.aspect not in _ASPECTS:
            raise ValueError(f"aspect must be one of {', '.join(_ASPECTS)}; got {self.aspect!r}.")
        if (self.aspect == "die") != (self.die_size is not None):
            raise ValueError(
                "aspect='die' and die_size=(width, height) go together; "
                f"got aspect={self.aspect!r} and die_size={self.die_size!r}."
            )
        if self.die_size is not None and not (len(self.die_size) == 2 and min(self.die_size) > 0):
            raise ValueError(f"die_size must be two lengths above 0, got {self.die_size!r}.")

    @property
    def colors(self) -> dict[str, str]:
        """Colors by kind of die: pass, fail, removed."""
        return die_colors(self.palette)

    def draw_dies(self, ax: Axes, grid: np.ndarray, removed: np.ndarray | None = None) -> AxesImage:
        """Draw a checked wafer map; only dies that fail can be removed ones."""
        codes = grid if removed is None else np.where(removed & (grid == FAIL), _REMOVED, grid)
        cmap = ListedColormap([(0, 0, 0, 0), *map(to_rgba, self.colors.values())])
        return self.draw(ax, codes, cmap=cmap, vmin=NO_DIE, vmax=_REMOVED)

    def draw(self, ax: Axes, values: np.ndarray, **options: Any) -> AxesImage:
        """Draw one value per cell, by ``Axes.imshow`` with these options."""
        ax.set_axis_off()
        turned = np.rot90(values, _TURNS[self.notch])
        aspect = self._cell_aspect(turned.shape)
        image = ax.imshow(turned, interpolation="none", aspect=aspect, **options)
        if self.notch is not None:
            ax.plot(0.5, -0.03, "^", ms=5, color="0.3", clip_on=False, transform=ax.transAxes)
        return image

    def legend_handles(self) -> list[Patch]:
        """Give what a legend needs to name the fails' colors."""
        names = {"fail": "fail", "removed": "fail, not part of the pattern"}
        return [Patch(color=self.colors[kind], label=name) for kind, name in names.items()]

    def _cell_aspect(self, shape: tuple[int, ...]) -> float:
        """Give the height of a cell, as it is drawn, over its width."""
        if self.aspect == "round":
            return shape[1] / shape[0]
        if self.die_size is None:
            return 1.0
        width, height = self.die_size
        return width / height if _TURNS[self.notch] % 2 else height / width


def one_axes(ax: Axes | None, **figure: Any) -> Axes:
    """Return `ax`, or the Axes of a new figure."""
    return plt.subplots(layout="constrained", **figure)[1] if ax is None else ax


def panel_grid(
    ax: Axes | Sequence[Axes] | None, shape: tuple[int, int], *, figsize: tuple[float, float]
) -> np.ndarray:
    """Return a grid of Axes: the given ones, or some in the place of `ax` or in a new figure.

    Raises
    ------
    ValueError
        For another number of Axes than there are panels, or one that is in no grid of subplots.
    """
    if ax is not None and not isinstance(ax, Axes):
        given = np.asarray(ax, dtype=object)
        if given.size != np.prod(shape):
            raise ValueError(
                f"This picture has {shape[0]} x {shape[1]} panels, got {given.size} Axes. "
                "Pass one Axes, whose place is cut up, or one for each panel."
            )
        return given.reshape(shape)
    cells = take_place(one_axes(ax, figsize=figsize)).subgridspec(*shape)
    return cells.subplots(squeeze=False)


def take_place(ax: Axes) -> SubplotSpec:
    """Empty `ax` and return its place, to be cut up.

    Raises
    ------
    ValueError
        For Axes that are in no grid of subplots.
    """
    place = ax.get_subplotspec()
    if place is None:
        raise ValueError(
            "The Axes to cut into panels are in no grid of subplots; make them by plt.subplots."
        )
    ax.set_axis_off()
    return place
