"""What the evaluations share: their options, the wafers of a fold, a denoiser, the tables."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch

from camdenoise import CamDenoiser, load_model
from study.files import to_markdown, write_table
from study.wafers import N_FOLDS, folds_of, pick

#: Kinds of planted wafers.
KINDS = ("planted", "diffuse", "two")


def make_parser(
    name: str, text: str | None, *, needs_model: bool = True
) -> argparse.ArgumentParser:
    """Make the parser of an evaluation: a model, real wafers, and the fold that tests."""
    lines = (text or "").splitlines()
    parser = argparse.ArgumentParser(f"python -m study evaluate {name}", description=lines[0])
    parser.add_argument("--model", type=Path, required=needs_model, help="trained without the fold")
    parser.add_argument("--data", type=Path, required=True, help="npz file of real wafers")
    parser.add_argument("--fold", type=int, default=0)
    return parser


@dataclass(frozen=True)
class FoldPart:
    """Labeled wafers, and their rows among all."""

    rows: np.ndarray
    maps: list[np.ndarray]
    target: np.ndarray

    @classmethod
    def of(cls, data: Bunch, rows: np.ndarray) -> FoldPart:
        """Take the wafers of these rows."""
        return cls(rows, pick(data.maps, rows), data.target[rows])

    def labeled(self, *labels: str) -> list[np.ndarray]:
        """Return the maps that have one of the labels."""
        return pick(self.maps, np.flatnonzero(np.isin(self.target, labels)))


def rows_of_fold(data: Bunch, fold: int) -> np.ndarray:
    """Return the rows of the wafers that a fold tests."""
    return np.flatnonzero(folds_of(data, N_FOLDS) == fold)


def halves_of_fold(data: Bunch, fold: int) -> tuple[FoldPart, FoldPart]:
    """Split the wafers of a fold, half of its groups each."""
    rows = rows_of_fold(data, fold)
    groups = np.random.RandomState(0).permutation(np.unique(data.groups[rows]))
    first = np.isin(data.groups[rows], groups[: len(groups) // 2])
    return FoldPart.of(data, rows[first]), FoldPart.of(data, rows[~first])


def draw_of_fold(data: Bunch, fold: int, classes, per_class: int) -> np.ndarray:
    """Draw rows of a fold, up to so many of each class."""
    of_fold, rng = rows_of_fold(data, fold), np.random.default_rng(0)
    return np.concatenate(
        [rng.permutation(of_fold[data.target[of_fold] == name])[:per_class] for name in classes]
    )


def always_decide(model: Path) -> CamDenoiser:
    """Make a denoiser around a saved classifier that decides on every wafer."""
    denoiser = CamDenoiser(FrozenEstimator(load_model(model)), false_alarm_rate=None)
    return denoiser.fit([np.ones((3, 3), np.uint8)])


def save_tables(tables: dict[str, pd.DataFrame], out: Path) -> None:
    """Write each table as CSV and print it."""
    for name, table in tables.items():
        write_table(out / f"{name}.csv", table, index=True)
        print(f"{name}\n\n{to_markdown(table, 3)}\n")
