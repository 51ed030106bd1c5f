"""WaferClassifier: a convolutional net on wafer maps as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    assert_all_finite,
    check_consistent_length,
    check_is_fitted,
)
from skorch.helper import predefined_split
from torch.utils.data import Dataset

from camdenoise._sklearn_compat import HasMethods, Interval, StrOptions
from camdenoise.classification._calibration import fit_temperature, tempered_softmax
from camdenoise.classification._evidence_training import EvidenceNet, PractisedWafers, with_practice
from camdenoise.classification._saved import KIND, restore_classifier
from camdenoise.datasets._patterns import CLASSES
from camdenoise.datasets._training_sets import NOTHING, make_training_wafers
from camdenoise.nets._augmentation import N_SYMMETRIES, Augmentation, symmetry
from camdenoise.nets._backbones import N_PLANES_WITH_COMPONENTS, Backbone, make_backbone
from camdenoise.nets._checkpoint import pretrained_file, read_checkpoint
from camdenoise.nets._component_planes import input_planes, with_component_planes
from camdenoise.nets._encoding import FITS, encode_dies, encode_maps, shown_sizes
from camdenoise.nets._inference import class_logits, inference_net, usual_number
from camdenoise.nets._training import (
    EncodedWafers,
    OneCycle,
    SizedWafers,
    StopEarly,
    TrainingProgress,
    WaferBatches,
    WaferNet,
    epoch_summaries,
    resolve_device,
    wants_bfloat16,
)
from camdenoise.nets._weights import net_with_weights
from camdenoise.wafers._classes import ClassRoles
from camdenoise.wafers._labels import check_labels
from camdenoise.wafers._maps import FAIL, WaferMapInput, WaferMaps, check_wafer_maps


class WaferClassifier(WaferMapInput, ClassifierMixin, BaseEstimator):
    """Classify wafer bin maps by the pattern of their fails with a convolutional net.

    Maps of any size are resized (nearest die) to a square of `input_size` pixels with one plane
    each for no die, pass and fail, and a net is trained on them with AdamW through skorch.

    Parameters
    ----------
    backbone : str, default="wafer_resnet"
        Our narrow residual net, whose stem keeps the full resolution; ``"wafer_unet"``, the same
        with a way back to the full grid, where it keeps a map of evidence for each class; or any
        timm model name (random weights, nothing is downloaded). timm's VGG gets a pooled linear
        head.
    width : int, default=16
        Channels of the first stage of our own nets.
    input_size : int or sequence of int, default=64
        Side of the model input in pixels. Of several, each wafer is shown at the smallest that has
        a pixel for each of its dies, or else at the largest.
    fit_to_input : {"stretch", "pad"}, default="stretch"
        Fill the square, which makes every wafer a round disc whatever the shape of its dies, or
        keep the die grid's aspect.
    max_epochs : int, default=5
        Passes over the training wafers.
    learning_rate : float, default=3e-3
        Step size of AdamW; the peak of the schedule.
    lr_schedule : {"onecycle", "constant"}, default="onecycle"
        Warm-up and cosine decay over all epochs (Smith & Topin 2019, 1708.07120), or no change.
    weight_decay : float, default=1e-2
        Decoupled weight decay of AdamW.
    batch_size : int, default=64
        Wafers per step.
    practice : float, default=1.0
        Only for ``"wafer_unet"``: for each training wafer and epoch, make this many whose pattern
        is known die by die, and train the evidence maps on them. Patterns named as in WM-811K are
        read off the training wafers and planted on those labelled ``none``; without any such,
        wafers are simulated. No masks are asked for.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class's wafers in the loss.
    symmetries : bool, default=True
        Train on all eight symmetries of the square, drawn at random.
    flip_rate : float, default=0.0
        Noise augmentation: each training wafer has up to this share of its dies flipped.
    background : collection of wafer maps or None, default=None
        Noise augmentation: fails of these wafers (real ``none`` wafers, say), turned and shifted,
        are added to half of the training wafers.
    symmetric_prediction : bool, default=False
        Average the logits over the eight symmetries, and so the evidence that a `CamDenoiser`
        reads; eight times the time.
    early_stopping : bool, default=False
        Hold out `validation_fraction` of the wafers, stop after `n_iter_no_change` epochs without
        a lower validation loss, and keep the best epoch.
    validation_fraction : float, default=0.1
        Share held out with `early_stopping`.
    n_iter_no_change : int, default=5
        Patience of `early_stopping`, in epochs.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Arithmetic of training and prediction. "auto" takes bfloat16 where it is faster on this
        machine. That moves probabilities, on real wafers by up to .02 (see docs/performance.md);
        where the class is close, prediction is in float32 all the same.
    device : str, default="cpu"
        A torch device, or "auto" for a GPU where there is one.
    distributed : bool, default=False
        Share the training with the other processes that ``accelerate launch`` has started, each
        of which has to make the same call with the same wafers and an int for `random_state`;
        all end with the same net. `batch_size` is that of each. Needs
        ``pip install "camdenoise[gpu]"``; not for "wafer_unet", nor with `early_stopping`.
    progress : bool, default=False
        Show a progress bar with the time left.
    random_state : int, RandomState instance or None, default=None
        Initial weights, order and augmentation. The same integer gives the same net on the same
        machine with the same number of threads.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    module_ : Backbone
        The trained network, in eval mode.
    net_ : skorch.NeuralNetClassifier
        The skorch net that trained it. No copy, pickle or file has it.
    history_ : list of dict
        One entry per epoch: losses and seconds.
    temperature_ : float
        What the logits are divided by: 1 after `fit`, see `calibrate`.
    n_features_in_ : int
        Columns of `X`, only where that was a 2-D table (rows of 1 x p maps).

    See Also
    --------
    CamDenoiser : Remove the fails that this classifier did not look at.

    Notes
    -----
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
        "fit_to_input": [StrOptions(set(FITS))],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions({"onecycle", "constant"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "practice": [Interval(Real, 0, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "symmetries": ["boolean"],
        "flip_rate": [Interval(Real, 0, 1, closed="both")],
        "background": [None, "array-like", list, HasMethods("__iter__")],
        "symmetric_prediction": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "device": [str],
        "distributed": ["boolean"],
        "progress": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        backbone="wafer_resnet",
        *,
        width=16,
        input_size=64,
        fit_to_input="stretch",
        max_epochs=5,
        learning_rate=3e-3,
        lr_schedule="onecycle",
        weight_decay=1e-2,
        batch_size=64,
        practice=1.0,
        class_weight=None,
        symmetries=True,
        flip_rate=0.0,
        background=None,
        symmetric_prediction=False,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=5,
        precision="auto",
        device="cpu",
        distributed=False,
        progress=False,
        random_state=None,
    ):
        self.backbone = backbone
        self.width = width
        self.input_size = input_size
        self.fit_to_input = fit_to_input
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.lr_schedule = lr_schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.practice = practice
        self.class_weight = class_weight
        self.symmetries = symmetries
        self.flip_rate = flip_rate
        self.background = background
        self.symmetric_prediction = symmetric_prediction
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.precision = precision
        self.device = device
        self.distributed = distributed
        self.progress = progress
        self.random_state = random_state

    @classmethod
    def from_pretrained(cls, name: str = "wm811k", *, device: str = "cpu") -> WaferClassifier:
        """Return a classifier that is trained already and comes with the package.

        Parameters
        ----------
        name : {"wm811k"}, default="wm811k"
            What it was trained on. The model card beside the weights tells how, and what it
            reaches: ``camdenoise/pretrained/README.md``.
        device : str, default="cpu"
            A torch device.

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
        return restore_classifier(cls, checkpoint, device)

    def fit(self, X: WaferMaps, y: Any, sample_weight: Any = None) -> WaferClassifier:
        """Train the net from scratch.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail). A map may be an array, a torch
            tensor or a list of rows. Of LSWMD's DataFrame the column ``waferMap`` is taken.
        y : array-like of shape (n_wafers,)
            Class labels, strings or integers. Labels that are nested as in LSWMD
            (``[['Center']]``) are taken out.
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
        self._train(maps, codes, weights, seed)
        self.temperature_ = 1.0
        return self

    def calibrate(self, X: WaferMaps, y: Any) -> WaferClassifier:
        """Make the probabilities as sure as the classifier is right, on wafers it has not seen.

        The logits are divided by the temperature that makes the true classes likeliest; the
        predicted classes stay as they are.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps that were not trained on; on those the net is right more often than it is
            elsewhere. The mixture of classes should be the usual one.
        y : array-like of shape (n_wafers,)
            Their classes.

        Returns
        -------
        self
            With a new `temperature_`, whatever it was before.

        Raises
        ------
        WaferMapError
            For a map that cannot be read.
        ValueError
            For labels that do not fit `X`, are missing, or are no classes of this classifier.

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
        labels = check_labels(y)
        codes = class_codes(labels, self.classes_, "label")
        self.temperature_ = fit_temperature(self._logits(maps), codes)
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
        logits = self._logits(self._read_maps(X, reset=False))
        return tempered_softmax(logits, self.temperature_)

    def predict(self, X: WaferMaps) -> np.ndarray:
        """Return the most probable class of each wafer.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps.

        Returns
        -------
        ndarray of shape (n_wafers,)
            Labels from `classes_`.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def score(self, X: WaferMaps, y: Any, sample_weight: Any = None) -> float:
        """Return the share of wafers whose class is predicted rightly.

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
        return super().score(X, check_labels(y), sample_weight)

    def batches(
        self, maps: Sequence[np.ndarray], batch_size: int
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Go through checked maps as the net sees them, in batches of one size.

        Parameters
        ----------
        maps : sequence of ndarray of uint8, shape (height, width)
            Checked wafer maps.
        batch_size : int
            Wafers per batch at most; of those that are shown larger than the smallest of
            `input_size`, as many as have no more pixels together.

        Yields
        ------
        rows : ndarray of int, shape (n,)
            Which of the maps; their order is kept within a size.
        codes : Tensor of uint8, shape (n, size, size) or (n, 3, size, size)
            Die codes; for a net that is told of them, with the planes of their components.
        """
        told = self.module_.n_planes == N_PLANES_WITH_COMPONENTS
        shown = shown_sizes([grid.shape for grid in maps], self.input_size)
        for size in np.unique(shown).tolist():
            same = np.flatnonzero(shown == size)
            n_most = max(1, int(batch_size * (np.min(self.input_size) / size) ** 2))
            n_rows = max(n for n in range(1, n_most + 1) if usual_number(n) == n)
            for start in range(0, len(same), n_rows):
                rows = same[start : start + n_rows]
                some = [maps[row] for row in rows]
                codes = encode_maps(some, size, self.fit_to_input)
                if told:
                    dies = encode_dies([grid.shape for grid in some], size, self.fit_to_input)
                    codes = with_component_planes(codes, dies)
                yield rows, codes

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
        labels = check_labels(y)
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

    def _train(self, maps, codes, weights, seed: int) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = make_backbone(self.backbone, len(self.classes_), width=self.width)
            self._check_distributed(module)
            read = self._practised if module.has_evidence else self._labelled
            rows, held_out = self._split(codes, seed)
            kind, train = read([maps[row] for row in rows], codes[rows], weights[rows], seed)
            valid = None
            if held_out is not None:
                aside = [maps[row] for row in held_out], codes[held_out], weights[held_out]
                _, valid = read(*aside, seed=None)
            net = self._net(module, kind, valid, seed)
            self.net_ = self._fitted(net, train)
        # The moments of the optimizer are three times the size of the net and of no further use.
        self.net_.optimizer_.state.clear()
        self.net_.set_params(train_split=None)
        self.module_: Backbone = self.net_.module_.eval()
        self.history_ = epoch_summaries(self.net_.history)

    def _split(self, codes: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the rows to train on, and those held out for early stopping."""
        rows = np.arange(len(codes))
        if not self.early_stopping:
            return rows, None
        common = np.bincount(codes).min() >= 2 and self.validation_fraction * len(codes) >= len(
            self.classes_
        )
        return train_test_split(
            rows,
            test_size=self.validation_fraction,
            random_state=seed,
            stratify=codes if common else None,
        )

    def _labelled(self, maps, codes, weights, seed: int | None) -> tuple[partial, Dataset]:
        """Return the kind of net for labelled wafers, and these; as they are without a seed."""
        parts = self._by_size(maps, codes.astype(np.int64), weights, augment=seed is not None)
        return partial(WaferNet), _together([EncodedWafers(*encoded) for _, encoded in parts])

    def _practised(self, maps, codes, weights, seed: int | None) -> tuple[partial, Dataset]:
        """Return the kind of net that learns where patterns are, and labelled wafers for it.

        With a seed, wafers to practise on are put behind them.
        """
        practice, n_epochs = NOTHING, 1
        if seed is not None:
            n_epochs = self.max_epochs
            n_samples = round(self.practice * len(maps)) * n_epochs
            rng = np.random.RandomState(seed)
            roles = ClassRoles(tuple(c for c in self.classes_.tolist() if c in CLASSES))
            practice = make_training_wafers(maps, self.classes_[codes], roles, n_samples, rng)
        lesson = with_practice(maps, codes, weights, self.classes_, practice, n_epochs)
        parts = self._by_size(lesson.maps, lesson.labels, lesson.weights, augment=seed is not None)
        wafers = []
        for rows, encoded in parts:
            size = encoded[0].shape[-1]
            pattern = encode_maps([lesson.pattern[row] for row in rows], size, self.fit_to_input)
            known, every = (torch.from_numpy(of[rows]) for of in (lesson.known, lesson.every))
            wafers.append(PractisedWafers(*encoded, pattern, known, every))
        return partial(EvidenceNet, columns=lesson.columns), _together(wafers)

    def _by_size(
        self, maps, labels, weights, augment: bool
    ) -> Iterator[tuple[np.ndarray, tuple[Any, Any, Any, Any, Any]]]:
        """Encode those that are shown at one size together; give their rows and an encoding.

        The encoding is what `EncodedWafers` takes.
        """
        shapes = [grid.shape for grid in maps]
        shown = shown_sizes(shapes, self.input_size)
        for size in np.unique(shown).tolist():
            rows = np.flatnonzero(shown == size)
            encoded = (
                encode_maps([maps[row] for row in rows], size, self.fit_to_input),
                encode_dies([shapes[row] for row in rows], size, self.fit_to_input),
                torch.from_numpy(labels[rows]),
                torch.from_numpy(weights[rows].astype(np.float32)),
                self._augmentation(size) if augment else None,
            )
            yield rows, encoded

    def _augmentation(self, size: int) -> Augmentation:
        background = None
        if self.background is not None:
            background = (
                encode_maps(check_wafer_maps(self.background), size, self.fit_to_input) == FAIL
            )
        return Augmentation(self.symmetries, self.flip_rate, background)

    def _fitted(self, net: WaferNet, train: Dataset) -> WaferNet:
        if not self.distributed:
            return net.fit(train, None)
        try:
            from camdenoise.nets._distributed_training import fit_together
        except ImportError as error:
            raise ImportError(
                "distributed=True needs the package accelerate: pip install 'camdenoise[gpu]'."
            ) from error
        return fit_together(net, train)

    def _check_distributed(self, module: Backbone) -> None:
        if self.distributed and module.has_evidence:
            raise ValueError(
                f"distributed=True trains by class scores alone, but {self.backbone!r} also learns "
                "die by die. Train it in one process, or choose another backbone."
            )
        if self.distributed and self.random_state is None:
            raise ValueError(
                "distributed=True needs an int for random_state, lest each process begin with "
                "another net."
            )
        if self.distributed and self.early_stopping:
            raise ValueError(
                "distributed=True cannot stop early: processes would not stop together. Choose "
                "max_epochs instead."
            )

    def _net(self, module, kind: partial, valid, seed: int) -> WaferNet:
        device = resolve_device(self.device)
        return kind(
            module,
            criterion=torch.nn.CrossEntropyLoss,
            classes=list(range(len(self.classes_))),
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=self.weight_decay,
            lr=self.learning_rate,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            iterator_train=WaferBatches,
            iterator_train__shuffle=True,
            iterator_train__seed=seed,
            iterator_valid=WaferBatches,
            train_split=None if valid is None else predefined_split(valid),
            callbacks=self._callbacks(),
            callbacks__valid_acc=None,
            callbacks__print_log=None,
            device=device,
            bfloat16=wants_bfloat16(self.precision, module, device),
        )

    def _callbacks(self) -> list:
        callbacks: list = []
        if self.lr_schedule == "onecycle":
            callbacks.append(OneCycle(self.learning_rate))
        if self.early_stopping:
            callbacks.append(StopEarly(patience=self.n_iter_no_change, load_best=True, sink=_quiet))
        if self.progress:
            callbacks.append(TrainingProgress())
        return callbacks

    def _logits(self, maps: Sequence[np.ndarray]) -> np.ndarray:
        """Return the logits of each wafer, averaged over its symmetries if that is asked for."""
        turns = range(N_SYMMETRIES) if self.symmetric_prediction else (0,)
        found = np.empty((len(maps), len(self.classes_)))
        net = inference_net(self.module_, int(np.max(self.input_size)))
        device = next(net.parameters()).device
        # In larger batches the feature maps leave the processor's cache.
        for rows, codes in self.batches(maps, 64):
            views = (input_planes(symmetry(codes, turn)).to(device) for turn in turns)
            logits = [class_logits(net, view, self.precision).double().cpu() for view in views]
            found[rows] = torch.stack(logits).mean(0)
        return found

    def __getstate__(self) -> dict[str, Any]:
        """Give what is pickled, or written by skops: the net as its weights alone.

        So no torch object is in it. The skorch net, which only training needs, is left out.
        """
        state = dict(super().__getstate__())
        state.pop("net_", None)
        if (module := state.pop("module_", None)) is not None:
            weights = {name: values.contiguous() for name, values in module.state_dict().items()}
            state["weights_"] = save(weights)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the net again."""
        state = dict(state)
        weights = state.pop("weights_", None)
        super().__setstate__(state)
        if weights is not None:
            self.module_ = net_with_weights(
                load(weights), self.backbone, len(self.classes_), self.width, self.device
            )

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
                f"{name} {label!r} of wafer {row} is no class of the classifier; its classes are "
                f"{', '.join(map(str, known))}. Leave such wafers out, or fit it with such wafers."
            )
    return np.array([known[label] for label in labels], dtype=np.int64)


def _together(parts: list) -> Dataset:
    return parts[0] if len(parts) == 1 else SizedWafers(parts)


def _quiet(message: str) -> None:
    """Swallow skorch's early-stopping message; `history_` has the epochs."""
