"""The masks of every leakage control for every wafer, each by a net that has not seen the wafer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from camdenoise.leakage import CONTROLS, CrossFit
from study.denoisers import INDEPENDENT, OURS, make_denoiser
from study.stages.denoise import save_masks, unseen_by
from study.wafers import load


def make_masks(
    folder: Path,
    needed: dict[str, Path],
    *,
    fold: int,
    seed: int,
    explainer: str,
    independent: str | None,
) -> None:
    """Write the masks of the controls of our denoiser.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    fold, seed : int
        Which nets to use; the seed is also for what is random in a control.
    explainer : str
        The stage whose nets our denoiser is around.
    independent : str or None
        The stage whose nets are of another architecture, if there are any.
    """
    wafers = load(needed["wafers"])
    stages = (explainer, independent) if independent else (explainer,)
    models = [_denoisers(needed, wafers, fold, f"{stage}-{fold}-{seed}") for stage in stages]
    fit = CrossFit(wafers.maps, wafers.target, np.flatnonzero(wafers.fold != fold), *models)
    masks = {}
    for number, (name, control) in enumerate(CONTROLS.items()):
        shown = f"control: {name}"
        if shown != INDEPENDENT or independent:
            masks[shown] = control.masks(fit, np.random.default_rng([seed, number]))
    save_masks(folder, masks)


def _denoisers(needed: dict[str, Path], wafers, fold: int, models: str) -> list:
    return [
        (make_denoiser(OURS, clf), rows)
        for clf, rows in unseen_by(needed, wafers, fold, models).values()
    ]
