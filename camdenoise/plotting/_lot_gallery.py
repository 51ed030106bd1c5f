"""The wafers of a lot, before and after denoising."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from camdenoise._denoising import Explanation
from camdenoise._maps import FAIL, WaferMaps, check_lengths
from camdenoise.plotting._explained import ExplainedWafer, FromExplanations, explained_wafers
from camdenoise.plotting._look import Look
from camdenoise.plotting._panels import one_axes, panel_grid


class LotGalleryDisplay(FromExplanations):
    """The wafers of a lot twice: as they came, and with what is not part of a pattern marked.

    Parameters
    ----------
    wafers : list of ExplainedWafer
        As `from_predictions` makes them.
    names : sequence of str, default=None
        What to call each wafer; its row, from 0, where None.

    Attributes
    ----------
    ax_ : Axes
        The place of the whole, with the legend.
    axes_ : ndarray of Axes, shape (2, n_wafers)
        Before and after.
    figure_ : Figure

    See Also
    --------
    ExplanationDisplay : Few wafers, larger, with the saliency.

    Examples
    --------
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.plotting import LotGalleryDisplay
    >>> maps = [[[2, 2, 1], [2, 2, 1], [1, 1, 2]], [[1, 1], [1, 1]]]
    >>> display = LotGalleryDisplay.from_estimator(MedianFilter(), maps, names=["1", "2"])
    >>> [ax.get_title() for ax in display.axes_[1]]
    ['4 kept', '0 kept']
    """

    def __init__(self, wafers: Sequence[ExplainedWafer], *, names: Sequence[str] | None = None):
        self.wafers = wafers
        self.names = names

    @classmethod
    def from_predictions(
        cls,
        maps: WaferMaps,
        explanations: Sequence[Explanation],
        *,
        names: Sequence[str] | None = None,
        ax: Axes | None = None,
        **look: Any,
    ) -> LotGalleryDisplay:
        """Draw wafers by their explanations.

        Parameters
        ----------
        maps : collection of wafer maps
            The maps before denoising.
        explanations : sequence of Explanation, one per wafer
            What a denoiser's `explain` said of them. One with an `error` gets an empty place.
        names : sequence of str, one per wafer, default=None
            What to call each wafer, its slot for instance; its row, from 0, where None.
        ax : Axes, default=None
            As in `plot`.
        **look
            As in `plot`.

        Returns
        -------
        LotGalleryDisplay

        Raises
        ------
        ValueError
            For lengths that do not match, or an explanation of another map.
        """
        wafers = explained_wafers(maps, explanations)
        if names is not None:
            check_lengths(names, len(wafers), "names")
        return cls(wafers, names=names).plot(ax, **look)

    def plot(self, ax: Axes | None = None, **look: Any) -> LotGalleryDisplay:
        """Draw the lot.

        Parameters
        ----------
        ax : Axes, default=None
            Its place is cut into panels; a new figure where None.
        **look
            `palette`, `aspect`, `die_size` and `notch`, as in `WaferMapDisplay.plot`.

        Returns
        -------
        self
        """
        drawn = Look(**look)
        n_columns = int(np.ceil(np.sqrt(len(self.wafers))))
        n_rows = -(-len(self.wafers) // n_columns)
        size = (2.4 * n_columns + 0.4, 1.45 * n_rows + 0.8)
        self.ax_ = one_axes(ax, figsize=tuple(np.maximum(size, (5, 3))))
        self.figure_ = self.ax_.figure
        halves = panel_grid(self.ax_, (1, 2), figsize=size)[0]
        self.axes_ = np.stack(
            [
                self._draw_half(halves[0], (n_rows, n_columns), drawn, _draw_before),
                self._draw_half(halves[1], (n_rows, n_columns), drawn, _draw_after),
            ]
        )
        for half, title in zip(halves, ("before", "after"), strict=True):
            half.set_title(title, pad=22)
        self.ax_.legend(
            handles=drawn.legend_handles(), ncols=2, frameon=False, loc="upper center",
            bbox_to_anchor=(0.5, 0),
        )  # fmt: skip
        return self

    def _draw_half(
        self, ax: Axes, shape: tuple[int, int], look: Look, draw: Callable[..., None]
    ) -> np.ndarray:
        panels = panel_grid(ax, shape, figsize=(1, 1)).ravel()
        for panel in panels:
            panel.set_axis_off()
        names = [wafer.row for wafer in self.wafers] if self.names is None else self.names
        for panel, wafer, name in zip(panels, self.wafers, names, strict=False):
            if wafer.why.error is None:
                draw(panel, wafer, name, look)
            else:
                panel.set_title(f"{name}: unreadable", fontsize="x-small")
        return panels[: len(self.wafers)]


def _draw_before(ax: Axes, wafer: ExplainedWafer, name: Any, look: Look) -> None:
    look.draw_dies(ax, wafer.grid)
    ax.set_title(f"{name}: {np.count_nonzero(wafer.grid == FAIL)} fails", fontsize="x-small", pad=2)


def _draw_after(ax: Axes, wafer: ExplainedWafer, name: Any, look: Look) -> None:
    look.draw_dies(ax, wafer.grid, wafer.why.removed)
    found = "" if wafer.why.label is None else f"{wafer.why.label} {wafer.why.probability:.2f}\n"
    ax.set_title(f"{found}{wafer.why.kept.sum()} kept", fontsize="x-small", pad=2)
