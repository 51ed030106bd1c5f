"""Which wafers the study uses, and which of them test: real ones from a file, or simulated ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils import Bunch

from camdenoise.datasets import load_wafer_maps, make_wafer_maps, save_wafer_maps
from study.files import write_table

#: Folds of real wafers, where the file does not bring its own.
N_FOLDS = 4
FILE, COUNTS = "wafers.npz", "counts.csv"
# Splits that are tried until both halves hold every class.
_N_TRIES = 20


def choose(
    folder: Path,
    needed: dict[str, Path],
    *,
    classes: list[str],
    folds: int,
    n_simulated: int,
    data: str | None,
    digest: str | None,
    per_class: int | None = None,
    skip: int = 0,
    unique: bool = False,
) -> None:
    """Write the wafers with their fold; groups (lots, or what stands in for them) stay whole.

    No file of wafers is written where there are none of these classes.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    classes : list of str
        The classes to tell apart.
    folds : int
        Number of folds, where the file does not bring its own.
    n_simulated : int
        How many wafers to simulate where there are no real ones.
    data, digest : str or None
        Real wafers and what the file hashes to, so that another file makes another study.
    per_class : int or None, default=None
        Most real wafers of a class; None takes all.
    skip : int, default=0
        Of those that `per_class` would take, leave out so many of each class: what the same
        command takes with that number for `per_class`.
    unique : bool, default=False
        Whether to leave out copies of a map.
    """
    if data is None:
        wafers = make_wafer_maps(n_simulated, classes=classes, random_state=0)
        wafers.fold = folds_of(wafers, folds)
        per_class = None
    else:
        # With `none`, so that folds mean the same where patterns are planted on such wafers.
        wafers = load_with_folds(data, list(dict.fromkeys([*classes, "none"])), folds)
    allowed = without_copies(wafers) if unique else np.ones(len(wafers.maps), bool)
    rows = _sample(wafers.target, classes, slice(skip, per_class), allowed)
    write_table(folder / COUNTS, _counts(wafers.target, classes, allowed, rows))
    if len(rows) == 0:
        return
    save_wafer_maps(
        folder / FILE,
        pick(wafers.maps, rows),
        wafers.target[rows],
        truth=None if wafers.get("truth") is None else pick(wafers.truth, rows),
        lot=wafers.groups[rows],
        fold=wafers.fold[rows],
    )


def load_with_folds(data: str, classes: list[str], folds: int) -> Bunch:
    """Load the wafers of these classes, those of them that the file has, and their folds."""
    there = set(load_wafer_maps(data).target.tolist())
    wafers = load_wafer_maps(data, classes=[name for name in classes if name in there])
    wafers.fold = folds_of(wafers, folds)
    return wafers


def folds_of(wafers: Bunch, n_folds: int) -> np.ndarray:
    """Return the fold that tests each wafer: the file's own, or groups spread over `n_folds`."""
    if "fold" in wafers.frame:
        return wafers.frame["fold"].to_numpy()
    fold = np.zeros(len(wafers.maps), int)
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    for number, (_, test) in enumerate(splitter.split(fold, wafers.target, wafers.groups)):
        fold[test] = number
    return fold


def without_copies(wafers: Bunch) -> np.ndarray:
    """Mark the first of each set of equal maps, and none where their labels differ."""
    content = [(grid.shape, grid.tobytes()) for grid in wafers.maps]
    frame = pd.DataFrame({"content": pd.factorize(pd.Series(content))[0], "label": wafers.target})
    agreed = frame.groupby("content")["label"].transform("nunique") == 1
    return (agreed & ~frame["content"].duplicated()).to_numpy()


def _sample(
    target: np.ndarray, classes: list[str], drawn: slice, allowed: np.ndarray
) -> np.ndarray:
    """Return the rows to use, in file order: of each class that part of a random order."""
    rng = np.random.default_rng(0)
    rows = [rng.permutation(np.flatnonzero(allowed & (target == name)))[drawn] for name in classes]
    return np.sort(np.concatenate(rows))


def _counts(target, classes: list[str], allowed: np.ndarray, rows: np.ndarray) -> pd.DataFrame:
    """Count for each class the wafers there are, those without copies, and those used."""
    chosen = {"in the file": target, "without copies": target[allowed], "used": target[rows]}
    counts = {
        kind: [int((some == name).sum()) for name in classes] for kind, some in chosen.items()
    }
    return pd.DataFrame({"class": classes} | counts)


def load(folder: Path) -> Bunch:
    """Read what `choose` wrote; ``fold`` tells which fold tests each wafer."""
    wafers = load_wafer_maps(folder / FILE)
    wafers.fold = wafers.frame["fold"].to_numpy()
    return wafers


def halves(wafers: Bunch, fold: int) -> np.ndarray:
    """Split the training wafers of a fold in two, groups whole; -1 marks the test wafers.

    What a net does on its own training wafers says nothing of what it does on others, so the
    training wafers of one half are denoised by a net trained on the other. Of few groups, a first
    split may leave a class out of a half; then others are tried.
    """
    train = np.flatnonzero(wafers.fold != fold)
    target = wafers.target[train]
    found = []
    for seed in range(_N_TRIES):
        splitter = StratifiedGroupKFold(2, shuffle=True, random_state=seed)
        part = np.full(len(wafers.maps), -1)
        for half, (_, rows) in enumerate(splitter.split(train, target, wafers.groups[train])):
            part[train[rows]] = half
        in_halves = [len(np.unique(target[part[train] == half])) for half in (0, 1)]
        found.append((sum(in_halves), part))
        if sum(in_halves) == 2 * len(np.unique(target)):
            break
    return max(found, key=lambda of_try: of_try[0])[1]


def pick(maps: list[np.ndarray], rows: np.ndarray) -> list[np.ndarray]:
    """Take the items of a list at these rows."""
    return [maps[row] for row in rows]


def regrid(grid: np.ndarray, height: int, width: int) -> np.ndarray:
    """Show a wafer on another grid of dies: every new die is as the old one at its center."""
    rows, columns = (
        ((np.arange(n) + 0.5) * side / n).astype(int)
        for n, side in zip((height, width), grid.shape, strict=True)
    )
    return grid[np.ix_(rows, columns)]
