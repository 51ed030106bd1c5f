"""How much of a saliency lies on the pattern."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from camdenoise.faithfulness._curves import check_saliency
from camdenoise.wafers._maps import FAIL, NO_DIE, WaferMaps, check_die_masks, check_wafer_maps


def energy_pointing_game(
    maps: WaferMaps, truth: Sequence[np.ndarray], saliency: Sequence[np.ndarray]
) -> pd.DataFrame:
    """Give the share of each wafer's saliency that lies on the dies of its pattern.

    Parameters
    ----------
    maps : collection of wafer maps
        The wafers.
    truth : sequence of bool arrays, one per wafer, each of its map's shape
        Where the pattern is, of planted or simulated wafers.
    saliency : sequence of float arrays, one per wafer, each of its map's shape
        Not negative, as in `Explanation.saliency`.

    Returns
    -------
    DataFrame, one row per wafer in the order of `maps`
        ``energy``, the share of the saliency on the truth, and ``area``, the truth's share of the
        dies, which a saliency that knows nothing has. ``fail_energy`` and ``fail_area`` are the
        same among failing dies only: a saliency that lies on all fails alike has a high
        ``energy``, because the truth fails more than the rest, but a ``fail_energy`` of
        ``fail_area``. NaN where there is no saliency or no truth.

    Raises
    ------
    WaferMapError
        For a map that cannot be read.
    ValueError
        For lengths or shapes that do not match, a truth that is not boolean, or a saliency that is
        negative or not finite on a die; the message names the wafer.

    References
    ----------
    .. [1] H. Wang et al., "Score-CAM", CVPR Workshops 2020, arXiv:1910.01279.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.faithfulness import energy_pointing_game
    >>> truth, saliency = np.array([[True, True, False, False]]), np.array([[3.0, 1, 1, 3]])
    >>> energy_pointing_game([[[2, 2, 2, 1]]], [truth], [saliency]).round(2)
       energy  area  fail_energy  fail_area
    0     0.5   0.5          0.8       0.67
    """
    grids = check_wafer_maps(maps)
    truth = check_die_masks(truth, grids, "truth")
    saliency = check_saliency(saliency, grids, "saliency")
    for row, (values, grid) in enumerate(zip(saliency, grids, strict=True)):
        if (values[grid != NO_DIE] < 0).any():
            raise ValueError(f"wafer map {row}: saliency is negative; a share needs 0 or more.")
    shares = [
        _shares(t, s, grid != NO_DIE) + _shares(t, s, grid == FAIL)
        for t, s, grid in zip(truth, saliency, grids, strict=True)
    ]
    return pd.DataFrame(shares, columns=["energy", "area", "fail_energy", "fail_area"])


def _shares(truth: np.ndarray, saliency: np.ndarray, dies: np.ndarray) -> tuple[float, float]:
    """Return the shares of the saliency and of the dies that lie on the truth."""
    total, there = saliency[dies].sum(), truth & dies
    if total == 0 or not there.any():
        return np.nan, np.nan
    return saliency[there].sum() / total, there.sum() / dies.sum()
