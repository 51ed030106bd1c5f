"""A wafer map, one die a cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from camdenoise.denoising._base import BaseDenoiser
from camdenoise.plotting._explained import select_readable
from camdenoise.plotting._look import Look, one_axes
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import check_wafer_map


class WaferMapDisplay:
    """One wafer map, no-die cells transparent.

    Parameters
    ----------
    wafer_map : array-like of shape (height, width)
        Die codes.
    removed : ndarray of bool, shape (height, width), default=None
        Fails to show as "not part of the pattern".

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure

    See Also
    --------
    ExplanationDisplay : The map and its saliency.
    LotGalleryDisplay : Many of them.

    Examples
    --------
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.plotting import WaferMapDisplay
    >>> wafer_map = [[2, 2, 1], [2, 2, 1], [1, 1, 2]]
    >>> display = WaferMapDisplay.from_estimator(MedianFilter(), wafer_map, notch="left")
    >>> int(display.removed.sum())
    1
    """

    def __init__(self, wafer_map: np.ndarray, *, removed: np.ndarray | None = None):
        self.wafer_map = wafer_map
        self.removed = removed

    @classmethod
    def from_estimator(
        cls, denoiser: BaseDenoiser, wafer_map: np.ndarray, *, ax: Axes | None = None, **look: Any
    ) -> WaferMapDisplay:
        """Denoise one wafer and draw its map.

        Parameters
        ----------
        denoiser : CamDenoiser or any denoiser with `explain`
            Fitted.
        wafer_map : array-like of shape (height, width)
            One map, not a collection.
        ax : Axes, default=None
            Where to draw; None: a new figure.
        **look
            As in `plot`.

        Returns
        -------
        WaferMapDisplay

        Raises
        ------
        WaferMapError
            For a map that cannot be read.
        """
        grid = check_wafer_map(wafer_map)
        return cls.from_predictions(grid, denoiser.explain([grid])[0], ax=ax, **look)

    @classmethod
    def from_predictions(
        cls, wafer_map: np.ndarray, explanation: Explanation, *, ax: Axes | None = None, **look: Any
    ) -> WaferMapDisplay:
        """Draw one wafer's map by its explanation.

        Parameters
        ----------
        wafer_map : array-like of shape (height, width)
            The map before denoising.
        explanation : Explanation
            Result of a denoiser's `explain`.
        ax : Axes, default=None
            Where to draw; None: a new figure.
        **look
            As in `plot`.

        Returns
        -------
        WaferMapDisplay

        Raises
        ------
        ValueError
            For a map that could not be read, or an explanation of another one.
        """
        wafer = select_readable([wafer_map], [explanation])[0]
        return cls(wafer.grid, removed=explanation.removed).plot(ax, **look)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        palette: str | Mapping[str, str] = "colorblind",
        aspect: str = "round",
        die_size: tuple[float, float] | None = None,
        notch: str | None = None,
    ) -> WaferMapDisplay:
        """Draw the map.

        Parameters
        ----------
        ax : Axes, default=None
            Where to draw; None: a new figure.
        palette : {"colorblind", "fab"} or mapping of str to color, default="colorblind"
            Gray, red and blue; a tester's green, red and orange; or a color for each of "pass",
            "fail" and "removed".
        aspect : {"round", "equal", "die"}, default="round"
            Shape of a die in the picture: such that a wafer of as many rows and columns is round,
            square, or as `die_size` says.
        die_size : (width, height), default=None
            Of a die as the map's columns and rows lie, in any unit; for ``aspect="die"``.
        notch : {"down", "left", "up", "right"}, default=None
            Side of the map, row 0 being up and column 0 left, on which the wafer has its notch.
            The picture is turned, never mirrored, so that the notch is at the bottom, where a
            triangle marks it. None: the map as it is, without a mark. No data is turned.

        Returns
        -------
        self

        Raises
        ------
        WaferMapError
            For a map that cannot be read.
        ValueError
            For a palette, aspect, die size or notch that is none of these, or marks of another
            shape.
        """
        look = Look(palette, aspect, die_size, notch)
        grid = check_wafer_map(self.wafer_map)
        if self.removed is not None and np.shape(self.removed) != grid.shape:
            raise ValueError(
                f"removed has shape {np.shape(self.removed)}, the map has {grid.shape}. "
                "Pass a mask on the map's own die grid."
            )
        self.ax_ = one_axes(ax)
        self.figure_ = self.ax_.figure
        look.draw_dies(self.ax_, grid, self.removed)
        return self


def plot_wafer_map(
    wafer_map: np.ndarray,
    *,
    removed: np.ndarray | None = None,
    ax: Axes | None = None,
    **look: Any,
) -> Axes:
    """Draw one wafer map and return its Axes, as `WaferMapDisplay` does.

    Parameters
    ----------
    wafer_map : array-like of shape (height, width)
        Die codes.
    removed : ndarray of bool, shape (height, width), default=None
        Fails to show as "not part of the pattern".
    ax : Axes, default=None
        Where to draw; None: a new figure.
    **look
        `palette`, `aspect`, `die_size` and `notch`, as in `WaferMapDisplay.plot`.

    Returns
    -------
    Axes

    Raises
    ------
    WaferMapError
        For a map that cannot be read.
    ValueError
        For an unknown palette.

    Examples
    --------
    >>> from camdenoise.plotting import plot_wafer_map
    >>> ax = plot_wafer_map([[0, 1, 0], [1, 2, 1], [0, 1, 0]])
    >>> len(ax.images)
    1
    """
    return WaferMapDisplay(wafer_map, removed=removed).plot(ax, **look).ax_
