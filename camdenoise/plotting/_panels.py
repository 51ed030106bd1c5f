"""Where to draw: a new figure, given Axes, or the place of given Axes cut into panels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.gridspec import SubplotSpec


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
