"""How a wafer is drawn: the colors of its dies, their shape, and which way it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from camdenoise.plotting._colors import die_colors
from camdenoise.wafers._maps import FAIL, NO_DIE

_REMOVED = FAIL + 1
# Quarter turns counterclockwise that bring a notch to the bottom.
_TURNS = {None: 0, "down": 0, "left": 1, "up": 2, "right": 3}
_ASPECTS = ("round", "equal", "die")


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
