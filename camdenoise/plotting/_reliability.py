"""How well a die's probability of belonging to the pattern is calibrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from camdenoise.metrics import calibration_error, die_reliability
from camdenoise.plotting._explained import FromExplanations, select_masks, select_readable
from camdenoise.plotting._look import BASELINE, LINES, one_axes
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import WaferMaps


class DieReliabilityDisplay(FromExplanations):
    """How often fails belong to the pattern, by the probability that they were given.

    Parameters
    ----------
    table : DataFrame
        As `camdenoise.metrics.die_reliability` gives it.

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure

    See Also
    --------
    plot_reliability : Several denoisers in one picture.
    sklearn.calibration.CalibrationDisplay : The same for the probabilities of classes.

    Examples
    --------
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.plotting import DieReliabilityDisplay
    >>> wafers = make_wafer_maps(20, classes=["Center"], random_state=0)
    >>> display = DieReliabilityDisplay.from_estimator(
    ...     MedianFilter(), wafers.maps, truth=wafers.truth, n_bins=5
    ... )
    >>> len(display.table)
    5
    """

    def __init__(self, table: pd.DataFrame):
        self.table = table

    @classmethod
    def from_predictions(
        cls,
        maps: WaferMaps,
        explanations: Sequence[Explanation],
        *,
        truth: Sequence[np.ndarray],
        n_bins: int = 10,
        ax: Axes | None = None,
        name: str | None = None,
        **line: Any,
    ) -> DieReliabilityDisplay:
        """Compare the saliency of fails with the truth.

        Parameters
        ----------
        maps : collection of wafer maps
            The maps before denoising.
        explanations : sequence of Explanation, one per wafer
            What a denoiser's `explain` said of them; their saliency has to be a probability, as
            that of a `CamDenoiser` with ``method="evidence"``. Those with an `error` are left out.
        truth : sequence of bool arrays, one per wafer, each of its map's shape
            Where the pattern is.
        n_bins : int, default=10
            Number of equal parts of the range from 0 to 1.
        ax : Axes, default=None
            Where to draw; None: a new figure.
        name : str, default=None
            As in `plot`.
        **line
            As in `plot`.

        Returns
        -------
        DieReliabilityDisplay

        Raises
        ------
        ValueError
            As `camdenoise.metrics.die_reliability`, and for an explanation of another map.
        """
        wafers = select_readable(maps, explanations)
        table = die_reliability(
            [wafer.grid for wafer in wafers],
            select_masks(truth, wafers, len(explanations)),
            [wafer.explanation.saliency for wafer in wafers],
            n_bins=n_bins,
        )
        return cls(table).plot(ax, name=name, **line)

    def plot(
        self, ax: Axes | None = None, *, name: str | None = None, ref_line: bool = True, **line: Any
    ) -> DieReliabilityDisplay:
        """Draw the curve.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None: a new figure.
        name : str, default=None
            For the legend, before the expected calibration error.
        ref_line : bool, default=True
            Whether to draw the gray diagonal, on which probabilities are right.
        **line
            Options of ``Axes.plot``.

        Returns
        -------
        self
            A marker's area grows with the share of the fails in its bin.
        """
        self.ax_ = one_axes(ax)
        self.figure_ = self.ax_.figure
        if ref_line:
            self.ax_.plot([0, 1], [0, 1], color=BASELINE[0], linestyle=BASELINE[1], lw=4)
        x, y, n_dies = (self.table[column] for column in ("predicted", "observed", "n_dies"))
        error = f"{calibration_error(self.table):.3f}"
        label = f"calibration error {error}" if name is None else f"{name} ({error})"
        style: dict[str, Any] = {"color": LINES[0][0], "lw": 1.8, "label": label} | line
        drawn = self.ax_.plot(x, y, **style)[0]
        self.ax_.scatter(x, y, 200 * n_dies / n_dies.sum() + 8, color=drawn.get_color())
        self.ax_.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability of belonging to the pattern")
        self.ax_.set_ylabel("share that belongs to it")
        self.ax_.legend(frameon=False)
        return self


def plot_reliability(tables: Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """Draw how often fails belong to the pattern, by the probability that they were given.

    Parameters
    ----------
    tables : dict of str to DataFrame
        By name, as `camdenoise.metrics.die_reliability` gives them.
    ax : Axes, default=None
        Where to draw; None: a new figure.

    Returns
    -------
    Axes
        On the gray diagonal probabilities are right. A marker's area grows with the share of the
        fails in its bin; the legend gives the expected calibration error.

    Examples
    --------
    >>> import pandas as pd
    >>> from camdenoise.plotting import plot_reliability
    >>> table = pd.DataFrame({"n_dies": [3, 1], "predicted": [0.1, 0.8], "observed": [0, 1]})
    >>> ax = plot_reliability({"evidence": table})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['evidence (0.125)']
    """
    ax = one_axes(ax)
    for place, ((name, table), (color, dashes)) in enumerate(
        zip(tables.items(), cycle(LINES), strict=False)
    ):
        DieReliabilityDisplay(table).plot(
            ax, name=name, ref_line=place == 0, color=color, linestyle=dashes
        )
    return ax
