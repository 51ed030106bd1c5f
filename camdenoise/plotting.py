"""Pictures of wafer maps: the map itself, what was kept and removed of it, many of them stacked.

Beside them the curves that tell how faithful a saliency is, how far its numbers can be taken at
their word, and what is gained under each control.

Every function draws into the Axes it is given, or into new ones, and returns them; none shows a
figure or changes matplotlib's settings. A removed fail has a colour of its own: it is not part of
the pattern, but it is no good die either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgba

from camdenoise._denoising import Explanation
from camdenoise._maps import FAIL, NO_DIE, check_wafer_map
from camdenoise._unit_wafer import unit_wafer_mean
from camdenoise.faithfulness import area_under_curve
from camdenoise.leakage import BLIND, DENOISED, RAW
from camdenoise.metrics import calibration_error

__all__ = [
    "PALETTES",
    "SCALE",
    "plot_explanation",
    "plot_faithfulness_curves",
    "plot_frequency",
    "plot_leakage",
    "plot_reliability",
    "plot_wafer_map",
    "unit_wafer_mean",
]

#: Colours of a passing die, a failing one, and a fail that is not part of the pattern.
PALETTES = {
    "colorblind": {"pass": "#dfe3e8", "fail": "#b3364b", "removed": "#4a90c2"},
    "fab": {"pass": "#00cc00", "fail": "#cc0000", "removed": "#ff9900"},
}
#: Colour scale of saliency and fail frequency.
SCALE = "magma_r"

_REMOVED = FAIL + 1

# Told apart by their colour (Okabe & Ito 2008) and, in grey print, by their dashes.
_LINES = [
    ("#0072b2", "-"),
    ("#d55e00", "--"),
    ("#009e73", "-."),
    ("#cc79a7", ":"),
    ("#e69f00", (0, (5, 1, 1, 1, 1, 1))),
    ("#56b4e9", (0, (8, 2))),
]
_BASELINE = ("#b5bac0", "-")

# Bars: what is judged, masks made without evidence for the class, other controls.
_DENOISED_BAR: dict[str, Any] = {"color": "#b3364b", "label": "denoised"}
_BLIND_BAR: dict[str, Any] = {
    "color": "#e6c667",
    "hatch": "///",
    "label": "without evidence for the class",
}
_OTHER_BAR: dict[str, Any] = {"color": "#dfe3e8", "label": "other controls"}


def _colours(palette: str) -> ListedColormap:
    if palette not in PALETTES:
        raise ValueError(f"Unknown palette {palette!r}; choose one of {', '.join(PALETTES)}.")
    colours = PALETTES[palette]
    return ListedColormap([(0, 0, 0, 0), *(to_rgba(c) for c in colours.values())])


def _show(ax: Axes, values: np.ndarray, **options: Any) -> Any:
    """Draw a grid so that the wafer is round, whatever the shape of its dies."""
    ax.set_axis_off()
    height, width = values.shape[:2]
    return ax.imshow(values, interpolation="none", aspect=width / height, **options)


def plot_wafer_map(
    wafer_map: np.ndarray,
    *,
    removed: np.ndarray | None = None,
    ax: Axes | None = None,
    palette: str = "colorblind",
) -> Axes:
    """Draw one wafer map, no-die cells transparent.

    Parameters
    ----------
    wafer_map : array-like of shape (height, width)
        Die codes.
    removed : ndarray of bool, shape (height, width), default=None
        Fails to show as "not part of the pattern".
    ax : Axes, default=None
        Where to draw; a new figure where None.
    palette : {"colorblind", "fab"}, default="colorblind"
        Grey, red and blue, or a tester's green and red.

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
    codes = np.array(check_wafer_map(wafer_map))
    if removed is not None:
        codes[removed & (codes == FAIL)] = _REMOVED
    ax = plt.subplots()[1] if ax is None else ax
    _show(ax, codes, cmap=_colours(palette), vmin=NO_DIE, vmax=_REMOVED)
    return ax


