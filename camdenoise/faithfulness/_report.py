"""One table of how faithful several saliencies are, each against a random one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from camdenoise.faithfulness._curves import add_random_saliency, area_under_curve, draw_curves
from camdenoise.faithfulness._perturbation import CURVES, RANDOM
from camdenoise.faithfulness._pointing import energy_pointing_game
from camdenoise.metrics import bootstrap_interval
from camdenoise.wafers._maps import WaferMaps, check_wafer_maps

#: Which way each metric improves.
BETTER = {
    "deletion": "lower",
    "insertion": "higher",
    "road_morf": "lower",
    "road_lerf": "higher",
    "energy": "higher",
    "fail_energy": "higher",
}


def faithfulness_report(
    clf: Any,
    maps: WaferMaps,
    saliencies: Mapping[str, Sequence[np.ndarray]],
    *,
    truth: Sequence[np.ndarray] | None = None,
    reference: str = RANDOM,
    n_steps: int = 10,
    targets: Any = None,
    random_state: Any = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Measure several saliencies and a random one by every metric.

    Parameters
    ----------
    clf : WaferClassifier
        Fitted; any classifier with `predict_proba` of wafer maps will do.
    maps : collection of wafer maps
        Wafers that the classifier was not trained on. They are left as they are.
    saliencies : dict of str to sequence of float arrays
        By method, one array per wafer, each of its map's shape, as in `Explanation.saliency`.
    truth : sequence of bool arrays, default=None
        Where the pattern is, for the energy pointing game, which is left out where None.
    reference : str, default="random"
        Method that the others are compared with: the random saliency, or one of `saliencies`.
    n_steps : int, default=10
        Steps of each curve, see `deletion_curves`.
    targets : array-like of shape (n_wafers,), default=None
        Class whose probability is measured; None: the class predicted for the whole wafer.
    random_state : int, RandomState instance or None, default=None
        For the random saliency, ties, guesses and resamples.
    progress : bool, default=False
        Show a progress bar over the wafers.

    Returns
    -------
    DataFrame, one row per metric and method, "random" last
        ``metric``, which way it is ``better``, ``method``, ``wafers`` (on which it is defined),
        ``mean`` with its 95 % bootstrap interval ``low``, ``high`` over wafers, and
        ``difference``, ``difference_low``, ``difference_high``: the same of the value less that of
        the reference on the same wafer. Intervals are NaN with fewer than two wafers.

    Raises
    ------
    WaferMapError, ValueError
        As `deletion_curves` and `energy_pointing_game`, for a method called "random", and for a
        reference that is not a method.

    See Also
    --------
    randomized_weights : The check that needs the denoiser itself.

    Notes
    -----
    ``deletion``, ``insertion``, ``road_morf`` and ``road_lerf`` are areas under the curves;
    ``energy`` and ``fail_energy`` the shares of the energy pointing game. Intervals take wafers as
    independent, as `bootstrap_interval` does.

    The random saliency changes scattered dies, a CAM whole regions. ROAD guesses scattered dies
    well and regions badly, so any smooth saliency beats the random one there. Compare with that of
    ``CamDenoiser(method="randomcam")``, which is smooth and random, as well.

    Examples
    --------
    >>> from camdenoise import WaferClassifier
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.faithfulness import faithfulness_report
    >>> from camdenoise.filters import MedianFilter
    >>> wafers = make_wafer_maps(40, classes=["Center", "Edge-Ring"], random_state=0)
    >>> clf = WaferClassifier(width=4, input_size=32, batch_size=8, random_state=0)
    >>> clf = clf.fit(wafers.maps, wafers.target)
    >>> saliencies = {"median": [e.saliency for e in MedianFilter().explain(wafers.maps)]}
    >>> report = faithfulness_report(
    ...     clf, wafers.maps, saliencies, truth=wafers.truth, n_steps=4, random_state=0
    ... )
    >>> report = report.set_index(["metric", "method"])
    >>> bool(report.loc[("fail_energy", "median"), "difference_low"] > 0)
    True
    """
    rng = check_random_state(random_state)
    grids = check_wafer_maps(maps)
    everyone = add_random_saliency(grids, saliencies, rng)
    if reference not in everyone:
        raise ValueError(f"reference {reference!r} is none of {', '.join(everyone)}.")
    curves = draw_curves(clf, grids, everyone, CURVES, n_steps, targets, rng, progress)
    scores = {
        kind: {name: area_under_curve(drawn) for name, drawn in by_method.items()}
        for kind, by_method in curves.items()
    }
    if truth is not None:
        games = {name: energy_pointing_game(grids, truth, s) for name, s in everyone.items()}
        for metric in ("energy", "fail_energy"):
            scores[metric] = {name: game[metric].to_numpy() for name, game in games.items()}
    rows = [
        {"metric": metric, "better": BETTER[metric], "method": name}
        | _summary(values, values - by_method[reference], rng)
        for metric, by_method in scores.items()
        for name, values in by_method.items()
    ]
    return pd.DataFrame(rows)


def _summary(values: np.ndarray, difference: np.ndarray, rng: np.random.RandomState) -> dict:
    low, high = bootstrap_interval(values, random_state=rng)
    difference_low, difference_high = bootstrap_interval(difference, random_state=rng)
    return {
        "wafers": int(np.isfinite(values).sum()),
        "mean": _mean(values),
        "low": low,
        "high": high,
        "difference": _mean(difference),
        "difference_low": difference_low,
        "difference_high": difference_high,
    }


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan
