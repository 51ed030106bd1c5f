"""Train and test a classifier on raw wafers, on denoised ones, and on those of each control."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import column_or_1d
from tqdm.auto import tqdm

from camdenoise.denoising._cam_denoiser import EVIDENCE, CamDenoiser
from camdenoise.leakage._controls import CONTROLS
from camdenoise.leakage._cross_fit import CrossFit, cross_fit, inner_splits, splits
from camdenoise.leakage._masks import marked_map
from camdenoise.leakage._summary import DENOISED, RAW, fold_scores, leakage_summary
from camdenoise.wafers._maps import FAIL, WaferMaps, check_lengths, check_wafer_maps

_INDEPENDENT = "independent architecture"
_COLUMNS = ["fold", "wafer", "group", "condition", "label", "predicted", "marked"]


@dataclass(frozen=True, eq=False)
class LeakageReport:
    """Predictions of a classifier on raw, denoised and control wafers, and what follows from them.

    Attributes
    ----------
    predictions : DataFrame
        One row per test wafer and condition: ``fold``, ``wafer`` (its row in `X`), ``group``,
        ``condition``, ``label``, ``predicted`` and ``marked``, the number of dies that the
        classifier saw as failing.
    """

    predictions: pd.DataFrame

    def folds(self) -> pd.DataFrame:
        """Score each fold and condition.

        Returns
        -------
        DataFrame, one row per fold and condition
            ``fold``, ``condition``, ``n_wafers``, ``accuracy``, ``macro_f1`` and the mean of
            ``marked``.
        """
        return fold_scores(self.predictions)

    def summary(self, *, random_state: Any = 0) -> pd.DataFrame:
        """Compare the gain of denoising with the gains of the controls, see `leakage_summary`.

        Parameters
        ----------
        random_state : int, RandomState instance or None, default=0
            For resamples.

        Returns
        -------
        DataFrame, one row per condition
        """
        return leakage_summary(self.predictions, random_state=random_state)


def leakage_report(
    classifier: Any,
    denoiser: Any,
    X: WaferMaps,
    y: Any,
    *,
    cv: Any = 5,
    groups: Any = None,
    controls: str | Sequence[str] = "all",
    independent_backbone: str = "resnet18",
    random_state: Any = None,
    progress: bool = False,
) -> LeakageReport:
    """Compare a classifier's gain by denoising with its gains by control masks.

    Under each condition a clone of the classifier is trained and tested on maps masked in one way.
    Masks are cross-fitted as `CamDenoiser.fit_transform` does: those of training wafers come from
    denoisers trained on other training wafers, those of test wafers from one trained on all
    training wafers, for the predicted class.

    Parameters
    ----------
    classifier : estimator
        What is evaluated, on raw and on masked maps: a `WaferClassifier`, or any classifier of
        wafer maps. Cloned; give it an integer as `random_state`, so that all conditions start from
        the same weights.
    denoiser : CamDenoiser, or any denoiser
        Cloned. One around a frozen classifier is not trained; its wafers must be others than these.
    X : list, object array or Series of 2-D maps, or 3-D array
        Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail).
    y : array-like of shape (n_wafers,)
        Class labels.
    cv : int, splitter or iterable, default=5
        The folds that test.
    groups : array-like of shape (n_wafers,), default=None
        Wafers of a group (a lot) stay together: in the folds that test, in the denoiser's, where
        `cv` is a number, and in resamples.
    controls : "all" or sequence of str, default="all"
        Names from `camdenoise.leakage.CONTROLS`. "all" takes those that the denoiser has: a filter
        knows no classes and has no net.
    independent_backbone : str, default="resnet18"
        Backbone of the denoiser in the control "independent architecture".
    random_state : int, RandomState instance or None, default=None
        For what is random in the controls.
    progress : bool, default=False
        Show a progress bar over the trainings.

    Returns
    -------
    LeakageReport
        ``report.summary()`` has a row per condition, with a verdict in words; ``report.folds()``
        one per fold and condition; ``report.predictions`` one per wafer and condition.

    Raises
    ------
    WaferMapError
        For a map that cannot be read.
    ValueError
        For an unknown control, one that the denoiser does not allow for, labels or groups that do
        not fit `X`, or an `independent_backbone` that is not another one.

    See Also
    --------
    CamDenoiser.fit_transform : Cross-fits in the same way.

    Notes
    -----
    Trainings in each fold: one of the classifier per condition (raw, denoised and each control),
    and one of the denoiser per fold of its own `cv` and one more; the control "independent
    architecture" needs as many again. The default, five folds in five, makes
    5 x (10 + 6 + 6) = 110 trainings; ``cv=3`` and ``CamDenoiser(cv=2)`` make 48.

    References
    ----------
    .. [1] N. Jethani et al., "Don't be fooled: label leakage in explanation methods and the
       importance of their quantitative evaluation", AISTATS 2023, arXiv:2302.12893.
    .. [2] Y. Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution
       Methods", ICML 2022, arXiv:2202.00449.

    Examples
    --------
    >>> from camdenoise import CamDenoiser, WaferClassifier
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.leakage import leakage_report
    >>> wafers = make_wafer_maps(60, classes=["Center", "Edge-Ring"], random_state=0)
    >>> clf = WaferClassifier(width=4, input_size=32, batch_size=8, random_state=0)
    >>> report = leakage_report(
    ...     clf, CamDenoiser(clf, cv=2), wafers.maps, wafers.target, cv=2,
    ...     controls=["equal area"], random_state=0,
    ... )
    >>> report.folds()["condition"].tolist()
    ['raw', 'denoised', 'equal area', 'raw', 'denoised', 'equal area']
    """
    maps = check_wafer_maps(X)
    check_lengths(y, len(maps), "y")
    target = column_or_1d(y)
    if groups is not None:
        check_lengths(groups, len(maps), "groups")
        groups = np.asarray(groups)
    names = _choose_controls(controls, denoiser)
    denoisers = [denoiser]
    if _INDEPENDENT in names:
        _check_independent(independent_backbone, classifier, denoiser)
        denoisers.append(_replace_backbone(denoiser, independent_backbone))
    folds = [
        _Fold(train, test, inner_splits(denoiser, target[train], _take(groups, train)))
        for train, test in splits(cv, target, groups)
    ]
    _check_classes(names, target, folds)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    n_trainings = sum(len(denoisers) * (len(fold.inner) + 1) + 2 + len(names) for fold in folds)
    tables = []
    with tqdm(total=n_trainings, unit="training", disable=not progress) as bar:
        for number, fold in enumerate(folds):
            fit = fold.cross_fit(denoisers, maps, target, groups, bar.update)
            for condition, shown in _conditions(fit, names, [seed, number]):
                table = _predictions(classifier, fit, shown)
                tables.append(table.assign(fold=number, condition=condition, wafer=fold.test))
                bar.update()
    predictions = pd.concat(tables, ignore_index=True)
    tested = predictions["wafer"].to_numpy()
    predictions["group"] = tested if groups is None else groups[tested]
    return LeakageReport(predictions[_COLUMNS])


@dataclass(frozen=True, eq=False)
class _Fold:
    """Rows that train and test, and how a denoiser splits the training wafers in turn."""

    train: np.ndarray
    test: np.ndarray
    inner: list[tuple[np.ndarray, np.ndarray]]

    def cross_fit(
        self, denoisers: list, maps, target: np.ndarray, groups: Any, trained: Callable
    ) -> CrossFit:
        """Train the denoisers; the training wafers come before the test wafers."""
        rows = np.concatenate([self.train, self.test])
        used, labels, lots = [maps[row] for row in rows], target[rows], _take(groups, rows)
        models = [cross_fit(d, used, labels, lots, self.inner, trained) for d in denoisers]
        return CrossFit(used, labels, np.arange(len(self.train)), *models)


def _take(values: np.ndarray | None, rows: np.ndarray) -> Any:
    return None if values is None else values[rows]


def _choose_controls(controls: str | Sequence[str], denoiser: Any) -> list[str]:
    """Return the names of the controls; refuse those that the denoiser does not allow for."""
    features = {"nothing"}
    if "targets" in signature(denoiser.explain).parameters:
        features.add("classes")
    if isinstance(denoiser, CamDenoiser):
        features.add("net")
    possible = [name for name, control in CONTROLS.items() if control.needs in features]
    if isinstance(controls, str) and controls == "all":
        return possible
    names = [controls] if isinstance(controls, str) else list(controls)
    for name in names:
        if name not in CONTROLS:
            raise ValueError(f"Unknown control {name!r}; choose from {', '.join(CONTROLS)}.")
        if name not in possible:
            raise ValueError(
                f"The control {name!r} is not possible for {type(denoiser).__name__}; "
                f"choose from {', '.join(possible)}, or pass controls='all'."
            )
    return names


def _check_classes(names: list[str], target: np.ndarray, folds: list[_Fold]) -> None:
    """Refuse folds in which a class could not be explained, because no net would know it."""
    classes = np.unique(target).tolist()
    if len(classes) < 2:
        raise ValueError(f"y has one class only, {classes[0]!r}; at least two are needed.")
    if not any(CONTROLS[name].needs == "classes" for name in names):
        return
    for labels in (target[fold.train][rows] for fold in folds for rows, _ in fold.inner):
        missing = set(classes) - set(labels.tolist())
        if missing:
            raise ValueError(
                f"Class {min(missing)!r} is missing from the training wafers of a fold, so no mask "
                "can be made for it there. Use fewer folds, here or in the denoiser's cv, or leave "
                "out classes of few groups."
            )


def _check_independent(backbone: str, classifier: Any, denoiser: CamDenoiser) -> None:
    for role, clf in (("classifier", classifier), ("denoiser", _inner_classifier(denoiser))):
        if getattr(clf, "backbone", None) == backbone:
            raise ValueError(
                f"independent_backbone={backbone!r} is that of the {role}; name another one."
            )


def _inner_classifier(denoiser: CamDenoiser) -> Any:
    clf = denoiser._estimator()
    return clf.estimator if isinstance(clf, FrozenEstimator) else clf


def _replace_backbone(denoiser: CamDenoiser, backbone: str) -> CamDenoiser:
    """Return the same method for another net, whose layers have other names."""
    clf = clone(_inner_classifier(denoiser)).set_params(backbone=backbone)
    method = "auto" if denoiser.method == EVIDENCE else denoiser.method
    return clone(denoiser).set_params(estimator=clf, method=method, layers="auto")


def _conditions(
    fit: CrossFit, names: list[str], seed: list[int]
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Give the maps that the classifier sees under each condition."""
    yield RAW, list(fit.maps)
    yield DENOISED, _mark_maps(fit, [explanation.kept for explanation in fit.own])
    for name in names:
        # A control draws the same whichever others there are.
        rng = np.random.default_rng([*seed, list(CONTROLS).index(name)])
        yield name, _mark_maps(fit, CONTROLS[name].masks(fit, rng))


def _mark_maps(fit: CrossFit, masks: list[np.ndarray]) -> list[np.ndarray]:
    return [marked_map(grid, mask) for grid, mask in zip(fit.maps, masks, strict=True)]


def _predictions(classifier: Any, fit: CrossFit, shown: list[np.ndarray]) -> pd.DataFrame:
    """Train on the first wafers of a fold, predict the others."""
    n_train = len(fit.train)
    clf = clone(classifier).fit(shown[:n_train], fit.target[:n_train])
    test = shown[n_train:]
    columns = {
        "label": fit.target[n_train:],
        "predicted": clf.predict(test),
        "marked": [int((grid == FAIL).sum()) for grid in test],
    }
    return pd.DataFrame(columns)
