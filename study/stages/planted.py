"""Wafers with known truth for a study on real ones: patterns of the test fold, planted there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from camdenoise.datasets import make_planted_wafers, save_wafer_maps
from study.files import write_json
from study.wafers import FILE, load_with_folds

LEFT_OUT = "left_out.json"


def plant(
    folder: Path,
    needed: dict[str, Path],
    *,
    fold: int,
    kind: str,
    n_planted: int,
    classes: list[str],
    folds: int,
    data: str,
    digest: str,
) -> None:
    """Write planted wafers, both parents of which are in the test fold.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    fold : int
        The fold that tests.
    kind : str
        As in `make_planted_wafers`.
    n_planted : int
        How many wafers to make.
    classes : list of str
        Patterns to plant; those that the fold is too small for are left out, and why is written.
    folds, data, digest
        As in `study.wafers.choose`.
    """
    wafers = load_with_folds(data, [*classes, "none"], folds)
    options = {"kind": kind, "rows": np.flatnonzero(wafers.fold == fold), "random_state": 0}
    reasons = unusable(wafers, classes, options)
    write_json(folder / LEFT_OUT, reasons)
    left = [name for name in classes if name not in reasons]
    if len(left) < (2 if kind == "two" else 1):
        return
    made = make_planted_wafers(wafers, n_planted, classes=left, **options)
    # Wafers with the same pattern are alike; without a real one, those with the same background.
    lot = made.parents[:, min(1, made.parents.shape[1] - 1)]
    save_wafer_maps(
        folder / FILE,
        made.maps,
        made.target,
        truth=made.truth,
        lot=lot,
        fold=np.full(len(lot), fold),
    )


def unusable(wafers, classes: list[str], options: dict) -> dict[str, str]:
    """Tell for each class that cannot be planted why not."""
    alone = options | {"kind": "planted" if options["kind"] == "two" else options["kind"]}
    reasons = {}
    for name in classes:
        try:
            make_planted_wafers(wafers, 1, classes=[name], **alone)
        except ValueError as error:
            reasons[name] = str(error)
    return reasons
