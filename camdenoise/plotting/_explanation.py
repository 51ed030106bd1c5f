"""What was kept and removed of a wafer, and why."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from camdenoise.plotting._explained import (
    ExplainedWafer,
    FromExplanations,
    pair_explanations,
    select_readable,
)
from camdenoise.plotting._look import SCALE, Look, panel_grid
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import FAIL, NO_DIE, WaferMaps, remove_fails
from camdenoise.wafers._verdict import PATTERN


class ExplanationDisplay(FromExplanations):
    """Rows of wafers: class and probability, raw map, saliency, kept fails, removed fails.

    The darkest color of a saliency is the greatest on its own wafer, which its title gives.

    Parameters
    ----------
    wafers : list of ExplainedWafer
        As `from_predictions` makes them.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (n_wafers, 4)
    figure_ : Figure

    See Also
    --------
    LotGalleryDisplay : Many wafers, smaller.

    Examples
    --------
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.plotting import ExplanationDisplay
    >>> maps = [[[2, 2, 1], [2, 2, 1], [1, 1, 2]], [[1, 1], [1, 1]]]
    >>> display = ExplanationDisplay.from_estimator(MedianFilter(), maps)
    >>> [ax.get_title() for ax in display.axes_[0]]
    ['5 fails', 'saliency to 1', '4 kept', '1 removed']
    """

    def __init__(self, wafers: Sequence[ExplainedWafer]):
        self.wafers = wafers

    @classmethod
    def from_predictions(
        cls,
        maps: WaferMaps,
        explanations: Sequence[Explanation],
        *,
        ax: Axes | Sequence[Axes] | None = None,
        **look: Any,
    ) -> ExplanationDisplay:
        """Draw wafers by their explanations.

        Parameters
        ----------
        maps : collection of wafer maps
            The maps before denoising.
        explanations : sequence of Explanation, one per wafer
            Result of a denoiser's `explain`. One with an `error` gets a row with this error.
        ax : Axes or sequence of Axes, default=None
            As in `plot`.
        **look
            As in `plot`.

        Returns
        -------
        ExplanationDisplay

        Raises
        ------
        ValueError
            For lengths that do not match, or an explanation of another map.
        """
        return cls(pair_explanations(maps, explanations)).plot(ax, **look)

    def plot(self, ax: Axes | Sequence[Axes] | None = None, **look: Any) -> ExplanationDisplay:
        """Draw the wafers.

        Parameters
        ----------
        ax : Axes or sequence of Axes, default=None
            One, whose place is cut into panels, or four for each wafer; None: a new figure.
        **look
            `palette`, `aspect`, `die_size` and `notch`, as in `WaferMapDisplay.plot`.

        Returns
        -------
        self
        """
        drawn = Look(**look)
        shape = len(self.wafers), 4
        self.axes_ = panel_grid(ax, shape, figsize=(8, 1.9 * shape[0] + 0.2))
        self.figure_ = self.axes_[0, 0].figure
        for axes, wafer in zip(self.axes_, self.wafers, strict=True):
            axes[0].text(
                -0.08, 0.5, _verdict(wafer), ha="right", va="center", transform=axes[0].transAxes
            )
            if wafer.explanation.error is None:
                _draw_panels(axes, wafer, drawn)
            else:
                _draw_error(axes, wafer.explanation.error)
        return self


def _verdict(wafer: ExplainedWafer) -> str:
    """Say what was found on a wafer."""
    explanation, lines = wafer.explanation, [f"wafer {wafer.row}"]
    if explanation.label is not None:
        lines += [str(explanation.label), f"p = {explanation.probability:.2f}"]
    if explanation.error is None:
        if explanation.verdict not in (None, PATTERN, explanation.label):
            lines.append(explanation.verdict)
        elif explanation.verdict is None and explanation.abstained:
            lines.append("abstained")
    return "\n".join(lines)


def _draw_panels(axes: Sequence[Axes], wafer: ExplainedWafer, look: Look) -> None:
    grid, explanation = wafer.grid, wafer.explanation
    raw, saliency, kept, removed = axes
    look.draw_dies(raw, grid)
    raw.set_title(f"{np.count_nonzero(grid == FAIL)} fails", fontsize="medium")
    look.draw(saliency, np.where(grid == NO_DIE, np.nan, explanation.saliency), cmap=SCALE, vmin=0)
    saliency.set_title(f"saliency to {explanation.saliency.max():.2g}", fontsize="medium")
    look.draw_dies(kept, remove_fails(grid, explanation.removed))
    kept.set_title(f"{explanation.kept.sum()} kept", fontsize="medium")
    look.draw_dies(removed, remove_fails(grid, explanation.kept), explanation.removed)
    removed.set_title(f"{explanation.removed.sum()} removed", fontsize="medium")


def _draw_error(axes: Sequence[Axes], error: str) -> None:
    for ax in axes:
        ax.set_axis_off()
    said = axes[0].text(0, 0.5, fill(error, 60), va="center", transform=axes[0].transAxes)
    said.set_in_layout(False)  # or the panels of other wafers would make room for it


def plot_explanation(
    wafer_map: np.ndarray,
    explanation: Explanation,
    *,
    axes: Sequence[Axes] | None = None,
    **look: Any,
) -> np.ndarray:
    """Draw a wafer four times: raw, saliency (its darkest color named), kept and removed fails.

    Parameters
    ----------
    wafer_map : array-like of shape (height, width)
        The map before denoising.
    explanation : Explanation
        Result of a denoiser's `explain`.
    axes : sequence of four Axes, default=None
        Where to draw; None: a new figure.
    **look
        `palette`, `aspect`, `die_size` and `notch`, as in `WaferMapDisplay.plot`.

    Returns
    -------
    ndarray of Axes, shape (4,)

    Raises
    ------
    ValueError
        For a map that could not be read, or an unknown palette.

    See Also
    --------
    ExplanationDisplay : Several wafers, with class and probability.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.plotting import plot_explanation
    >>> wafer_map = np.array([[2, 2, 1], [2, 2, 1], [1, 1, 2]])
    >>> axes = plot_explanation(wafer_map, MedianFilter().explain([wafer_map])[0])
    >>> [ax.get_title() for ax in axes]
    ['5 fails', 'saliency to 1', '4 kept', '1 removed']
    """
    wafer = select_readable([wafer_map], [explanation])[0]
    panels = panel_grid(axes, (1, 4), figsize=(9, 2.5))[0]
    _draw_panels(panels, wafer, Look(**look))
    return panels
