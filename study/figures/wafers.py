"""Figures of wafers: single ones, and where the wafers of a class fail."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from camdenoise import Explanation
from camdenoise.plotting import plot_explanation, plot_frequency, unit_wafer_mean
from camdenoise.wafers import FAIL
from study.figures.style import STYLE


def examples(wafers: Sequence[tuple[str, np.ndarray, Explanation]]) -> Figure:
    """Draw a wafer a row: raw, saliency, kept, removed; the verdict at the left."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(wafers), 4, figsize=(7.6, 1.85 * len(wafers)), layout="constrained", squeeze=False
        )
        for row, (label, wafer_map, why) in zip(axes, wafers, strict=True):
            plot_explanation(wafer_map, why, axes=row)
            verdict = f"{label}\n\nfound: {why.label}\np = {why.probability:.2f}"
            verdict += "\nabstained" if why.abstained else ""
            row[0].text(-0.08, 0.5, verdict, ha="right", va="center", transform=row[0].transAxes)
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
            fails = [grid == FAIL for grid in chosen]
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
            fails = unit_wafer_mean([grid == FAIL for grid in chosen], chosen)
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
