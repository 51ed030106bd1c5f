"""A denoiser cross-fitted: every wafer is explained by a model that was not trained on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, check_cv

from camdenoise.denoising._cam_denoiser import CamDenoiser
from camdenoise.wafers._explanation import Explanation

#: Fitted denoisers, each with the rows of the wafers that it explains.
Models: TypeAlias = Sequence[tuple[Any, np.ndarray]]


@dataclass(frozen=True, eq=False)
class CrossFit:
    """The wafers of one fold, and denoisers that have not seen those that they explain.

    Attributes
    ----------
    maps : sequence of ndarray of uint8, shape (height, width)
        Training and test wafers.
    target : ndarray of shape (n_wafers,)
        Their labels.
    train : ndarray of int
        Rows of the training wafers.
    models : sequence of (denoiser, ndarray of int)
        Fitted denoisers, each with the rows that it explains: together all rows. The first was
        trained on all training wafers and explains the others.
    independent : sequence of (denoiser, ndarray of int), default=()
        The same with another architecture, for the control of that name.
    """

    maps: Sequence[np.ndarray]
    target: np.ndarray
    train: np.ndarray
    models: Models
    independent: Models = ()

    @cached_property
    def own(self) -> list[Explanation]:
        """What the denoiser itself says of each wafer."""
        return explain_unseen(self.models, self.maps)

    @property
    def classes(self) -> np.ndarray:
        """The classes that the denoiser explains."""
        return self.models[0][0].classes_

    def explain(self, targets: np.ndarray) -> list[Explanation]:
        """Explain each wafer for a given class."""
        return explain_unseen(self.models, self.maps, targets)


def explain_unseen(
    models: Models, maps: Sequence[np.ndarray], targets: np.ndarray | None = None
) -> list[Explanation]:
    """Explain each wafer by the model that has not seen it."""
    found: list[Any] = [None] * len(maps)
    for denoiser, rows in models:
        asked = () if targets is None else (targets[rows],)
        explained = denoiser.explain([maps[row] for row in rows], *asked) if len(rows) else ()
        for row, explanation in zip(rows, explained, strict=True):
            found[row] = explanation
    return found


def splits(cv: Any, target: np.ndarray, groups: np.ndarray | None) -> list:
    """List the training and test rows of each fold; with groups a number of folds keeps them."""
    if groups is not None and (cv is None or isinstance(cv, Integral)):
        splitter = StratifiedGroupKFold(5 if cv is None else cv)
    else:
        splitter = check_cv(cv, target, classifier=True)
    return list(splitter.split(np.zeros(len(target)), target, groups))


def inner_splits(denoiser: Any, target: np.ndarray, groups: np.ndarray | None) -> list:
    """Split training wafers as the denoiser's `fit_transform` does, by its `cv`."""
    found = splits(getattr(denoiser, "cv", None), target, groups)
    tested = np.concatenate([test for _, test in found])
    missing = np.setdiff1d(np.arange(len(target)), tested)
    if len(missing):
        raise ValueError(
            f"The denoiser's cv leaves training wafer {missing[0]} (and {len(missing) - 1} more) "
            "in no test fold; use a splitter that tests every wafer, such as StratifiedKFold."
        )
    return found


def cross_fit(
    denoiser: Any,
    maps: Sequence[np.ndarray],
    target: np.ndarray,
    groups: Any,
    inner: list,
    trained: Callable[[], Any],
) -> list[tuple[Any, np.ndarray]]:
    """Fit a denoiser on all training wafers, and on those of each inner fold.

    Parameters
    ----------
    denoiser : estimator
        Cloned before each fit.
    maps, target, groups
        Of the training wafers, then of the test wafers.
    inner : list of (ndarray of int, ndarray of int)
        Training and test rows of the inner folds.
    trained : callable
        Called after each fit.
    """
    n_train = sum(map(len, inner[0]))
    parts = [(np.arange(n_train), np.arange(n_train, len(maps))), *inner]
    models = []
    for train, unseen in parts:
        # Calibration of a CamDenoiser holds out whole groups.
        with_groups = groups is not None and isinstance(denoiser, CamDenoiser)
        params: dict[str, Any] = {"groups": groups[train]} if with_groups else {}
        fitted = clone(denoiser).fit([maps[row] for row in train], target[train], **params)
        models.append((fitted, unseen))
        trained()
    return models
