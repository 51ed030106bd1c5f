"""Test whether saliencies tell what the classifier decides by, each beside a random one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, WaferClassifier, load_model
from camdenoise.faithfulness import (
    RANDOM,
    area_under_curve,
    energy_pointing_game,
    faithfulness_curves,
    random_saliency,
    randomized_weights,
)
from camdenoise.filters import ComponentSizeFilter, MedianFilter
from study.denoisers import COMPONENTS, MEDIAN
from study.files import write_arrays, write_table
from study.stages.models import MODEL
from study.wafers import FILE, load, pick

SCORES, CURVES = "scores.csv", "curves.npz"

#: The default of `CamDenoiser`, and the usual choice elsewhere.
DEFAULT, USUAL = "LayerCAM, auto", "Grad-CAM, last"
RANDOM_CAM = "RandomCAM, auto"


def cams(clf: WaferClassifier, seed: int) -> dict[str, CamDenoiser]:
    """Build the CAMs to be tested: methods at the last layer, LayerCAM at each, the default."""
    grids = {
        name: min(shape[1:]) for name, shape in clf.module_.feature_shapes(clf.input_size).items()
    }
    inner = [name for name, grid in grids.items() if grid > 1][1:]  # without the stem
    chosen = {
        USUAL: {"method": "gradcam", "layers": inner[-1:]},
        "HiResCAM, last": {"method": "hirescam", "layers": inner[-1:]},
        "Grad-CAM++, last": {"method": "gradcam++", "layers": inner[-1:]},
        "RandomCAM, last": {"method": "randomcam", "layers": inner[-1:]},
    }
    for name in reversed(inner):
        chosen[f"LayerCAM, {grids[name]} x {grids[name]}"] = {"layers": [name]}
    chosen |= {DEFAULT: {}, RANDOM_CAM: {"method": "randomcam"}}
    nothing = [np.ones((1, 1), np.uint8)]
    return {
        name: CamDenoiser(FrozenEstimator(clf), random_state=seed, **options).fit(nothing)
        for name, options in chosen.items()
    }


def saliencies(clf: WaferClassifier, maps: list[np.ndarray], seed: int) -> dict[str, list]:
    """Return the saliency of each wafer by every method, filters among them."""
    denoisers = cams(clf, seed) | {MEDIAN: MedianFilter(), COMPONENTS: ComponentSizeFilter()}
    return {name: [e.saliency for e in one.explain(maps)] for name, one in denoisers.items()}


def draw_curves(
    folder: Path, needed: dict[str, Path], *, fold: int, seed: int, n_wafers: int, n_steps: int
) -> None:
    """Write deletion, insertion and ROAD curves of test wafers, and the areas under them.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    fold, seed : int
        Which net to use; the wafers are those of the test fold.
    n_wafers : int
        How many of them at most, the same number of each class.
    n_steps : int
        Steps of each curve.
    """
    wafers = load(needed["wafers"])
    rows = balanced(wafers, fold, n_wafers)
    clf = load_model(needed[f"models-{fold}-{seed}-all"] / MODEL)
    maps = pick(wafers.maps, rows)
    options = {"n_steps": n_steps, "random_state": seed, "progress": True}
    curves = faithfulness_curves(clf, maps, saliencies(clf, maps, seed), **options)
    areas = {
        (kind, name): area_under_curve(drawn)
        for kind, by_method in curves.items()
        for name, drawn in by_method.items()
    }
    write_table(folder / SCORES, _tidy(wafers, rows, areas))
    flat = {f"{kind}/{name}": drawn for kind in curves for name, drawn in curves[kind].items()}
    write_arrays(folder / CURVES, flat)


def point(folder: Path, needed: dict[str, Path], *, fold: int, seed: int, source: str) -> None:
    """Write the results of the energy pointing game on wafers whose truth is known.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    fold, seed : int
        Which net to use; the wafers are those of the test fold.
    source : str
        The task that made them.
    """
    if not (needed[source] / FILE).exists():
        write_table(folder / SCORES, pd.DataFrame(columns=["metric", "method"]))
        return
    wafers = load(needed[source])
    rows = np.flatnonzero(wafers.fold == fold)
    maps, truth = pick(wafers.maps, rows), pick(wafers.truth, rows)
    clf = load_model(needed[f"models-{fold}-{seed}-all"] / MODEL)
    found = saliencies(clf, maps, seed) | {RANDOM: random_saliency(maps, random_state=seed)}
    shares = {}
    for name, saliency in found.items():
        game = energy_pointing_game(maps, truth, saliency)
        shares |= {(metric, name): game[metric] for metric in ("energy", "fail_energy")}
    write_table(folder / SCORES, _tidy(wafers, rows, shares))


def forget(folder: Path, needed: dict[str, Path], *, fold: int, seed: int, n_wafers: int) -> None:
    """Write how similar each CAM stays to itself while the net forgets, stage by stage.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    fold, seed : int
        Which net to use; the wafers are those of the test fold.
    n_wafers : int
        How many of them at most, the same number of each class.
    """
    wafers = load(needed["wafers"])
    rows = balanced(wafers, fold, n_wafers)
    clf = load_model(needed[f"models-{fold}-{seed}-all"] / MODEL)
    similarity = {}
    for name, denoiser in cams(clf, seed).items():
        table = randomized_weights(denoiser, pick(wafers.maps, rows), random_state=seed)
        similarity |= {(stage, name): table[stage] for stage in table}
    write_table(folder / SCORES, _tidy(wafers, rows, similarity))


def balanced(wafers, fold: int, n_wafers: int) -> np.ndarray:
    """Draw wafers of a fold, the same number of each class while they last, in file order."""
    rng = np.random.default_rng(0)
    classes = sorted(set(wafers.target))
    share = n_wafers // len(classes)
    rows = [
        rng.permutation(np.flatnonzero((wafers.fold == fold) & (wafers.target == name)))[:share]
        for name in classes
    ]
    return np.sort(np.concatenate(rows))


def _tidy(wafers, rows: np.ndarray, values: dict[tuple[str, str], np.ndarray]) -> pd.DataFrame:
    """One row per metric, method and wafer."""
    about = {"wafer": rows, "group": wafers.groups[rows], "label": wafers.target[rows]}
    return pd.concat(
        pd.DataFrame({"metric": metric, "method": name} | about | {"value": value})
        for (metric, name), value in values.items()
    )
