"""A fitted denoiser as the texts and tensors of a model file, and back."""

from __future__ import annotations

import json
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator

from camdenoise.classification._calibration import PlattScaling
from camdenoise.classification._classifier import WaferClassifier
from camdenoise.classification._saved import NOVELTY, restore_classifier, save_classifier
from camdenoise.denoising._novelty import FEWEST_KNOWN, Novelty
from camdenoise.nets._checkpoint import Checkpoint

#: Kind of model, in the file's format.
KIND = "camdenoise.CamDenoiser"
_TABLE = ["threshold", "retention", "removal", "f1"]


def save_denoiser(denoiser: Any) -> Checkpoint:
    """Describe a fitted `CamDenoiser` and its classifier.

    An unfixed `random_state`, and a `cv` other than a number of folds, matter in `fit_transform`
    only and are left out.
    """
    saved = save_classifier(denoiser.estimator_)
    tensors = dict(saved.tensors)
    if denoiser.novelty_ is not None:
        for name in ("references", "distances"):
            tensors[NOVELTY + name] = torch.from_numpy(getattr(denoiser.novelty_, name))
    return Checkpoint(KIND, saved.texts | {"denoiser": _record(denoiser)}, tensors)


def _record(denoiser: Any) -> str:
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


def restore_denoiser(kind: type, checkpoint: Checkpoint, device: str, **parameters: Any) -> Any:
    """Build a fitted denoiser from what a model file holds.

    Parameters
    ----------
    kind : type
        `CamDenoiser`.
    checkpoint : Checkpoint
    device : str
        A torch device.
    **parameters
        To have instead of those in the file.

    Raises
    ------
    ValueError, TypeError, KeyError, RuntimeError
        If the texts and tensors do not make a denoiser.
    """
    classifier = restore_classifier(WaferClassifier, checkpoint, device)
    novelty = _novelty(checkpoint.tensors, classifier)
    record = json.loads(checkpoint.texts["denoiser"])
    denoiser = kind(FrozenEstimator(classifier), **(record["parameters"] | parameters))
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


def _novelty(tensors: dict[str, torch.Tensor], classifier: WaferClassifier) -> Novelty | None:
    """Read the known wafers; most models have none."""
    found = {
        name.removeprefix(NOVELTY): values.numpy()
        for name, values in tensors.items()
        if name.startswith(NOVELTY)
    }
    if not found:
        return None
    if not classifier.module_.has_evidence:
        raise ValueError("it has known wafers, for a net that has no use for them.")
    novelty = Novelty(**found)
    n_known, n_features = len(novelty.distances), classifier.module_.head.weigh.in_features
    if (
        novelty.references.shape != (n_known, n_features)
        or n_known < FEWEST_KNOWN
        or not all(np.isfinite(values).all() for values in found.values())
    ):
        raise ValueError("its known wafers are not those of its net.")
    return novelty
