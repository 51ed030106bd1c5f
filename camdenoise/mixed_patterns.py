"""Wafers with several patterns: which kept fail belongs to which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camdenoise.cam._on_dies import EvidenceAttribution
from camdenoise.denoising._cam_denoiser import EVIDENCE, CamDenoiser
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import WaferMaps, as_collection, check_wafer_map, map_items

__all__ = ["mixed_patterns"]

# Least share of the kept fails of a second pattern; fewer fails are uncertain ones of the first.
_LEAST_SHARE = 0.05


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
        The result of ``denoiser.explain(X)``, if it was computed before.

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
    rows = [
        row
        for row, explanation in enumerate(explanations)
        if explanation.kept.any() and not explanation.abstained
    ]
    grids = [check_wafer_map(items[row], row) for row in rows]
    attribution = EvidenceAttribution(denoiser.estimator_)
    names = [str(label) for label in attribution.patterns]
    for row, scores in zip(rows, attribution.attribute(grids, each_pattern=True), strict=True):
        if scores.by_pattern is not None:
            divided[row] = _divide(explanations[row].kept, names, scores.by_pattern)
    return divided


def _divide(kept: np.ndarray, names: list[str], by_pattern: np.ndarray) -> dict[str, np.ndarray]:
    on_fails = by_pattern[:, kept]
    counts = np.bincount(on_fails.argmax(axis=0), minlength=len(names))
    present = np.flatnonzero(counts >= _LEAST_SHARE * counts.sum())
    best = present[on_fails[present].argmax(axis=0)]
    masks = {}
    for code in sorted(set(best.tolist()), key=lambda code: -np.count_nonzero(best == code)):
        masks[names[code]] = np.zeros_like(kept)
        masks[names[code]][kept] = best == code
    return masks
