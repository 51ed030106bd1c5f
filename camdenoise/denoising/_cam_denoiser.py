"""CamDenoiser: keep the fails that made the classifier decide, remove the rest."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, check_random_state, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from camdenoise._sklearn_compat import HasMethods, Interval, StrOptions
from camdenoise.cam import METHODS, auto_layers, check_request
from camdenoise.cam._on_dies import CamAttribution, EvidenceAttribution
from camdenoise.classification._classifier import WaferClassifier, class_codes
from camdenoise.denoising._base import BaseDenoiser
from camdenoise.denoising._calibration import (
    DenoiserCalibration,
    calibrate_denoiser,
    thin,
)
from camdenoise.denoising._decision import AGGREGATIONS, DecisionRule
from camdenoise.denoising._detection import PatternDetector
from camdenoise.denoising._held_out import (
    FEWEST_TO_CALIBRATE,
    choose_held_out,
    transform_out_of_fold,
)
from camdenoise.denoising._saved import KIND, restore_denoiser
from camdenoise.denoising._threshold import TARGETS, check_threshold, threshold_for
from camdenoise.nets._backbones import WAFER_UNET
from camdenoise.nets._checkpoint import pretrained_file, read_checkpoint
from camdenoise.wafers._classes import as_labels
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._labels import check_labels
from camdenoise.wafers._maps import (
    WaferMaps,
    as_collection,
    warn_once,
)

# Sides of the default classifier's input in pixels: one for most wafers, one for many dies.
_SIZES = (48, 96)
#: The method that uses the evidence maps of a net that keeps one for each class.
EVIDENCE = "evidence"
# Wafers that are scored before any is decided, so that memory does not grow with their number.
_MOST_AT_ONCE = 1024


class CamDenoiser(BaseDenoiser):
    """Remove the fails of a wafer map that do not explain its class.

    A classifier predicts the pattern, and a class activation map scores the dies by their effect on
    this prediction. Fails with a high score are kept. So the decision depends on the whole wafer,
    not only on the number of fails near a die.

    Parameters
    ----------
    estimator : WaferClassifier or FrozenEstimator of a fitted one, default=None
        Fitted as a clone in `fit`; a frozen one is used as it is. None:
        ``WaferClassifier("wafer_unet", input_size=(48, 96))``, which keeps evidence die by die.
    method : str, default="auto"
        "evidence", the maps that ``"wafer_unet"`` keeps for each class, or a CAM method, one of
        `camdenoise.cam.METHODS`. "auto" takes "evidence" where there are such maps
        (`WaferClassifier.patterns_`), else "layercam".
    layers : "auto" or sequence of str, default="auto"
        For CAM methods: target layers, whose relative maps are averaged. "auto" takes one with a
        half and one with a quarter of the input's resolution, so that single dies can be told
        apart.
    threshold : "auto", float between 0 and 1, TargetRecall or TargetSpecificity, default="auto"
        Evidence that a fail needs to be kept. Without `aggregation` that is a die's saliency: for
        "evidence" a probability, for a CAM a share of the wafer's largest. With "component" it is
        the component's share of the strongest component's evidence. "auto" takes for "evidence" on
        each wafer the threshold of the greatest expected F1 [4]_, else 0.5.
        ``TargetRecall(0.9)`` and ``TargetSpecificity(0.9)`` of `camdenoise.denoising` choose it on
        wafers planted in `fit`, so that this mean share of a pattern's fails is kept, or of the
        other fails removed.
    aggregation : {"auto", "component", None}, default="auto"
        Keep each die by its own saliency (None), or whole connected components by their summed
        one. "auto" takes None for "evidence", which tells neighboring dies apart, else
        "component".
    no_pattern : {"abstain", "remove"}, default="abstain"
        What to do with a wafer without a pattern in one place (the classifier's `none_labels` and
        `everywhere_labels`). "abstain" keeps every fail. "remove" removes all fails of a wafer
        whose probability of `none_labels` is at least 0.5.
    false_alarm_rate : float between 0 and 1 or None, default=0.05
        With ``method="evidence"``: share of the wafers without a pattern on which one may be
        detected. Measured on those that `fit` calibrates on; where it calibrates on none, on those
        it trained on, and then the share is higher on new ones. Without any such wafer a pattern is
        detected where all patterns together have a probability of at least 0.5. None: decide on
        every wafer, as if each had a pattern.
    novelty_rate : float between 0 and 1 or None, default=None
        With ``method="evidence"``: share of the wafers with known patterns that may be called
        novel. A wafer with a pattern that is further from the known wafers than all but this share
        of them are from each other is unlike all that the classifier has learned: the denoiser
        abstains. None: no wafer is novel, as with ``false_alarm_rate=None``. The known wafers are
        those that `fit` calibrates on.
    validation_fraction : float, 0 or more and below 1, default=0.15
        Share of each class's wafers that `fit` holds out from the classifier to calibrate on. Where
        that leaves fewer than 20 without a pattern, or with one, the classifier is trained on all
        of them and nothing is calibrated. With a frozen estimator all wafers given to `fit`
        calibrate; it should not have seen them. 0: nothing is calibrated.
    cv : int, splitter or iterable, default=5
        How `fit_transform` splits the wafers to denoise each out of fold.
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
    method_, aggregation_ : str
        What "auto" stands for.
    layers_ : tuple of str
        The target layers in use.
    calibration_ : DenoiserCalibration
        What was measured on held-out wafers. `from_calibration` makes a denoiser of it.
    detection_threshold_ : float or None
        Least detection score of a pattern: logarithm of the odds of a pattern times the expected
        number of its fails. None: the probability of all patterns together counts instead.
    threshold_ : float or None
        The threshold in use; None where each wafer has its own.
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
    novel ones, see `novelty_rate`, on wafers that were tested in part and whose pattern reaches
    the untested part, and where no fail has enough evidence. `explain` with targets explains the
    given classes on every wafer.

    Progress, precision and device are those of the classifier: with a fitted denoiser
    ``denoiser.estimator_.set_params(progress=True, precision="float32")``.

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
        "estimator": [HasMethods(["fit", "predict", "net_outputs"]), None],
        "method": [StrOptions({"auto", EVIDENCE, *METHODS})],
        "layers": [StrOptions({"auto"}), list, tuple],
        "threshold": "no_validation",
        "aggregation": [StrOptions({"auto", "component"}), None],
        "no_pattern": [StrOptions({"abstain", "remove"})],
        "false_alarm_rate": [Interval(Real, 0, 1, closed="both"), None],
        "novelty_rate": [Interval(Real, 0, 1, closed="both"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "cv": ["cv_object"],
        "on_error": [StrOptions({"raise", "keep"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        method="auto",
        layers="auto",
        threshold="auto",
        aggregation="auto",
        no_pattern="abstain",
        false_alarm_rate=0.05,
        novelty_rate=None,
        validation_fraction=0.15,
        cv=5,
        on_error="raise",
        random_state=None,
    ):
        self.estimator = estimator
        self.method = method
        self.layers = layers
        self.threshold = threshold
        self.aggregation = aggregation
        self.no_pattern = no_pattern
        self.false_alarm_rate = false_alarm_rate
        self.novelty_rate = novelty_rate
        self.validation_fraction = validation_fraction
        self.cv = cv
        self.on_error = on_error
        self.random_state = random_state

    @classmethod
    def from_pretrained(cls, name: str = "wm811k", *, device: str = "cpu", **params) -> CamDenoiser:
        """Return a denoiser that is trained and calibrated already and comes with the package.

        Parameters
        ----------
        name : {"wm811k"}, default="wm811k"
            Name of the model, after its training data. Its model card is
            ``camdenoise/pretrained/README.md``.
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

    @classmethod
    def from_calibration(
        cls, classifier: WaferClassifier, calibration: DenoiserCalibration, **params
    ) -> CamDenoiser:
        """Return a denoiser around a fitted classifier, with a calibration that was made before.

        Parameters
        ----------
        classifier : WaferClassifier
            Fitted. It is used as it is, not copied.
        calibration : DenoiserCalibration
            ``denoiser.calibration_`` of a denoiser around this classifier, or
            ``DenoiserCalibration.empty()``.
        **params
            Parameters of this class.

        Returns
        -------
        CamDenoiser
            Fitted.

        Raises
        ------
        ValueError
            For a bad parameter, or one that needs a calibration which is not there.

        Examples
        --------
        >>> from camdenoise import CamDenoiser
        >>> shipped = CamDenoiser.from_pretrained()
        >>> bold = CamDenoiser.from_calibration(
        ...     shipped.estimator_, shipped.calibration_, false_alarm_rate=0.2
        ... )
        >>> bold.detection_threshold_ < shipped.detection_threshold_
        True
        """
        denoiser = cls(FrozenEstimator(classifier), **params)
        denoiser._check_parameters()
        check_is_fitted(classifier)
        denoiser.estimator_ = classifier
        denoiser._choose_method()
        return denoiser._set_calibration(calibration)

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
        with warn_once():
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
        with warn_once():
            y = self._labels(X, y)
            self._fit(X, y, fit_params, split_params)
            if self._is_frozen():
                return self.transform(X)
            return transform_out_of_fold(self, X, y, fit_params, split_params)

    def explain(self, X: WaferMaps, targets: Any = None) -> list[Explanation]:
        """Tell for each wafer which fails are kept, which are removed, and why.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps.
        targets : array-like of shape (n_wafers,), default=None
            Class to explain in each wafer instead of the predicted one, for controls such as the
            true or a wrong class. The evidence of this class alone counts then, and the denoiser
            decides on every wafer.

        Returns
        -------
        list of Explanation
            One per wafer, in the order of `X`.

        Raises
        ------
        WaferMapError
            For a map that cannot be read, with ``on_error="raise"``.
        ValueError
            For a target that is not a class of the classifier, or targets of another length.
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
        return check_labels(y, none=as_labels(self._classifier().none_labels)[0])

    def _check_parameters(self) -> None:
        self._validate_params()
        check_threshold(self.threshold)

    def _estimator(self) -> BaseEstimator:
        if self.estimator is None:
            return WaferClassifier(WAFER_UNET, input_size=_SIZES, random_state=self.random_state)
        return self.estimator

    def _classifier(self) -> WaferClassifier:
        """Return the classifier whose parameters count, also inside a frozen one."""
        estimator = self._estimator()
        return estimator.estimator if self._is_frozen() else estimator

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
        rows = self._rows_to_calibrate(y, split_params.get("groups"))
        unseen, labels = [maps[row] for row in rows], np.ravel(y)[rows]
        if self._is_frozen():
            check_is_fitted(self._classifier())
            self.estimator_ = self._classifier()
        else:
            self.estimator_ = self._train(X, y, rows, fit_params)
            if unseen:
                some = thin(np.arange(len(unseen)))
                self.estimator_.calibrate([unseen[row] for row in some], labels[some])
        self._choose_method()
        measured = (unseen, labels) if unseen else (maps, np.ravel(y))
        return self._set_calibration(
            calibrate_denoiser(
                self._attribution(),
                self.estimator_.class_roles(),
                self._background(*measured),
                unseen,
                labels,
                aggregation=self.aggregation_,
                false_alarm_rate=self.false_alarm_rate,
                with_novelty=self.novelty_rate is not None,
                with_curve=isinstance(self.threshold, TARGETS),
                rng=check_random_state(self.random_state),
            )
        )

    def _set_calibration(self, calibration: DenoiserCalibration) -> CamDenoiser:
        """Set what follows from the parameters and the calibration."""
        self.classes_ = self.estimator_.classes_
        self.calibration_ = calibration
        self.detection_threshold_ = self._detector().threshold_
        self.threshold_ = self._choose_threshold()
        return self

    def _train(self, X, y, held_out: np.ndarray, fit_params: dict) -> WaferClassifier:
        """Train the classifier on all wafers that are not held out."""
        if len(held_out):
            rest = np.setdiff1d(np.arange(len(y)), held_out)
            X, y = _safe_split(self, X, y, rest)
            fit_params = {name: np.asarray(value)[rest] for name, value in fit_params.items()}
        return clone(self._estimator()).fit(X, y, **fit_params)

    def _choose_method(self) -> None:
        """Choose what "auto" stands for, and check it against the net."""
        net, size = self.estimator_.module_, int(np.max(self.estimator_.input_size))
        self.method_ = self.method
        if self.method == "auto":
            self.method_ = EVIDENCE if self.estimator_.patterns_ else "layercam"
        self.aggregation_ = self.aggregation
        if self.aggregation == "auto":
            self.aggregation_ = None if self.method_ == EVIDENCE else "component"
        if self.method_ != EVIDENCE:
            automatic = self.layers == "auto"
            self.layers_ = auto_layers(net, size) if automatic else tuple(self.layers)
            check_request(net, self.layers_, self.method_)
        elif net.has_evidence:
            self.layers_ = net.layer_names[-1:]
        else:
            raise ValueError(
                f"method='evidence' needs a net that keeps evidence for each class, which "
                f"{self.estimator_.backbone!r} does not. Choose another method, or "
                "WaferClassifier(backbone='wafer_unet')."
            )

    def _rows_to_calibrate(self, y, groups) -> np.ndarray:
        """Choose wafers to hold out from the classifier, if anything is to be calibrated."""
        classifier = self._classifier()
        with_evidence = self.method == EVIDENCE or (
            self.method == "auto" and classifier.backbone == WAFER_UNET
        )
        wanted = with_evidence or isinstance(self.threshold, TARGETS)
        if y is None or not self.validation_fraction or not wanted:
            return np.array([], int)
        rng = None if self._is_frozen() else check_random_state(self.random_state)
        return choose_held_out(y, classifier, groups, self.validation_fraction, rng)

    def _background(self, maps, labels: np.ndarray) -> list[np.ndarray]:
        """Choose wafers without a pattern, if the classifier knows their class."""
        known = self.estimator_.class_roles()
        none = [label for label in known.classes if known.means_none(label)]
        rows = np.flatnonzero([label in none for label in labels.tolist()])
        return [maps[row] for row in thin(rows)] if len(rows) else []

    def _choose_threshold(self) -> float | None:
        """Return the threshold; None where each wafer gets its own."""
        if isinstance(self.threshold, TARGETS):
            curve = self.calibration_.threshold_curve
            if curve is None:
                raise ValueError(
                    f"threshold={self.threshold} needs wafers to calibrate on, at least "
                    f"{FEWEST_TO_CALIBRATE} without a pattern and as many with a pattern that the "
                    "classifier finds. Give more wafers or a larger validation_fraction, or choose "
                    "the threshold yourself."
                )
            return threshold_for(self.threshold, curve)
        if self.threshold != "auto":
            return float(self.threshold)
        return None if self.method_ == EVIDENCE and self.aggregation_ is None else 0.5

    def _attribution(self) -> EvidenceAttribution | CamAttribution:
        if self.method_ == EVIDENCE:
            return EvidenceAttribution(self.estimator_)
        return CamAttribution(self.estimator_, self.method_, self.layers_, self.random_state)

    def _detector(self) -> PatternDetector:
        return PatternDetector(self.false_alarm_rate).fit(self.calibration_.background_scores)

    def _rule(self) -> DecisionRule:
        """Return the decision rule that the parameters and the calibration make."""
        with_evidence = self.method_ == EVIDENCE
        return DecisionRule(
            self.estimator_.class_roles(),
            tuple(map(str, self._attribution().patterns)),
            self.calibration_.calibrate,
            AGGREGATIONS[self.aggregation_],
            self.threshold_,
            clears_none=self.no_pattern == "remove",
            detector=self._detector() if with_evidence else None,
            # The features of a wafer come with its evidence.
            novelty=self.calibration_.novelty_detector(self.novelty_rate)
            if with_evidence
            else None,
            decides_always=self.false_alarm_rate is None,
        )

    def _explain_maps(self, maps: Sequence[np.ndarray], codes: Any = None) -> list[Explanation]:
        check_is_fitted(self)
        rule, attribution = self._rule(), self._attribution()
        codes = None if codes is None else np.asarray(codes)
        if codes is None and rule.decides_always and self.method_ != EVIDENCE:
            # A CAM explains one class, which has to be chosen first.
            codes = rule.choose_patterns(self.estimator_.predict_proba(maps))
        explained: list[Explanation] = []
        for start in range(0, len(maps), _MOST_AT_ONCE):
            some = slice(start, start + _MOST_AT_ONCE)
            targets = None if codes is None else codes[some]
            scores = attribution.attribute(maps[some], targets)
            explained += rule.decide(maps[some], scores, targets)
        return explained

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled, or written by skops, which knows no DataFrame."""
        state = dict(super().__getstate__())
        if (calibration := state.get("calibration_")) is not None:
            state["calibration_"] = calibration.to_dict()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Make the calibration again."""
        super().__setstate__(state)
        if (values := state.get("calibration_")) is not None:
            self.calibration_ = DenoiserCalibration.from_dict(values)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not self._is_frozen()
        tags.non_deterministic = get_tags(self._estimator()).non_deterministic
        return tags
