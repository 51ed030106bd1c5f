"""The bench's figures. Each function takes tidy tables and returns a Figure."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from study.bench.entries import BY_NAME, ENTRIES
from study.bench.tables import MACRO
from study.bench.wafers import KINDS
from study.figures import STYLE

_COLOUR = {"reference": "#8a949e", "classical": "#3f6c94", "learned": "#a07d1c", "cam": "#b3364b"}
_KIND_COLOUR = {"planted": "#27313b", "diffuse": "#3f8f7f", "two": "#c98a27"}


def _names(table: pd.DataFrame) -> list[str]:
    there = set(table["denoiser"])
    return [entry.name for entry in ENTRIES if entry.name in there]


def _kinds(table: pd.DataFrame) -> list[str]:
    there = set(table["kind"])
    return [kind for kind in KINDS if kind in there]


def f1_by_class(table: pd.DataFrame) -> Figure:
    """Draw the F1 of each denoiser with its interval: a kind a row, a class a column."""
    kinds, names = _kinds(table), _names(table)
    left = np.floor(10 * table[["low", "mean"]].min(axis=None)) / 10
    classes = [*sorted(set(table["class"]) - {MACRO}), MACRO]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(kinds), len(classes), sharex=True, sharey=True, squeeze=False, layout="constrained",
            figsize=(2 + 1.25 * len(classes), 0.7 + len(kinds) * (0.5 + 0.19 * len(names))),
        )  # fmt: skip
        for row, kind in zip(axes, kinds, strict=True):
            of_kind = table[table["kind"] == kind]
            for ax, label in zip(row, classes, strict=True):
                cell = of_kind[of_kind["class"] == label].set_index("denoiser")
                _dots(ax, cell.reindex(names))
                ax.set_xlim(left, 1)
                weight = "bold" if label == MACRO else "normal"
                ax.set_title(label, fontsize=9, fontweight=weight)
            row[0].set_ylabel(kind, fontsize=10, fontweight="bold")
        figure.supxlabel("F1 of the kept fails; bars: 95 % interval; line: the best", fontsize=9)
    return figure


def _dots(ax, cell: pd.DataFrame) -> None:
    """Draw a dot and an interval a row, the first at the top, and a line at the best."""
    heights = np.arange(len(cell))[::-1]
    ax.axvline(cell["mean"].max(), color="#9aa5b1", lw=0.8, ls=":")
    for height, (name, row) in zip(heights, cell.iterrows(), strict=True):
        colour = _COLOUR[BY_NAME[name].family]
        ax.plot([row["low"], row["high"]], [height] * 2, color=colour, lw=1.6, alpha=0.6)
        ax.plot(row["mean"], height, "o", ms=3.6, color=colour)
    ax.set_yticks(heights, cell.index, fontsize=7.5)
    for tick, name in zip(ax.get_yticklabels(), cell.index, strict=False):
        tick.set_color(_COLOUR[BY_NAME[name].family])
    ax.set_ylim(-0.6, len(cell) - 0.4)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=3))
    ax.tick_params(axis="x", labelsize=7.5)
    ax.grid(axis="x", color="#e3e7eb", lw=0.7)
    ax.set_axisbelow(True)


def f1_by_rate(table: pd.DataFrame) -> Figure:
    """Write the macro F1 of each denoiser at each background rate on a coloured grid."""
    kinds, names = _kinds(table), _names(table)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(kinds), sharey=True, squeeze=False, layout="constrained",
            figsize=(2.2 + 2.3 * len(kinds), 0.9 + 0.24 * len(names)),
        )  # fmt: skip
        for ax, kind in zip(axes[0], kinds, strict=True):
            of_kind = table[table["kind"] == kind]
            grid = of_kind.pivot(index="denoiser", columns="rate", values="mean").loc[names]
            grid.columns = [f"{rate:.0%}" for rate in grid.columns]
            sns.heatmap(
                grid, annot=True, fmt=".2f", cmap="viridis", vmin=0.2, vmax=1, cbar=False, ax=ax,
                linewidths=0.5, annot_kws={"fontsize": 8},
            )  # fmt: skip
            ax.set(ylabel="", xlabel="")
            ax.set_title(kind, fontsize=9)
            ax.tick_params(axis="y", rotation=0, length=0, labelsize=8)
        figure.supxlabel("share of the background's dies that fail", fontsize=9)
    return figure


def sensitivity(curves: pd.DataFrame, columns: int = 4) -> Figure:
    """Draw macro F1 against each denoiser's main parameter, a panel a denoiser."""
    names, kinds = _names(curves), _kinds(curves)
    n_rows = -(-len(names) // columns)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            n_rows, columns, sharey=True, squeeze=False, layout="constrained",
            figsize=(2.4 * columns, 0.5 + 2 * n_rows),
        )  # fmt: skip
        for ax, name in zip(axes.flat, names, strict=False):
            _curve(ax, curves[curves["denoiser"] == name], kinds)
            ax.set_title(name, fontsize=8.5)
        for ax in axes.flat[len(names) :]:
            ax.set_axis_off()
        for row in axes:
            row[0].set_ylabel("macro F1")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=4, frameon=False)
    return figure


def _curve(ax, curve: pd.DataFrame, kinds: Sequence[str]) -> None:
    for kind in kinds:
        line = curve[curve["kind"] == kind].groupby("value")["f1"].mean()
        ax.plot(line.index, line, "o-", ms=2.5, lw=1.2, color=_KIND_COLOUR[kind], label=kind)
    chosen = curve.loc[curve["tuned"], "value"].unique()
    for number, value in enumerate(chosen):
        label = None if number else "tuned to"
        ax.axvline(value, color=_COLOUR["cam"], lw=0.9, ls="--", label=label)
    whole = (curve["value"] % 1 == 0).all()
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=whole))
    ax.set_xlabel(curve["parameter"].iloc[0], fontsize=8)
    ax.set_ylim(0, 1)
    ax.grid(axis="y", color="#e3e7eb", lw=0.7)
