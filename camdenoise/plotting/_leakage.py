"""The gain in accuracy by denoising, compared with the gain under each control."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from camdenoise.leakage import BLIND, DENOISED, RAW
from camdenoise.plotting._look import PALETTES

# Bars: what is judged, masks made without evidence for the class, other controls.
_DENOISED_BAR: dict[str, Any] = {"color": PALETTES["colorblind"]["fail"], "label": "denoised"}
_BLIND_BAR: dict[str, Any] = {
    "color": "#e6c667",
    "hatch": "///",
    "label": "without evidence for the class",
}
_OTHER_BAR: dict[str, Any] = {"color": PALETTES["colorblind"]["pass"], "label": "other controls"}


def plot_leakage(summary: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the gain in accuracy by denoising and under each control, with its interval.

    Parameters
    ----------
    summary : DataFrame
        As `camdenoise.leakage.LeakageReport.summary` gives it.
    ax : Axes, default=None
        Where to draw; None: a new figure.

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
