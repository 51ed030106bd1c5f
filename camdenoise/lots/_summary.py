"""One tidy row for each wafer of a lot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from camdenoise.denoising._base import BaseDenoiser
from camdenoise.io._wafer_table import find_results
from camdenoise.lots._randomness import spatial_randomness_test
from camdenoise.wafers._explanation import Explanation, result_row
from camdenoise.wafers._geometry import angle_from_top, polar, positions, rings, sectors
from camdenoise.wafers._maps import (
    NO_DIE,
    WaferMaps,
    as_collection,
    check_wafer_map,
    map_items,
)


def lot_summary(
    denoiser: BaseDenoiser,
    X: WaferMaps,
    *,
    keys: pd.DataFrame | None = None,
    explanations: list[Explanation] | None = None,
) -> pd.DataFrame:
    """Sum up each wafer of a lot: its yield, its class, where its pattern is.

    Parameters
    ----------
    denoiser : CamDenoiser or any denoiser with `explain`
        Fitted. With ``on_error="keep"`` a map that cannot be read costs its own row only.
    X : list, object array or Series of 2-D maps, or 3-D array
        Wafer maps.
    keys : DataFrame, default=None
        A row per wafer, put before the rest: lot, slot and so on. Columns with the name of a
        result are left out.
    explanations : list of Explanation, default=None
        The result of ``denoiser.explain(X)``, if it was computed before.

    Returns
    -------
    DataFrame, one row per wafer
        - ``n_dies``, ``n_fails`` (on the map), ``yield`` (share of the dies that pass, those
          without coordinates counted, where `keys` has ``n_unplaced`` and ``n_unplaced_fails``);
        - ``verdict`` and ``verdict_probability``, as in `Explanation`; ``predicted`` (class),
          ``probability``, ``entropy`` (of all class probabilities, in bits): missing for a denoiser
          that knows no classes;
        - ``n_kept``, ``n_removed``: fails that are kept, all where no pattern is claimed, and
          removed; ``patterns``: kept fails of each pattern, as JSON; ``abstained``: whether every
          fail was kept, because no pattern is claimed; ``partial``: whether less than most of the
          wafer was tested;
        - of the kept fails, where a pattern is claimed: ``pattern_area`` (share of the dies),
          ``radius`` (of their center, in wafer radii) and ``angle`` (of it, in degrees clockwise
          from row 0), and ``ring`` (0 at the center to 7) and ``sector`` (0 to 7, clockwise, 0
          around row 0) that hold the most of them;
        - ``p_random``: p-value of `spatial_randomness_test`, .005 or more;
        - ``error``: why the map could not be read; the verdict is "error" and the rest missing
          then.

    Raises
    ------
    WaferMapError
        For a map that cannot be read, with ``on_error="raise"``.
    ValueError
        For another number of keys or explanations than of wafers.

    See Also
    --------
    yield_loss : What the lot as a whole loses to patterns, and what to chance.

    Examples
    --------
    >>> from camdenoise import CamDenoiser
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.lots import lot_summary
    >>> wafers = make_wafer_maps(3, classes=["Edge-Ring"], random_state=0)
    >>> table = lot_summary(CamDenoiser.from_pretrained(), wafers.maps)
    >>> table["predicted"].tolist(), table["ring"].tolist()
    (['Edge-Ring', 'Edge-Ring', 'Edge-Ring'], [7, 7, 7])
    """
    X = as_collection(X)
    items = map_items(X)
    explanations = denoiser.explain(X) if explanations is None else explanations
    for name, given in (("explanations", explanations), ("keys", keys)):
        if given is not None and len(given) != len(items):
            raise ValueError(f"{name} has {len(given)} rows for {len(items)} wafer maps.")
    readable = [row for row, explanation in enumerate(explanations) if explanation.error is None]
    grids = {row: check_wafer_map(items[row], row) for row in readable}
    rows: list[dict[str, Any]] = [
        {"verdict": explanation.verdict, "error": explanation.error} for explanation in explanations
    ]
    for row, grid in grids.items():
        rows[row] |= _summarize_wafer(grid, explanations[row])
    table = pd.DataFrame(rows).reindex(columns=_COLUMNS).astype(_TYPES)
    if keys is None:
        return table
    keys = keys.drop(columns=find_results(keys.columns)).reset_index(drop=True)
    if "n_unplaced" in keys:
        n_dies = table["n_dies"].fillna(0) + keys["n_unplaced"].fillna(0)
        n_fails = table["n_fails"].fillna(0) + keys["n_unplaced_fails"].fillna(0)
        table["yield"] = (1 - n_fails / n_dies.where(n_dies > 0)).astype(float)
    return pd.concat([keys, table], axis=1)


# Permutations per wafer; 199 take 0.01 s and resolve p-values down to .005.
_N_PERMUTATIONS = 199
_TYPES = {
    "n_dies": "Int64", "n_fails": "Int64", "yield": float, "verdict": object,
    "verdict_probability": float, "predicted": object, "probability": float, "entropy": float,
    "n_kept": "Int64", "n_removed": "Int64", "patterns": object,
    "abstained": "boolean", "partial": "boolean",
    "pattern_area": float, "radius": float, "angle": float, "ring": "Int64", "sector": "Int64",
    "p_random": float, "error": object,
}  # fmt: skip
_COLUMNS = list(_TYPES)


def _summarize_wafer(grid: np.ndarray, explanation: Explanation) -> dict[str, Any]:
    row, n_dies = result_row(grid, explanation), int((grid != NO_DIE).sum())
    facts = row | {
        "n_dies": n_dies,
        "yield": 1 - row["n_fails"] / n_dies if n_dies else np.nan,
        "entropy": explanation.entropy,
        "p_random": spatial_randomness_test(grid, n_permutations=_N_PERMUTATIONS).p_value,
    }
    decided = explanation.kept.any() and explanation.claims_pattern
    return facts | (_locate_pattern(explanation.kept, n_dies) if decided else {})


def _locate_pattern(kept: np.ndarray, n_dies: int) -> dict[str, Any]:
    rows, columns = np.nonzero(kept)
    y, x = (
        float(positions(n)[at].mean()) for n, at in zip(kept.shape, (rows, columns), strict=True)
    )
    return {
        "pattern_area": len(rows) / n_dies,
        "radius": float(polar(y, x)[0]),
        "angle": float(np.degrees(angle_from_top(y, x)) % 360),
        "ring": int(np.bincount(rings(*kept.shape)[kept]).argmax()),
        "sector": int(np.bincount(sectors(*kept.shape)[kept]).argmax()),
    }
