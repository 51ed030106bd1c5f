"""Show the planted benchmark: a picture of each kind, and how simple filters score on it.

What the truth marks is red, all other fails are blue: a pattern that was read off its wafer wrongly
shows at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from sklearn.utils import Bunch

from camdenoise.datasets import (
    PATTERN_CLASSES,
    load_wafer_maps,
    make_planted_wafers,
    recognize_shape,
)
from camdenoise.filters import (
    ComponentSizeFilter,
    LargestComponentFilter,
    MedianFilter,
    NeighborCountFilter,
)
from camdenoise.metrics import die_report, die_scores

KINDS = ("planted", "diffuse", "two", "simulated")
SHOWN = ("planted", "diffuse", "two")
COLORS = ListedColormap(["white", "#cfd8dc", "#1565c0", "#c62828"])
BANDS = (0.02, 0.05, 0.10, 0.15, 0.20)


def by(denoiser) -> Callable[[np.ndarray], np.ndarray]:
    """Turn a denoiser into a function of one map."""
    return lambda grid: denoiser.explain([grid])[0].kept


METHODS = {
    "nothing removed": lambda grid: grid == 2,
    "MedianFilter()": by(MedianFilter()),
    "NeighborCountFilter(2)": by(NeighborCountFilter(2)),
    "NeighborCountFilter(3)": by(NeighborCountFilter(3)),
    "ComponentSizeFilter(5)": by(ComponentSizeFilter(5)),
    "ComponentSizeFilter(8)": by(ComponentSizeFilter(8)),
    "LargestComponentFilter()": by(LargestComponentFilter()),
}


def apply_methods(wafers: Bunch) -> dict[str, list[np.ndarray]]:
    """Give the fails that each method keeps."""
    return {name: [method(grid) for grid in wafers.maps] for name, method in METHODS.items()}


def score(wafers: Bunch, kept: dict[str, list[np.ndarray]]) -> pd.DataFrame:
    """F1 of each method: mean over the wafers of a class, then over the classes."""
    reports = {
        name: die_report(wafers.maps, wafers.truth, masks, wafers.target)["f1"]
        for name, masks in kept.items()
    }
    return pd.DataFrame(reports).T


def variants(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Weights of the wafers that tell what the mean over all of them depends on."""
    rate = frame["background_rate"]
    bands = {
        f"{100 * low:g}-{100 * high:g} %": rate.between(low, high)
        for low, high in zip(BANDS, BANDS[1:], strict=False)
    }
    others = {"log-even rates": 1 / rate, "15 fails or more": frame["n_pattern"] >= 15}
    return {"all": np.ones(len(frame))} | bands | others


def score_variants(wafers: Bunch, kept: dict[str, list[np.ndarray]]) -> pd.DataFrame:
    """Macro F1 of each method for each weighting of the wafers."""
    f1 = {
        name: die_scores(wafers.maps, wafers.truth, masks)["f1"].to_numpy()
        for name, masks in kept.items()
    }
    classes = [np.flatnonzero(wafers.target == name) for name in np.unique(wafers.target)]
    columns = {
        title: {
            name: np.mean([np.average(values[r], weights=np.asarray(weight)[r]) for r in classes])
            for name, values in f1.items()
        }
        for title, weight in variants(wafers.frame).items()
    }
    return pd.DataFrame(columns)


def count_parents(data: Bunch, wafers: Bunch) -> pd.DataFrame:
    """Count the patterns there are to plant, in all and by fold, and those that were planted."""
    used = wafers.frame.groupby("label")["pattern_row"].nunique()
    counts = {"labeled": pd.Series(data.target).value_counts(), "usable": wafers.available}
    if "fold" in data.frame:
        for fold in sorted(data.frame["fold"].unique()):
            rows = np.flatnonzero(data.frame["fold"] == fold)
            counts[f"in fold {fold}"] = make_planted_wafers(data, 1, rows=rows).available
    counts["drawn"] = used
    table = pd.DataFrame({name: pd.Series(values) for name, values in counts.items()})
    return table.reindex([*PATTERN_CLASSES, "none"])


