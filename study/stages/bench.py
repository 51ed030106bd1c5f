"""Tune, test, vary and time the denoisers of the bench."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from camdenoise import Explanation
from camdenoise.metrics import die_average_precision, die_scores
from study.denoisers import BY_NAME, Entry
from study.files import read_json, write_json, write_table
from study.stages.bench_nets import load_trained
from study.stages.bench_wafers import PlantedWafers, load_patternless, planted_of_role
from study.stages.halving import draw_candidates, halve

TUNED, TRIALS, SCORES = "tuned.json", "trials.csv", "scores.csv"
CURVE, TIMES = "curve.csv", "times.csv"


def macro_f1(planted: PlantedWafers, why: Sequence[Explanation]) -> pd.Series:
    """Return the mean F1 over wafers, then over classes, of each kind."""
    scores = die_scores(planted.maps, planted.truth, [e.kept for e in why])
    by_class = scores["f1"].groupby([planted.about["kind"], planted.about["label"]]).mean()
    return by_class.groupby(level=0).mean()


def tune(
    folder: Path,
    needed: dict[str, Path],
    *,
    name: str,
    seed: int,
    n_candidates: int,
    shares: list[float],
) -> None:
    """Find a denoiser's best parameters for the validation wafers.

    What is maximized is the macro F1 of each kind of wafers, averaged over the kinds.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    name : str
        Which denoiser.
    seed : int
        For the candidates.
    n_candidates : int
        How many to try, the defaults among them.
    shares : list of float
        Shares of the wafers in the rounds of successive halving.
    """
    entry, planted = BY_NAME[name], planted_of_role(needed, "validation")
    trained = load_trained(entry.trained, needed)
    parts = {share: planted.share(share) for share in shares}

    def score(candidate: dict[str, Any], share: float) -> float:
        why = entry.make_on_bench(trained, candidate).explain(parts[share].maps)
        return float(macro_f1(parts[share], why).mean())

    candidates = draw_candidates(entry.space, n_candidates, seed)
    best, trials = halve(candidates, score, shares)
    wafers = {share: len(part.maps) for share, part in parts.items()}
    facts = {
        "parameters": best,
        "validation": float(trials.loc[trials["share"] == shares[-1], "score"].max()),
        "defaults": score({}, shares[-1]),
        "evaluations": len(trials),
        "wafers": int(trials["share"].map(wafers).sum()),
    }
    write_json(folder / TUNED, facts)
    parameters = [json.dumps(candidates[number]) for number in trials["candidate"]]
    write_table(folder / TRIALS, trials.assign(parameters=parameters))


def read_tuned(folder: Path) -> dict[str, Any]:
    """Read what `tune` found."""
    return read_json(folder / TUNED)


def _build_tuned(entry: Entry, needed: dict[str, Path], **changed: Any):
    folder = next(f for name, f in needed.items() if "-tune-" in name)
    parameters = read_tuned(folder)["parameters"] | changed
    return entry.make_on_bench(load_trained(entry.trained, needed), parameters)


def test(
    folder: Path, needed: dict[str, Path], *, name: str, fold: int, n_patternless: int
) -> None:
    """Score a tuned denoiser on the test wafers, one row each.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    name : str
        Which denoiser.
    fold : int
        The test fold.
    n_patternless : int
        Most wafers of `none`, and of Random.
    """
    denoiser = _build_tuned(BY_NAME[name], needed)
    sets = [
        planted_of_role(needed, "test"),
        load_patternless(needed["bench-wafers"], fold, n_patternless),
    ]
    tables = [_scores(planted, denoiser.explain(planted.maps)) for planted in sets]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "denoiser", name)
    write_table(folder / SCORES, table)


def _scores(planted: PlantedWafers, why: Sequence[Explanation]) -> pd.DataFrame:
    maps, kept = planted.maps, [e.kept for e in why]
    scores = die_scores(maps, planted.truth, kept)
    scores["average_precision"] = die_average_precision(
        maps, planted.truth, [e.saliency for e in why]
    )
    scores["retention_weaker"] = die_scores(maps, planted.weaker, kept)["recall"]
    return pd.concat([planted.about, scores], axis=1)


def vary(folder: Path, needed: dict[str, Path], *, name: str, share: float) -> None:
    """Score a tuned denoiser on test wafers with other values of its main parameter.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    name : str
        Which denoiser.
    share : float
        Share of the test wafers.
    """
    entry, planted = BY_NAME[name], planted_of_role(needed, "test").share(share)
    chosen = _build_tuned(entry, needed).get_params()[entry.main]
    rows = []
    # A threshold of each wafer's own has no place on the curve.
    for value in sorted({*entry.values, chosen} - {"auto"}):
        why = _build_tuned(entry, needed, **{entry.main: value}).explain(planted.maps)
        about = {"denoiser": name, "parameter": entry.main, "value": value}
        about["tuned"] = value == chosen
        rows += [about | {"kind": kind, "f1": f1} for kind, f1 in macro_f1(planted, why).items()]
    write_table(folder / CURVE, pd.DataFrame(rows))


def measure_time(
    folder: Path, needed: dict[str, Path], *, names: dict[str, list[str]], n_maps: int, rounds: int
) -> None:
    """Time the tuned denoisers on the same test wafers, in turns, on one thread.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    names : dict of str to list of str
        For each denoiser the tasks that it comes from; the first one is what the others' times
        are divided by.
    n_maps : int
        About how many wafers, spread over kinds, classes and rates.
    rounds : int
        How often; the median counts.
    """
    planted = planted_of_role(needed, "test")
    maps = planted.share(n_maps / len(planted.maps)).maps
    denoisers = {
        name: _build_tuned(BY_NAME[name], {task: needed[task] for task in tasks})
        for name, tasks in names.items()
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = [{n: _seconds(d, maps) for n, d in denoisers.items()} for _ in range(rounds)]
    finally:
        torch.set_num_threads(threads)
    table = pd.DataFrame(seconds)
    ratio = table.div(table.iloc[:, 0], axis=0)
    about = {"denoiser": table.columns, "ms": 1000 * table.median().to_numpy() / len(maps)}
    write_table(folder / TIMES, pd.DataFrame(about | {"ratio": ratio.median().to_numpy()}))


def _seconds(denoiser, maps: list[np.ndarray]) -> float:
    start = time.perf_counter()
    denoiser.explain(maps)
    return time.perf_counter() - start
