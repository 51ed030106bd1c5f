"""What a fitted denoiser knows beside its classifier, as JSON: parameters and calibration."""

from __future__ import annotations

import json
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from camdenoise._calibration import PlattScaling
from camdenoise._classifier import WaferClassifier
from camdenoise._denoiser import CamDenoiser
from camdenoise._novelty import Novelty

_TABLE = ["threshold", "retention", "removal", "f1"]


def write_record(denoiser: CamDenoiser) -> str:
    """Describe a fitted denoiser, without its classifier.

    An unfixed `random_state`, and a `cv` other than a number of folds, matter in `fit_transform`
    only and are left out.
    """
    parameters = denoiser.get_params(deep=False)
    del parameters["estimator"]
    for name in ("random_state", "cv"):
        if not isinstance(parameters[name], Integral):
            del parameters[name]
    table = denoiser.calibration_
    return json.dumps(
        {
            "parameters": {name: _plain(value) for name, value in parameters.items()},
            "platt": None if denoiser.platt_ is None else list(denoiser.platt_),
            "calibration": None if table is None else table[_TABLE].to_dict("list"),
            "background_claims": denoiser.background_claims_.tolist(),
        }
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def read_record(
    text: str, classifier: WaferClassifier, novelty: Novelty | None = None, **parameters: Any
) -> CamDenoiser:
    """Rebuild a denoiser around its classifier.

    Parameters
    ----------
    text : str
        What `write_record` gave.
    classifier : WaferClassifier
        A fitted one.
    novelty : Novelty or None, default=None
        The wafers that it knows.
    **parameters
        To have instead of those in the record.

    Raises
    ------
    ValueError, TypeError, KeyError
        For a text of another kind.
    """
    record = json.loads(text)
    denoiser = CamDenoiser(FrozenEstimator(classifier), **(record["parameters"] | parameters))
    platt, table = record["platt"], record["calibration"]
    if platt is not None:
        platt = PlattScaling(*map(float, platt))
        if not (0 < platt.slope < np.inf and np.isfinite(platt.intercept)):
            raise ValueError(f"its calibration of dies is {tuple(platt)}.")
    if table is not None:
        table = pd.DataFrame(table, columns=_TABLE, dtype=float)
        if table.empty or not table.stack().between(0, 1).all():
            raise ValueError("its table of thresholds has other values than shares.")
    claims = np.array(record["background_claims"], float)
    if claims.ndim != 1 or not np.isfinite(claims).all() or (np.diff(claims) < 0).any():
        raise ValueError("its claims on wafers without a pattern are no rising numbers.")
    return denoiser._take_over(platt, table, claims, novelty)