def plot_explanation(
    wafer_map: np.ndarray,
    explanation: Explanation,
    *,
    axes: Sequence[Axes] | None = None,
    palette: str = "colorblind",
) -> np.ndarray:
    """Draw a wafer four times: raw, saliency, kept fails, removed fails.

    Parameters
    ----------
    wafer_map : array-like of shape (height, width)
        The map before denoising.
    explanation : Explanation
        What a denoiser's `explain` said of it.
    axes : sequence of four Axes, default=None
        Where to draw; a new figure where None.
    palette : {"colorblind", "fab"}, default="colorblind"
        As in `plot_wafer_map`.

    Returns
    -------
    ndarray of Axes, shape (4,)

    Raises
    ------
    ValueError
        For a map that could not be read, or an unknown palette.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import MedianFilter
    >>> from camdenoise.plotting import plot_explanation
    >>> wafer_map = np.array([[2, 2, 1], [2, 2, 1], [1, 1, 2]])
    >>> axes = plot_explanation(wafer_map, MedianFilter().explain([wafer_map])[0])
    >>> [ax.get_title() for ax in axes]
    ['5 fails', 'saliency', '4 kept', '1 removed']
    """
    if explanation.error is not None:
        raise ValueError(f"Nothing to draw: {explanation.error}")
    grid = check_wafer_map(wafer_map)
    if axes is None:
        axes = plt.subplots(1, 4, figsize=(9, 2.5), layout="constrained")[1]
    raw, saliency, kept, removed = axes
    plot_wafer_map(grid, ax=raw, palette=palette)
    raw.set_title(f"{(grid == FAIL).sum()} fails")
    shown = np.where(grid == NO_DIE, np.nan, explanation.saliency)
    _show(saliency, shown, cmap=SCALE, vmin=0)
    saliency.set_title("saliency")
    plot_wafer_map(np.where(explanation.removed, 1, grid), ax=kept, palette=palette)
    kept.set_title(f"{explanation.kept.sum()} kept")
    alone = np.where(explanation.kept, 1, grid)
    plot_wafer_map(alone, removed=explanation.removed, ax=removed, palette=palette)
    removed.set_title(f"{explanation.removed.sum()} removed")
    return np.asarray(axes)


def plot_frequency(
    mean: np.ndarray, *, ax: Axes | None = None, vmax: float | None = None, scale: str = SCALE
) -> Axes:
    """Draw a mean over wafers, as `unit_wafer_mean` makes it.

    Parameters
    ----------
    mean : ndarray of float, shape (size, size)
        NaN is left transparent.
    ax : Axes, default=None
        Where to draw; a new figure where None.
    vmax : float, default=None
        Value of the darkest colour; give pictures to be compared the same one.
    scale : str, default="magma_r"
        A colour map of matplotlib.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.plotting import plot_frequency
    >>> ax = plot_frequency(np.array([[0.5, 0.5], [0.0, np.nan]]), vmax=1)
    """
    ax = plt.subplots()[1] if ax is None else ax
    _show(ax, np.ma.masked_invalid(mean), cmap=scale, vmin=0, vmax=vmax)
    return ax


def plot_faithfulness_curves(
    curves: Mapping[str, np.ndarray],
    *,
    fractions: np.ndarray | None = None,
    baseline: str = "random",
    ax: Axes | None = None,
) -> Axes:
    """Draw the mean curve of each method over wafers, with a band.

    Parameters
    ----------
    curves : dict of str to ndarray of float, shape (n_wafers, n_points)
        By method, as `camdenoise.faithfulness.faithfulness_curves` gives them for one kind of
        curve. Wafers whose curve is NaN are left out.
    fractions : ndarray of float, shape (n_points,), default=None
        Share of the dies changed at each point; equal steps from 0 to 1 where None.
    baseline : str, default="random"
        Method to draw as a broad grey line.
    ax : Axes, default=None
        Where to draw; a new figure where None.

    Returns
    -------
    Axes
        The band is the mean plus and minus 1.96 standard errors; the legend gives the mean area.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.plotting import plot_faithfulness_curves
    >>> curves = {"gradcam": np.array([[1, 0.2, 0], [1, 0.6, 0]]), "random": np.eye(3)}
    >>> ax = plot_faithfulness_curves(curves)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['gradcam (0.45)', 'random (0.33)']
    """
    ax = plt.subplots()[1] if ax is None else ax
    lines = cycle(_LINES)
    for name, values in curves.items():
        known = values[np.isfinite(values).all(axis=1)]
        x = np.linspace(0, 1, values.shape[1]) if fractions is None else fractions
        mean, error = known.mean(axis=0), known.std(axis=0) / np.sqrt(len(known))
        colour, dashes = _BASELINE if name == baseline else next(lines)
        label = f"{name} ({area_under_curve(known).mean():.2f})"
        width = 4 if name == baseline else 1.8
        ax.plot(x, mean, color=colour, linestyle=dashes, lw=width, label=label)
        ax.fill_between(x, mean - 1.96 * error, mean + 1.96 * error, color=colour, alpha=0.15, lw=0)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="share of the dies changed")
    ax.set_ylabel("probability of the class")
    ax.legend(frameon=False)
    return ax


