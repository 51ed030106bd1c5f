"""Score every denoiser die by die, on wafers of which it is known what caused each fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from camdenoise import load_model
from camdenoise.metrics import die_average_precision, die_scores
from camdenoise.wafers import FAIL
from study.denoisers import DENOISERS, MODELS, NOTHING, explain, stage_of, without_repeats
from study.files import write_table
from study.stages.models import MODEL
from study.wafers import FILE, load, pick

SCORES = "scores.csv"


def score_dies(
    folder: Path,
    needed: dict[str, Path],
    *,
    fold: int,
    seed: int,
    kind: str,
    source: str,
    explainer: str,
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
    explainer : str
        The stage whose net our denoiser is around.
    """
    if not (needed[source] / FILE).exists():
        write_table(folder / SCORES, pd.DataFrame(columns=["denoiser", "kind"]))
        return
    wafers = load(needed[source])
    rows = np.flatnonzero(wafers.fold == fold)
    maps, target = pick(wafers.maps, rows), wafers.target[rows]
    truth = pick(wafers.truth, rows)
    nets = {
        stage: load_model(needed[f"{stage}-{fold}-{seed}-all"] / MODEL)
        for stage in {MODELS, explainer}
    }
    tables = []
    for name in without_repeats(DENOISERS, explainer):
        kept, precision = [grid == FAIL for grid in maps], np.full(len(maps), np.nan)
        if name != NOTHING:
            why = explain(name, nets[stage_of(name, explainer)], maps)
            kept = [e.kept for e in why]
            precision = die_average_precision(maps, truth, [e.saliency for e in why])
        table = die_scores(maps, truth, kept).assign(average_precision=precision)
        about = {"kind": kind, "denoiser": name, "wafer": rows}
        about |= {"group": wafers.groups[rows], "label": target}
        tables.append(pd.concat([pd.DataFrame(about), table], axis=1))
    write_table(folder / SCORES, pd.concat(tables))
