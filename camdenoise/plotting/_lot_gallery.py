"""The wafers of a lot, before and after denoising."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.gridspec import GridSpecBase, SubplotSpec

from camdenoise.plotting._explained import ExplainedWafer, FromExplanations, pair_explanations
from camdenoise.plotting._look import Look, one_axes, take_place
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import FAIL, WaferMaps, check_lengths
from camdenoise.wafers._verdict import CLAIMS


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
            Result of a denoiser's `explain`. One with an `error` gets an empty place.
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
        wafers = pair_explanations(maps, explanations)
        if names is not None:
            check_lengths(names, len(wafers), "names")
        return cls(wafers, names=names).plot(ax, **look)

    def plot(self, ax: Axes | None = None, **look: Any) -> LotGalleryDisplay:
        """Draw the lot.

        Parameters
        ----------
        ax : Axes, default=None
            Its place is cut into panels; None: a new figure.
        **look
            `palette`, `aspect`, `die_size` and `notch`, as in `WaferMapDisplay.plot`.

        Returns
        -------
        self
        """
        drawn = Look(**look)
        n_columns = int(np.ceil(np.sqrt(len(self.wafers))))
        n_rows = -(-len(self.wafers) // n_columns)
        self.ax_ = one_axes(ax, figsize=(max(5.0, 2.4 * n_columns), 1.45 * n_rows + 0.9))
        self.figure_ = self.ax_.figure
        cells = _cells(take_place(self.ax_), n_rows, n_columns)
        halves = {"before": 0, "after": n_columns + 1}
        for title, first in halves.items():
            head = _blank(self.figure_, cells[0, first : first + n_columns])
            head.text(0.5, 0.5, title, ha="center", va="center", size="large")
        _blank(self.figure_, cells[-1, :]).legend(
            handles=drawn.legend_handles(), ncols=2, frameon=False, loc="center"
        )
        places = [divmod(place, n_columns) for place in range(len(self.wafers))]
        self.axes_ = np.array(
            [
                [_blank(self.figure_, cells[1 + row, first + column]) for row, column in places]
                for first in halves.values()
            ]
        )
        for axes, draw in zip(self.axes_, (_draw_before, _draw_after), strict=True):
            self._draw_half(axes, draw, drawn)
        return self

    def _draw_half(self, axes: Sequence[Axes], draw: Callable[..., None], look: Look) -> None:
        names = [wafer.row for wafer in self.wafers] if self.names is None else self.names
        for ax, wafer, name in zip(axes, self.wafers, names, strict=True):
            if wafer.explanation.error is None:
                draw(ax, wafer, name, look)
            else:
                ax.set_title(f"{name}: unreadable", fontsize="x-small", pad=2)


def _cells(place: SubplotSpec, n_rows: int, n_columns: int) -> GridSpecBase:
    """Cut a place up for two halves with a gap between, a line above and one below."""
    half = [1.0] * n_columns
    return place.subgridspec(
        n_rows + 2,
        2 * n_columns + 1,
        height_ratios=[0.2, *[1.0] * n_rows, 0.2],
        width_ratios=[*half, 0.15, *half],
    )


def _blank(figure: Figure | SubFigure, cell: SubplotSpec) -> Axes:
    ax = figure.add_subplot(cell)
    ax.set_axis_off()
    return ax


def _draw_before(ax: Axes, wafer: ExplainedWafer, name: Any, look: Look) -> None:
    look.draw_dies(ax, wafer.grid)
    ax.set_title(f"{name}: {np.count_nonzero(wafer.grid == FAIL)} fails", fontsize="x-small", pad=2)


def _draw_after(ax: Axes, wafer: ExplainedWafer, name: Any, look: Look) -> None:
    look.draw_dies(ax, wafer.grid, wafer.explanation.removed)
    found = (
        ""
        if wafer.explanation.label is None
        else f"{wafer.explanation.label} {wafer.explanation.probability:.2f}\n"
    )
    verdict = wafer.explanation.verdict
    if verdict in (None, *CLAIMS):
        found += f"{wafer.explanation.kept.sum()} kept"
    else:
        found += verdict
    ax.set_title(found, fontsize="x-small", pad=2)