def plot_leakage(summary: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the gain in accuracy by denoising and under each control, with its interval.

    Parameters
    ----------
    summary : DataFrame
        As `camdenoise.leakage.LeakageReport.summary` gives it.
    ax : Axes, default=None
        Where to draw; a new figure where None.

    Returns
    -------
    Axes
        The band is the interval of the gain by denoising: a hatched bar that ends in it or beyond
        is a control that may explain the gain.

    Examples
    --------
    >>> import pandas as pd
    >>> from camdenoise.plotting import plot_leakage
    >>> summary = pd.DataFrame({
    ...     "condition": ["raw", "denoised", "equal area"], "accuracy": [0.8, 0.9, 0.7],
    ...     "gain": [float("nan"), 0.1, -0.1], "gain_low": [float("nan"), 0.05, -0.15],
    ...     "gain_high": [float("nan"), 0.15, -0.05],
    ... })
    >>> [text.get_text() for text in plot_leakage(summary).get_yticklabels()]
    ['denoised', 'equal area']
    """
    if ax is None:
        ax = plt.subplots(figsize=(6.4, 0.32 * len(summary) + 1.2), layout="constrained")[1]
    rows = summary.set_index("condition")
    names = [name for name in rows.index if name != RAW]
    for place, name in enumerate(names):
        row = rows.loc[name]
        style = _BLIND_BAR if name in BLIND else _OTHER_BAR
        style = _DENOISED_BAR if name == DENOISED else style
        ax.barh(place, row["gain"], height=0.68, edgecolor="#6b7681", lw=0.5, **style)
        ax.plot([row["gain_low"], row["gain_high"]], [place] * 2, color="#27313b", lw=1.4)
    low, high = rows.loc[DENOISED, ["gain_low", "gain_high"]]
    ax.axvspan(low, high, color=_DENOISED_BAR["color"], alpha=0.12, lw=0, zorder=0)
    ax.axvline(0, color="#27313b", lw=0.8)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel(f"accuracy less that on raw wafers ({rows.loc[RAW, 'accuracy']:.3f})")
    handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    ax.legend(handles.values(), handles.keys(), frameon=False, fontsize="small")
    return ax


def plot_reliability(tables: Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """Draw how often fails belong to the pattern, by the probability that they were given.

    Parameters
    ----------
    tables : dict of str to DataFrame
        By name, as `camdenoise.metrics.die_reliability` gives them.
    ax : Axes, default=None
        Where to draw; a new figure where None.

    Returns
    -------
    Axes
        On the grey diagonal probabilities are right. A marker's area grows with the share of the
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
    ax = plt.subplots()[1] if ax is None else ax
    ax.plot([0, 1], [0, 1], color=_BASELINE[0], linestyle=_BASELINE[1], lw=4)
    lines = cycle(_LINES)
    for name, table in tables.items():
        colour, dashes = next(lines)
        x, y = table["predicted"], table["observed"]
        label = f"{name} ({calibration_error(table):.3f})"
        ax.plot(x, y, color=colour, linestyle=dashes, lw=1.8, label=label)
        ax.scatter(x, y, 200 * table["n_dies"] / table["n_dies"].sum() + 8, color=colour)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability of belonging to the pattern")
    ax.set_ylabel("share that belongs to it")
    ax.legend(frameon=False)
    return ax
