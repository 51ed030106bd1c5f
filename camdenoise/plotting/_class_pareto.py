"""Which failure types a lot has, the most frequent first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from camdenoise.plotting._explained import FromExplanations, select_readable
from camdenoise.plotting._look import die_colors, one_axes
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import WaferMaps


class ClassParetoDisplay(FromExplanations):
    """Wafers by the class that was found, in falling order, with the share that adds up.

    Parameters
    ----------
    counts : Series of int, indexed by class
        How many wafers are of each.

    Attributes
    ----------
    ax_ : Axes
        The bars.
    share_ax_ : Axes
        The line, on the scale at the right.
    figure_ : Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from camdenoise.plotting import ClassParetoDisplay
    >>> display = ClassParetoDisplay(pd.Series({"Center": 2, "Edge-Ring": 6})).plot()
    >>> [text.get_text() for text in display.ax_.get_xticklabels()]
    ['Edge-Ring: 6', 'Center: 2']
    >>> display.share_ax_.lines[0].get_ydata().tolist()
    [0.75, 1.0]
    """

    def __init__(self, counts: pd.Series):
        self.counts = counts

    @classmethod
    def from_predictions(
        cls,
        maps: WaferMaps,
        explanations: Sequence[Explanation],
        *,
        ax: Axes | None = None,
        **options: Any,
    ) -> ClassParetoDisplay:
        """Count the classes of explanations.

        Parameters
        ----------
        maps : collection of wafer maps
            The maps before denoising.
        explanations : sequence of Explanation, one per wafer
            Result of a denoiser's `explain`. Those with an `error` are left out.
        ax : Axes, default=None
            Where to draw; None: a new figure.
        **options
            As in `plot`.

        Returns
        -------
        ClassParetoDisplay

        Raises
        ------
        ValueError
            For a denoiser that finds no classes, lengths that do not match, an explanation of
            another map, or no readable map.
        """
        labels = [wafer.explanation.label for wafer in select_readable(maps, explanations)]
        if None in labels:
            raise ValueError(
                "The explanations name no class. Take those of a CamDenoiser, or pass counts of "
                "your own: ClassParetoDisplay(counts).plot()."
            )
        return cls(pd.Series(labels).value_counts()).plot(ax, **options)

    def plot(self, ax: Axes | None = None, *, palette: Any = "colorblind") -> ClassParetoDisplay:
        """Draw bars and line.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None: a new figure.
        palette : {"colorblind", "fab"} or mapping of str to color, default="colorblind"
            As in `WaferMapDisplay.plot`; bars have the color of fails.

        Returns
        -------
        self
        """
        self.ax_ = one_axes(ax)
        self.figure_ = self.ax_.figure
        # Classes of equal number are in the order of their names, whichever wafer came first.
        falling = self.counts.sort_index().sort_values(ascending=False, kind="stable")
        names = [f"{name}: {count}" for name, count in falling.items()]
        self.ax_.bar(names, falling, color=die_colors(palette)["fail"], width=0.75)
        self.ax_.set_ylabel("wafers")
        self.ax_.yaxis.set_major_locator(MaxNLocator(integer=True))
        self.ax_.set_xticks(names, names, rotation=30, ha="right", rotation_mode="anchor")
        self.share_ax_ = self.ax_.twinx()
        share = falling.cumsum() / falling.sum()
        self.share_ax_.plot(names, share, color="0.25", marker="o", ms=4, lw=1.2)
        self.share_ax_.set_ylim(0, 1.05)
        self.share_ax_.set_ylabel("share of the wafers, added up")
        self.share_ax_.yaxis.set_major_formatter(PercentFormatter(1))
        return self
