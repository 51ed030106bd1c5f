"""CamDenoiser: keep the fails that a classifier looked at, remove the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.special import xlogy
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, check_random_state, get_tags, indexable
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from tqdm.auto import tqdm

from camdenoise._sklearn_compat import HasMethods, Interval, StrOptions
from camdenoise.cam import (
    METHODS,
    PACKAGE_METHODS,
    activation_maps,
    auto_layers,
    check_request,
    evidence_maps,
)
from camdenoise.classification._calibration import PlattScaling, fit_platt, tempered_softmax
from camdenoise.classification._classifier import WaferClassifier, class_codes
from camdenoise.datasets._pattern_pool import BACKGROUND
from camdenoise.datasets._patterns import CLASSES, PATTERN_CLASSES
from camdenoise.datasets._training_sets import CalibrationSet, make_calibration_wafers
from camdenoise.denoising._base import BaseDenoiser
from camdenoise.denoising._decision import (
    REFINEMENTS,
    best_threshold,
    pattern_probability,
    relative_saliency,
    strength_of_claim,
    trade_off,
)
from camdenoise.denoising._expected_f1 import best_expected_f1
from camdenoise.denoising._novelty import Novelty, known_wafers, rows_to_know
from camdenoise.denoising._saved import KIND, restore_denoiser
from camdenoise.nets._backbones import WAFER_UNET, Backbone
from camdenoise.nets._checkpoint import pretrained_file, read_checkpoint
from camdenoise.nets._component_planes import input_planes
from camdenoise.nets._encoding import mean_on_dies, to_die_grid
from camdenoise.nets._inference import PRECISIONS, inference_net
from camdenoise.wafers._classes import ClassRoles
from camdenoise.wafers._coverage import is_partial, reaches_untested
from camdenoise.wafers._explanation import Explanation, abstain, explain_by
from camdenoise.wafers._labels import check_labels, plain_label
from camdenoise.wafers._maps import FAIL, WaferMaps, as_collection, like_input, looking_once

#: Classes whose wafers fail all over; with the one without a pattern, those that have none in one
#: place.
EVERYWHERE = ("Random", "Near-full")
NO_PATTERN_CLASSES = (BACKGROUND, *EVERYWHERE)
# Sides of the default classifier's input: one for most wafers, one for those of many dies.
_SIZES = (48, 96)
# Quantiles and temperatures of this many wafers are near enough.
_ENOUGH_TO_CALIBRATE = 2000
# With fewer wafers without a pattern, or with one, than this nothing is calibrated.
_FEWEST_TO_CALIBRATE = 20
# Of each kind; some seconds' work.
_N_PLANTED = 150
# How likely `none` has to be for a wafer to be cleared.
_CONFIDENT = 0.5
#: The method that reads the maps which a net keeps for each class.
EVIDENCE = "evidence"


class Reading(NamedTuple):
    """What the classifier says of one wafer.

    Attributes
    ----------
    saliency : ndarray of float, shape (height, width)
        On the die grid, not calibrated.
    code : int
        The class that is explained.
    probabilities : ndarray of float64, shape (n_classes,)
    claim : float
        How strongly a pattern is claimed; NaN for CAM methods, which claim one always.
    features : ndarray of float32, shape (n_features,)
        What the class scores weigh; empty for CAM methods.
    """

    saliency: np.ndarray
    code: int
    probabilities: np.ndarray
    claim: float = float("nan")
    features: np.ndarray = np.zeros(0, np.float32)


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
        evidence of all patterns, so that a second pattern on the wafer stays. Calibration is for
        "predicted", whatever is asked for.
    threshold : "auto" or float between 0 and 1, default="auto"
        With ``refine=None``: the saliency that a die needs; for "evidence" that is a probability,
        for a CAM a share of the wafer's largest. With ``refine="component"``: share of the
        strongest component's evidence that a component needs. "auto" takes for "evidence" on each
        wafer the threshold of the greatest expected F1 (Lipton et al. [4]_), else 0.5.
    target_retention, target_removal : float between 0 and 1 or None, default=None
        Instead of `threshold`, one of them: the mean share of a pattern's fails that is to be
        kept, or of the other fails that is to be removed, on wafers planted in `fit`. Of the
        thresholds that reach it the one that does best by the other share is taken.
    calibration_fraction : float, 0 or more and below 1, default=0.15
        Share of each class's wafers that `fit` keeps from the classifier to calibrate on. Where
        that leaves fewer than 20 labelled ``none``, or with a pattern named as in WM-811K, the
        classifier is trained on all of them and nothing is calibrated. With a frozen estimator all
        wafers given to `fit` calibrate; it should not have seen them. 0: nothing is calibrated.
    refine : {"auto", "component", None}, default="auto"
        Keep each die by its own saliency (None), or whole connected components by their summed
        one. "auto" takes None for "evidence", which tells neighbouring dies apart, else
        "component".
    no_pattern : {"abstain", "remove"}, default="abstain"
        What to do with a wafer that has no pattern in one place (classes `none`, Random,
        Near-full): abstain, which keeps every fail and says so, or remove all fails of a `none`
        that is likelier than all other classes together.
    min_probability : float, default=0.0
        Below this probability of the explained class the denoiser abstains.
    min_pattern_probability : "auto" or float, default="auto"
        With ``method="evidence"``: below this probability of all patterns together the wafer has
        none. "auto" asks for more, where `fit` is given wafers labelled `none`: that the odds of a
        pattern times the expected number of its fails is as high as `false_alarm_rate` wants it,
        and that a pattern is likelier than Random or Near-full; else it is 0.5. CAM methods explain
        the likeliest class.
    false_alarm_rate : float between 0 and 1, default=0.05
        Share of the wafers labelled `none` on which a pattern may be claimed. Measured on those
        that `fit` calibrates on; where it calibrates on none, on those it trained on, and then the
        share is higher on new ones.
    novelty_rate : float between 0 and 1 or None, default=None
        With ``method="evidence"``: share of the wafers with known patterns that may be taken for
        novel. A wafer on which a pattern is claimed, but which is further from those known than
        this share of them is from each other, is unlike all that the classifier was told of: the
        denoiser abstains. None: nothing is novel, and so it is with a `min_pattern_probability`.
        The known wafers are those that `fit` calibrates on.
    cv : int, splitter or iterable, default=5
        How `fit_transform` splits the wafers to denoise each out of fold.
    batch_size : int, default=64
        Wafers per CAM pass; fewer of those that are shown larger than others, so that a pass
        takes no more memory.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Arithmetic of the classifier's net while it is explained. "auto" takes bfloat16 where the
        CPU has it, twice as fast; the same is decided for more than 99.9 % of dies (see
        docs/performance.md). The methods of pytorch-grad-cam run in float32.
    progress : bool, default=False
        Show a progress bar while explaining.
    on_error : {"raise", "keep"}, default="raise"
        What to do with a map that cannot be read: raise, or give it back as it came.
    random_state : int, RandomState instance or None, default=None
        For the classifier when `estimator` is None, for the wafers that calibrate, and for
        ``method="randomcam"``.

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
    min_claim_ : float or None
        How strongly a pattern must be claimed: logarithm of the odds of a pattern times the
        expected number of its fails. None: `min_pattern_probability`, or 0.5, counts instead.
    threshold_ : float or None
        The threshold in use; None where each wafer has its own.
    platt_ : PlattScaling or None
        Slope and intercept of the logistic curve that turns a die's evidence into its saliency;
        None where it was not calibrated.
    calibration_ : DataFrame or None
        For each ``threshold`` the mean ``retention``, ``removal`` and ``f1`` on the planted
        wafers in which a pattern is claimed: over the wafers of a class, then over classes, then
        over the kinds "planted", "diffuse" and "two" of `make_planted_wafers`.
    background_claims_ : ndarray of float, shape (n_wafers,)
        How strongly a pattern is claimed on wafers labelled `none`, in rising order.
    novelty_ : Novelty or None
        The known wafers and how far they are from each other; None where `fit` calibrates on too
        few, or `novelty_rate` is None.
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

    The denoiser abstains (keeps every fail) on wafers without a pattern, see `no_pattern`, on
    novel ones, see `novelty_rate`, and where no fail has evidence enough. `explain` with targets
    explains what it is asked for.

    References
    ----------
    .. [1] R. R. Selvaraju et al., "Grad-CAM", ICCV 2017, arXiv:1610.02391.
    .. [2] P.-T. Jiang et al., "LayerCAM", IEEE Trans. Image Process. 30, 2021.
    .. [3] Nie et al., CAM with region growing on wafer maps, IEEE ATS 2023,
       doi:10.1109/ATS59501.2023.10317989.
    .. [4] Z. C. Lipton, C. Elkan, B. Naryanaswamy, "Thresholding Classifiers to Maximize F1
       Score", ECML PKDD 2014, arXiv:1402.1892.

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
        "threshold": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "target_retention": [Interval(Real, 0, 1, closed="both"), None],
        "target_removal": [Interval(Real, 0, 1, closed="both"), None],
        "calibration_fraction": [Interval(Real, 0, 1, closed="left")],
        "refine": [StrOptions({"auto", "component"}), None],
        "no_pattern": [StrOptions({"abstain", "remove"})],
        "min_probability": [Interval(Real, 0, 1, closed="both")],
        "min_pattern_probability": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "false_alarm_rate": [Interval(Real, 0, 1, closed="both")],
        "novelty_rate": [Interval(Real, 0, 1, closed="both"), None],
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
        threshold="auto",
        target_retention=None,
        target_removal=None,
        calibration_fraction=0.15,
        refine="auto",
        no_pattern="abstain",
        min_probability=0.0,
        min_pattern_probability="auto",
        false_alarm_rate=0.05,
        novelty_rate=None,
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
        self.target_retention = target_retention
        self.target_removal = target_removal
        self.calibration_fraction = calibration_fraction
        self.refine = refine
        self.no_pattern = no_pattern
        self.min_probability = min_probability
        self.min_pattern_probability = min_pattern_probability
        self.false_alarm_rate = false_alarm_rate
        self.novelty_rate = novelty_rate
        self.cv = cv
        self.batch_size = batch_size
        self.precision = precision
        self.progress = progress
        self.on_error = on_error
        self.random_state = random_state

    @classmethod
    def from_pretrained(cls, name: str = "wm811k", *, device: str = "cpu", **params) -> CamDenoiser:
        """Return a denoiser that is trained and calibrated already and comes with the package.

        Parameters
        ----------
        name : {"wm811k"}, default="wm811k"
            What it was trained on. The model card beside the weights tells how, and what it
            reaches: ``camdenoise/pretrained/README.md``.
        device : str, default="cpu"
            A torch device.
        **params
            Parameters of this class to have instead of the model's own, such as
            ``no_pattern="remove"`` or ``false_alarm_rate=0.01``.

        Returns
        -------
        CamDenoiser
            Fitted.

        Raises
        ------
        ValueError
            For a name that no model has, or a bad parameter.

        Examples
        --------
        >>> from camdenoise import CamDenoiser
        >>> from camdenoise.datasets import make_wafer_maps
        >>> wafers = make_wafer_maps(5, classes=["Edge-Ring"], random_state=0)
        >>> fewer = CamDenoiser.from_pretrained("wm811k").transform(wafers.maps)
        >>> [bool((new == 2).sum() < (old == 2).sum()) for new, old in zip(fewer, wafers.maps)]
        [True, True, True, True, True]
        """
        with pretrained_file(name) as file:
            checkpoint = read_checkpoint(file, (KIND,))
        return restore_denoiser(cls, checkpoint, device, **params)

    def fit(self, X: WaferMaps, y: Any = None, **params) -> CamDenoiser:
        """Fit a clone of the classifier, or take a frozen one as it is, and calibrate it.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail), as `WaferClassifier.fit` takes
            them.
        y : array-like of shape (n_wafers,)
            Class labels, as `WaferClassifier.fit` takes them; may be left out with a frozen
            estimator.
        **params : dict
            Passed to the classifier's fit, `sample_weight` for instance. The wafers of a group
            (a lot) in `groups` are all trained on or all calibrated on.

        Returns
        -------
        self

        Raises
        ------
        WaferMapError
            For a map that cannot be read.
        ValueError
            For a bad parameter, missing labels, a backbone that has no layer with a grid, or a
            target where there are too few wafers to calibrate on.
        """
        self._check_parameters()
        X = as_collection(X)
        with looking_once():
            return self._fit(X, self._labels(X, y), *self._route(params, "fit"))

    def fit_transform(self, X: WaferMaps, y: Any = None, **params) -> WaferMaps:
        """Fit, and denoise each wafer with a classifier that was not trained on it.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps.
        y : array-like of shape (n_wafers,)
            Class labels.
        **params : dict
            As in `fit`; `groups` keeps the wafers of a group in one fold, too, given a `cv` that
            looks at groups.

        Returns
        -------
        same kind as `X`
            The denoised maps. With a frozen estimator the same as ``transform(X)``.
        """
        self._check_parameters()
        X = as_collection(X)
        fit_params, split_params = self._route(params, "fit_transform")
        with looking_once():
            y = self._labels(X, y)
            self._fit(X, y, fit_params, split_params)
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
        codes = class_codes(targets, self.classes_, "target")
        return self._explain_readable(X, self._explain_maps, codes)

    def get_metadata_routing(self) -> MetadataRouter:
        """Say where metadata goes: to the classifier's fit and, for `groups`, the splitters."""
        to_estimator = MethodMapping().add(caller="fit", callee="fit")
        to_estimator.add(caller="fit_transform", callee="fit")
        to_splitter = MethodMapping().add(caller="fit", callee="split")
        to_splitter.add(caller="fit_transform", callee="split")
        router = MetadataRouter(owner=type(self).__name__)
        router.add(estimator=self._estimator(), method_mapping=to_estimator)
        return router.add(
            splitter=check_cv(self.cv, [0, 1], classifier=True), method_mapping=to_splitter
        )

    def _labels(self, X: Any, y: Any) -> np.ndarray | None:
        """Read the labels; a frozen estimator needs none."""
        if y is None:
            return None
        check_consistent_length(X, y)
        return check_labels(y)

    def _check_parameters(self) -> None:
        self._validate_params()
        fixed = {} if self.threshold == "auto" else {"threshold": self.threshold}
        chosen = fixed | {name: value for name, value in self._targets().items()}
        if len(chosen) > 1:
            raise ValueError(
                f"{' and '.join(f'{name}={value}' for name, value in chosen.items())} each choose "
                "a threshold; give one of them."
            )

    def _targets(self) -> dict[str, float]:
        targets = {name: getattr(self, name) for name in ("target_retention", "target_removal")}
        return {name: value for name, value in targets.items() if value is not None}

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

    def _fit(self, X, y, fit_params: dict, split_params: dict) -> CamDenoiser:
        maps = self._read_maps(X, reset=True)
        aside = self._rows_to_calibrate(y, split_params.get("groups"))
        unseen, labels = [maps[row] for row in aside], np.ravel(y)[aside]
        if self._is_frozen():
            check_is_fitted(self.estimator.estimator)
            self.estimator_ = self.estimator.estimator
        else:
            self.estimator_ = self._trained(X, y, aside, fit_params)
            if unseen:
                some = _thinned(np.arange(len(unseen)))
                self.estimator_.calibrate([unseen[row] for row in some], labels[some])
        self.classes_ = self.estimator_.classes_
        self._choose_method()
        measured = (unseen, labels) if unseen else (maps, np.ravel(y))
        self.background_claims_ = self._claims_without_pattern(*measured)
        self.min_claim_ = self._least_claim()
        self.novelty_ = None
        planted = self._planted(unseen, labels)
        readings = self._read(planted.maps) if planted.maps else []
        self._calibrate(planted, readings)
        if self.novelty_rate is not None and self.method_ == EVIDENCE and unseen:
            known = self._read([unseen[row] for row in rows_to_know(labels.astype(str))])
            self.novelty_ = known_wafers(np.array([r.features for r in known + readings]))
        self.threshold_ = self._chosen_threshold()
        return self

    def _take_over(
        self,
        platt: PlattScaling | None,
        calibration: pd.DataFrame | None,
        claims: np.ndarray,
        novelty: Novelty | None = None,
    ) -> CamDenoiser:
        """Become fitted around a frozen classifier by a calibration that was made before."""
        self._check_parameters()
        self.estimator_ = self.estimator.estimator
        self.classes_ = self.estimator_.classes_
        self._choose_method()
        self.platt_, self.calibration_, self.background_claims_ = platt, calibration, claims
        self.novelty_ = novelty
        self.min_claim_ = self._least_claim()
        self.threshold_ = self._chosen_threshold()
        return self

    def _trained(self, X, y, aside: np.ndarray, fit_params: dict) -> WaferClassifier:
        """Train the classifier on all wafers but those set aside."""
        if len(aside):
            rest = np.setdiff1d(np.arange(len(y)), aside)
            X, y = _safe_split(self, X, y, rest)
            fit_params = {name: np.asarray(value)[rest] for name, value in fit_params.items()}
        return clone(self._estimator()).fit(X, y, **fit_params)

    def _choose_method(self) -> None:
        """Settle what "auto" stands for."""
        net, size = self.estimator_.module_, int(np.max(self.estimator_.input_size))
        named = bool(set(PATTERN_CLASSES).intersection(self.classes_.tolist()))
        self.method_ = self.method
        if self.method == "auto":
            self.method_ = EVIDENCE if net.has_evidence and named else "layercam"
        self.refine_ = self.refine
        if self.refine == "auto":
            self.refine_ = None if self.method_ == EVIDENCE else "component"
        if self.method_ == EVIDENCE:
            self._check_evidence(net)
            self.layers_ = net.layer_names[-1:]
            return
        self.layers_ = auto_layers(net, size) if self.layers == "auto" else tuple(self.layers)
        check_request(net, self.layers_, self.method_)

    def _rows_to_calibrate(self, y, groups) -> np.ndarray:
        """Choose wafers for the classifier not to see; none at all where they would be few."""
        with_evidence = self.method == EVIDENCE or (
            self.method == "auto" and self._estimator().backbone == WAFER_UNET
        )
        nothing = np.array([], int)
        if y is None or not self.calibration_fraction or not (with_evidence or self._targets()):
            return nothing
        labels = np.ravel(y).astype(str)
        rows = np.arange(len(labels))
        if not self._is_frozen():
            rng = check_random_state(self.random_state)
            rows = _held_out(labels, groups, self.calibration_fraction, rng)
        n_fewest = min(np.isin(labels[rows], kind).sum() for kind in (BACKGROUND, PATTERN_CLASSES))
        return rows if n_fewest >= _FEWEST_TO_CALIBRATE else nothing

    def _claims_without_pattern(self, maps, labels: np.ndarray) -> np.ndarray:
        """Return how strongly a pattern is claimed on wafers that have none, sorted."""
        rows = np.flatnonzero(labels == BACKGROUND)
        if not len(rows) or self.method_ != EVIDENCE or BACKGROUND not in self.classes_.tolist():
            return np.array([])
        readings = self._read([maps[row] for row in _thinned(rows)])
        return np.sort(np.array([reading.claim for reading in readings], float))

    def _least_claim(self) -> float | None:
        """Return how strong a claim must be so that few wafers without a pattern reach it."""
        if self.min_pattern_probability != "auto" or not len(self.background_claims_):
            return None
        # Ties, as of wafers that are all alike, must not go beyond the rate.
        least = np.quantile(self.background_claims_, 1 - self.false_alarm_rate, method="higher")
        return float(np.nextafter(least, np.inf))

    def _planted(self, maps: list[np.ndarray], labels: np.ndarray) -> CalibrationSet:
        """Plant patterns on wafers that the classifier has not seen; none where none are needed."""
        if not maps or not (self.method_ == EVIDENCE or self._targets()):
            return CalibrationSet([], [], [])
        rng = check_random_state(self.random_state)
        known = np.isin(labels, [*self.classes_.tolist(), BACKGROUND])
        of_known = [grid for grid, is_known in zip(maps, known, strict=True) if is_known]
        roles = ClassRoles(tuple(c for c in self.classes_.tolist() if c in CLASSES))
        return make_calibration_wafers(of_known, labels[known], roles, _N_PLANTED, rng)

    def _calibrate(self, planted: CalibrationSet, readings: list[Reading]) -> None:
        """Fit what a die's evidence means, and see what thresholds keep, on planted wafers."""
        self.platt_ = self.calibration_ = None
        fails = [grid == FAIL for grid in planted.maps]
        truth = [mask[fail] for mask, fail in zip(planted.truth, fails, strict=True)]
        if self.method_ == EVIDENCE and readings:
            saliency = [r.saliency[fail] for r, fail in zip(readings, fails, strict=True)]
            self.platt_ = fit_platt(np.concatenate(saliency), np.concatenate(truth))
        rows = [row for row, reading in enumerate(readings) if self._is_decided(reading)]
        refine = REFINEMENTS[self.refine_]
        if rows:
            self.calibration_ = trade_off(
                [
                    refine(planted.maps[row], self._saliency(readings[row]))[fails[row]]
                    for row in rows
                ],
                [truth[row] for row in rows],
                [planted.strata[row] for row in rows],
            )

    def _chosen_threshold(self) -> float | None:
        """Settle the threshold; None where each wafer gets its own."""
        if targets := self._targets():
            if self.calibration_ is None:
                raise ValueError(_nothing_to_calibrate_on(targets))
            return best_threshold(self.calibration_, **targets)
        if self.threshold != "auto":
            return float(self.threshold)
        return None if self.method_ == EVIDENCE and self.refine_ is None else 0.5

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
            params = (
                {name: np.asarray(value)[train] for name, value in of_all.items()}
                for of_all in (fit_params, split_params)
            )
            fold._fit(*_safe_split(self, X, y, train), *params)
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

    def _explain_maps(self, maps: Sequence[np.ndarray], codes: Any = None) -> list[Explanation]:
        check_is_fitted(self)
        if codes is None and self.target != "predicted":
            codes = class_codes([self.target] * len(maps), self.classes_, "target")
        readings = self._read(maps, codes)
        asked = codes is not None
        novel = np.zeros(len(maps), bool) if asked else self._are_novel(readings)
        return [
            self._decide(grid, reading, asked, bool(is_novel))
            for grid, reading, is_novel in zip(maps, readings, novel, strict=True)
        ]

    def _read(self, maps: Sequence[np.ndarray], codes: Any = None) -> list[Reading]:
        """Ask the classifier what it sees, in all wafers of one size at a time."""
        net = self._net()
        read_batch: Callable[..., list[Reading]] = partial(self._by_evidence, net)
        if self.method_ != EVIDENCE:
            random_state = check_random_state(self.random_state)
            read_batch = partial(self._by_cam, net, random_state=random_state)
        readings: list[Any] = [None] * len(maps)
        with tqdm(total=len(maps), unit="wafer", leave=None, disable=not self.progress) as bar:
            for rows, images in self.estimator_.batches(maps, self.batch_size):
                of_rows = [maps[row] for row in rows]
                targets = None if codes is None else np.asarray(codes)[rows]
                batch = read_batch(of_rows, images, targets)
                for row, reading in zip(rows, batch, strict=True):
                    readings[row] = reading
                bar.update(len(rows))
        return readings

    def _by_evidence(self, net: Backbone, maps, images, codes) -> list[Reading]:
        """Read a batch by what the net keeps for each class."""
        planes = input_planes(images).to(next(net.parameters()).device)
        result = evidence_maps(
            net,
            planes,
            precision=self.precision,
            symmetric=self.estimator_.symmetric_prediction,
        )
        probabilities = self._probabilities(result.logits)
        counted = self.has_pattern()[None]
        if codes is not None:
            counted = np.arange(len(self.classes_)) == codes[:, None]
        saliency = pattern_probability(result.evidence, torch.as_tensor(counted))
        fit = self.estimator_.fit_to_input
        on_dies = mean_on_dies(saliency.cpu().numpy(), [grid.shape for grid in maps], fit)
        of_patterns = probabilities[:, self.has_pattern()].sum(axis=1)
        claims = list(map(strength_of_claim, maps, on_dies, of_patterns))
        claimed = self._is_claimed(probabilities, np.array(claims))
        chosen = self._likeliest(probabilities, claimed) if codes is None else codes
        features = result.features.float().cpu().numpy()
        return list(map(Reading, on_dies, chosen, probabilities, claims, features))

    def _by_cam(self, net: Backbone, maps, images, codes, random_state) -> list[Reading]:
        """Read a batch by the class activation maps of the target layers."""
        clf, size = self.estimator_, images.shape[-1]
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
        return list(map(Reading, saliency, chosen, self._probabilities(result.logits)))

    def has_pattern(self) -> np.ndarray:
        """Tell for each class whether its wafers have a pattern in one place."""
        return np.array([label not in NO_PATTERN_CLASSES for label in self.classes_.tolist()])

    def _is_claimed(self, probabilities: np.ndarray, claims: np.ndarray) -> np.ndarray:
        """Tell whether a pattern is claimed, by the strengths or by the probabilities of claims."""
        of_patterns = probabilities[:, self.has_pattern()].sum(axis=1)
        if getattr(self, "min_claim_", None) is None:
            least = self.min_pattern_probability
            return of_patterns >= (0.5 if least == "auto" else least)
        # Many fails make a strong claim, also where they are everywhere.
        everywhere = np.array([label in EVERYWHERE for label in self.classes_.tolist()])
        is_likelier = of_patterns >= probabilities[:, everywhere].sum(axis=1)
        return (claims >= self.min_claim_) & is_likelier

    def _likeliest(self, probabilities: np.ndarray, claimed: np.ndarray) -> np.ndarray:
        """Choose the likeliest pattern where one is claimed, else the likeliest other class."""
        patterns = self.has_pattern()
        of_patterns = np.where(patterns, probabilities, 0)
        of_others = np.where(patterns, 0, probabilities)
        return np.where(claimed, of_patterns.argmax(axis=1), of_others.argmax(axis=1))

    def _net(self) -> Backbone:
        """Return the net to explain: a faster copy, for the methods that are computed here.

        FullGrad of pytorch-grad-cam adds up the biases of the norms, which the copy has not.
        """
        module = self.estimator_.module_
        if self.method_ in PACKAGE_METHODS:
            return module
        return inference_net(module, int(np.max(self.estimator_.input_size)))

    def _probabilities(self, logits: torch.Tensor) -> np.ndarray:
        return tempered_softmax(logits.double().cpu().numpy(), self.estimator_.temperature_)

    def _saliency(self, reading: Reading) -> np.ndarray:
        return reading.saliency if self.platt_ is None else self.platt_(reading.saliency)

    def _threshold_on(self, evidence: np.ndarray) -> float:
        """Return the threshold for a wafer whose fails have this evidence."""
        return best_expected_f1(evidence)[0] if self.threshold_ is None else self.threshold_

    def _is_decided(self, reading: Reading, asked: bool = False) -> bool:
        """Tell whether a pattern is claimed, so that each fail of the wafer is decided about."""
        likely = reading.probabilities[reading.code] >= self.min_probability
        return likely and (asked or self.classes_[reading.code] not in NO_PATTERN_CLASSES)

    def _are_novel(self, readings: Sequence[Reading]) -> np.ndarray:
        """Tell which wafers are further from the known ones than those are from each other."""
        novel = np.zeros(len(readings), bool)
        known = self.novelty_
        if known is None or self.novelty_rate is None or self.min_pattern_probability != "auto":
            return novel
        rows = [row for row, reading in enumerate(readings) if self._is_decided(reading)]
        if rows:
            away = known.distance(np.stack([readings[row].features for row in rows]))
            novel[rows] = away > known.furthest(self.novelty_rate)
        return novel

    def _is_cleared(self, reading: Reading) -> bool:
        """Tell whether all fails of the wafer go because it surely has no pattern."""
        least = max(_CONFIDENT, self.min_probability)
        surely_none = (
            self.classes_[reading.code] == BACKGROUND
            and reading.probabilities[reading.code] >= least
        )
        return self.no_pattern == "remove" and surely_none

    def _decide(self, grid, reading: Reading, asked: bool, novel: bool) -> Explanation:
        """Turn one wafer's saliency into kept and removed fails."""
        saliency, probabilities = self._saliency(reading), reading.probabilities
        about = {
            "label": plain_label(self.classes_[reading.code]),
            "probability": float(probabilities[reading.code]),
            "entropy": float(-xlogy(probabilities, probabilities).sum() / np.log(2)),
        }
        if not asked and self._is_cleared(reading):
            return explain_by(grid, np.zeros(grid.shape, bool), saliency, **about)
        if not self._is_decided(reading, asked):
            return abstain(grid, saliency, **about)
        if novel:
            return abstain(grid, saliency, novel=True, **about)
        fails, evidence = grid == FAIL, REFINEMENTS[self.refine_](grid, saliency)
        keep = evidence >= self._threshold_on(evidence[fails])
        if not (fails & keep & (saliency > 0)).any():
            return abstain(grid, saliency, **about)
        if not asked and is_partial(grid) and reaches_untested(grid, fails & keep):
            # The pattern may go on where nothing was tested, and be another one.
            return abstain(grid, saliency, **about)
        return explain_by(grid, keep, saliency, **about)

    def __getstate__(self) -> dict[str, Any]:
        """Give what is pickled, or written by skops, which knows no DataFrame."""
        state = dict(super().__getstate__())
        if (novelty := state.get("novelty_")) is not None:
            state["novelty_"] = {
                "references": novelty.references,
                "distances": novelty.distances,
            }
        if (table := state.get("calibration_")) is not None:
            state["calibration_"] = table.to_dict("list")
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make a DataFrame again."""
        super().__setstate__(state)
        if getattr(self, "calibration_", None) is not None:
            self.calibration_ = pd.DataFrame(self.calibration_)
        if (known := state.get("novelty_")) is not None:
            self.novelty_ = Novelty(**known)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not self._is_frozen()
        tags.non_deterministic = get_tags(self._estimator()).non_deterministic
        return tags


def _held_out(labels: np.ndarray, groups: Any, share: float, rng) -> np.ndarray:
    """Draw the rows to hold out: a share of each class, or of the groups."""
    if groups is None:
        of_classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        drawn = [rng.permutation(rows)[: int(share * len(rows))] for rows in of_classes]
        return np.sort(np.concatenate(drawn))
    groups = np.asarray(groups)
    names = rng.permutation(np.unique(groups))
    aside = np.isin(groups, names[: int(share * len(names))])
    # A class that is in no other group has to be trained on.
    lost = aside & ~np.isin(labels, labels[~aside])
    return np.flatnonzero(aside & ~np.isin(groups, groups[lost]))


def _nothing_to_calibrate_on(targets: dict[str, float]) -> str:
    name, value = next(iter(targets.items()))
    return (
        f"{name}={value} needs wafers to calibrate on, at least {_FEWEST_TO_CALIBRATE} labelled "
        f"{BACKGROUND!r} and as many with a pattern that the classifier finds, of "
        f"{', '.join(PATTERN_CLASSES)}. Give more wafers or a larger calibration_fraction, or "
        "choose the threshold yourself."
    )


def _thinned(rows: np.ndarray) -> np.ndarray:
    """Take every so many-th of very many rows."""
    return rows[:: max(1, -(-len(rows) // _ENOUGH_TO_CALIBRATE))]
