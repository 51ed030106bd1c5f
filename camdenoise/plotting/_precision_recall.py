"""What a threshold on the saliency costs and gains, where the truth is known die by die."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from camdenoise.metrics import die_precision_recall, die_scores
from camdenoise.metrics._dies import COUNTS, add_rates
from camdenoise.plotting._explained import FromExplanations, select_masks, select_readable
from camdenoise.plotting._look import LINES, one_axes
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import WaferMaps


class DiePrecisionRecallDisplay(FromExplanations):
    """Share of the kept fails that are of the pattern, over the share of its fails that is kept.

    Parameters
    ----------
    table : DataFrame
        A row per threshold, as `camdenoise.metrics.die_precision_recall` gives it.
    decided : (recall, precision), default=None
        What the denoiser's own decisions reach.

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure

    See Also
    --------
    sklearn.metrics.PrecisionRecallDisplay : The same of a classifier.

    Notes
    -----
    The curve is that of one threshold for all dies. A denoiser that gives each wafer a threshold
    of its own, keeps whole components or abstains decides otherwise, so that its point, the
    diamond, need not lie on the curve.

    Examples
    --------
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.plotting import DiePrecisionRecallDisplay
    >>> wafers = make_wafer_maps(20, classes=["Center"], random_state=0)
    >>> display = DiePrecisionRecallDisplay.from_estimator(
    ...     MedianFilter(), wafers.maps, truth=wafers.truth
    ... )
    >>> len(display.ax_.lines[0].get_xdata()) == len(display.table)
    True
    """

    def __init__(self, table: pd.DataFrame, *, decided: tuple[float, float] | None = None):
        self.table = table
        self.decided = decided

    @classmethod
    def from_predictions(
        cls,
        maps: WaferMaps,
        explanations: Sequence[Explanation],
        *,
        truth: Sequence[np.ndarray],
        ax: Axes | None = None,
        name: str | None = None,
        **line: Any,
    ) -> DiePrecisionRecallDisplay:
        """Compare the saliency of fails, and what was kept, with the truth.

        Parameters
        ----------
        maps : collection of wafer maps
            The maps before denoising.
        explanations : sequence of Explanation, one per wafer
            Result of a denoiser's `explain`. Those with an `error` are left out.
        truth : sequence of bool arrays, one per wafer, each of its map's shape
            Where the pattern is.
        ax : Axes, default=None
            Where to draw; None: a new figure.
        name : str, default=None
            As in `plot`.
        **line
            As in `plot`.

        Returns
        -------
        DiePrecisionRecallDisplay

        Raises
        ------
        ValueError
            As `camdenoise.metrics.die_precision_recall`, and for an explanation of another map.
        """
        wafers = select_readable(maps, explanations)
        grids = [wafer.grid for wafer in wafers]
        masks = select_masks(truth, wafers, len(explanations))
        table = die_precision_recall(grids, masks, [wafer.explanation.saliency for wafer in wafers])
        scores = die_scores(grids, masks, [wafer.explanation.kept for wafer in wafers])
        pooled = add_rates(scores[COUNTS].sum().to_frame().T).iloc[0]
        return cls(table, decided=(pooled["recall"], pooled["precision"])).plot(
            ax, name=name, **line
        )

    def plot(
        self, ax: Axes | None = None, *, name: str | None = None, **line: Any
    ) -> DiePrecisionRecallDisplay:
        """Draw the curve, and a diamond for what was decided.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None: a new figure. Draw several denoisers into one to compare.
        name : str, default=None
            For the legend.
        **line
            Options of ``Axes.plot``, such as ``color`` and ``linestyle``.

        Returns
        -------
        self
        """
        self.ax_ = one_axes(ax)
        self.figure_ = self.ax_.figure
        label = "a threshold for all dies" if name is None else name
        style: dict[str, Any] = {"color": LINES[0][0], "lw": 1.8, "label": label} | line
        rising = self.table["recall"], self.table["precision"]
        drawn = self.ax_.plot(*rising, drawstyle="steps-post", **style)[0]
        if self.decided is not None:
            self.ax_.plot(
                *self.decided, "D", ms=8, color=drawn.get_color(), markeredgecolor="black",
                label="decided" if name is None else f"{name}, decided", clip_on=False,
            )  # fmt: skip
        self.ax_.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall: share of the pattern kept")
        self.ax_.set_ylabel("precision: share of the kept\nthat is of the pattern")
        self.ax_.legend(frameon=False)
        return self
