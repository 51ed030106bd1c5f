"""Set simulated wafers beside real ones: a picture, and a table of what was calibrated.

Each real wafer drawn is met by a simulated one of the same class on the same die grid, so that a
difference between the two columns is one of the patterns, not of the products.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from scipy import ndimage, stats
from sklearn.utils import Bunch

from camdenoise.datasets import CLASSES, load_wafer_maps, make_wafer_maps
from camdenoise.wafers import grid_positions, polar

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
RINGS = (0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.5)
COLORS = ListedColormap(["white", "#cfd8dc", "#b71c1c"])


def largest_share(fails: np.ndarray) -> float:
    """Share of the fails in the largest group of touching ones (corners count)."""
    groups, n_groups = ndimage.label(fails, np.ones((3, 3)))
    return np.bincount(groups.ravel())[1:].max() / fails.sum() if n_groups else 0.0


def largest_extent(fails: np.ndarray) -> float:
    """Longer side of the largest group's box, in wafer radii."""
    groups, n_groups = ndimage.label(fails, np.ones((3, 3)))
    if not n_groups:
        return 0.0
    sizes = np.bincount(groups.ravel())
    box = ndimage.find_objects(groups)[sizes[1:].argmax()]
    return max(s.stop - s.start for s in box) / min(fails.shape) * 2


def measure(grid: np.ndarray) -> dict[str, float]:
    """Reduce one wafer to the numbers that are compared."""
    fails, radius = grid == 2, polar(*grid_positions(*grid.shape))[0]
    return {
        "failing share": fails.sum() / (grid > 0).sum(),
        "largest group": largest_share(fails),
        "its extent": largest_extent(fails),
        "mean radius": radius[fails].mean() if fails.any() else np.nan,
    }


def ring_rates(grid: np.ndarray) -> np.ndarray:
    """Failing share in each ring around the middle."""
    ring = np.digitize(polar(*grid_positions(*grid.shape))[0], RINGS) - 1
    dies = np.bincount(ring[grid > 0], minlength=len(RINGS) - 1)
    return np.bincount(ring[grid == 2], minlength=len(RINGS) - 1) / np.maximum(dies, 1)


def pair_up(real: Bunch, label: str, n_wafers: int, rng: np.random.RandomState):
    """Draw real wafers of a class, and simulate one on the grid of each."""
    rows = np.flatnonzero(real.target == label)
    rows = rng.choice(rows, min(n_wafers, len(rows)), replace=False)
    drawn = [real.maps[row] for row in rows]
    simulated = [
        make_wafer_maps(1, classes=[label], shapes=[grid.shape], random_state=rng).maps[0]
        for grid in drawn
    ]
    return drawn, simulated


def five_numbers(values: pd.Series) -> str:
    """Write the quantiles 5, 25, 50, 75 and 95 % of a measure."""
    return " ".join(f"{value:.3f}" for value in values.quantile(QUANTILES))


def compare_class(label: str, drawn: list, simulated: list) -> list[dict]:
    """Rows of the calibration table for one class; KS is how far apart two distributions are."""
    real, made = (pd.DataFrame([measure(grid) for grid in grids]) for grids in (drawn, simulated))
    return [
        {
            "class": label,
            "measure": name,
            "real": five_numbers(real[name]),
            "simulated": five_numbers(made[name]),
            "KS": f"{stats.ks_2samp(real[name].dropna(), made[name].dropna()).statistic:.2f}",
        }
        for name in real
    ]


def profile_rows(label: str, drawn: list, simulated: list) -> list[dict]:
    """Mean failing share by radius, for one class."""
    names = [f"{a:g}-{min(b, 1):g}" for a, b in zip(RINGS, RINGS[1:], strict=False)]
    return [
        {"class": label, "wafers": source}
        | dict(zip(names, np.mean([ring_rates(g) for g in grids], axis=0).round(3), strict=True))
        for source, grids in (("real", drawn), ("simulated", simulated))
    ]


def draw_row(axes: np.ndarray, title: str, grids: list[np.ndarray]) -> None:
    """Draw wafers as round discs, whatever the shape of their dies."""
    for axis, grid in zip(axes, grids, strict=False):
        height, width = grid.shape
        axis.imshow(grid, cmap=COLORS, vmin=0, vmax=2, interpolation="none", aspect=width / height)
    axes[len(axes) // 2].set_title(title, fontsize=7, pad=2)


def draw(pairs: dict[str, tuple[list, list]], out: Path, n_columns: int) -> None:
    """Draw real wafers on the left, simulated ones on the right, a class a row."""
    columns = [1.0] * n_columns + [0.3] + [1.0] * n_columns
    figure, axes = plt.subplots(
        len(pairs),
        len(columns),
        figsize=(sum(columns), 1.08 * len(pairs)),
        width_ratios=columns,
        squeeze=False,
    )
    for axis in axes.ravel():
        axis.axis("off")
    for row, (label, (drawn, simulated)) in zip(axes, pairs.items(), strict=True):
        draw_row(row[:n_columns], f"{label}, real", drawn)
        draw_row(row[n_columns + 1 :], f"{label}, simulated", simulated)
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.975, 0.04, 0.14)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=80, pil_kwargs={"optimize": True})
    plt.close(figure)


def to_markdown(table: pd.DataFrame) -> str:
    """Format a table for the documentation, without a further dependency."""
    lines = [table.columns, ["---"] * table.shape[1], *table.astype(str).to_numpy()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def main(arguments: list[str] | None = None) -> None:
    """Draw the picture and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="npz file of real wafers, or its folder")
    parser.add_argument("--out", type=Path, required=True, help="the picture, a png file")
    parser.add_argument("--wafers", type=int, default=400, help="of each class, for the table")
    parser.add_argument("--columns", type=int, default=6, help="of each kind, in the picture")
    parser.add_argument("--classes", nargs="+", default=list(CLASSES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rng = np.random.RandomState(options.seed)
    real = load_wafer_maps(options.data, classes=options.classes)
    pairs = {label: pair_up(real, label, options.wafers, rng) for label in options.classes}
    draw(pairs, options.out, options.columns)
    for rows in (compare_class, profile_rows):
        table = pd.DataFrame([row for label, pair in pairs.items() for row in rows(label, *pair)])
        print(to_markdown(table), end="\n\n")


if __name__ == "__main__":
    main()
