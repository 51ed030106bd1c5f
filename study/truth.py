"""Score every denoiser die by die, on wafers of which it is known what caused each fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from camdenoise import load_model
from camdenoise.metrics import die_average_precision, die_scores
from study.denoisers import DENOISERS, NOTHING, explain
from study.models import MODEL
from study.wafers import FILE, load, pick

SCORES = "scores.csv"


def score(
    folder: Path, needed: dict[str, Path], *, fold: int, seed: int, kind: str, source: str
) -> None:
    """Write one row of scores per wafer and denoiser.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    fold, seed : int
        Which net to use; the wafers are those of the test fold.
    kind : str
        What sort of wafers they are, for the table.
    source : str
        The task that made them.
    """
    if not (needed[source] / FILE).exists():
        pd.DataFrame(columns=["denoiser", "kind"]).to_csv(folder / SCORES, index=False)
        return
    wafers = load(needed[source])
    rows = np.flatnonzero(wafers.fold == fold)
    maps, target = pick(wafers.maps, rows), wafers.target[rows]
    truth = pick(wafers.truth, rows)
    clf = load_model(needed[f"models-{fold}-{seed}-all"] / MODEL)
    tables = []
    for name in DENOISERS:
        kept, precision = [grid == 2 for grid in maps], np.full(len(maps), np.nan)
        if name != NOTHING:
            why = explain(name, clf, maps)
            kept = [e.kept for e in why]
            precision = die_average_precision(maps, truth, [e.saliency for e in why])
        table = die_scores(maps, truth, kept).assign(average_precision=precision)
        about = {"kind": kind, "denoiser": name, "wafer": rows}
        about |= {"group": wafers.groups[rows], "label": target}
        tables.append(pd.concat([pd.DataFrame(about), table], axis=1))
    pd.concat(tables).to_csv(folder / SCORES, index=False)
