"""The report's figures. Each function takes tidy tables or wafers and returns a Figure."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from camdenoise import Explanation
from camdenoise.plotting import (
    plot_explanation,
    plot_faithfulness_curves,
    plot_frequency,
    unit_wafer_mean,
)
from study.denoisers import CONTROLS, DENOISERS, NOTHING, OURS
from study.summary import RAW

INK = "#27313b"
STYLE = {
    "font.size": 9,
    "axes.edgecolor": "#9aa5b1",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_OURS, _OTHER, _CONTROL = "#b3364b", "#5b7083", "#c9a227"


def _colour(name: str) -> str:
    if name == OURS:
        return _OURS
    return _CONTROL if name in CONTROLS else _OTHER


def examples(wafers: Sequence[tuple[str, np.ndarray, Explanation]]) -> Figure:
    """Draw a wafer a row: raw, saliency, kept, removed; the verdict at the left."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(wafers), 4, figsize=(7.6, 1.85 * len(wafers)), layout="constrained", squeeze=False
        )
        for row, (label, wafer_map, why) in zip(axes, wafers, strict=True):
            plot_explanation(wafer_map, why, axes=row)
            said = f"{label}\n\nfound: {why.label}\np = {why.probability:.2f}"
            said += "\nabstained" if why.abstained else ""
            row[0].text(-0.08, 0.5, said, ha="right", va="center", transform=row[0].transAxes)
            for ax in row:
                ax.set_title(ax.get_title(), fontsize=8)
    return figure


def frequency(
    maps: list[np.ndarray],
    target: np.ndarray,
    saliency: list[np.ndarray],
    kept: list[np.ndarray],
) -> Figure:
    """Draw for each class where its wafers fail, before and after, and where the CAM looks."""
    names = sorted(set(target))
    titles = ("all fails", "mean saliency", "kept fails", "removed fails")
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(names), 4, figsize=(7.6, 1.75 * len(names)), layout="constrained", squeeze=False
        )
        for row, name in zip(axes, names, strict=True):
            rows = np.flatnonzero(target == name)
            chosen = [maps[r] for r in rows]
            fails = [grid == 2 for grid in chosen]
            stays = [kept[r] for r in rows]
            goes = [f & ~k for f, k in zip(fails, stays, strict=True)]
            columns = (fails, [saliency[r] for r in rows], stays, goes)
            means = [unit_wafer_mean(values, chosen) for values in columns]
            # Fails share one scale, so that before, kept and removed can be compared.
            top = max(np.nanmax(means[0]), 1e-9)
            for ax, mean, vmax in zip(row, means, (top, None, top, top), strict=True):
                plot_frequency(mean, ax=ax, vmax=vmax)
            row[0].text(
                -0.08, 0.5, f"{name}\n{len(rows)} wafers\ndarkest: {top:.0%}", ha="right",
                va="center", transform=row[0].transAxes,
            )  # fmt: skip
        for ax, title in zip(axes[0], titles, strict=True):
            ax.set_title(title, fontsize=9)
    return figure


def confusion(predictions: pd.DataFrame) -> Figure:
    """Draw the confusion matrix on raw wafers: counts, coloured by share of the true class."""
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
    single = {name for name in table["class"] if "+" not in name} - {"macro"}
    names = [*sorted(single), "macro"]
    there = [name for name in DENOISERS if name in set(table["denoiser"])]
    with plt.rc_context(STYLE):
        width = 1.25 * len(names) + 1.6 + (2 if len(names) == 1 else 0)
        figure, axes = plt.subplots(
            1, len(names), figsize=(width, 2.5), sharey=True, layout="constrained", squeeze=False
        )
        for ax, name in zip(axes[0], names, strict=True):
            _dots(ax, table[table["class"] == name].set_index("denoiser"), there)
            ax.set_xlim(0, 1)
            ax.set_title(name, fontsize=9, fontweight="bold" if name == "macro" else "normal")
        figure.supxlabel("F1 of the kept fails, mean over wafers; bars: 95 % interval", fontsize=9)
    return figure


def before_after(table: pd.DataFrame) -> Figure:
    """Draw the accuracy after each denoising with its interval, controls in their own colour."""
    names = table["denoiser"].tolist()
    with plt.rc_context(STYLE):
        figure, ax = plt.subplots(figsize=(6.6, 0.3 * len(names) + 1), layout="constrained")
        part = table.set_index("denoiser")
        ax.axvspan(part.loc[RAW, "low"], part.loc[RAW, "high"], color="#e8ecf0", zorder=0)
        _dots(ax, part, names)
        ax.set_xlim(max(0, part[["low", "mean"]].min(axis=None) - 0.05), 1)
        ax.set_xlabel("accuracy on the test wafers; bars: 95 % interval; band: raw wafers")
    return figure


def _dots(ax, part: pd.DataFrame, names: list[str]) -> None:
    """Draw a dot and an interval a row, the first name at the top."""
    for height, name in enumerate(reversed(names)):
        row = part.loc[name]
        hollow = name in (NOTHING, RAW)
        ax.plot([row["low"], row["high"]], [height] * 2, color=_colour(name), lw=2, alpha=0.55)
        face = "white" if hollow else _colour(name)
        ax.plot(row["mean"], height, "o", ms=5, mfc=face, mec=_colour(name))
    ax.set_yticks(range(len(names)), reversed(names))
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.grid(axis="x", color="#e3e7eb", lw=0.7)
    ax.set_axisbelow(True)


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
