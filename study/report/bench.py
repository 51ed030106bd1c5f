"""The bench's part of the report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from study.denoisers import CLASSICAL, CONTENDERS
from study.figures import scores as figures
from study.report.dies import left_out_sentences
from study.report.section import Made, Section
from study.stages.bench_wafers import KINDS
from study.tables import bench as tables

_ABOUT = (
    "Every denoiser was tuned on the same validation wafers by successive halving over the same "
    "number of candidates (fewer where it has fewer settings), for the macro F1 averaged over the "
    "three kinds. No wafer of the test fold, nor any part of one, was tuned or trained on.",
    "Planted: real patterns on real backgrounds. Diffuse: simulated patterns with thin, soft "
    "edges on real backgrounds. Two: two real patterns on one background; both are to be kept, and "
    "a class's figure is the mean over the pairs that it is in.",
    "Intervals are over the wafers that patterns, or else backgrounds, were taken from, not over "
    "planted wafers: those with the same pattern are alike. Two patterns of a wafer are taken as "
    "one draw, by the first.",
)
_PLANTED = r"bench-\d+-planted-(?P<kind>\w+-\w+)"
_MAIN = (
    "Macro F1 on the three kinds of wafers with 95 % intervals; retention, noise removal and "
    "average precision (how well the saliency ranks the fails), means over classes and kinds; how "
    "much of the weaker of two patterns is kept; share of the fails kept on wafers without a "
    "pattern; time on one thread, measured in turns."
)
_BAR = (
    "F1 less that of the best classical filter, which is chosen anew for each cell by the test "
    "wafers themselves: a harder bar than any one filter. + better, - worse, = not told apart (the "
    "95 % interval holds zero), ? too few wafers; these marks are not adjusted for their number."
)
_COMPARISON = (
    "Macro F1 less that of the classical filter with the highest validation score, wafer by wafer. "
    "p: signs of the differences flipped at random, those of wafers with the same pattern "
    "together; p holm: adjusted for all rows of the kind."
)
_TUNING = (
    "What each was tuned to, the validation score with that and with the defaults, the number of "
    "evaluations and of wafers denoised for them."
)
_DENSITIES = "Macro F1 on diffuse wafers by the share of the pattern's dies that fail."
_PATTERNLESS = (
    "Share of the fails kept on real wafers of the test fold without a pattern, mean over wafers, "
    "and share of the wafers with any fail kept."
)


def bench_section(folders: dict[str, Path], found: dict[str, pd.DataFrame]) -> Made:
    """Make the section and its sentences; put its tables into `found`."""
    scores = tables.scores(folders)
    if scores.empty:
        return None, []
    made = _tables(folders, scores)
    found |= {f"bench_{name}": table for name, table in made.items()}
    section = Section("The bench", [*_ABOUT, *left_out_sentences(folders, _PLANTED)])
    section.add_table(main_shown(made["main"]), _MAIN)
    section.add_figure(
        "bench_f1", figures.f1_by_class(made["f1"]), "F1 by class on the three kinds of wafers."
    )
    section.add_figure(
        "bench_rates",
        figures.f1_by_rate(made["rates"]),
        "Macro F1 by the share of the background's dies that fail.",
    )
    section.add_table(_bar_shown(made["bar"]), _BAR)
    section.add_table(made["comparison"], _COMPARISON)
    section.add_table(made["tuning"].drop(columns=["fold", "seed"]), _TUNING)
    section.add_figure(
        "bench_sensitivity",
        figures.sensitivity(made["curves"]),
        "Macro F1 on test wafers against each denoiser's main parameter, the others as tuned.",
    )
    section.add_table(_wide_densities(made["densities"]), _DENSITIES)
    section.add_table(made["patternless"], _PATTERNLESS)
    return section, _describe(made)


def _tables(folders: dict[str, Path], scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    f1, patternless = tables.f1_table(scores), tables.patternless_table(scores)
    tuning, times = tables.tuning(folders), tables.mean_times(folders)
    return {
        "main": tables.main_table(scores, f1, patternless, times),
        "scores": scores,
        "f1": f1,
        "rates": tables.rate_table(scores),
        "densities": tables.density_table(scores),
        "patternless": patternless,
        "bar": tables.best_filter_table(scores),
        "comparison": tables.comparison(scores, tables.best_of(CLASSICAL, tuning)),
        "tuning": tuning,
        "curves": tables.curves(folders),
        "times": times,
    }


def main_shown(main: pd.DataFrame) -> pd.DataFrame:
    """Write each kind's macro F1 and its interval into one column."""
    columns = main.rename(columns={"ms": "ms a map", "ratio": "times the median's"})
    for kind in [kind for kind in KINDS if kind in main]:
        low, high = (columns.pop(f"{kind}_{end}") for end in ("low", "high"))
        columns[kind] = [
            f"{mean:.3f} ({a:.3f} to {b:.3f})"
            for mean, a, b in zip(main[kind], low, high, strict=True)
        ]
    return columns.rename(columns=lambda name: name.replace("_", " "))


def _bar_shown(bar: pd.DataFrame) -> pd.DataFrame:
    """Show the differences to the best classical filter of each cell, rates side by side."""
    text = bar["difference"].map("{:+.3f} ".format) + bar["mark"]
    cells = bar.assign(text=text, rate=bar["rate"].map(_rate))
    index = ["denoiser", "kind", "class"]
    wide = cells.pivot(index=index, columns="rate", values="text")
    rows = cells.drop_duplicates(index).sort_values("denoiser", kind="stable").set_index(index)
    return wide.loc[rows.index, cells["rate"].unique()].rename_axis(columns=None).reset_index()


def _rate(rate: float | str) -> str:
    return rate if isinstance(rate, str) else f"{rate:.0%}"


def _wide_densities(densities: pd.DataFrame) -> pd.DataFrame:
    wide = densities.pivot(index="denoiser", columns="density", values="mean")
    return wide.loc[densities["denoiser"].unique()].rename_axis(columns=None).reset_index()


def _describe(made: dict[str, pd.DataFrame]) -> list[str]:
    """Write for each kind how the best of our denoisers compares with the classical ones."""
    ours = tables.best_of(CONTENDERS, made["tuning"])
    bar, rows = made["bar"], made["comparison"].set_index(["kind", "denoiser"])
    bar = bar[bar["denoiser"] == ours]
    return [
        f"Bench, {kind} wafers: {_compared(ours, rows.loc[(kind, ours)])} {_cells_won(cells)}"
        for kind, cells in bar.groupby("kind", sort=False)
    ]


def _compared(name: str, row: pd.Series) -> str:
    return (
        f"{name} less {row['best']}, the classical filter of the highest validation score: "
        f"{row['difference']:+.3f} (95 % interval {row['low']:+.3f} to {row['high']:+.3f}, Holm p "
        f"{row['p_holm']:.3f})."
    )


def _cells_won(cells: pd.DataFrame) -> str:
    cells = cells[(cells["class"] != tables.MACRO) & (cells["rate"] != tables.ALL)]
    won, lost = ((cells["mark"] == sign).sum() for sign in "+-")
    return (
        "Against the best classical filter of each class and background rate: better in "
        f"{won}, worse in {lost} of {len(cells)}."
    )
