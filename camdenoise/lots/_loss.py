"""What a lot loses to patterns, which have a cause, and what to chance."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.metrics._statistics import interval_of_totals
from camdenoise.wafers._verdict import CLAIMS, EVERYWHERE, NONE, PARTIAL, UNKNOWN, UNSURE

#: Parts of the loss, and the verdicts whose kept fails they count. Removed fails are random.
_PARTS = {
    "systematic": CLAIMS,
    "random": (NONE,),
    "whole-wafer": (EVERYWHERE,),
    "unsure": (UNSURE,),
    "partial": (PARTIAL,),
}
_NO_CLASS = "no class"


def yield_loss(summary: pd.DataFrame, *, random_state: Any = 0) -> pd.DataFrame:
    """Split the yield loss of a lot: each failing die is in exactly one part.

    Parameters
    ----------
    summary : DataFrame
        From `lot_summary`.
    random_state : int, RandomState instance or None, default=0
        For the intervals.

    Returns
    -------
    DataFrame, one row per part, and "all"
        ``n_dies`` that fail; ``loss``, their share of all dies; ``low`` and ``high``, its 95 %
        percentile bootstrap over wafers, NaN for one wafer. The parts are "systematic", fails of a
        pattern; "random", removed fails and all fails of wafers without a pattern; "whole-wafer",
        fails of wafers that fail everywhere; "unsure", of wafers that may have a pattern;
        "partial", of wafers that were not tested enough to say; "unplaced", fails without
        coordinates, which are on no map.

    Raises
    ------
    ValueError
        For a summary without a readable wafer.

    See Also
    --------
    pattern_loss : What each pattern costs.

    Examples
    --------
    >>> from camdenoise import CamDenoiser
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.lots import lot_summary, yield_loss
    >>> wafers = make_wafer_maps(5, classes=["Center", "Edge-Ring"], random_state=0)
    >>> loss = yield_loss(lot_summary(CamDenoiser.from_pretrained(), wafers.maps))
    >>> bool(loss.loc["systematic", "loss"] > loss.loc["random", "loss"])
    True
    """
    wafers = _select_known(summary)
    verdicts = _complete_verdicts(wafers)
    kept, removed, dies = (_numbers(wafers, name) for name in ("n_kept", "n_removed", "n_dies"))
    parts = {
        part: np.where(np.isin(verdicts, of_part), kept, 0) for part, of_part in _PARTS.items()
    }
    parts["random"] = parts["random"] + removed
    parts["unplaced"] = _numbers(wafers, "n_unplaced_fails")
    counts = pd.DataFrame(parts)
    counts["all"] = counts.sum(axis=1)
    return _with_intervals(counts, dies + _numbers(wafers, "n_unplaced"), random_state)


def pattern_loss(summary: pd.DataFrame, *, random_state: Any = 0) -> pd.DataFrame:
    """Tell what each pattern costs; together they are the systematic loss.

    Parameters
    ----------
    summary : DataFrame
        From `lot_summary`.
    random_state : int, RandomState instance or None, default=0
        For the intervals.

    Returns
    -------
    DataFrame, one row per pattern, the costliest first
        ``n_wafers`` with it; ``n_dies``, ``loss``, ``low`` and ``high`` as in `yield_loss`. Fails
        of wafers whose pattern is unlike the known ones are in the row "unknown pattern", those
        kept by a method without classes in "no class".

    Raises
    ------
    ValueError
        For a summary without a readable wafer.

    Examples
    --------
    >>> from camdenoise import CamDenoiser
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.lots import lot_summary, pattern_loss
    >>> wafers = make_wafer_maps(4, classes=["Edge-Ring"], random_state=0)
    >>> pattern_loss(lot_summary(CamDenoiser.from_pretrained(), wafers.maps))["n_wafers"]
    Edge-Ring    4
    Name: n_wafers, dtype: int64
    """
    wafers = _select_known(summary)
    verdicts, kept = _complete_verdicts(wafers), _numbers(wafers, "n_kept")
    claimed = np.isin(verdicts, CLAIMS)
    found: list[dict[str, float]] = [{} for _ in range(len(wafers))]
    for row in np.flatnonzero(claimed):
        by_name = wafers["patterns"].iloc[row]
        if verdicts[row] == UNKNOWN:
            found[row] = {UNKNOWN: kept[row]}
        else:
            found[row] = {_NO_CLASS: kept[row]} if pd.isna(by_name) else json.loads(by_name)
    counts = pd.DataFrame(found, index=wafers.index).fillna(0.0)
    dies = _numbers(wafers, "n_dies") + _numbers(wafers, "n_unplaced")
    table = _with_intervals(counts, dies, random_state)
    table.insert(0, "n_wafers", (counts > 0).sum().astype(int))
    return table.sort_values("n_dies", ascending=False, kind="stable")


def _select_known(summary: pd.DataFrame) -> pd.DataFrame:
    """Select the wafers whose dies are known."""
    known = summary["error"].isna() & (summary["n_dies"] > 0)
    if "n_unplaced" in summary:
        known |= summary["n_unplaced"].fillna(0) > 0
    wafers = summary[known.fillna(False).astype(bool)]
    if wafers.empty:
        raise ValueError("No wafer of the summary could be read, so there is no yield.")
    return wafers


def _complete_verdicts(wafers: pd.DataFrame) -> np.ndarray:
    """Return the verdicts; a method without classes claims a pattern where it decides."""
    claimed = np.where(wafers["abstained"].fillna(True).astype(bool), UNSURE, CLAIMS[0])
    return wafers["verdict"].where(wafers["verdict"].notna(), claimed).to_numpy(object)


def _numbers(wafers: pd.DataFrame, name: str) -> np.ndarray:
    if name not in wafers:
        return np.zeros(len(wafers))
    return wafers[name].fillna(0).to_numpy(float)


def _with_intervals(counts: pd.DataFrame, dies: np.ndarray, random_state: Any) -> pd.DataFrame:
    """Turn counts by wafer and part into shares of all dies with their intervals."""
    if not counts.shape[1]:
        return pd.DataFrame(columns=["n_dies", "loss", "low", "high"])
    of_wafers = np.column_stack([counts.to_numpy(float), dies])
    low, high = interval_of_totals(
        of_wafers, lambda totals: totals[:, :-1] / totals[:, -1:], random_state=random_state
    )
    total = of_wafers[:, :-1].sum(axis=0)
    table = {"n_dies": total.astype(int), "loss": total / dies.sum(), "low": low, "high": high}
    return pd.DataFrame(table, index=list(counts.columns))
