"""What a lot loses to patterns, which have a cause, and what to chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from camdenoise.metrics._statistics import interval_of_totals

#: Parts of the loss, and what they count of a wafer.
_PARTS = ("systematic", "random", "undecided", "unplaced")


def yield_loss(summary: pd.DataFrame, *, random_state: Any = 0) -> pd.DataFrame:
    """Split the yield loss of a lot into what belongs to patterns and what does not.

    Parameters
    ----------
    summary : DataFrame
        From `lot_summary`.
    random_state : int, RandomState instance or None, default=0
        For the intervals.

    Returns
    -------
    DataFrame, rows "systematic", "random", "undecided", "unplaced" and "all"
        ``n_dies`` that fail; ``loss``, their share of all dies; ``low`` and ``high``, its 95 %
        percentile bootstrap over wafers, NaN for one wafer. "systematic" are fails that belong to
        a pattern, "random" those that do not, "undecided" the fails of wafers on which nothing was
        decided, most of them without a pattern, "unplaced" the fails without coordinates, which
        are on no map.

    Raises
    ------
    ValueError
        For a summary without a readable wafer.

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
    dies_known = summary["error"].isna() & (summary["n_dies"] > 0)
    if "n_unplaced" in summary:
        dies_known |= summary["n_unplaced"].fillna(0) > 0
    wafers = summary[dies_known.fillna(False).astype(bool)]
    if wafers.empty:
        raise ValueError("No wafer of the summary could be read, so there is no yield.")
    undecided = wafers["abstained"].fillna(True).to_numpy(bool)
    kept, removed, dies = (
        wafers[name].fillna(0).to_numpy(float) for name in ("n_kept", "n_removed", "n_dies")
    )
    unplaced, lost = (
        wafers[name].fillna(0).to_numpy(float) if name in wafers else np.zeros(len(wafers))
        for name in ("n_unplaced", "n_unplaced_fails")
    )
    dies = dies + unplaced
    parts = [np.where(undecided, 0, kept), removed, np.where(undecided, kept, 0), lost]
    counts = np.column_stack([*parts, sum(parts), dies])
    low, high = interval_of_totals(
        counts, lambda totals: totals[:, :-1] / totals[:, -1:], random_state=random_state
    )
    total = counts[:, :-1].sum(axis=0)
    table = {"n_dies": total.astype(int), "loss": total / dies.sum(), "low": low, "high": high}
    return pd.DataFrame(table, index=[*_PARTS, "all"])
