"""The comparison's figures. Each function takes tidy tables or wafers and returns a Figure."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from camdenoise import Explanation
from camdenoise.plotting import plot_frequency, unit_wafer_mean
from study.figures import STYLE

# Told apart by their colour (Okabe & Ito 2008) and, in grey print, by marker and lightness.
_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
_MARKERS = ["o", "s", "^", "D", "v", "P"]
_AXES = {
    "share": "share of the training wafers",
    "rate": "share of the dies flipped",
    "grid": "cells along a side of the CAM's grid",
}
# Abscissae whose values are chosen by ratios.
_GEOMETRIC = ("share", "grid")
_DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2))]


def grouped_dots(
    table: pd.DataFrame, metrics: Sequence[str], *, row: str, kind: str, bars: str
) -> Figure:
    """Draw dots with bars, a panel a metric, a row a value of `row`, a marker a value of `kind`.

    Parameters
    ----------
    table : DataFrame
        With the columns `row`, `kind`, ``metric``, ``mean``, ``low`` and ``high``.
    metrics : sequence of str
    row, kind : str
        Columns.
    bars : str
        What the bars are.
    """
    names = table[row].drop_duplicates().tolist()
    kinds = table[kind].drop_duplicates().tolist()
    with plt.rc_context(STYLE):
        height = len(names) * (0.15 + 0.11 * len(kinds)) + 1.2
        figure, axes = plt.subplots(
            1, len(metrics), figsize=(8.4, height), sharey=True, layout="constrained",
            squeeze=False,
        )  # fmt: skip
        for ax, metric in zip(axes[0], metrics, strict=True):
            for number, name in enumerate(kinds):
                chosen = (table["metric"] == metric) & (table[kind] == name)
                part = table[chosen].set_index(row)
                shift = (number - (len(kinds) - 1) / 2) * 0.66 / len(kinds)
                heights = [len(names) - 1 - names.index(label) - shift for label in part.index]
                _dots(ax, part, heights, number, name)
            ax.set_yticks(range(len(names)), reversed(names))
            ax.grid(axis="x", color="#e3e7eb", lw=0.7)
            ax.set_axisbelow(True)
            ax.set(xlabel=f"{metric}; bars: {bars}", xlim=(0, 1))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, ncols=len(kinds), loc="outside upper center", frameon=False)
    return figure


def _dots(ax, part: pd.DataFrame, heights: list[float], number: int, label: str) -> None:
    colour = _COLOURS[number]
    ax.hlines(heights, part["low"], part["high"], color=colour, lw=2, alpha=0.55)
    ax.plot(part["mean"], heights, _MARKERS[number], ms=5, color=colour, label=label)


def curves(panels: dict[str, pd.DataFrame], x: Sequence[str], kind: str, y: str) -> Figure:
    """Draw the mean with its interval against `x`, a panel a table, a line a value of `kind`.

    Parameters
    ----------
    panels : dict of str to DataFrame
        By title; with the columns of `x`, `kind`, ``mean``, ``low`` and ``high``.
    x : sequence of str
        The column of each panel's abscissa.
    kind : str
        The column that lines are told apart by.
    y : str
        What is drawn.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(panels), figsize=(8.4, 3.6), layout="constrained", squeeze=False
        )
        for ax, (title, table), column in zip(axes[0], panels.items(), x, strict=True):
            names = table[kind].drop_duplicates().tolist()
            for number, name in enumerate(names):
                part = table[table[kind] == name].sort_values(column)
                # Beside each other, by some points, so that every bar can be seen.
                points = 5 * (number - (len(names) - 1) / 2)
                aside = ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)
                style = {"color": _COLOURS[number], "transform": ax.transData + aside}
                ax.vlines(part[column], part["low"], part["high"], lw=1, **style)
                ax.plot(
                    part[column], part["mean"], marker=_MARKERS[number], ms=5,
                    ls=_DASHES[number], label=name, **style,
                )  # fmt: skip
            ax.set_ylim(*_with_margin(table["low"].min(), table["high"].max()))
            ax.set(title=title, xlabel=_AXES.get(column, column), ylabel=y)
            ticks = sorted(table[column].unique())
            if column in _GEOMETRIC:
                ax.set_xscale("log")
                ax.set_xlim(ticks[0] / 1.3, ticks[-1] * 1.3)
            else:
                ax.set_xlim(*_with_margin(ticks[0], ticks[-1]))
            ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            ax.minorticks_off()
            ax.grid(color="#e3e7eb", lw=0.7)
        lines = axes[0, 0].lines
        figure.legend(
            handles=lines, ncols=3, handlelength=4, loc="outside upper center", frameon=False
        )
    return figure


def _with_margin(low: float, high: float) -> tuple[float, float]:
    margin = 0.08 * (high - low)
    return low - margin, high + margin


def class_f1(table: pd.DataFrame) -> Figure:
    """Draw the F1 of each class by net, a panel a protocol, with the figures in the cells."""
    kinds = table["protocol"].drop_duplicates().tolist()
    n_nets = table["backbone"].nunique()
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(kinds), 1, figsize=(7.2, len(kinds) * (0.3 * n_nets + 0.9)), layout="constrained",
            squeeze=False,
        )  # fmt: skip
        for ax, kind in zip(axes[:, 0], kinds, strict=True):
            part = table[table["protocol"] == kind]
            wide = part.pivot(index="backbone", columns="metric", values="mean")
            wide = wide.loc[part["backbone"].drop_duplicates()]
            sns.heatmap(
                wide, annot=True, fmt=".3f", cmap="Blues", vmin=0, vmax=1, ax=ax, linewidths=0.5,
                cbar=False,
            )  # fmt: skip
            ax.set(xlabel="", ylabel="", title=kind)
            ax.tick_params(rotation=0)
    return figure


def defect_places(
    maps: list[np.ndarray], target: np.ndarray, explained: dict[str, list[Explanation]]
) -> Figure:
    """Draw where each class fails and, for each CAM, where it looks and what it keeps.

    Wafers are brought to a common square grid for this picture only.
    """
    names = sorted(set(target))
    n_columns = 1 + 2 * len(explained)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(names), n_columns, figsize=(0.85 * n_columns + 1.1, 0.95 * len(names) + 0.6),
            layout="constrained", squeeze=False,
        )  # fmt: skip
        for row, label in zip(axes, names, strict=True):
            rows = np.flatnonzero(target == label)
            chosen = [maps[r] for r in rows]
            fails = unit_wafer_mean([grid == 2 for grid in chosen], chosen)
            # Fails share one scale, so that before and after can be compared.
            top = max(np.nanmax(fails), 1e-9)
            plot_frequency(fails, ax=row[0], vmax=top)
            for column, found in zip(range(1, n_columns, 2), explained.values(), strict=True):
                saliency = unit_wafer_mean([found[r].saliency for r in rows], chosen)
                plot_frequency(saliency, ax=row[column])
                kept = unit_wafer_mean([found[r].kept for r in rows], chosen)
                plot_frequency(kept, ax=row[column + 1], vmax=top)
            row[0].text(
                -0.08, 0.5, f"{label}\n{len(rows)} wafers\ndarkest: {top:.0%}", ha="right",
                va="center", transform=row[0].transAxes, fontsize=7,
            )  # fmt: skip
        axes[0, 0].set_title("all fails", fontsize=7)
        for column, name in zip(range(1, n_columns, 2), explained, strict=True):
            axes[0, column].set_title(f"{name}\nsaliency", fontsize=7)
            axes[0, column + 1].set_title("kept fails", fontsize=7)
    return figure
