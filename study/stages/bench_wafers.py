"""The bench's wafers: each role (training, validation, test) has parents of its own.

A role's folds supply both the patterns and the backgrounds of its planted wafers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from camdenoise.datasets import (
    load_wafer_maps,
    make_planted_wafers,
    make_wafer_maps,
    save_wafer_maps,
)
from study.files import write_json
from study.stages.planted import LEFT_OUT, unusable
from study.wafers import FILE, folds_of, load, load_with_folds, pick

KINDS = ("planted", "diffuse", "two")
#: Real wafers without a pattern in one place, of which nothing should be kept.
PATTERNLESS = ("none", "Random")
WEAKER = "weaker.npz"
# Backgrounds count as failing at a rate when they are as near to it as this share of it.
_RATE_TOLERANCE = 0.2


@dataclass
class PlantedWafers:
    """Wafers to tune or test on, of one or more kinds.

    Attributes
    ----------
    maps : list of ndarray of uint8, shape (height, width)
    truth : list of ndarray of bool, shape (height, width)
        The fails that a pattern caused.
    weaker : list of ndarray of bool, shape (height, width)
        The same for the pattern of fewer fails; where there is one pattern, the truth.
    about : DataFrame
        One row per wafer: ``kind``, ``wafer`` (its number within the kind), ``group`` (the wafer
        that its pattern, or else its background, was taken from), ``label``, ``rate``, ``density``.
    """

    maps: list[np.ndarray]
    truth: list[np.ndarray]
    weaker: list[np.ndarray]
    about: pd.DataFrame

    def take(self, rows: np.ndarray) -> PlantedWafers:
        """Return the wafers of these rows."""
        parts = (pick(values, rows) for values in (self.maps, self.truth, self.weaker))
        return PlantedWafers(*parts, self.about.iloc[rows].reset_index(drop=True))

    def share(self, share: float) -> PlantedWafers:
        """Return the first wafers of each kind, class and rate: about this share of them all.

        A larger share holds the wafers of every smaller one.
        """
        strata = self.about.groupby(["kind", "label", "rate"])["wafer"]
        place = strata.cumcount() / strata.transform("size")
        return self.take(np.flatnonzero(place < share))


def folds_of_roles(n_folds: int, test_fold: int) -> dict[str, list[int]]:
    """Choose the folds that train, validate and test."""
    validation = (test_fold + 1) % n_folds
    training = [fold for fold in range(n_folds) if fold not in (test_fold, validation)]
    return {"training": training, "validation": [validation], "test": [test_fold]}


def choose(
    folder: Path,
    needed: dict[str, Path],
    *,
    classes: list[str],
    folds: int,
    n_simulated: int,
    data: str | None,
    digest: str | None,
) -> None:
    """Write all wafers that may serve, with their folds.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    classes : list of str
        The classes with a pattern; wafers without one are added.
    folds, n_simulated, data, digest
        As in `study.wafers.choose`.
    """
    names = [*classes, *PATTERNLESS]
    if data is None:
        wafers = _simulate(n_simulated, classes)
        fold = folds_of(wafers, folds)
    else:
        wafers = load_with_folds(data, names, folds)
        fold = wafers.fold
    save_wafer_maps(folder / FILE, wafers.maps, wafers.target, lot=wafers.groups, fold=fold)


def _simulate(n_wafers: int, classes: list[str]) -> Bunch:
    """Simulate wafers as they are, some that are clean enough to read a pattern off, and `none`."""
    parts = [
        make_wafer_maps(n_wafers // 2, classes=[*classes, "Random"], random_state=0),
        make_wafer_maps(n_wafers // 4, classes=classes, noise_rate=(0, 0.03), random_state=1),
        make_wafer_maps(n_wafers // 4, classes=["none"], noise_rate=(0.01, 0.26), random_state=2),
    ]
    ends = np.cumsum([0, *(part.groups.max() + 1 for part in parts)])
    groups = [part.groups + start for part, start in zip(parts, ends[:-1], strict=True)]
    return Bunch(
        maps=[grid for part in parts for grid in part.maps],
        target=np.concatenate([part.target for part in parts]),
        groups=np.concatenate(groups),
        frame=pd.DataFrame(),
    )


def plant(
    folder: Path,
    needed: dict[str, Path],
    *,
    kind: str,
    folds: list[int],
    rates: list[float],
    n_per_rate: int,
    classes: list[str],
) -> None:
    """Write planted wafers whose parents are all in these folds.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    kind : str
        As in `make_planted_wafers`.
    folds : list of int
        Those of the role.
    rates : list of float
        Shares of the background's dies that fail.
    n_per_rate : int
        Wafers for each rate.
    classes : list of str
        Patterns to plant. Those that cannot be had at a rate are left out, and why is written.
    """
    wafers = load(needed["bench-wafers"])
    options = {"kind": kind, "rows": np.flatnonzero(np.isin(wafers.fold, folds))}
    made, reasons = [], {}
    for seed, rate in enumerate(rates):
        limits = (rate * (1 - _RATE_TOLERANCE), rate * (1 + _RATE_TOLERANCE))
        at_rate = options | {"background_rate": limits, "random_state": seed}
        planted, missing = _make(wafers, n_per_rate, classes, at_rate)
        reasons |= {f"{name} at {rate:.0%}": why for name, why in missing.items()}
        if planted is not None:
            made.append((rate, planted))
    write_json(folder / LEFT_OUT, reasons)
    if not made:
        raise ValueError(
            f"no {kind} wafer can be made of folds {folds}: {reasons}. Give more wafers "
            "(n_simulated), or other background_rates in the profile."
        )
    _save(folder, made)


def _make(
    wafers: Bunch, n_wafers: int, classes: list[str], options: dict[str, Any]
) -> tuple[Bunch | None, dict[str, str]]:
    """Plant all classes, or those that can be had; say why the others cannot."""
    try:
        return make_planted_wafers(wafers, n_wafers, classes=classes, **options), {}
    except ValueError:
        reasons = unusable(wafers, classes, options)
    left = [name for name in classes if name not in reasons]
    if len(left) < (2 if options["kind"] == "two" else 1):
        return None, reasons
    return make_planted_wafers(wafers, n_wafers, classes=left, **options), reasons


def _save(folder: Path, made: list[tuple[float, Bunch]]) -> None:
    maps, truth, weaker = [], [], []
    for _, planted in made:
        maps += planted.maps
        truth += planted.truth
        weaker += [masks[masks.sum(axis=(1, 2)).argmin()] for masks in planted.pattern_truth]
    frame = pd.concat([planted.frame.assign(rate=rate) for rate, planted in made])
    target = frame.pop("label").to_numpy(str)
    # Wafers with the same pattern are alike; without a real one, those with the same background.
    group = frame.get("pattern_row", frame["background_row"])
    kept = ["rate", "density", *(name for name in frame if name.endswith("_row"))]
    columns = {name: frame[name].to_numpy() for name in kept}
    save_wafer_maps(folder / FILE, maps, target, truth=truth, lot=group.to_numpy(), **columns)
    save_wafer_maps(folder / WEAKER, maps, target, truth=weaker)


def load_planted(folders: dict[str, Path]) -> PlantedWafers:
    """Read planted wafers of several kinds.

    Parameters
    ----------
    folders : dict of str to Path
        For each kind what `plant` wrote.
    """
    maps, truth, weaker, tables = [], [], [], []
    for kind, folder in folders.items():
        wafers = load_wafer_maps(folder / FILE)
        maps += wafers.maps
        truth += wafers.truth
        weaker += load_wafer_maps(folder / WEAKER).truth
        about = {"kind": kind, "wafer": np.arange(len(wafers.maps)), "group": wafers.groups}
        columns = {name: wafers.frame[name].to_numpy() for name in ("label", "rate", "density")}
        tables.append(pd.DataFrame(about | columns))
    return PlantedWafers(maps, truth, weaker, pd.concat(tables, ignore_index=True))


def planted_of_role(folders: dict[str, Path], role: str) -> PlantedWafers:
    """Read a role's planted wafers of all kinds, out of the folders of several tasks."""
    by_kind = {
        kind: folder
        for kind in KINDS
        for name, folder in folders.items()
        if name.endswith(f"-planted-{role}-{kind}")
    }
    return load_planted(by_kind)


def load_patternless(folder: Path, fold: int, n_most: int) -> PlantedWafers:
    """Read wafers of a fold without a pattern: at most so many of each class, drawn at random."""
    wafers = load(folder)
    rng, chosen = np.random.default_rng(0), []
    for name in PATTERNLESS:
        there = np.flatnonzero((wafers.fold == fold) & (wafers.target == name))
        chosen.append(np.sort(rng.permutation(there)[:n_most]))
    rows = np.concatenate(chosen)
    maps = pick(wafers.maps, rows)
    nothing = [np.zeros(grid.shape, bool) for grid in maps]
    about = {"kind": wafers.target[rows], "wafer": rows, "group": wafers.groups[rows]}
    about |= {"label": wafers.target[rows], "rate": np.nan, "density": np.nan}
    return PlantedWafers(maps, nothing, nothing, pd.DataFrame(about))
