"""Figures of scores: dots with intervals, curves, and tables as colored grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from camdenoise.plotting import plot_faithfulness_curves
from study.denoisers import BY_NAME, CONTROLS, NOTHING, OURS, RAW
from study.figures.style import GRID, STYLE
from study.stages.bench_wafers import KINDS
from study.tables.common import in_order
from study.tables.dies import MACRO

_OURS, _OTHER, _CONTROL = "#b3364b", "#5b7083", "#c9a227"
_FAMILY_COLORS = {
    "reference": "#8a949e",
    "classical": "#3f6c94",
    "learned": "#a07d1c",
    "cam": "#b3364b",
}
_KIND_COLORS = {"planted": "#27313b", "diffuse": "#3f8f7f", "two": "#c98a27"}
# Told apart by their color (Okabe & Ito 2008) and, in gray print, by marker and lightness.
_COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
_MARKERS = ["o", "s", "^", "D", "v", "P"]
_AXES = {
    "share": "share of the training wafers",
    "rate": "share of the dies flipped",
    "grid": "cells along a side of the CAM's grid",
}
# Abscissae whose values are chosen by ratios.
_GEOMETRIC = ("share", "grid")
_DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2))]


def _color_of(name: str) -> str:
    if name == OURS:
        return _OURS
    return _CONTROL if name in CONTROLS else _OTHER


def _color_of_family(name: str) -> str:
    return _FAMILY_COLORS[BY_NAME[name].family]


def _denoisers_in(table: pd.DataFrame) -> list[str]:
    return in_order(table.drop_duplicates("denoiser"))["denoiser"].tolist()


def _kinds_in(table: pd.DataFrame) -> list[str]:
    present = set(table["kind"])
    return [kind for kind in KINDS if kind in present]


def _draw_dots(
    ax, part: pd.DataFrame, names: list[str], color_of: Callable[[str], str], size: float = 5
) -> None:
    """Draw a dot and an interval a row, the first name at the top."""
    for height, name in enumerate(reversed(names)):
        row, color = part.loc[name], color_of(name)
        ax.plot([row["low"], row["high"]], [height] * 2, color=color, lw=0.4 * size, alpha=0.55)
        face = "white" if name in (NOTHING, RAW) else color
        ax.plot(row["mean"], height, "o", ms=size, mfc=face, mec=color)
    ax.set_yticks(range(len(names)), reversed(names))
    ax.set_ylim(-0.6, len(names) - 0.4)
    _draw_grid(ax, "x")


def _draw_grid(ax, axis: str) -> None:
    ax.grid(axis=axis, color=GRID, lw=0.7)
    ax.set_axisbelow(True)


def confusion(predictions: pd.DataFrame) -> Figure:
    """Draw the confusion matrix on raw wafers: counts, colored by share of the true class."""
    counts = pd.crosstab(predictions["label"], predictions["predicted"])
    names = sorted(set(counts.index) | set(counts.columns))
    counts = counts.reindex(index=names, columns=names, fill_value=0)
    share = counts.div(counts.sum(axis=1).clip(lower=1), axis=0)
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(5.2, 4.2), layout="constrained")
        sns.heatmap(
            share, annot=counts, fmt="d", cmap="Blues", vmin=0, vmax=1, ax=ax, linewidths=0.5,
            cbar_kws={"label": "share of the true class"},
        )  # fmt: skip
        ax.set(xlabel="predicted", ylabel="true")
        ax.tick_params(axis="x", rotation=45)
        ax.tick_params(axis="y", rotation=0)
    return figure


def die_f1(table: pd.DataFrame) -> Figure:
    """Draw the F1 of each denoiser with its interval, a panel a class; only macro for pairs."""
    single = {name for name in table["class"] if "+" not in name} - {MACRO}
    names = [*sorted(single), MACRO]
    denoisers = _denoisers_in(table)
    with plt.rc_context(STYLE):
        width = 1.25 * len(names) + 1.6 + (2 if len(names) == 1 else 0)
        figure, axes = plt.subplots(
            1, len(names), figsize=(width, 2.5), sharey=True, layout="constrained", squeeze=False
        )
        for ax, name in zip(axes[0], names, strict=True):
            _draw_dots(
                ax, table[table["class"] == name].set_index("denoiser"), denoisers, _color_of
            )
            ax.set_xlim(0, 1)
            ax.set_title(name, fontsize=9, fontweight="bold" if name == MACRO else "normal")
        figure.supxlabel("F1 of the kept fails, mean over wafers; bars: 95 % interval", fontsize=9)
    return figure


def before_after(table: pd.DataFrame) -> Figure:
    """Draw the accuracy after each denoising with its interval, controls in their own color."""
    names = table["denoiser"].tolist()
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(6.6, 0.3 * len(names) + 1), layout="constrained")
        part = table.set_index("denoiser")
        ax.axvspan(part.loc[RAW, "low"], part.loc[RAW, "high"], color="#e8ecf0", zorder=0)
        _draw_dots(ax, part, names, _color_of)
        ax.set_xlim(max(0, part[["low", "mean"]].min(axis=None) - 0.05), 1)
        ax.set_xlabel("accuracy on the test wafers; bars: 95 % interval; band: raw wafers")
    return figure


_CURVE_TITLES = {
    "deletion": "deletion: most salient fails turned into passes first",
    "insertion": "insertion: most salient fails put back first",
    "road_morf": "ROAD: most salient dies removed and guessed first",
    "road_lerf": "ROAD: least salient dies removed and guessed first",
}


def faithfulness(curves: dict[str, dict[str, np.ndarray]], methods: Sequence[str]) -> Figure:
    """Draw the curves of these methods, a panel a kind."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(8.4, 6.6), sharey=True, layout="constrained")
        for ax, (kind, by_method) in zip(axes.flat, curves.items(), strict=True):
            shown = {name: by_method[name] for name in methods}
            n_points = shown[methods[0]].shape[1]
            road = kind.startswith("road")
            fractions = np.linspace(0, 1, n_points + road)[:n_points]
            plot_faithfulness_curves(shown, fractions=fractions, ax=ax)
            ax.set_title(_CURVE_TITLES[kind], fontsize=9)
            ax.set_xlabel(f"share of the {'dies' if road else 'fails'} changed")
            ax.get_legend().remove()
        for ax in axes[:, 1]:
            ax.set_ylabel("")
        figure.legend(axes[0, 0].lines, methods, ncols=len(methods), loc="outside lower center")
    return figure


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
                color = _COLORS[number]
                ax.hlines(heights, part["low"], part["high"], color=color, lw=2, alpha=0.55)
                ax.plot(part["mean"], heights, _MARKERS[number], ms=5, color=color, label=name)
            ax.set_yticks(range(len(names)), reversed(names))
            _draw_grid(ax, "x")
            ax.set(xlabel=f"{metric}; bars: {bars}", xlim=(0, 1))
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, ncols=len(kinds), loc="outside upper center", frameon=False)
    return figure


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
                # Apart by some points, so that every bar can be seen.
                points = 5 * (number - (len(names) - 1) / 2)
                shift = ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)
                style = {"color": _COLORS[number], "transform": ax.transData + shift}
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
            ax.grid(color=GRID, lw=0.7)
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


