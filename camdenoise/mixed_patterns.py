"""Wafers with several patterns: which kept fail belongs to which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camdenoise.cam import evidence_maps
from camdenoise.denoising._cam_denoiser import EVIDENCE, CamDenoiser
from camdenoise.nets._component_planes import input_planes
from camdenoise.nets._encoding import mean_on_dies
from camdenoise.nets._inference import inference_net
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import WaferMaps, as_collection, check_wafer_map, map_items

__all__ = ["mixed_patterns"]

# A pattern with a smaller share of the kept fails is no second pattern, but doubt about the first.
_LEAST_SHARE = 0.05
_N_AT_ONCE = 64


def mixed_patterns(
    denoiser: CamDenoiser,
    X: WaferMaps,
    *,
    explanations: Sequence[Explanation] | None = None,
) -> list[dict[str, np.ndarray]]:
    """Divide the kept fails of each wafer among the patterns that they belong to.

    A fail goes to the pattern whose map has the most evidence there. Patterns that get less than
    5 % of the kept fails are given up, and their fails go to the best of the others.

    Parameters
    ----------
    denoiser : CamDenoiser
        Fitted, with ``method="evidence"``, such as the one that comes with the package.
    X : list, object array or Series of 2-D maps, or 3-D array
        Wafer maps.
    explanations : sequence of Explanation, default=None
        What ``denoiser.explain(X)`` gave, where that was asked already.

    Returns
    -------
    list of dict of str to ndarray of bool, shape (height, width)
        For each wafer a mask for each of its patterns, the one with most fails first; together they
        are the kept fails. Empty where the denoiser abstained, or could not read the map.

    Raises
    ------
    ValueError
        For a denoiser that does not keep evidence for each class, or another number of
        explanations than of wafers.

    Examples
    --------
    >>> from camdenoise import CamDenoiser
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.mixed_patterns import mixed_patterns
    >>> wafers = make_wafer_maps(2, classes=["Edge-Ring"], random_state=0)
    >>> [list(masks) for masks in mixed_patterns(CamDenoiser.from_pretrained(), wafers.maps)]
    [['Edge-Ring'], ['Edge-Ring']]
    """
    if denoiser.method_ != EVIDENCE:
        raise ValueError(
            f"method {denoiser.method_!r} explains one class. Use a denoiser with "
            "method='evidence', which keeps a map for each."
        )
    X = as_collection(X)
    items = map_items(X)
    explanations = denoiser.explain(X) if explanations is None else explanations
    if len(explanations) != len(items):
        raise ValueError(f"got {len(explanations)} explanations for {len(items)} wafer maps.")
    divided: list[dict[str, np.ndarray]] = [{} for _ in items]
    rows = [row for row, why in enumerate(explanations) if why.kept.any() and not why.abstained]
    grids = [check_wafer_map(items[row], row) for row in rows]
    for row, evidence in zip(rows, _evidence_on_dies(denoiser, grids), strict=True):
        divided[row] = _divided(explanations[row].kept, evidence)
    return divided


def _evidence_on_dies(
    denoiser: CamDenoiser, grids: list[np.ndarray]
) -> list[dict[str, np.ndarray]]:
    """Read the map of each pattern at each die, one dict per wafer."""
    clf = denoiser.estimator_
    patterns = np.flatnonzero(denoiser.has_pattern())
    found: list[dict[str, np.ndarray]] = [{} for _ in grids]
    net = inference_net(clf.module_, int(np.max(clf.input_size)))
    for rows, images in clf.batches(grids, _N_AT_ONCE):
        planes = input_planes(images).to(next(net.parameters()).device)
        evidence = evidence_maps(net, planes, precision=denoiser.precision).evidence
        shapes = [grids[row].shape for row in rows]
        for code in patterns:
            values = evidence[:, code].contiguous().cpu().numpy()
            for row, on_dies in zip(
                rows, mean_on_dies(values, shapes, clf.fit_to_input), strict=True
            ):
                found[row][str(clf.classes_[code])] = on_dies
    return found


def _divided(kept: np.ndarray, evidence: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = list(evidence)
    on_fails = np.stack([evidence[name][kept] for name in names])
    counts = np.bincount(on_fails.argmax(axis=0), minlength=len(names))
    there = np.flatnonzero(counts >= _LEAST_SHARE * counts.sum())
    best = there[on_fails[there].argmax(axis=0)]
    masks = {}
    for code in sorted(set(best.tolist()), key=lambda code: -np.count_nonzero(best == code)):
        masks[names[code]] = np.zeros_like(kept)
        masks[names[code]][kept] = best == code
    return masks
