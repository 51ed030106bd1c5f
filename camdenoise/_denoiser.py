"""CamDenoiser: keep the fails that a classifier looked at, remove the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
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

from camdenoise._backbones import WAFER_UNET, Backbone
from camdenoise._classifier import WaferClassifier
from camdenoise._component_planes import input_planes
from camdenoise._decision import REFINEMENTS, pattern_probability, relative_saliency
from camdenoise._denoising import BaseDenoiser, Explanation, abstain, explain_by
from camdenoise._encoding import mean_on_dies, to_die_grid
from camdenoise._inference import PRECISIONS, inference_net
from camdenoise._maps import FAIL, WaferMaps, as_collection, like_input
from camdenoise.cam import (
    METHODS,
    PACKAGE_METHODS,
    activation_maps,
    auto_layers,
    check_request,
    evidence_maps,
)
from camdenoise.datasets._patterns import PATTERN_CLASSES
from camdenoise.datasets._supply import BACKGROUND

#: Classes whose wafers have no pattern in one place.
NO_PATTERN_CLASSES = (BACKGROUND, "Random", "Near-full")
# Sides of the default classifier's input: one for most wafers, one for those of many dies.
_SIZES = (48, 96)
# Quantiles of this many wafers are near enough.
_ENOUGH_TO_CALIBRATE = 2000
#: The method that reads the maps which a net keeps for each class.
EVIDENCE = "evidence"


class CamDenoiser(BaseDenoiser):
    """Remove the fails of a wafer map that do not explain its class.

    A classifier names the pattern, a class activation map says which dies made it decide, and the
    fails among them are kept. Which fails are removed thus depends on the whole wafer, not only on
    how crowded a die's neighbourhood is.

    Parameters
    ----------
    estimator : WaferClassifier or FrozenEstimator of a fitted one, default=None
        Fitted as a clone in `fit`; a frozen one is used as it is. None:
        ``WaferClassifier("wafer_unet", input_size=(48, 96))``, which keeps evidence die by die.
    method : str, default="auto"
        "evidence", the maps that ``"wafer_unet"`` keeps for each class, or a CAM method, one of
        `camdenoise.cam.METHODS`. "auto" takes evidence from a net that has it for a class named
        as in WM-811K, else "layercam".
    layers : "auto" or sequence of str, default="auto"
        For CAM methods: target layers, whose relative maps are averaged. "auto" takes one with a
        half and one with a quarter of the input's resolution, so that single dies can be told
        apart.
    target : "predicted" or a class label, default="predicted"
        The class whose evidence is kept. With "predicted", ``method="evidence"`` counts the
        evidence of all patterns, so that a second pattern on the wafer stays.
    threshold : float between 0 and 1, default=0.5
        With ``refine=None``: the saliency that a die needs; for "evidence" that is a probability,
        for a CAM a share of the wafer's largest. With ``refine="component"``: share of the
        strongest component's evidence that a component needs.
    refine : {"auto", "component", None}, default="auto"
        Keep each die by its own saliency (None), or whole connected components by their summed
        one. "auto" takes None for "evidence", which tells neighbouring dies apart, else
        "component".
    no_pattern : {"abstain", "remove"}, default="abstain"
        What to do with a wafer that has no pattern in one place (classes `none`, Random,
        Near-full): abstain, which keeps every fail and says so, or remove all fails of a `none`.
    min_probability : float, default=0.0
        Below this probability of the explained class the denoiser abstains.
    min_pattern_probability : "auto" or float, default="auto"
        With ``method="evidence"``: below this probability of all patterns together the wafer has
        none. "auto" is as high as `false_alarm_rate` asks for, where `fit` is given wafers labelled
        `none`, else 0.5. CAM methods explain the likeliest class.
    false_alarm_rate : float between 0 and 1, default=0.05
        Share of the wafers labelled `none` on which a pattern may be claimed. Measured on those
        given to `fit`; on new ones it is somewhat higher.
    cv : int, splitter or iterable, default=5
        How `fit_transform` splits the wafers to denoise each out of fold.
    batch_size : int, default=64
        Wafers per CAM pass.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Arithmetic of the classifier's net while it is explained. "auto" takes bfloat16 where the
        CPU has it, twice as fast; the same is decided for more than 99.9 % of dies (see
        docs/performance.md). The methods of pytorch-grad-cam run in float32.
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
    method_, refine_ : str
        What "auto" stands for.
    layers_ : tuple of str
        The target layers in use.
    min_pattern_probability_ : float
        How likely a pattern must be to be claimed.
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

    The denoiser abstains (keeps every fail) on wafers without a pattern, see `no_pattern`, and
    where no fail has evidence enough. `explain` with targets explains what it is asked for.

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
        "estimator": [HasMethods(["fit", "predict", "batches"]), None],
        "method": [StrOptions({"auto", EVIDENCE, *METHODS})],
        "layers": [StrOptions({"auto"}), list, tuple],
        "target": "no_validation",
        "threshold": [Interval(Real, 0, 1, closed="both")],
        "refine": [StrOptions({"auto", "component"}), None],
        "no_pattern": [StrOptions({"abstain", "remove"})],
        "min_probability": [Interval(Real, 0, 1, closed="both")],
        "min_pattern_probability": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "false_alarm_rate": [Interval(Real, 0, 1, closed="both")],
        "cv": ["cv_object"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "precision": [StrOptions(set(PRECISIONS))],
        "progress": ["boolean"],
        "on_error": [StrOptions({"raise", "keep"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        method="auto",
        layers="auto",
        target="predicted",
        threshold=0.5,
        refine="auto",
        no_pattern="abstain",
        min_probability=0.0,
        min_pattern_probability="auto",
        false_alarm_rate=0.05,
        cv=5,
        batch_size=64,
        precision="auto",
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
        self.min_pattern_probability = min_pattern_probability
        self.false_alarm_rate = false_alarm_rate
        self.cv = cv
        self.batch_size = batch_size
        self.precision = precision
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
            return WaferClassifier(WAFER_UNET, input_size=_SIZES, random_state=self.random_state)
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
        net, size = self.estimator_.module_, int(np.max(self.estimator_.input_size))
        reads_evidence = net.has_evidence and bool(
            set(PATTERN_CLASSES).intersection(self.classes_.tolist())
        )
        self.min_pattern_probability_ = self._least_pattern_probability(X, y)
        self.method_ = self.method
        if self.method == "auto":
            self.method_ = EVIDENCE if reads_evidence else "layercam"
        self.refine_ = self.refine
        if self.refine == "auto":
            self.refine_ = None if self.method_ == EVIDENCE else "component"
        if self.method_ == EVIDENCE:
            self._check_evidence(net)
            self.layers_ = net.layer_names[-1:]
            return self
        self.layers_ = auto_layers(net, size) if self.layers == "auto" else tuple(self.layers)
        check_request(net, self.layers_, self.method_)
        return self

    def _least_pattern_probability(self, X, y) -> float:
        """Return how likely a pattern must be so that few wafers without one seem to have one."""
        if self.min_pattern_probability != "auto":
            return float(self.min_pattern_probability)
        if y is None or BACKGROUND not in self.classes_.tolist():
            return 0.5
        target = np.asarray(y)
        rows = np.flatnonzero(target == BACKGROUND)
        if not len(rows):
            return 0.5
        rows = rows[:: -(-len(rows) // _ENOUGH_TO_CALIBRATE)]
        without, _ = _safe_split(self, X, None, rows)
        of_patterns = self.estimator_.predict_proba(without)[:, self._has_pattern()].sum(axis=1)
        # Ties, as of wafers that are all alike, must not go beyond the rate.
        return float(np.nextafter(np.quantile(of_patterns, 1 - self.false_alarm_rate), 2))

    def _check_evidence(self, net: Backbone) -> None:
        if not net.has_evidence:
            raise ValueError(
                f"method='evidence' needs a net that keeps evidence for each class, which "
                f"{self.estimator_.backbone!r} does not. Choose another method, or "
                "WaferClassifier(backbone='wafer_unet')."
            )

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
        explain_batch: Callable[..., list[Explanation]] = self._by_evidence
        if self.method_ != EVIDENCE:
            random_state = check_random_state(self.random_state)
            explain_batch = partial(self._by_cam, random_state=random_state)
        explanations: list[Any] = [None] * len(maps)
        with tqdm(total=len(maps), unit="wafer", leave=None, disable=not self.progress) as bar:
            for rows, images in self.estimator_.batches(maps, self.batch_size):
                of_rows = [maps[row] for row in rows]
                targets = None if codes is None else np.asarray(codes)[rows]
                explained = explain_batch(of_rows, images, targets)
                for row, explanation in zip(rows, explained, strict=True):
                    explanations[row] = explanation
                bar.update(len(rows))
        return explanations

    def _by_evidence(self, maps, images, codes) -> list[Explanation]:
        """Explain a batch by what the net keeps for each class."""
        net = inference_net(self.estimator_.module_, images.shape[-1])
        planes = input_planes(images).to(next(net.parameters()).device)
        result = evidence_maps(
            net,
            planes,
            precision=self.precision,
            symmetric=self.estimator_.symmetric_prediction,
        )
        probabilities = _probabilities(result.logits)
        counted = self._has_pattern()[None]
        if codes is not None:
            counted = np.arange(len(self.classes_)) == codes[:, None]
        saliency = pattern_probability(result.evidence, torch.as_tensor(counted))
        fit = self.estimator_.fit_to_input
        on_dies = mean_on_dies(saliency.cpu().numpy(), [grid.shape for grid in maps], fit)
        chosen = self._likeliest(probabilities) if codes is None else codes
        rows = zip(maps, on_dies, chosen, probabilities, strict=True)
        return [self._decide(*row, asked=codes is not None) for row in rows]

    def _by_cam(self, maps, images, codes, random_state) -> list[Explanation]:
        """Explain a batch by the class activation maps of the target layers."""
        clf, size = self.estimator_, images.shape[-1]
        net = self._net(size)
        result = activation_maps(
            net,
            input_planes(images).to(next(net.parameters()).device),
            self.layers_,
            method=self.method_,
            targets=None if codes is None else torch.as_tensor(codes),
            precision=self.precision,
            random_state=random_state,
        )
        shapes = [grid.shape for grid in maps]
        on_dies = zip(
            *(
                to_die_grid(values.float().cpu().numpy(), shapes, size, clf.fit_to_input)
                for values in result.layers.values()
            ),
            strict=True,
        )
        saliency = map(relative_saliency, maps, on_dies)
        chosen = result.targets.cpu().numpy()
        rows = zip(maps, saliency, chosen, _probabilities(result.logits), strict=True)
        return [self._decide(*row, asked=codes is not None) for row in rows]

    def _has_pattern(self) -> np.ndarray:
        """Tell for each class whether its wafers have a pattern in one place."""
        return np.array([label not in NO_PATTERN_CLASSES for label in self.classes_.tolist()])

    def _likeliest(self, probabilities: np.ndarray) -> np.ndarray:
        """Choose the likeliest pattern where some pattern is likely enough, else another class."""
        patterns = self._has_pattern()
        of_patterns = np.where(patterns, probabilities, 0)
        claimed = of_patterns.sum(axis=1) >= self.min_pattern_probability_
        of_others = np.where(patterns, 0, probabilities)
        return np.where(claimed, of_patterns.argmax(axis=1), of_others.argmax(axis=1))

    def _net(self, size: int) -> Backbone:
        """Return the net to explain: a faster copy, for the methods that are computed here.

        FullGrad of pytorch-grad-cam adds up the biases of the norms, which the copy has not.
        """
        module = self.estimator_.module_
        return module if self.method_ in PACKAGE_METHODS else inference_net(module, size)

    def _decide(self, grid, saliency, code, probabilities, asked: bool) -> Explanation:
        """Turn one wafer's saliency into kept and removed fails."""
        label = self.classes_[code]
        about = {"label": label, "probability": float(probabilities[code])}
        if not asked and label in NO_PATTERN_CLASSES:
            if self.no_pattern == "remove" and label == BACKGROUND:
                return explain_by(grid, np.zeros(grid.shape, bool), saliency, **about)
            return abstain(grid, saliency, **about)
        if probabilities[code] < self.min_probability:
            return abstain(grid, saliency, **about)
        fails = grid == FAIL
        keep = REFINEMENTS[self.refine_](grid, saliency, self.threshold)
        if not (fails & keep & (saliency > 0)).any():
            return abstain(grid, saliency, **about)
        return explain_by(grid, keep, saliency, **about)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not self._is_frozen()
        tags.non_deterministic = get_tags(self._estimator()).non_deterministic
        return tags


def _probabilities(logits: torch.Tensor) -> np.ndarray:
    return torch.softmax(logits.double(), dim=1).cpu().numpy()
