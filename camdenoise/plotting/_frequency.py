"""Where the wafers of a failure type fail, stacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from camdenoise.plotting._explained import ExplainedWafer, FromExplanations, select_readable
from camdenoise.plotting._look import SCALE, Look, one_axes, panel_grid
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._geometry import unit_wafer_mean
from camdenoise.wafers._maps import FAIL, WaferMaps, check_lengths

_COLUMNS = ("all fails", "fails of the pattern", "random fails")


class FrequencyDisplay(FromExplanations):
    """How often the dies at each place fail, by failure type: all fails, of the pattern, random.

    Parameters
    ----------
    means : mapping of class to ndarray of float, shape (3, size, size)
        Share of the wafers of that class on which the die there fails, is of the pattern, fails at
        random, as `unit_wafer_mean` gives it. Fails of wafers about which nothing is said, or that
        fail everywhere, are only in the first.
    n_wafers : mapping of class to int
        How many wafers that is a mean over.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (n_classes, 3)
    figure_ : Figure

    See Also
    --------
    plot_frequency : One such picture.

    Examples
    --------
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.plotting import FrequencyDisplay
    >>> wafers = make_wafer_maps(20, classes=["Center", "Scratch"], random_state=0)
    >>> display = FrequencyDisplay.from_estimator(
    ...     MedianFilter(), wafers.maps, target=wafers.target
    ... )
    >>> display.n_wafers
    {'Center': 10, 'Scratch': 10}
    """

    def __init__(self, means: Mapping[Any, np.ndarray], n_wafers: Mapping[Any, int]):
        self.means = means
        self.n_wafers = n_wafers

    @classmethod
    def from_predictions(
        cls,
        maps: WaferMaps,
        explanations: Sequence[Explanation],
        *,
        target: Sequence[Any] | None = None,
        ax: Axes | Sequence[Axes] | None = None,
        notch: str | None = None,
    ) -> FrequencyDisplay:
        """Stack wafers by their explanations.

        Parameters
        ----------
        maps : collection of wafer maps
            The maps before denoising; their sizes may differ.
        explanations : sequence of Explanation, one per wafer
            Result of a denoiser's `explain`. Those with an `error` are left out.
        target : array-like of shape (n_wafers,), default=None
            The class of each wafer; the one that was found where None, and one stack of all
            wafers for a denoiser that finds none.
        ax : Axes or sequence of Axes, default=None
            As in `plot`.
        notch : {"down", "left", "up", "right"}, default=None
            As in `plot`.

        Returns
        -------
        FrequencyDisplay

        Raises
        ------
        ValueError
            For lengths that do not match, an explanation of another map, or no readable map.
        """
        wafers = select_readable(maps, explanations)
        classes = [wafer.explanation.label for wafer in wafers]
        if target is not None:
            check_lengths(target, len(explanations), "target")
            classes = [np.asarray(target)[wafer.row] for wafer in wafers]
        rows_of = pd.Series(["all" if name is None else str(name) for name in classes])
        stacks = {name: [wafers[row] for row in rows] for name, rows in _rows_by(rows_of)}
        means = {name: _stack(stack) for name, stack in stacks.items()}
        sizes = {name: len(stack) for name, stack in stacks.items()}
        return cls(means, sizes).plot(ax, notch=notch)

    def plot(
        self, ax: Axes | Sequence[Axes] | None = None, *, notch: str | None = None
    ) -> FrequencyDisplay:
        """Draw a class a row. The pictures of a row share one scale, so that they compare.

        Parameters
        ----------
        ax : Axes or sequence of Axes, default=None
            One, whose place is cut into panels, or three for each class; None: a new figure.
        notch : {"down", "left", "up", "right"}, default=None
            As in `WaferMapDisplay.plot`, for all wafers.

        Returns
        -------
        self
        """
        look = Look(notch=notch)
        shape = len(self.means), len(_COLUMNS)
        self.axes_ = panel_grid(ax, shape, figsize=(6.4, 1.7 * shape[0] + 0.3))
        self.figure_ = self.axes_[0, 0].figure
        for axes, (name, means) in zip(self.axes_, self.means.items(), strict=True):
            top = np.nan_to_num(means[0]).max() or 1
            for panel, mean in zip(axes, means, strict=True):
                look.draw(panel, np.ma.masked_invalid(mean), cmap=SCALE, vmin=0, vmax=top)
            text = f"{name}\nwafers: {self.n_wafers[name]}\ndarkest: {top:.0%}"
            axes[0].text(-0.08, 0.5, text, ha="right", va="center", transform=axes[0].transAxes)
        for panel, title in zip(self.axes_[0], _COLUMNS, strict=True):
            panel.set_title(title, fontsize="medium")
        return self


def _rows_by(names: pd.Series) -> list[tuple[str, np.ndarray]]:
    return sorted(names.groupby(names).indices.items())


def _stack(wafers: Sequence[ExplainedWafer]) -> np.ndarray:
    maps = [wafer.grid for wafer in wafers]
    masks = (
        [grid == FAIL for grid in maps],
        [wafer.explanation.kept & wafer.explanation.claims_pattern for wafer in wafers],
        [wafer.explanation.random for wafer in wafers],
    )
    return np.stack([unit_wafer_mean(of_wafers, maps) for of_wafers in masks])


def plot_frequency(
    mean: np.ndarray, *, ax: Axes | None = None, vmax: float | None = None, scale: str = SCALE
) -> Axes:
    """Draw a mean over wafers, as `unit_wafer_mean` makes it.

    Parameters
    ----------
    mean : ndarray of float, shape (size, size)
        NaN is left transparent.
    ax : Axes, default=None
        Where to draw; None: a new figure.
    vmax : float, default=None
        Value of the darkest color; give pictures to be compared the same one.
    scale : str, default="magma_r"
        A color map of matplotlib.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.plotting import plot_frequency
    >>> ax = plot_frequency(np.array([[0.5, 0.5], [0.0, np.nan]]), vmax=1)
    """
    ax = one_axes(ax)
    Look().draw(ax, np.ma.masked_invalid(mean), cmap=scale, vmin=0, vmax=vmax)
    return ax
