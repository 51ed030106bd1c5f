"""Tidy tables out of the bench's results: what the report shows, and what a reader can check."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.metrics import holm, sign_flip_test
from study.bench.entries import CLASSICAL, CONTENDERS, ENTRIES
from study.bench.runs import CURVE, SCORES, TIMES, tuned
from study.bench.wafers import KINDS, PATTERNLESS
from study.graph import about
from study.summary import interval

ALL = "all"
MACRO = "macro"
NAMES = tuple(entry.name for entry in ENTRIES)
# One wafer, whoever denoised it.
_KEYS = ["fold", "seed", "kind", "label", "rate", "group", "wafer"]
# Upper ends of the ranges of density.
_DENSITIES = {"0.5 to 0.67": 2 / 3, "0.67 to 0.83": 5 / 6, "0.83 to 1": 1.0}


def _folders_of(folders: dict[str, Path], step: str) -> list[tuple[dict[str, int], Path]]:
    """Find the results of a step, with the fold and seed of each."""
    found = []
    for name, folder in folders.items():
        match = re.fullmatch(rf"bench-(\d+)-(\d+)-{step}(-.*)?", name)
        if match:
            found.append(({"fold": int(match[1]), "seed": int(match[2])}, folder))
    return found


def _gather(folders: dict[str, Path], step: str, file: str) -> pd.DataFrame:
    tables = [
        pd.read_csv(folder / file, keep_default_na=False, na_values=[""]).assign(**key)
        for key, folder in _folders_of(folders, step)
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def scores(folders: dict[str, Path]) -> pd.DataFrame:
    """Die-level scores, one row per test wafer and denoiser."""
    return _gather(folders, "test", SCORES)


def curves(folders: dict[str, Path]) -> pd.DataFrame:
    """Macro F1 of each kind by the value of each denoiser's main parameter."""
    return _gather(folders, "vary", CURVE)


def tuning(folders: dict[str, Path]) -> pd.DataFrame:
    """List what each denoiser was tuned to, on how many wafers, and what it scored there."""
    rows = []
    for key, folder in _folders_of(folders, "tune"):
        found = tuned(folder)
        chosen = ", ".join(f"{n}={_short(v)}" for n, v in found.pop("parameters").items())
        name = about(folder)["parameters"]["name"]
        rows.append({"denoiser": name, **key, "tuned to": chosen or "its defaults", **found})
    return _in_order(pd.DataFrame(rows))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sort rows as the entries are."""
    return table.sort_values(
        "denoiser", key=lambda names: names.map(NAMES.index), kind="stable"
    ).reset_index(drop=True)


def means(wafers: pd.DataFrame, column: str, by: Sequence[str]) -> pd.DataFrame:
    """Average a score over wafers, then over classes, with 95 % intervals over groups.

    Parameters
    ----------
    wafers : DataFrame
        One row per wafer and denoiser.
    column : str
        The score; wafers without it are left out.
    by : sequence of str
        One row comes out for each combination of these columns.
    """
    rows = []
    for key, part in wafers.dropna(subset=column).groupby(list(by), sort=False):
        cell = dict(zip(by, key, strict=True)) | {"wafers": len(part)}
        rows.append(cell | interval(part, column, strata="label"))
    return _in_order(pd.DataFrame(rows))


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
    return _in_order(pd.concat([single, macro.assign(**{"class": MACRO})]))


def rate_table(table: pd.DataFrame) -> pd.DataFrame:
    """Macro F1 by kind, denoiser and background rate."""
    return means(planted(table), "f1", ["kind", "denoiser", "rate"])


def density_table(table: pd.DataFrame) -> pd.DataFrame:
    """Macro F1 of diffuse wafers by the density of their pattern."""
    wafers = table[table["kind"] == "diffuse"]
    bins = pd.cut(wafers["density"], [0, *_DENSITIES.values()], labels=list(_DENSITIES))
    return means(wafers.assign(density=bins.astype(str)), "f1", ["denoiser", "density"])


def patternless_table(table: pd.DataFrame) -> pd.DataFrame:
    """Say how much is kept where there is no pattern: share of the fails, and of the wafers."""
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


def _side_by_side(wafers: pd.DataFrame) -> pd.DataFrame:
    """Return one row per wafer (and class, where it has one), the F1 of each denoiser a column."""
    keys = [*_KEYS, "class"] if "class" in wafers else _KEYS
    return wafers.pivot(index=keys, columns="denoiser", values="f1").reset_index()


def _gain(wide: pd.DataFrame, one: str, other: str) -> dict[str, float]:
    """Average the difference of two denoisers over wafers, then over classes."""
    paired = wide.assign(gain=wide[one] - wide[other]).dropna(subset="gain")
    found = interval(paired, "gain", strata="label")
    return {"difference": found.pop("mean"), **found}


def comparison(table: pd.DataFrame, rival: str) -> pd.DataFrame:
    """Set every denoiser beside one of them, wafer by wafer.

    Returns
    -------
    DataFrame
        For each kind and denoiser the difference of the macro F1, its 95 % interval, the p-value
        of the sign-flip test over groups, and that adjusted (Holm) for all rows of the kind.
    """
    tables = []
    for kind, wafers in _by_kind(table):
        wide = _side_by_side(wafers)
        rows = [
            {"kind": kind, "denoiser": name, "rival": rival}
            | _gain(wide, name, rival)
            | {"p": _p_value(wide, name, rival)}
            for name in _there(wide, NAMES)
            if name != rival
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


def bar(table: pd.DataFrame) -> pd.DataFrame:
    """Set each of the project's denoisers beside the best classical filter, cell by cell.

    A cell is a kind, a class and a background rate. The rival is the classical filter with the
    highest F1 in that very cell of the test wafers, which nobody could have known beforehand: a
    harder bar than any one filter.

    Returns
    -------
    DataFrame
        For each cell and denoiser the rival, both F1, their difference with its paired 95 %
        interval, and ``mark``: ``+`` where the interval lies above zero, ``-`` where it lies below,
        ``=`` where it holds zero, ``?`` where there are too few wafers for an interval.
    """
    rows = []
    for cell, wide in _cells(table):
        f1 = wide.groupby("label")[_there(wide, NAMES)].mean().mean()
        rival = f1[_there(wide, CLASSICAL)].idxmax()
        for name in _there(wide, CONTENDERS):
            both = {"denoiser": name, "rival": rival, "f1": f1[name], "rival_f1": f1[rival]}
            gain = _gain(wide, name, rival)
            rows.append(cell | both | gain | {"mark": mark(gain)})
    return pd.DataFrame(rows)


def _cells(table: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Run through kinds, classes (macro too) and background rates (all too)."""
    for kind, wafers in _by_kind(table):
        single = _side_by_side(by_class(wafers))
        classes = dict(iter(single.groupby("class"))) | {MACRO: _side_by_side(wafers)}
        for label, of_class in classes.items():
            rates = dict(iter(of_class.groupby("rate"))) | {ALL: of_class}
            for rate, wide in rates.items():
                yield {"kind": kind, "class": label, "rate": rate}, wide


def mark(gain: dict[str, float]) -> str:
    """Say in one character whether a difference is shown."""
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
    times = _gather(folders, "time", TIMES)
    return _in_order(times.groupby("denoiser")[["ms", "ratio"]].mean().reset_index())
