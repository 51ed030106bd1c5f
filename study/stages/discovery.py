"""Cluster raw and denoised maps without labels, to see whether a class nobody named shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import normalized_mutual_info_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import one_hot

from camdenoise import WaferClassifier
from camdenoise.wafers import FAIL
from study.denoisers import RAW, kept_by
from study.files import write_table
from study.stages.before_after import denoised
from study.stages.faithfulness import balanced
from study.wafers import load, pick, regrid

SCORES = "scores.csv"
DIES, NET = "dies", "net"
# Side of the grid of dies in cells, cells that are pooled along a side, principal components.
_GRID, _POOL, _COMPONENTS = 48, 3, 20
_NOISE = -1


def cluster(
    folder: Path,
    needed: dict[str, Path],
    *,
    fold: int,
    seed: int,
    held_out: str,
    names: list[str],
    n_wafers: int,
    classifier: dict[str, Any],
) -> None:
    """Cluster test wafers without their labels, a class of which no classifier has seen.

    Parameters
    ----------
    folder, needed
        See `study.graph.Task`.
    fold, seed : int
        As in `study.stages.models`.
    held_out : str
        The class that is left out of training. The classifier explains its wafers all the same,
        as one of the others.
    names : list of str
        Denoisers and controls, beside raw wafers.
    n_wafers : int
        Test wafers at most, the same number of each class while they last.
    classifier : dict
        Parameters of `WaferClassifier`.
    """
    wafers = load(needed["wafers"])
    rows = np.flatnonzero((wafers.fold != fold) & (wafers.target != held_out))
    clf = WaferClassifier(**classifier, random_state=seed, progress=True)
    clf.fit(pick(wafers.maps, rows), wafers.target[rows])
    test = balanced(wafers, fold, n_wafers)
    maps, target = pick(wafers.maps, test), wafers.target[test]
    tables = []
    for name in (RAW, *names):
        seen = maps if name == RAW else _denoise(name, clf, maps, seed)
        for features, values in {DIES: of_dies(seen), NET: of_net(clf, seen)}.items():
            for method, found in clusters(values, len(set(target)), seed).items():
                about = {"denoiser": name, "features": features, "clustering": method}
                tables.append(about | scores(target, found, held_out))
    about = {"fold": fold, "seed": seed, "held out": held_out, "wafers": len(test)}
    write_table(folder / SCORES, pd.DataFrame(tables).assign(**about))


def _denoise(name: str, clf, maps: list[np.ndarray], seed: int) -> list[np.ndarray]:
    return [denoised(*pair) for pair in zip(maps, kept_by(name, clf, maps, seed), strict=True)]


def of_dies(maps: list[np.ndarray]) -> np.ndarray:
    """Return the share of fails in the cells of a small grid, shape (n_wafers, n_cells)."""
    fails = np.stack([regrid(grid, _GRID, _GRID) == FAIL for grid in maps])
    cells = fails.reshape(len(maps), _GRID // _POOL, _POOL, _GRID // _POOL, _POOL)
    return cells.mean(axis=(2, 4), dtype=np.float32).reshape(len(maps), -1)


def of_net(clf: WaferClassifier, maps: list[np.ndarray]) -> np.ndarray:
    """Return the means of the last stage's channels, shape (n_wafers, n_channels)."""
    net = clf.module_
    values: list[Any] = [None] * len(maps)
    with torch.inference_mode():
        for rows, codes in clf.batches(maps):
            planes = one_hot(codes.long(), FAIL + 1).permute(0, 3, 1, 2).float()
            x = net.forward_stages(planes, {}, net.layer_names).mean(dim=(2, 3))
            for row, value in zip(rows, x.numpy(), strict=True):
                values[row] = value
    return np.stack(values)


def clusters(values: np.ndarray, n_clusters: int, seed: int) -> dict[str, np.ndarray]:
    """Cluster the wafers' first principal components by two methods; -1 is in no cluster."""
    n_components = min(_COMPONENTS, *values.shape)
    reduce = make_pipeline(StandardScaler(), PCA(n_components, random_state=seed))
    points = reduce.fit_transform(values)
    smallest = max(5, len(values) // 40)
    return {
        "k-means": KMeans(n_clusters, n_init=10, random_state=seed).fit_predict(points),
        "HDBSCAN": HDBSCAN(min_cluster_size=smallest, copy=True).fit_predict(points),
    }


def scores(target: np.ndarray, found: np.ndarray, held_out: str) -> dict[str, float]:
    """Tell how well clusters agree with the labels.

    Parameters
    ----------
    target : ndarray of str, shape (n_wafers,)
    found : ndarray of int, shape (n_wafers,)
        Cluster of each wafer; -1 is none.
    held_out : str
        The class that was not trained on.

    Returns
    -------
    dict
        ``clusters``; ``purity``, the share of the wafers that are of the commonest class of their
        cluster (wafers in none count as wrong); ``nmi``, normalized mutual information; ``recall``,
        the share of the held-out class in clusters where it is the commonest.
    """
    counts = pd.crosstab(found, target).drop(index=_NOISE, errors="ignore")
    own = counts.loc[counts.idxmax(axis=1) == held_out, held_out].sum() if len(counts) else 0
    return {
        "clusters": len(counts),
        "purity": counts.max(axis=1).sum() / len(target),
        "nmi": normalized_mutual_info_score(target, found),
        "recall": own / (target == held_out).sum(),
    }