def count_recognized(data: Bunch, n_draws: int, seed: int) -> pd.DataFrame:
    """Count how often draws of some wafers of a class are recognized as which shape, in percent."""
    rng = np.random.RandomState(seed)
    table = {}
    for label in np.unique(data.target):
        rows = np.flatnonzero(data.target == label)
        table[label] = {}
        for size in (10, 15, 30, 60):
            draws = [rng.choice(rows, size, replace=False) for _ in range(n_draws)]
            found = pd.Series(
                [recognize_shape([data.maps[row] for row in draw]) or "unknown" for draw in draws]
            )
            shares = 100 * found.value_counts(normalize=True)
            table[label][f"{size} wafers"] = ", ".join(
                f"{shape} {share:.0f} %" for shape, share in shares.items()
            )
    return pd.DataFrame(table).T


def examples(target: np.ndarray, n_wafers: int) -> dict[str, list[int]]:
    """Choose the first wafers of each class, alone or with another, each wafer once."""
    left = list(range(len(target)))
    chosen = {}
    for label in PATTERN_CLASSES:
        chosen[label] = [row for row in left if label in target[row].split("+")][:n_wafers]
        left = [row for row in left if row not in chosen[label]]
    return chosen


def draw_row(axes: np.ndarray, title: str, wafers: Bunch, rows: list[int]) -> None:
    """Draw wafers as round discs, whatever the shape of their dies."""
    for axis, row in zip(axes, rows, strict=False):
        grid = np.where(wafers.truth[row], 3, wafers.maps[row])
        height, width = grid.shape
        axis.imshow(grid, cmap=COLORS, vmin=0, vmax=3, interpolation="none", aspect=width / height)
    axes[len(axes) // 2].set_title(title, fontsize=7, pad=2)


def draw(made: dict[str, Bunch], out: Path, n_columns: int) -> None:
    """Draw the kinds side by side, a class a row."""
    columns = ([1.0] * n_columns + [0.3]) * (len(SHOWN) - 1) + [1.0] * n_columns
    figure, axes = plt.subplots(
        len(PATTERN_CLASSES),
        len(columns),
        figsize=(sum(columns), 1.1 * len(PATTERN_CLASSES)),
        width_ratios=columns,
    )
    for axis in axes.ravel():
        axis.axis("off")
    for number, kind in enumerate(SHOWN):
        start = number * (n_columns + 1)
        chosen = examples(made[kind].target, n_columns)
        for line, (label, rows) in zip(axes, chosen.items(), strict=True):
            title = f"{label} and another" if kind == "two" else f"{label}, {kind}"
            draw_row(line[start : start + n_columns], title, made[kind], rows)
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.97, 0.04, 0.15)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=80, pil_kwargs={"optimize": True})
    plt.close(figure)


def to_markdown(table: pd.DataFrame, digits: int | None = None) -> str:
    """Format a table for the documentation, without a further dependency."""
    text = table.map(lambda v: "" if pd.isna(v) else f"{v:.{digits or 0}f}")
    lines = [["", *text.columns], ["---"] * (text.shape[1] + 1)]
    lines += [[name, *values] for name, values in zip(text.index, text.to_numpy(), strict=True)]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def main(arguments: list[str] | None = None) -> None:
    """Draw the picture and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="npz file of real wafers, or its folder")
    parser.add_argument("--out", type=Path, required=True, help="the picture, a png file")
    parser.add_argument("--wafers", type=int, default=1200, help="of each kind, for the tables")
    parser.add_argument("--columns", type=int, default=5, help="of each kind, in the picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--recognized", type=int, metavar="DRAWS", help="print only how often shapes are recognized"
    )
    options = parser.parse_args(arguments)
    data = load_wafer_maps(options.data)
    if options.recognized:
        print(count_recognized(data, options.recognized, options.seed).to_csv(sep="|"))
        return
    made = {
        kind: make_planted_wafers(data, options.wafers, kind=kind, random_state=options.seed)
        for kind in KINDS
    }
    draw(made, options.out, options.columns)
    print(to_markdown(count_parents(data, made["planted"])), end="\n\n")
    for kind, wafers in made.items():
        kept = apply_methods(wafers)
        scores = score(wafers, kept)
        print(f"{kind}\n\n{to_markdown(scores.T if kind == 'two' else scores, 2)}", end="\n\n")
        if kind == "planted":
            print(f"macro, planted\n\n{to_markdown(score_variants(wafers, kept), 2)}", end="\n\n")


if __name__ == "__main__":
    main()
