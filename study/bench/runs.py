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
from study.bench.entries import BY_NAME, Entry
from study.bench.halving import draw_candidates, halve
from study.bench.nets import load_trained
from study.bench.wafers import Plants, load_patternless, plants_of

TUNED, TRIALS, SCORES = "tuned.json", "trials.csv", "scores.csv"
CURVE, TIMES = "curve.csv", "times.csv"


def macro_f1(plants: Plants, why: Sequence[Explanation]) -> pd.Series:
    """Return the mean F1 over wafers, then over classes, of each kind."""
    scores = die_scores(plants.maps, plants.truth, [e.kept for e in why])
    by_class = scores["f1"].groupby([plants.about["kind"], plants.about["label"]]).mean()
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

    What is maximised is the macro F1 of each kind of wafers, averaged over the kinds.

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
    entry, plants = BY_NAME[name], plants_of(needed, "validation")
    trained = load_trained(entry.trained, needed)
    parts = {share: plants.share(share) for share in shares}

    def score(candidate: dict[str, Any], share: float) -> float:
        why = entry.build(trained, **candidate).explain(parts[share].maps)
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
    (folder / TUNED).write_text(json.dumps(facts, indent=1))
    shown = [json.dumps(candidates[number]) for number in trials["candidate"]]
    trials.assign(parameters=shown).to_csv(folder / TRIALS, index=False)


def tuned(folder: Path) -> dict[str, Any]:
    """Read what `tune` found."""
    return json.loads((folder / TUNED).read_text())


def _build_tuned(entry: Entry, needed: dict[str, Path], **changed: Any):
    folder = next(f for name, f in needed.items() if "-tune-" in name)
    return entry.build(
        load_trained(entry.trained, needed), **(tuned(folder)["parameters"] | changed)
    )


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
        plants_of(needed, "test"),
        load_patternless(needed["bench-wafers"], fold, n_patternless),
    ]
    tables = [_scores(plants, denoiser.explain(plants.maps)) for plants in sets]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "denoiser", name)
    table.to_csv(folder / SCORES, index=False)


def _scores(plants: Plants, why: Sequence[Explanation]) -> pd.DataFrame:
    maps, kept = plants.maps, [e.kept for e in why]
    scores = die_scores(maps, plants.truth, kept)
    scores["average_precision"] = die_average_precision(
        maps, plants.truth, [e.saliency for e in why]
    )
    scores["retention_weaker"] = die_scores(maps, plants.weaker, kept)["recall"]
    return pd.concat([plants.about, scores], axis=1)


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
    entry, plants = BY_NAME[name], plants_of(needed, "test").share(share)
    chosen = _build_tuned(entry, needed).get_params()[entry.main]
    rows = []
    # A threshold of each wafer's own has no place on the curve.
    for value in sorted({*entry.values, chosen} - {"auto"}):
        why = _build_tuned(entry, needed, **{entry.main: value}).explain(plants.maps)
        about = {"denoiser": name, "parameter": entry.main, "value": value}
        about["tuned"] = value == chosen
        rows += [about | {"kind": kind, "f1": f1} for kind, f1 in macro_f1(plants, why).items()]
    pd.DataFrame(rows).to_csv(folder / CURVE, index=False)


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
    plants = plants_of(needed, "test")
    maps = plants.share(n_maps / len(plants.maps)).maps
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
    pd.DataFrame(about | {"ratio": ratio.median().to_numpy()}).to_csv(folder / TIMES, index=False)


def _seconds(denoiser, maps: list[np.ndarray]) -> float:
    start = time.perf_counter()
    denoiser.explain(maps)
    return time.perf_counter() - start
