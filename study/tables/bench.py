"""Tables of the bench: which denoiser is best, by class, background rate and density."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.metrics import holm, sign_flip_test
from study.denoisers import BENCH, CLASSICAL, CONTENDERS
from study.graph import read_facts
from study.stages.bench import CURVE, SCORES, TIMES, read_tuned
from study.stages.bench_wafers import KINDS, PATTERNLESS
from study.tables.common import FOLD_AND_SEED, find, gather, in_order, means
from study.tables.dies import MACRO, paired_gain, side_by_side

ALL = "all"
NAMES = tuple(entry.name for entry in BENCH)
# Upper ends of the ranges of density.
_DENSITIES = {"0.5 to 0.67": 2 / 3, "0.67 to 0.83": 5 / 6, "0.83 to 1": 1.0}


def _tasks_of(step: str) -> str:
    return f"bench-{FOLD_AND_SEED}-{step}(-.*)?"


def scores(folders: dict[str, Path]) -> pd.DataFrame:
    """Die-level scores, one row per test wafer and denoiser."""
    return gather(folders, _tasks_of("test"), SCORES)


def curves(folders: dict[str, Path]) -> pd.DataFrame:
    """Macro F1 of each kind by the value of each denoiser's main parameter."""
    return gather(folders, _tasks_of("vary"), CURVE)


def tuning(folders: dict[str, Path]) -> pd.DataFrame:
    """List what each denoiser was tuned to, on how many wafers, and what it scored there."""
    rows = []
    for key, folder in find(folders, _tasks_of("tune")):
        found = read_tuned(folder)
        chosen = ", ".join(f"{n}={_short(v)}" for n, v in found.pop("parameters").items())
        name = read_facts(folder)["parameters"]["name"]
        rows.append({"denoiser": name, **key, "tuned to": chosen or "its defaults", **found})
    return in_order(pd.DataFrame(rows))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def by_class(wafers: pd.DataFrame) -> pd.DataFrame:
    """Give each wafer its class as ``class``; wafers with two patterns come once for each."""
    names = wafers["label"].str.split("+")
    return wafers.assign(**{"class": names}).explode("class", ignore_index=True)


def planted(table: pd.DataFrame) -> pd.DataFrame:
    """Return the wafers with known patterns."""
    return table[table["kind"].isin(KINDS)]


def f1_table(table: pd.DataFrame) -> pd.DataFrame:
    """F1 by kind, denoiser and class; macro is the mean over classes, or pairs of classes."""
    wafers = planted(table)
    single = means(by_class(wafers), "f1", ["kind", "denoiser", "class"])
    macro = means(wafers, "f1", ["kind", "denoiser"])
    return in_order(pd.concat([single, macro.assign(**{"class": MACRO})]))


def rate_table(table: pd.DataFrame) -> pd.DataFrame:
    """Macro F1 by kind, denoiser and background rate."""
    return means(planted(table), "f1", ["kind", "denoiser", "rate"])


def density_table(table: pd.DataFrame) -> pd.DataFrame:
    """Macro F1 of diffuse wafers by the density of their pattern."""
    wafers = table[table["kind"] == "diffuse"]
    bins = pd.cut(wafers["density"], [0, *_DENSITIES.values()], labels=list(_DENSITIES))
    return means(wafers.assign(density=bins.astype(str)), "f1", ["denoiser", "density"])


def patternless_table(table: pd.DataFrame) -> pd.DataFrame:
    """Tell how much is kept where there is no pattern: share of the fails, and of the wafers."""
    wafers = table[table["kind"].isin(PATTERNLESS)]
    wafers = wafers.assign(
        kept_share=wafers["n_kept"] / wafers["n_fail"].where(wafers["n_fail"] > 0),
        touched=wafers["n_kept"] > 0,
    )
    by = ["kind", "denoiser"]
    touched = wafers.groupby(by)["touched"].mean().rename("wafers_with_fails_kept")
    return means(wafers, "kept_share", by).join(touched, on=by)


def best_of(names: Sequence[str], tuned_to: pd.DataFrame) -> str:
    """Name the one of these denoisers with the highest validation score: what a user would take."""
    rows = tuned_to[tuned_to["denoiser"].isin(names)]
    return rows.groupby("denoiser", sort=False)["validation"].mean().idxmax()


def _gain(wide: pd.DataFrame, one: str, other: str) -> dict[str, float]:
    found = paired_gain(wide, one, other)
    return {"difference": found.pop("mean"), **found}


def comparison(table: pd.DataFrame, best: str) -> pd.DataFrame:
    """Compare every denoiser with one of them, wafer by wafer.

    Returns
    -------
    DataFrame
        For each kind and denoiser the difference of the macro F1, its 95 % interval, the p-value
        of the sign-flip test over groups, and that adjusted (Holm) for all rows of the kind.
    """
    tables = []
    for kind, wafers in _by_kind(table):
        wide = side_by_side(wafers)
        rows = [
            {"kind": kind, "denoiser": name, "best": best}
            | _gain(wide, name, best)
            | {"p": _p_value(wide, name, best)}
            for name in _there(wide, NAMES)
            if name != best
        ]
        of_kind = pd.DataFrame(rows)
        tables.append(of_kind.assign(p_holm=holm(of_kind["p"])))
    return pd.concat(tables, ignore_index=True)


