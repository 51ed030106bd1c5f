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

from camdenoise import Explanation, WaferClassifier, load_model, save_model
from camdenoise.metrics import die_average_precision, die_scores
from study.bench.entries import BY_NAME, WITH_NONE, Entry
from study.bench.halving import draw_candidates, halve
from study.bench.wafers import KINDS, PATTERNLESS, Plants, load_patternless, load_plants
from study.models import MODEL
from study.wafers import load, pick

TUNED, TRIALS, SCORES = "tuned.json", "trials.csv", "scores.csv"
CURVE, TIMES, TRAINED_ON = "curve.csv", "times.csv", "trained_on.csv"


def train(
    folder: Path,
    needed: dict[str, Path],
    *,
    folds: list[int],
    seed: int,
    wanted: str,
    per_class: int,
    classifier: dict[str, Any],
) -> None:
    """Train a classifier for the CAMs on wafers of the training folds.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    folds : list of int
        The training folds.
    seed : int
        For the choice of wafers, weights, order and augmentation.
    wanted : {"patterns", "patterns and none"}
        Its classes.
    per_class : int
        Most wafers of a class.
    classifier : dict
        Parameters of `WaferClassifier`.
    """
    wafers = load(needed["bench-wafers"])
    left_out = PATTERNLESS[1:] if wanted == WITH_NONE else PATTERNLESS
    there = np.isin(wafers.fold, folds) & ~np.isin(wafers.target, left_out)
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(there))
    rank = pd.Series(wafers.target[rows]).groupby(wafers.target[rows]).cumcount().to_numpy()
    rows = np.sort(rows[rank < per_class])
    clf = WaferClassifier(**classifier, random_state=seed)
    clf.fit(pick(wafers.maps, rows), wafers.target[rows])
    save_model(clf, folder / MODEL)
    about = {"wafer": rows, "fold": wafers.fold[rows], "label": wafers.target[rows]}
    pd.DataFrame(about).to_csv(folder / TRAINED_ON, index=False)


def _trained(entry: Entry, needed: dict[str, Path]) -> WaferClassifier | None:
    """Load what the entry is given."""
    if entry.trained is None:
        return None
    return load_model(next(f for name, f in needed.items() if "-train-" in name) / MODEL)


def _plants(needed: dict[str, Path], role: str) -> Plants:
    by_kind = {kind: _folder(needed, f"-{role}-{kind}") for kind in KINDS}
    return load_plants({kind: folder for kind, folder in by_kind.items() if folder is not None})


def _folder(needed: dict[str, Path], end: str) -> Path | None:
    return next((folder for name, folder in needed.items() if name.endswith(end)), None)


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
    entry, plants = BY_NAME[name], _plants(needed, "validation")
    trained = _trained(entry, needed)
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
    return entry.build(_trained(entry, needed), **(tuned(folder)["parameters"] | changed))


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
        _plants(needed, "test"),
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
    scores["retention_weaker"] = die_scores(maps, plants.weaker, kept)["retention"]
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
    entry, plants = BY_NAME[name], _plants(needed, "test").share(share)
    chosen = _build_tuned(entry, needed).get_params()[entry.main]
    rows = []
    for value in sorted({*entry.values, chosen}):
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
    plants = _plants(needed, "test")
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
