"""Wafers that `CamDenoiser.fit` holds out from its classifier, and folds of `fit_transform`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import indexable
from sklearn.utils.metaestimators import _safe_split

from camdenoise.wafers._classes import ClassRoles, as_labels
from camdenoise.wafers._maps import WaferMaps, convert_like, warn_caller

#: With fewer wafers without a pattern, or with one, nothing is calibrated.
FEWEST_TO_CALIBRATE = 20


def choose_held_out(
    y: np.ndarray, classifier: Any, groups: Any, share: float, rng: np.random.RandomState | None
) -> np.ndarray:
    """Choose the rows of the wafers that calibrate; none at all where they would be few.

    Parameters
    ----------
    y : ndarray of shape (n_wafers,)
        Labels.
    classifier : WaferClassifier
        Its parameters tell what labels stand for.
    groups : array-like of shape (n_wafers,) or None
        The wafers of a group are all held out or all trained on.
    share : float
        Share of each class, or of the groups.
    rng : RandomState or None
        None: nothing is trained, so that all wafers calibrate.

    Warns
    -----
    UserWarning
        Where no label stands for wafers without a pattern.
    """
    classes, codes = np.unique(y, return_inverse=True)
    none, everywhere = classifier.none_labels, classifier.everywhere_labels
    roles = ClassRoles(tuple(classes.tolist()), as_labels(none), as_labels(everywhere))
    rows = np.arange(len(codes)) if rng is None else _draw(codes, groups, share, rng)
    n_none, n_pattern = (of[codes[rows]].sum() for of in (roles.is_none, roles.has_pattern))
    if min(n_none, n_pattern) >= FEWEST_TO_CALIBRATE:
        return rows
    if not roles.is_none.any():
        warn_caller(
            f"no wafer is labeled {' or '.join(map(repr, roles.none))}: the rate of false alarms "
            "is not measured and the saliency is not calibrated. If wafers without a pattern have "
            "another label, name it by WaferClassifier(none_labels=...)."
        )
    return np.array([], int)


def _draw(labels: np.ndarray, groups: Any, share: float, rng) -> np.ndarray:
    """Draw the rows to hold out: a share of each class, or of the groups."""
    if groups is None:
        of_classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        drawn = [rng.permutation(rows)[: int(share * len(rows))] for rows in of_classes]
        return np.sort(np.concatenate(drawn))
    groups = np.asarray(groups)
    names = rng.permutation(np.unique(groups))
    held_out = np.isin(groups, names[: int(share * len(names))])
    # A class that is in no other group has to be trained on.
    lost = held_out & ~np.isin(labels, labels[~held_out])
    return np.flatnonzero(held_out & ~np.isin(groups, groups[lost]))


def transform_out_of_fold(
    denoiser: Any, X: Any, y: Any, fit_params: dict, split_params: dict
) -> WaferMaps:
    """Denoise each wafer by a clone of the denoiser that was fitted without it.

    Raises
    ------
    ValueError
        Where the denoiser's `cv` leaves a wafer in no test fold.
    """
    X, y = indexable(X, y)
    splitter = check_cv(denoiser.cv, y, classifier=True)
    denoised: list[Any] = [None] * len(y)
    for train, test in splitter.split(np.zeros(len(y)), y, **split_params):
        fold = clone(denoiser)
        params = (
            {name: np.asarray(value)[train] for name, value in of_all.items()}
            for of_all in (fit_params, split_params)
        )
        fold._fit(*_safe_split(denoiser, X, y, train), *params)
        unseen, _ = _safe_split(denoiser, X, None, test)
        for row, grid in zip(test, fold.transform(unseen), strict=True):
            denoised[row] = grid
    missing = [row for row, grid in enumerate(denoised) if grid is None]
    if missing:
        raise ValueError(
            f"cv leaves wafer {missing[0]} (and {len(missing) - 1} more) in no test fold; "
            "fit_transform needs a splitter that tests every wafer, such as StratifiedKFold."
        )
    return convert_like(X, [np.atleast_2d(grid) for grid in denoised])
