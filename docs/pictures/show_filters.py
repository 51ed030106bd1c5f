"""Show what every classical filter does: a picture on planted wafers, and how each scores.

The first wafer of each class is drawn once for its truth and once for each filter; kept fails are
red, removed ones blue. The tables hold F1 per class at the filters' defaults, and the macro mean
for other parameters.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from show_planted import to_markdown
from sklearn.utils import Bunch

from camdenoise import filters
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, make_planted_wafers
from camdenoise.metrics import die_report
from camdenoise.plotting import plot_wafer_map

KINDS = ("planted", "diffuse", "two")
NOTHING = "nothing removed"
DEFAULTS = {name: getattr(filters, name)() for name in filters.__all__}
OTHERS = [
    filters.AdjacencyClusteringFilter(0.18),
    filters.AdjacencyClusteringFilter(0.2),
    filters.AdjacencyClusteringFilter(0.25),
    filters.AdjacencyClusteringFilter(0.3),
    filters.AdjacencyClusteringFilter(0.4),
    filters.ComponentPermutationFilter(0.5),
    filters.ComponentSizeFilter(5),
    filters.ConnectedPathFilter(4),
    filters.ConnectedPathFilter(6),
    filters.DBSCANFilter(1.5, 3),
    filters.DBSCANFilter(1.5, 5),
    filters.DBSCANFilter(2.3, 7),
    filters.HDBSCANFilter(allow_single_cluster=False),
    filters.MedianFilter(5),
    filters.MorphologyFilter("closing"),
    filters.MorphologyFilter("opening"),
    filters.MorphologyFilter(size=3),
    filters.NeighborCountFilter(3),
    filters.NeighborCountFilter(3, rounds=2),
    filters.SpatialFilter(3, 0.375),
    filters.SpatialFilter(3, 0.5),
    filters.SpatialFilter(5, 0.45),
    filters.TensorVotingFilter(2.0),
    filters.TensorVotingFilter(threshold=0.5),
]


def kept_by(denoisers: dict[str, Any], maps: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Give the fails that each denoiser keeps."""
    return {name: [e.kept for e in d.explain(maps)] for name, d in denoisers.items()}


def score(wafers: Bunch, kept: dict[str, list[np.ndarray]]) -> pd.DataFrame:
    """F1 of each filter: mean over the wafers of a class, then over the classes."""
    reports = {
        name: die_report(wafers.maps, wafers.truth, masks, wafers.target)["f1"]
        for name, masks in kept.items()
    }
    return pd.DataFrame(reports).T


def in_short(name: str) -> str:
    """Break a class's name into lines, without the word they all end in."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "\n", name.removesuffix("Filter"))


def draw(wafers: Bunch, kept: dict[str, list[np.ndarray]], out: Path) -> None:
    """Draw the first wafer of each class, a class a row, a filter a column."""
    columns = {"truth": wafers.truth} | kept
    rows = {label: int(np.argmax(wafers.target == label)) for label in PATTERN_CLASSES}
    figure, axes = plt.subplots(
        len(rows), len(columns), figsize=(len(columns) + 0.2, len(rows) + 0.35), squeeze=False
    )
    for line, row in zip(axes, rows.values(), strict=True):
        for axis, masks in zip(line, columns.values(), strict=True):
            plot_wafer_map(wafers.maps[row], removed=~masks[row], ax=axis)
    for axis, name in zip(axes[0], columns, strict=True):
        axis.set_title(in_short(name), fontsize=7, pad=2)
    for axis, label in zip(axes[:, 0], rows, strict=True):
        axis.text(-0.16, 0.5, label, fontsize=7, rotation=90, va="center", transform=axis.transAxes)
    figure.subplots_adjust(0.022, 0.005, 0.995, 0.935, 0.04, 0.04)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90, pil_kwargs={"optimize": True})
    plt.close(figure)


def main(arguments: list[str] | None = None) -> None:
    """Draw the picture and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="npz file of real wafers, or its folder")
    parser.add_argument("--out", type=Path, required=True, help="the picture, a png file")
    parser.add_argument("--wafers", type=int, default=600, help="of each kind, for the tables")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    data = load_wafer_maps(options.data)
    others = {str(denoiser): denoiser for denoiser in OTHERS}
    macro = {}
    for kind in KINDS:
        wafers = make_planted_wafers(data, options.wafers, kind=kind, random_state=options.seed)
        kept = kept_by(DEFAULTS, wafers.maps)
        if kind == "planted":
            draw(wafers, kept, options.out)
        scores = score(wafers, {NOTHING: [grid == 2 for grid in wafers.maps]} | kept)
        macro[kind] = scores["macro"], score(wafers, kept_by(others, wafers.maps))["macro"]
        if kind != "two":
            print(f"{kind}\n\n{to_markdown(scores, 2)}\n")
    for title, number in (("macro", 0), ("macro, other parameters", 1)):
        table = pd.DataFrame({kind: both[number] for kind, both in macro.items()})
        print(f"{title}\n\n{to_markdown(table, 2)}\n")


if __name__ == "__main__":
    main()