def _p_value(wide: pd.DataFrame, one: str, other: str) -> float:
    if wide["group"].nunique() < 2:
        return float("nan")
    return sign_flip_test(
        wide[one] - wide[other], groups=wide["group"], strata=wide["label"], random_state=0
    )


def _by_kind(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    parts = dict(iter(table.groupby("kind")))
    return [(kind, parts[kind]) for kind in KINDS if kind in parts]


def _there(wide: pd.DataFrame, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in wide]


def best_filter_table(table: pd.DataFrame) -> pd.DataFrame:
    """Compare each of the project's denoisers with the best classical filter, cell by cell.

    A cell is a kind, a class and a background rate. The best is the classical filter with the
    highest F1 in that very cell of the test wafers, which nobody could have known beforehand: a
    harder bar than any one filter.

    Returns
    -------
    DataFrame
        For each cell and denoiser the best, both F1, their difference with its paired 95 %
        interval, and ``mark``: ``+`` where the interval lies above zero, ``-`` where it lies below,
        ``=`` where it holds zero, ``?`` where there are too few wafers for an interval.
    """
    rows = []
    for cell, wide in _cells(table):
        f1 = wide.groupby("label")[_there(wide, NAMES)].mean().mean()
        best = f1[_there(wide, CLASSICAL)].idxmax()
        for name in _there(wide, CONTENDERS):
            both = {"denoiser": name, "best": best, "f1": f1[name], "best_f1": f1[best]}
            gain = _gain(wide, name, best)
            rows.append(cell | both | gain | {"mark": mark_of(gain)})
    return pd.DataFrame(rows)


def _cells(table: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Go through kinds, classes (macro too) and background rates (all too)."""
    for kind, wafers in _by_kind(table):
        single = side_by_side(by_class(wafers))
        classes = dict(iter(single.groupby("class"))) | {MACRO: side_by_side(wafers)}
        for label, of_class in classes.items():
            rates = dict(iter(of_class.groupby("rate"))) | {ALL: of_class}
            for rate, wide in rates.items():
                yield {"kind": kind, "class": label, "rate": rate}, wide


def mark_of(gain: dict[str, float]) -> str:
    """Mark in one character whether a difference is shown."""
    if np.isnan(gain["low"]):
        return "?"
    return "+" if gain["low"] > 0 else "-" if gain["high"] < 0 else "="


def main_table(
    table: pd.DataFrame, f1: pd.DataFrame, patternless: pd.DataFrame, times: pd.DataFrame
) -> pd.DataFrame:
    """Put what matters of each denoiser in one row.

    Parameters
    ----------
    table : DataFrame
        What `scores` returns.
    f1, patternless, times : DataFrame
        What `f1_table`, `patternless_table` and `mean_times` return.

    Returns
    -------
    DataFrame
        The macro F1 of each kind and its interval; retention, noise removal and average precision,
        averaged over classes and then kinds; retention of the weaker of two patterns; share of the
        fails kept on wafers without a pattern; time.
    """
    macro = f1[f1["class"] == MACRO]
    names = [name for name in NAMES if name in set(macro["denoiser"])]
    columns: dict[str, Any] = {"denoiser": names}
    for kind, rows in _by_kind(macro):
        of_kind = rows.set_index("denoiser").loc[names]
        columns |= {kind: of_kind["mean"].to_numpy()}
        columns |= {f"{kind}_{end}": of_kind[end].to_numpy() for end in ("low", "high")}
    wafers = planted(table)
    for rate in ("recall", "specificity", "average_precision"):
        columns[rate] = _mean_of_kinds(wafers, rate).loc[names].to_numpy()
    two = wafers[wafers["kind"] == "two"]
    columns["retention_weaker"] = _mean_of_kinds(two, "retention_weaker").reindex(names).to_numpy()
    for kind in PATTERNLESS:
        kept = patternless[patternless["kind"] == kind].set_index("denoiser")["mean"]
        columns[f"{kind.lower()}_kept"] = kept.reindex(names).to_numpy()
    timed = times.set_index("denoiser").loc[names]
    columns |= {name: timed[name].to_numpy() for name in ("ms", "ratio")}
    return pd.DataFrame(columns)


def _mean_of_kinds(wafers: pd.DataFrame, column: str) -> pd.Series:
    by_label = wafers.groupby(["denoiser", "kind", "label"])[column].mean()
    return by_label.groupby(level=[0, 1]).mean().groupby(level=0).mean()


def mean_times(folders: dict[str, Path]) -> pd.DataFrame:
    """Time per map of each denoiser, and how many times the median filter's that is."""
    times = gather(folders, _tasks_of("time"), TIMES)
    return in_order(times.groupby("denoiser")[["ms", "ratio"]].mean().reset_index())
