"""What each CAM keeps of the test wafers, net by net, and where on the wafer each defect sits."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, Explanation, WaferClassifier, load_model
from camdenoise.wafers import grid_positions, polar
from study.figures.style import save_figure
from study.figures.wafers import defect_places, examples
from study.files import write_table
from study.graph import slug
from study.stages.faithfulness import balanced
from study.stages.models import MODEL
from study.wafers import load, pick

PLACES, FREQUENCY = "places.csv", "frequency"

USUAL = "Grad-CAM, last layer"
EVIDENCE = "evidence"
#: Names of the methods of `CamDenoiser`, as the figures show them.
METHODS = {
    "gradcam": "Grad-CAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "gradcam++": "Grad-CAM++",
    "xgradcam": "XGrad-CAM",
    "eigencam": "Eigen-CAM",
    "scorecam": "Score-CAM",
}
#: Inner edges of the parts of a wafer, as shares of its radius.
ZONES = {"inner third": 0.0, "middle third": 1 / 3, "outer third": 2 / 3}


def options_of(clf: WaferClassifier, methods: list[str]) -> dict[str, dict[str, Any]]:
    """List the CAMs that a net is explained by, as options of `CamDenoiser`.

    The usual one is Grad-CAM at the last layer that has a grid, thresholded die by die. The others
    are at the layers that still resolve dies, and keep whole components. A net with evidence has
    that as well.
    """
    grids = clf.module_.feature_shapes(int(np.max(clf.input_size)))
    last = [name for name, shape in grids.items() if min(shape[1:]) > 1][-1]
    chosen: dict[str, dict[str, Any]] = {
        USUAL: {"method": "gradcam", "layers": [last], "aggregation": None}
    }
    chosen |= {METHODS[name]: {"method": name, "aggregation": "component"} for name in methods}
    if clf.module_.has_evidence:
        chosen[EVIDENCE] = {"method": "evidence"}
    return chosen


def file_name(method: str) -> str:
    """Turn a CAM's name into part of a file's."""
    return slug(method.replace("+", " plus "))


def explain(
    folder: Path,
    needed: dict[str, Path],
    *,
    backbone: str,
    fold: int,
    methods: list[str],
    n_wafers: int,
) -> None:
    """Write for each CAM a picture of one wafer a class, and where defects sit before and after.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    backbone : str
        The net's name.
    fold : int
        The fold that tests.
    methods : list of str
        CAM methods of `CamDenoiser`.
    n_wafers : int
        Test wafers at most, the same number of each class while they last.
    """
    source, net = needed.values()
    wafers, clf = load(source), load_model(net / MODEL)
    rows = balanced(wafers, fold, n_wafers)
    maps, target = pick(wafers.maps, rows), wafers.target[rows]
    first = [int(np.flatnonzero(target == name)[0]) for name in sorted(set(target))]
    explained: dict[str, list[Explanation]] = {}
    for name, options in options_of(clf, methods).items():
        shown = copy(clf).set_params(progress=True)
        method = CamDenoiser(FrozenEstimator(shown), random_state=0, **options)
        explained[name] = method.fit(maps).explain(maps)
        shown = [(target[row], maps[row], explained[name][row]) for row in first]
        save_figure(examples(shown), folder / f"examples-{file_name(name)}")
    save_figure(defect_places(maps, target, explained), folder / FREQUENCY)
    table = places(maps, target, explained)
    table.insert(0, "backbone", backbone)
    write_table(folder / PLACES, table)


def places(
    maps: list[np.ndarray], target: np.ndarray, explained: dict[str, list[Explanation]]
) -> pd.DataFrame:
    """Tell how densely each part of the wafer fails, before and after, by class and CAM.

    Returns
    -------
    DataFrame
        ``method``, ``class``, ``zone``, ``wafers``; ``fails`` and ``kept``, shares of the zone's
        dies; ``saliency``, its mean over them. Means over the wafers with a die in the zone.
    """
    tables = []
    for name, found in explained.items():
        rows = [
            {"method": name, "class": label} | row
            for label, grid, why in zip(target, maps, found, strict=True)
            for row in _zones(grid, why)
        ]
        tables.append(pd.DataFrame(rows))
    groups = pd.concat(tables).groupby(["method", "class", "zone"], sort=False)
    means = groups[["fails", "kept", "saliency"]].mean()
    means.insert(0, "wafers", groups.size())
    return means.reset_index()


def _zones(grid: np.ndarray, why: Explanation) -> list[dict[str, Any]]:
    radius = polar(*grid_positions(*grid.shape))[0]
    zone = np.digitize(radius, list(ZONES.values())) - 1
    rows = []
    for number, name in enumerate(ZONES):
        there = (zone == number) & (grid > 0)
        if there.any():
            values = {"fails": grid == 2, "kept": why.kept, "saliency": why.saliency}
            rows.append({"zone": name} | {k: float(v[there].mean()) for k, v in values.items()})
    return rows
