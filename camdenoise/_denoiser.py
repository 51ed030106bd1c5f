"""CamDenoiser: keep the fails that a classifier looked at, remove the rest."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, check_random_state, get_tags, indexable
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from camdenoise._classifier import WaferClassifier
from camdenoise._components import component_sums, fail_components
from camdenoise._denoising import BaseDenoiser, Explanation, abstain, explain_by
from camdenoise._encoding import one_hot, to_die_grid
from camdenoise._maps import FAIL, NO_DIE, WaferMaps, as_collection, like_input
from camdenoise.cam import METHODS, activation_maps, auto_layers, check_request


def relative_saliency(grid: np.ndarray, layers: Sequence[np.ndarray]) -> np.ndarray:
    """Average the layers' maps, each as a share of its largest value on a die of the wafer.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.
    layers : sequence of ndarray of float, shape (height, width)
        One raw, non-negative map per target layer, on the die grid.

    Returns
    -------
    ndarray of float, shape (height, width)
        Between 0 and 1; all zero where no layer has any evidence; zero where there is no die.
    """
    on_dies = np.where(grid != NO_DIE, np.stack(layers), 0)
    peaks = on_dies.max(axis=(1, 2), keepdims=True)
    return np.divide(on_dies, peaks, out=np.zeros_like(on_dies), where=peaks > 0).mean(axis=0)


def keep_dies(grid: np.ndarray, saliency: np.ndarray, threshold: float) -> np.ndarray:
    """Keep each die by its own saliency: the plain thresholded CAM."""
    return saliency >= threshold


def keep_components(grid: np.ndarray, saliency: np.ndarray, threshold: float) -> np.ndarray:
    """Keep whole connected components of fails by their summed saliency.

    A component stays when its sum is at least `threshold` times that of the largest sum on the
    wafer. A coarse CAM says which clump of fails mattered; the clump itself says where it ends.
    """
    labels, n_components = fail_components(grid)
    sums = component_sums(labels, saliency, n_components)
    return ((sums >= threshold * sums.max()) & (sums > 0))[labels]


#: How a saliency becomes a decision about a die.
REFINEMENTS = {None: keep_dies, "component": keep_components}


class CamDenoiser(BaseDenoiser):
    """Remove the fails of a wafer map that do not explain its class.

    A classifier names the pattern, a class activation map says which dies made it decide, and the
    fails among them are kept. Which fails are removed thus depends on the whole wafer, not only on
    how crowded a die's neighbourhood is.

    Parameters
    ----------
    estimator : WaferClassifier or FrozenEstimator of a fitted one, default=None
        Fitted as a clone in `fit`; a frozen one is used as it is. None: ``WaferClassifier()``.
    method : str, default="layercam"
        CAM method, one of `camdenoise.cam.METHODS`.
    layers : "auto" or sequence of str, default="auto"
        Target layers, whose relative maps are averaged. "auto" takes one with a half and one with
        a quarter of the input's resolution, so that single dies can be told apart.
    target : "predicted" or a class label, default="predicted"
        The class whose evidence is kept.
    threshold : float between 0 and 1, default=0.5
        With ``refine="component"``: share of the strongest component's evidence that a component
        needs. With ``refine=None``: share of the wafer's largest saliency that a die needs.
    refine : {"component", None}, default="component"
        Keep whole connected components by their summed saliency, or each die by its own.
    no_pattern : sequence of labels, default=("none",)
        Classes whose wafers have no pattern: all their fails are removed.
    min_probability : float, default=0.0
        Below this probability of the explained class the denoiser abstains: nothing is removed.
    cv : int, splitter or iterable, default=5
        How `fit_transform` splits the wafers to denoise each out of fold.
    batch_size : int, default=64
        Wafers per CAM pass.
    progress : bool, default=False
        Show a progress bar while explaining.
    on_error : {"raise", "keep"}, default="raise"
        What to do with a map that cannot be read: raise, or give it back as it came.
    random_state : int, RandomState instance or None, default=None
        For the classifier when `estimator` is None, and for ``method="randomcam"``.

    Attributes
    ----------
    estimator_ : WaferClassifier
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        Its labels.
    layers_ : tuple of str
        The target layers in use.
    n_features_in_ : int
        Columns of `X`, only where that was a 2-D table (rows of 1 x p maps).

    See Also
    --------
    WaferClassifier : The classifier inside.
    camdenoise.filters : Classical denoisers with the same interface.

    Notes
    -----
    ``fit(X, y).transform(X)`` and ``fit_transform(X, y)`` differ on purpose, as in scikit-learn's
    ``TargetEncoder``: a map denoised by a classifier that was trained on it leaks its label to the
    next step of a pipeline, so `fit_transform` denoises every wafer with a classifier that has not
    seen it. A frozen estimator has seen what it has seen: there the two are the same.

    The denoiser abstains (keeps every fail) where the net shows no positive evidence at all.

    References
    ----------
    .. [1] R. R. Selvaraju et al., "Grad-CAM", ICCV 2017, arXiv:1610.02391.
    .. [2] P.-T. Jiang et al., "LayerCAM", IEEE Trans. Image Process. 30, 2021.
    .. [3] Nie et al., CAM with region growing on wafer maps, IEEE ATS 2023,
       doi:10.1109/ATS59501.2023.10317989.

    Examples
    --------
    >>> from camdenoise import CamDenoiser, WaferClassifier
    >>> from camdenoise.datasets import make_wafer_maps
    >>> wafers = make_wafer_maps(60, classes=["Center", "Edge-Ring"], random_state=0)
    >>> clf = WaferClassifier(width=4, input_size=32, batch_size=8, random_state=0)
    >>> denoiser = CamDenoiser(clf).fit(wafers.maps, wafers.target)
    >>> fewer = denoiser.transform(wafers.maps)
    >>> bool((fewer[0] == 2).sum() < (wafers.maps[0] == 2).sum())
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict", "encode"]), None],
        "method": [StrOptions(set(METHODS))],
        "layers": [StrOptions({"auto"}), list, tuple],
        "target": "no_validation",
        "threshold": [Interval(Real, 0, 1, closed="both")],
        "refine": [StrOptions({"component"}), None],
        "no_pattern": [list, tuple, "array-like"],
        "min_probability": [Interval(Real, 0, 1, closed="both")],
        "cv": ["cv_object"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "progress": ["boolean"],
        "on_error": [StrOptions({"raise", "keep"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        method="layercam",
        layers="auto",
        target="predicted",
        threshold=0.5,
        refine="component",
        no_pattern=("none",),
        min_probability=0.0,
        cv=5,
        batch_size=64,
        progress=False,
        on_error="raise",
        random_state=None,
    ):
        self.estimator = estimator
        self.method = method
        self.layers = layers
        self.target = target
        self.threshold = threshold
        self.refine = refine
        self.no_pattern = no_pattern
        self.min_probability = min_probability
        self.cv = cv
        self.batch_size = batch_size
        self.progress = progress
        self.on_error = on_error
        self.random_state = random_state

    def fit(self, X: WaferMaps, y: Any = None, **params) -> CamDenoiser:
        """Fit a clone of the classifier; a frozen one is taken as it is.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail).
        y : array-like of shape (n_wafers,)
            Class labels; may be left out with a frozen estimator.
        **params : dict
            Passed to the classifier's fit, `sample_weight` for instance; `groups` goes to the
            splitter of `fit_transform` and has no effect here.

        Returns
        -------
        self

        Raises
        ------
        WaferMapError
            For a map that cannot be read.
        ValueError
            For a bad parameter, or a backbone that has no layer with a grid.
        """
        self._validate_params()
        X = as_collection(X)
        self._read_maps(X, reset=True)
        fit_params, _ = self._route(params, "fit")
        return self._fit(X, y, fit_params)

    def fit_transform(self, X: WaferMaps, y: Any = None, **params) -> WaferMaps:
        """Fit, and denoise each wafer with a classifier that was not trained on it.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps.
        y : array-like of shape (n_wafers,)
            Class labels.
        **params : dict
            As in `fit`; `groups` keeps the wafers of a group (a lot) in one fold, given a `cv`
            that looks at groups.

        Returns
        -------
        same kind as `X`
            The denoised maps. With a frozen estimator the same as ``transform(X)``.
        """
        self._validate_params()
        X = as_collection(X)
        self._read_maps(X, reset=True)
        fit_params, split_params = self._route(params, "fit_transform")
        self._fit(X, y, fit_params)
        if self._is_frozen():
            return self.transform(X)
        return self._out_of_fold(X, y, fit_params, split_params)

    def explain(self, X: WaferMaps, targets: Any = None) -> list[Explanation]:
        """Tell for each wafer which fails are kept, which are removed, and why.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps.
        targets : array-like of shape (n_wafers,), default=None
            Class to explain in each wafer instead of `target`, for controls such as the true or
            a wrong class.

        Returns
        -------
        list of Explanation
            One per wafer, in the order of `X`.

        Raises
        ------
        WaferMapError
            For a map that cannot be read, with ``on_error="raise"``.
        ValueError
            For a target that is no class of the classifier, or targets of another length.
        """
        check_is_fitted(self)
        if targets is None:
            return self._explain_readable(X, self._explain_maps)
        return self._explain_readable(X, self._explain_maps, self._codes_of(targets))

    def get_metadata_routing(self) -> MetadataRouter:
        """Say where metadata goes: to the classifier's fit and, for `groups`, the splitter."""
        to_estimator = MethodMapping().add(caller="fit", callee="fit")
        to_estimator.add(caller="fit_transform", callee="fit")
        to_splitter = MethodMapping().add(caller="fit_transform", callee="split")
        router = MetadataRouter(owner=type(self).__name__)
        router.add(estimator=self._estimator(), method_mapping=to_estimator)
        return router.add(
            splitter=check_cv(self.cv, [0, 1], classifier=True), method_mapping=to_splitter
        )

    def _estimator(self) -> BaseEstimator:
        if self.estimator is None:
            return WaferClassifier(random_state=self.random_state)
        return self.estimator

    def _is_frozen(self) -> bool:
        return isinstance(self.estimator, FrozenEstimator)

    def _takes_table(self, X, reset: bool) -> bool:
        # A frozen classifier has seen tables or maps already, and needs no y to count rows by.
        fitted_on_maps = self._is_frozen() and not hasattr(self.estimator, "n_features_in_")
        return not fitted_on_maps and super()._takes_table(X, reset)

    def _route(self, params: dict, caller: str) -> tuple[dict, dict]:
        """Return the parameters for the classifier's fit and for the splitter."""
        if _routing_enabled() and params:
            routed = process_routing(self, caller, **params)
            return routed.estimator.fit, getattr(routed, "splitter", Bunch(split={})).split
        split_params = {"groups": params["groups"]} if "groups" in params else {}
        fit_params = {name: value for name, value in params.items() if name != "groups"}
        return {k: v for k, v in fit_params.items() if v is not None}, split_params

    def _fit(self, X, y, fit_params: dict) -> CamDenoiser:
        if self._is_frozen():
            check_is_fitted(self.estimator.estimator)
            self.estimator_ = self.estimator.estimator
        else:
            self.estimator_ = clone(self._estimator()).fit(X, y, **fit_params)
        self.classes_ = self.estimator_.classes_
        net, size = self.estimator_.module_, self.estimator_.input_size
        self.layers_ = auto_layers(net, size) if self.layers == "auto" else tuple(self.layers)
        check_request(net, self.layers_, self.method)
        return self

    def _out_of_fold(self, X, y, fit_params: dict, split_params: dict) -> WaferMaps:
        X, y = indexable(X, y)
        splitter = check_cv(self.cv, y, classifier=True)
        denoised: list[Any] = [None] * len(y)
        for train, test in splitter.split(np.zeros(len(y)), y, **split_params):
            fold = clone(self)
            weights = {name: np.asarray(value)[train] for name, value in fit_params.items()}
            fold._read_maps(X, reset=True)
            fold._fit(*_safe_split(self, X, y, train), weights)
            there, _ = _safe_split(self, X, None, test)
            for row, grid in zip(test, fold.transform(there), strict=True):
                denoised[row] = grid
        missing = [row for row, grid in enumerate(denoised) if grid is None]
        if missing:
            raise ValueError(
                f"cv leaves wafer {missing[0]} (and {len(missing) - 1} more) in no test fold; "
                "fit_transform needs a splitter that tests every wafer, such as StratifiedKFold."
            )
        return like_input(X, [np.atleast_2d(grid) for grid in denoised])

    def _codes_of(self, labels: Any) -> np.ndarray:
        """Return the class codes of `labels`."""
        known = {label: code for code, label in enumerate(self.classes_.tolist())}
        labels = np.asarray(labels).tolist()
        for row, label in enumerate(labels):
            if label not in known:
                raise ValueError(
                    f"target {label!r} of wafer {row} is no class of the classifier; "
                    f"its classes are {', '.join(map(str, known))}."
                )
        return np.array([known[label] for label in labels], dtype=np.int64)

    def _explain_maps(self, maps: Sequence[np.ndarray], codes: Any = None) -> list[Explanation]:
        check_is_fitted(self)
        if codes is None and self.target != "predicted":
            codes = self._codes_of([self.target] * len(maps))
        starts = range(0, len(maps), self.batch_size)
        random_state = check_random_state(self.random_state)
        explanations: list[Explanation] = []
        for start in tqdm(starts, unit="batch", leave=None, disable=not self.progress):
            rows = slice(start, start + self.batch_size)
            batch_codes = None if codes is None else np.asarray(codes)[rows]
            explanations += self._explain_batch(maps[rows], batch_codes, random_state)
        return explanations

    def _explain_batch(self, maps, codes, random_state) -> list[Explanation]:
        import torch

        clf = self.estimator_
        device = next(clf.module_.parameters()).device
        result = activation_maps(
            clf.module_,
            one_hot(clf.encode(maps)).to(device),
            self.layers_,
            method=self.method,
            targets=None if codes is None else torch.as_tensor(codes),
            random_state=random_state,
        )
        probabilities = torch.softmax(result.logits.double(), dim=1)
        probability = probabilities.gather(1, result.targets[:, None])[:, 0].cpu().numpy()
        shapes = [grid.shape for grid in maps]
        on_dies = zip(
            *(
                to_die_grid(values.float().cpu().numpy(), shapes, clf.input_size, clf.fit_to_input)
                for values in result.layers.values()
            ),
            strict=True,
        )
        rows = zip(
            maps, on_dies, self.classes_[result.targets.cpu().numpy()], probability, strict=True
        )
        return [self._decide(*row) for row in rows]

    def _decide(self, grid, layers, label, probability) -> Explanation:
        """Turn one wafer's maps of the target layers into kept and removed fails."""
        about = {"label": label, "probability": float(probability)}
        saliency = relative_saliency(grid, layers)
        if probability < self.min_probability:
            return abstain(grid, saliency, **about)
        if any(label == other for other in self.no_pattern):
            return explain_by(grid, np.zeros(grid.shape, bool), saliency, **about)
        if not saliency[grid == FAIL].any():
            return abstain(grid, saliency, **about)
        keep = REFINEMENTS[self.refine](grid, saliency, self.threshold)
        return explain_by(grid, keep, saliency, **about)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not self._is_frozen()
        tags.non_deterministic = get_tags(self._estimator()).non_deterministic
        return tags
