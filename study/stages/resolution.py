"""How fine must a CAM's grid be? The same net, explained at each of its layers."""

from __future__ import annotations

from copy import copy
from pathlib import Path

import pandas as pd
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, load_model
from camdenoise.faithfulness import area_under_curve, faithfulness_curves
from study.files import write_table
from study.stages.cams import METHODS
from study.stages.faithfulness import balanced
from study.stages.models import MODEL
from study.wafers import load, pick

SCORES = "scores.csv"
CURVES = ("deletion", "insertion")
RANDOM_CAM = "RandomCAM"
_METHODS = {name: METHODS[name] for name in ("gradcam", "layercam")} | {"randomcam": RANDOM_CAM}


def measure(
    folder: Path, needed: dict[str, Path], *, fold: int, seed: int, n_wafers: int, n_steps: int
) -> None:
    """Write the faithfulness of CAMs at every layer, compared with RandomCAM at the same layer.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`; the needs are the wafers and the net.
    fold, seed : int
        Which wafers, and what is random.
    n_wafers : int
        Test wafers at most, the same number of each class while they last.
    n_steps : int
        Steps of each curve.
    """
    source, net = needed.values()
    wafers, clf = load(source), load_model(net / MODEL)
    rows = balanced(wafers, fold, n_wafers)
    maps = pick(wafers.maps, rows)
    grids = {
        name: min(shape[1:]) for name, shape in clf.module_.feature_shapes(clf.input_size).items()
    }
    saliencies = {
        (label, grid): _saliency(clf, maps, method, layer, seed)
        for layer, grid in grids.items()
        if grid > 1
        for method, label in _METHODS.items()
    }
    curves = faithfulness_curves(
        clf,
        maps,
        {"/".join(map(str, key)): found for key, found in saliencies.items()},
        curves=CURVES,
        n_steps=n_steps,
        random_state=seed,
        progress=True,
    )
    about = {"fold": fold, "seed": seed, "wafer": rows, "group": wafers.groups[rows]}
    tables = [
        pd.DataFrame(about | {"metric": kind, "method": method, "grid": grid}).assign(
            value=area_under_curve(curves[kind][f"{method}/{grid}"])
        )
        for kind in CURVES
        for method, grid in saliencies
    ]
    write_table(folder / SCORES, pd.concat(tables))


def _saliency(clf, maps, method: str, layer: str, seed: int) -> list:
    options = {"method": method, "layers": [layer], "random_state": seed}
    clf = copy(clf).set_params(progress=True)
    denoiser = CamDenoiser(FrozenEstimator(clf), **options).fit(maps)
    return [why.saliency for why in denoiser.explain(maps)]
