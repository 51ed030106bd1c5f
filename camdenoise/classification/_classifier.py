"""WaferClassifier: a convolutional net on wafer maps as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    assert_all_finite,
    check_consistent_length,
    check_is_fitted,
)

from camdenoise._sklearn_compat import Interval, StrOptions
from camdenoise.classification._calibration import fit_temperature, tempered_softmax
from camdenoise.classification._feature_view import (
    calibrate_views,
    fit_feature_view,
    join_views,
)
from camdenoise.classification._saved import (
    KIND,
    collect_weights,
    restore_classifier,
    restore_weights,
)
from camdenoise.classification._training import train
from camdenoise.nets._augmentation import Augmentation
from camdenoise.nets._backbones import N_PLANES_WITH_COMPONENTS, Backbone
from camdenoise.nets._checkpoint import pretrained_file, read_checkpoint
from camdenoise.nets._component_planes import add_component_planes, input_planes
from camdenoise.nets._encoding import choose_sizes, encode_dies, encode_maps
from camdenoise.nets._inference import (
    PRECISIONS,
    NetOutput,
    bucket_size,
    inference_net,
    predict_net,
)
from camdenoise.nets._training import epoch_summaries
from camdenoise.wafers._classes import ClassRoles, as_labels
from camdenoise.wafers._labels import check_labels, indicator_names, make_indicator
from camdenoise.wafers._maps import WaferMapInput, WaferMaps

# Wafers in one pass of the net; the feature maps of more do not fit into the processor's cache.
_BATCH = 64


class WaferClassifier(WaferMapInput, ClassifierMixin, BaseEstimator):
    """Classify wafer bin maps by the pattern of their fails with a convolutional net.

    Maps of any size are resized (nearest die) to a square of `input_size` pixels with one plane
    each for no die, pass and fail, and a net is trained on them with AdamW through skorch.

    Parameters
    ----------
    backbone : str, default="wafer_resnet"
        ``"wafer_resnet"``, a narrow residual net whose stem keeps the full resolution;
        ``"wafer_unet"``, the same with a decoder to the full grid and an evidence map for each
        class; or any timm model name (random weights, nothing is downloaded). timm's VGG gets a
        pooled linear head.
    width : int, default=16
        Channels of the first stage of our own nets.
    input_size : int or sequence of int, default=64
        Side of the model input in pixels. With several, each wafer takes the smallest one that has
        a pixel for each of its dies, else the largest.
    features : {"wafer"} or None, default=None
        A second view of the wafer, joined with the net: perceptrons on the 72 numbers of
        `camdenoise.features.WaferFeatures` are trained as well, with the synthetic wafers, and
        the class probabilities are the geometric mean of both. This names classes better, most of
        all on products that training does not have (docs/features.md). Evidence on dies is the
        net's alone.
    max_epochs : int, default=5
        Passes over the training wafers.
    learning_rate : float, default=3e-3
        Peak step size of AdamW; warm-up and cosine decay over all epochs [3]_.
    weight_decay : float, default=1e-2
        Decoupled weight decay of AdamW.
    batch_size : int, default=64
        Wafers per step.
    synthetic_ratio : float, default=1.0
        Only for ``"wafer_unet"``: synthetic wafers per training wafer and epoch. Their pattern is
        known die by die and trains the evidence maps. Patterns are extracted from the training
        wafers and planted on those without a pattern (`none_labels`); no masks are needed. A
        warning names the classes whose patterns cannot be extracted.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class's wafers in the loss.
    augmentation : Augmentation or None, default=None
        How training wafers are varied. None: ``Augmentation()``, the eight symmetries of the
        square.
    symmetric_prediction : bool, default=False
        Average the logits over the eight symmetries, and the evidence that a `CamDenoiser` uses;
        eight times the time.
    validation_fraction : float, default=0.1
        Share of the wafers that is held out for early stopping, with `n_iter_no_change`.
    n_iter_no_change : int or None, default=None
        Number of epochs without a lower validation loss before training stops; the best epoch is
        kept. None: train for all `max_epochs`.
    none_labels : label or sequence of labels, default="none"
        Labels of wafers without a pattern.
    everywhere_labels : label or sequence of labels, default=("Random", "Near-full")
        Labels of wafers that fail everywhere.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Arithmetic of training and prediction. "auto" takes bfloat16 if it is faster on this
        machine. This changes probabilities of real wafers by up to .02 (see docs/performance.md).
        Wafers with an ambiguous class are always predicted in float32.
    device : str, default="cpu"
        A torch device; "auto" for a GPU if there is one; or "accelerate", to share the training
        with the other processes of ``accelerate launch``. Each process has to make the same call
        with the same wafers and an int for `random_state`; `batch_size` is the number per process.
        Needs ``pip install "camdenoise[gpu]"``; not for ``"wafer_unet"``, nor with
        `n_iter_no_change`.
    progress : bool, default=False
        Show a progress bar with the time left.
    random_state : int, RandomState instance or None, default=None
        Initial weights, order and augmentation. The same integer gives the same net on the same
        machine with the same number of threads.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    patterns_ : tuple
        The patterns that have an evidence map: trained die by die, or, with ``synthetic_ratio=0``,
        by the class scores alone. Empty for other backbones.
    label_names_ : tuple of str or None
        Names of the columns of `y`, where that was a table of 0 and 1; `predict` gives such a
        table then.
    module_ : Backbone
        The trained network, in eval mode.
    feature_net_ : FeatureNet or None
        The perceptrons on the features, and the temperature of both views together.
    net_ : skorch.NeuralNetClassifier
        The skorch net that trained it. No copy, pickle or file has it.
    history_ : list of dict
        One entry per epoch: losses and seconds.
    temperature_ : float
        What the logits of the net are divided by: 1 after `fit`, see `calibrate`.
    n_features_in_ : int
        Columns of `X`, only where that was a 2-D table (rows of 1 x p maps).

    See Also
    --------
    CamDenoiser : Remove the fails that this classifier did not look at.

    Notes
    -----
    A label such as ``"Center+Scratch"`` is a combination of patterns: a class of its own, whose
    wafers also count as wafers of both patterns.

    It works in scikit-learn's pipelines, searches, cross-validation, voting, stacking and
    calibration. ``BaggingClassifier`` and ``permutation_importance`` accept 2-D tables only and
    refuse wafer maps with an error about their shape, before this class sees them: train several
    classifiers with different `random_state` in a ``VotingClassifier``, and rank dies with a
    `CamDenoiser`.

    References
    ----------
    .. [1] M.-J. Wu, J.-S. R. Jang, J.-L. Chen, "Wafer Map Failure Pattern Recognition and
       Similarity Ranking for Large-Scale Data Sets", IEEE Trans. Semicond. Manuf. 28(1), 2015.
    .. [2] K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    .. [3] L. N. Smith, N. Topin, "Super-Convergence", 2019, arXiv:1708.07120.

    Examples
    --------
    >>> from camdenoise import WaferClassifier
    >>> from camdenoise.datasets import make_wafer_maps
    >>> wafers = make_wafer_maps(60, classes=["Center", "Edge-Ring"], random_state=0)
    >>> clf = WaferClassifier(width=4, input_size=32, batch_size=8, random_state=0)
    >>> clf.fit(wafers.maps, wafers.target).score(wafers.maps, wafers.target) > 0.8
    True
    """

    _parameter_constraints = {
        "backbone": [str],
        "width": [Interval(Integral, 1, None, closed="left")],
        "input_size": [Interval(Integral, 8, 1024, closed="both"), list, tuple],
        "features": [StrOptions({"wafer"}), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "synthetic_ratio": [Interval(Real, 0, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "augmentation": [Augmentation, None],
        "symmetric_prediction": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
        "none_labels": "no_validation",
        "everywhere_labels": "no_validation",
        "precision": [StrOptions(set(PRECISIONS))],
        "device": [str],
        "progress": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        backbone="wafer_resnet",
        *,
        width=16,
        input_size=64,
        features=None,
        max_epochs=5,
        learning_rate=3e-3,
        weight_decay=1e-2,
        batch_size=64,
        synthetic_ratio=1.0,
        class_weight=None,
        augmentation=None,
        symmetric_prediction=False,
        validation_fraction=0.1,
        n_iter_no_change=None,
        none_labels="none",
        everywhere_labels=("Random", "Near-full"),
        precision="auto",
        device="cpu",
        progress=False,
        random_state=None,
    ):
        self.backbone = backbone
        self.width = width
        self.input_size = input_size
        self.features = features
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.synthetic_ratio = synthetic_ratio
        self.class_weight = class_weight
        self.augmentation = augmentation
        self.symmetric_prediction = symmetric_prediction
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.none_labels = none_labels
        self.everywhere_labels = everywhere_labels
        self.precision = precision
        self.device = device
        self.progress = progress
        self.random_state = random_state

    @classmethod
    def from_pretrained(
        cls, name: str = "wm811k", *, device: str = "cpu", precision: str = "auto"
    ) -> WaferClassifier:
        """Return a classifier that is trained already and comes with the package.

        Parameters
        ----------
        name : {"wm811k"}, default="wm811k"
            Name of the model, after its training data. Its model card is
            ``camdenoise/pretrained/README.md``.
        device : str, default="cpu"
            A torch device.
        precision : {"auto", "float32", "bfloat16"}, default="auto"
            Arithmetic of the net, as the parameter of this class.

        Returns
        -------
        WaferClassifier
            Fitted, for the classes Center, Donut, Edge-Loc, Edge-Ring, Loc, Near-full, Random,
            Scratch and `none`.

        Raises
        ------
        ValueError
            For a name that no model has.

        Examples
        --------
        >>> from camdenoise import WaferClassifier
        >>> from camdenoise.datasets import make_wafer_maps
        >>> wafers = make_wafer_maps(3, classes=["Edge-Ring"], random_state=0)
        >>> WaferClassifier.from_pretrained("wm811k").predict(wafers.maps).tolist()
        ['Edge-Ring', 'Edge-Ring', 'Edge-Ring']
        """
        with pretrained_file(name) as file:
            checkpoint = read_checkpoint(file, ("camdenoise.CamDenoiser", KIND))
        return restore_classifier(cls, checkpoint, device, precision=precision)

    def fit(self, X: WaferMaps, y: Any, sample_weight: Any = None) -> WaferClassifier:
        """Train the net from scratch.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail). A map may be an array, a torch
            tensor or a list of rows. Of LSWMD's DataFrame the column ``waferMap`` is taken.
        y : array-like of shape (n_wafers,) or (n_wafers, n_labels)
            Class labels, strings or integers. Labels that are nested as in LSWMD
            (``[['Center']]``) are taken out. A table of 0 and 1 with several columns has one
            column per pattern, as in MixedWM38; each combination of patterns is a class, and a row
            without any is a wafer without a pattern.
        sample_weight : array-like of shape (n_wafers,), default=None
            Weight of each wafer in the loss, multiplied by that of its class.

        Returns
        -------
        self

        Raises
        ------
        WaferMapError
            For a map that cannot be read.
        ValueError
            For labels that do not fit `X` or are missing, an unknown backbone or a bad parameter.
        """
        self._validate_params()
        self._check_sizes()
        maps = self._read_maps(X, reset=True, min_maps=2)
        codes = self._check_labels(maps, y)
        weights = self._weights(codes, sample_weight)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.net_, self.patterns_, made = train(
                self, maps, codes, weights, self.class_roles(), seed
            )
        self.module_: Backbone = self.net_.module_.eval()
        self.feature_net_ = None
        if self.features is not None:
            self.feature_net_ = fit_feature_view(
                maps, codes, weights, made, self.class_roles(), seed, progress=self.progress
            )
        self.history_ = epoch_summaries(self.net_.history)
        self.temperature_ = 1.0
        return self

    def calibrate(self, X: WaferMaps, y: Any) -> WaferClassifier:
        """Calibrate the probabilities by temperature scaling, on wafers that were not trained on.

        The logits are divided by the temperature that makes the true classes likeliest. The
        predicted classes do not change, unless the net is joined with another view: its weight
        against the features changes with its temperature.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps that were not trained on, with the class frequencies of later wafers.
        y : array-like of shape (n_wafers,)
            Their classes.

        Returns
        -------
        self
            With a new `temperature_`.

        Raises
        ------
        WaferMapError
            For a map that cannot be read.
        ValueError
            For labels that do not fit `X`, are missing, or are not classes of this classifier.

        References
        ----------
        .. [1] C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
           arXiv:1706.04599.

        Examples
        --------
        >>> from camdenoise import WaferClassifier
        >>> from camdenoise.datasets import make_wafer_maps
        >>> wafers = make_wafer_maps(80, classes=["Center", "Loc"], random_state=0)
        >>> clf = WaferClassifier(width=4, input_size=32, batch_size=8, random_state=0)
        >>> clf = clf.fit(wafers.maps[:60], wafers.target[:60])
        >>> clf.calibrate(wafers.maps[60:], wafers.target[60:]).temperature_ != 1.0
        True
        """
        check_is_fitted(self, "module_")
        maps = self._read_maps(X, reset=False)
        check_consistent_length(maps, y)
        codes = class_codes(self._labels(y), self.classes_, "label")
        logits = self._logits(maps)
        self.temperature_ = fit_temperature(logits, codes)
        if self.feature_net_ is not None:
            of_net = tempered_softmax(logits, self.temperature_)
            calibrate_views(of_net, self.feature_net_, maps, codes)
        return self

    def predict_proba(self, X: WaferMaps) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps.

        Returns
        -------
        ndarray of float64, shape (n_wafers, n_classes)
            Columns in the order of `classes_`.
        """
        check_is_fitted(self, "module_")
        maps = self._read_maps(X, reset=False)
        return self._join(tempered_softmax(self._logits(maps), self.temperature_), maps)

    def predict(self, X: WaferMaps) -> np.ndarray:
        """Return the most probable class of each wafer.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps.

        Returns
        -------
        ndarray of shape (n_wafers,), or (n_wafers, n_labels)
            Labels from `classes_`; a table of 0 and 1 where `fit` was given one.
        """
        labels = self._predict_labels(X)
        return labels if self.label_names_ is None else make_indicator(labels, self.label_names_)

    def score(self, X: WaferMaps, y: Any, sample_weight: Any = None) -> float:
        """Return the share of wafers whose class is predicted correctly.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps.
        y : array-like of shape (n_wafers,)
            Their classes, as `fit` takes them.
        sample_weight : array-like of shape (n_wafers,), default=None
            Weight of each wafer.

        Returns
        -------
        float
            The accuracy, 0 to 1.

        Raises
        ------
        ValueError
            For labels that do not fit `X` or are missing.
        """
        labels = self._predict_labels(X)
        return accuracy_score(self._labels(y), labels, sample_weight=sample_weight)

    def class_roles(self) -> ClassRoles:
        """Return what the classes stand for: a pattern, no pattern, or fails everywhere."""
        return ClassRoles(
            tuple(self.classes_.tolist()),
            as_labels(self.none_labels),
            as_labels(self.everywhere_labels),
        )

    def batches(
        self, maps: Sequence[np.ndarray], batch_size: int = _BATCH
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Encode checked maps for the net, in batches of one size.

        Parameters
        ----------
        maps : sequence of ndarray of uint8, shape (height, width)
            Checked wafer maps.
        batch_size : int, default=64
            Largest number of wafers of the smallest `input_size` in a batch. A batch of a larger
            size has at most as many pixels.

        Yields
        ------
        rows : ndarray of int, shape (n,)
            Which of the maps; their order is kept within a size.
        codes : Tensor of uint8, shape (n, size, size) or (n, 3, size, size)
            Die codes; for a net that takes them, with the planes of their components.
        """
        with_components = self.module_.n_planes == N_PLANES_WITH_COMPONENTS
        shown = choose_sizes([grid.shape for grid in maps], self.input_size)
        for size in np.unique(shown).tolist():
            same = np.flatnonzero(shown == size)
            n_most = max(1, int(batch_size * (np.min(self.input_size) / size) ** 2))
            n_rows = max(n for n in range(1, n_most + 1) if bucket_size(n) == n)
            for start in range(0, len(same), n_rows):
                rows = same[start : start + n_rows]
                some = [maps[row] for row in rows]
                codes = encode_maps(some, size)
                if with_components:
                    dies = encode_dies([grid.shape for grid in some], size)
                    codes = add_component_planes(codes, dies)
                yield rows, codes

    def net_outputs(
        self, maps: Sequence[np.ndarray], batch_size: int = _BATCH
    ) -> Iterator[tuple[np.ndarray, NetOutput]]:
        """Run the net on checked maps, in batches of one size.

        Yields
        ------
        rows : ndarray of int, shape (n,)
            Which of the maps.
        output : NetOutput
            Logits, and for a net that keeps them evidence maps and features.
        """
        net = inference_net(self.module_, int(np.max(self.input_size)))
        device = next(net.parameters()).device
        for rows, codes in self.batches(maps, batch_size):
            planes = input_planes(codes).to(device)
            symmetric = self.symmetric_prediction
            yield rows, predict_net(net, planes, self.precision, symmetric=symmetric)

    def compute_probabilities(self, logits: torch.Tensor, maps: Sequence[np.ndarray]) -> np.ndarray:
        """Return calibrated probabilities, float64 (n, n_classes).

        Parameters
        ----------
        logits : Tensor of float, shape (n, n_classes)
            The net's logits of the maps.
        maps : sequence of ndarray of uint8, shape (height, width)
            Checked wafer maps, of which the other view takes features.
        """
        of_net = tempered_softmax(logits.double().cpu().numpy(), self.temperature_)
        return self._join(of_net, maps)

    def _join(self, probabilities: np.ndarray, maps: Sequence[np.ndarray]) -> np.ndarray:
        if self.feature_net_ is None:
            return probabilities
        return join_views(probabilities, self.feature_net_, maps)

    def _check_sizes(self) -> None:
        sizes = np.atleast_1d(self.input_size)
        whole = sizes.ndim == 1 and sizes.dtype.kind in "iu"
        if not whole or not sizes.size or sizes.min() < 8 or sizes.max() > 1024:
            raise ValueError(
                "input_size must be a whole number from 8 to 1024, or a non-empty sequence of "
                f"such; got {self.input_size!r}."
            )

    def _check_labels(self, maps, y) -> np.ndarray:
        if y is None:
            raise ValueError(
                "WaferClassifier requires y to be passed, but the target y is None. "
                "Pass one class label per wafer."
            )
        check_consistent_length(maps, y)
        self.label_names_ = indicator_names(y)
        labels = self._labels(y)
        assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        return codes

    def _weights(self, codes: np.ndarray, sample_weight) -> np.ndarray:
        """Return weights with mean 1, so that the learning rate keeps its meaning."""
        rows = np.empty((len(codes), 0))
        weights = _check_sample_weight(
            sample_weight, rows, dtype=np.float64, ensure_non_negative=True
        )
        if self.class_weight is not None:
            weights = weights * compute_sample_weight(self.class_weight, self.classes_[codes])
        if weights.sum() == 0:
            raise ValueError("All sample weights are zero; give at least one wafer a weight.")
        return weights / weights.mean()

    def _predict_labels(self, X: WaferMaps) -> np.ndarray:
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _labels(self, y: Any) -> np.ndarray:
        """Read labels by the names of the columns that `fit` was given, if it was given any."""
        none = as_labels(self.none_labels)[0]
        return check_labels(y, none=none, names=getattr(self, "label_names_", None))

    def _logits(self, maps: Sequence[np.ndarray]) -> np.ndarray:
        logits = np.empty((len(maps), len(self.classes_)))
        for rows, output in self.net_outputs(maps):
            logits[rows] = output.logits.double().cpu()
        return logits

    def __getstate__(self) -> dict[str, Any]:
        """Give what is pickled, or written by skops: the nets as their weights alone.

        So no torch object is in it. The skorch net, which only training needs, is left out.
        """
        state = dict(super().__getstate__())
        state.pop("net_", None)
        if "module_" in state:
            weights = {name: each.contiguous() for name, each in collect_weights(self).items()}
            state["weights_"] = save(weights)
            del state["module_"], state["feature_net_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the nets again."""
        state = dict(state)
        weights = state.pop("weights_", None)
        super().__setstate__(state)
        if weights is not None:
            restore_weights(self, load(weights), self.device)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = self.random_state is None
        return tags


def class_codes(labels: Any, classes: np.ndarray, name: str) -> np.ndarray:
    """Return the place of each label among the classes.

    Raises
    ------
    ValueError
        For a label that is not among them; the message calls it `name`.
    """
    known = {label: code for code, label in enumerate(classes.tolist())}
    labels = np.asarray(labels).tolist()
    for row, label in enumerate(labels):
        if label not in known:
            raise ValueError(
                f"{name} {label!r} of wafer {row} is not a class of the classifier; its classes "
                f"are {', '.join(map(str, known))}. Leave such wafers out, or fit it with them."
            )
    return np.array([known[label] for label in labels], dtype=np.int64)