def f1_by_class(table: pd.DataFrame) -> Figure:
    """Draw the F1 of each denoiser with its interval: a kind a row, a class a column."""
    kinds, names = _kinds_in(table), _denoisers_in(table)
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
                ax.axvline(cell["mean"].max(), color="#9aa5b1", lw=0.8, ls=":")
                _draw_dots(ax, cell.reindex(names), names, _color_of_family, size=3.6)
                for tick, name in zip(ax.get_yticklabels(), reversed(names), strict=False):
                    tick.set_color(_color_of_family(name))
                ax.xaxis.set_major_locator(MaxNLocator(nbins=3))
                ax.tick_params(labelsize=7.5)
                ax.set_xlim(left, 1)
                weight = "bold" if label == MACRO else "normal"
                ax.set_title(label, fontsize=9, fontweight=weight)
            row[0].set_ylabel(kind, fontsize=10, fontweight="bold")
        figure.supxlabel("F1 of the kept fails; bars: 95 % interval; line: the best", fontsize=9)
    return figure


def f1_by_rate(table: pd.DataFrame) -> Figure:
    """Write the macro F1 of each denoiser at each background rate on a colored grid."""
    kinds, names = _kinds_in(table), _denoisers_in(table)
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
    names, kinds = _denoisers_in(curves), _kinds_in(curves)
    n_rows = -(-len(names) // columns)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            n_rows, columns, sharey=True, squeeze=False, layout="constrained",
            figsize=(2.4 * columns, 0.5 + 2 * n_rows),
        )  # fmt: skip
        for ax, name in zip(axes.flat, names, strict=False):
            _draw_sensitivity(ax, curves[curves["denoiser"] == name], kinds)
            ax.set_title(name, fontsize=8.5)
        for ax in axes.flat[len(names) :]:
            ax.set_axis_off()
        for row in axes:
            row[0].set_ylabel("macro F1")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=4, frameon=False)
    return figure


def _draw_sensitivity(ax, curve: pd.DataFrame, kinds: Sequence[str]) -> None:
    for kind in kinds:
        line = curve[curve["kind"] == kind].groupby("value")["f1"].mean()
        ax.plot(line.index, line, "o-", ms=2.5, lw=1.2, color=_KIND_COLORS[kind], label=kind)
    chosen = curve.loc[curve["tuned"], "value"].unique()
    for number, value in enumerate(chosen):
        label = None if number else "tuned to"
        ax.axvline(value, color=_FAMILY_COLORS["cam"], lw=0.9, ls="--", label=label)
    whole = (curve["value"] % 1 == 0).all()
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=whole))
    ax.set_xlabel(curve["parameter"].iloc[0], fontsize=8)
    ax.set_ylim(0, 1)
    ax.grid(axis="y", color=GRID, lw=0.7)
