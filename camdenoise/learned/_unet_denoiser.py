"""UNetDenoiser: segment the pattern with a net that was shown where patterns are."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from camdenoise._sklearn_compat import Interval, StrOptions
from camdenoise.denoising._base import BaseDenoiser
from camdenoise.nets._encoding import encode_maps
from camdenoise.nets._segmentation import PatternDies, die_logits, train_die_net
from camdenoise.nets._training import epoch_summaries
from camdenoise.nets._unet import UNet
from camdenoise.wafers._explanation import Explanation, build_explanation
from camdenoise.wafers._maps import FAIL, WaferMaps, check_die_masks


class UNetDenoiser(BaseDenoiser):
    """Keep the fails that a U-Net, trained on wafers with known patterns, calls pattern.

    It has to be shown, die by die, which fails of its training wafers are of the pattern. Nobody
    knows that of real wafers; `make_planted_wafers` and `make_wafer_maps` make wafers of which it
    is known. `CamDenoiser` makes do with a label per wafer: this is what that is measured by.

    Parameters
    ----------
    threshold : float between 0 and 1, default=0.5
        Keep a fail whose probability to be of the pattern is at least this.
    width : int, default=8
        Channels of the net's first stage. Width 8 has 0.12 million parameters.
    input_size : int, default=64
        Side of the model input in pixels, to which wafers are stretched (nearest die).
    max_epochs : int, default=8
        Passes over the training wafers, each turned at random among the eight symmetries of the
        square.
    learning_rate : float, default=3e-3
        Peak step size of AdamW; warm-up and cosine decay over all epochs.
    batch_size : int, default=32
        Wafers per step.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Arithmetic of training. "auto" takes bfloat16 autocast where it is faster on this machine.
        The probabilities are always computed in float32.
    device : str, default="cpu"
        A torch device, or "auto" for a GPU where there is one.
    progress : bool, default=False
        Show a progress bar in `fit` and `explain`.
    on_error : {"raise", "keep"}, default="raise"
        What `transform` and `explain` do with a map that cannot be read: raise, or give it back
        as it came.
    random_state : int, RandomState instance or None, default=None
        Initial weights, order and symmetries. The same integer gives the same net on the same
        machine with the same number of threads.

    Attributes
    ----------
    module_ : UNet
        The trained network, in eval mode.
    history_ : list of dict
        One entry per epoch: training loss and seconds.

    See Also
    --------
    CamDenoiser : Needs a label per wafer instead of masks.

    Notes
    -----
    The loss is the binary cross-entropy on failing dies only, averaged over the fails of each
    wafer, so that small and large wafers count alike. Other dies can be neither kept nor removed.

    The truth is a parameter of `fit`, not `y`, because in a `Pipeline` the target is that of the
    classifier behind: ``pipeline.fit(X, labels, denoise__truth=truth)``, in cross-validation
    ``params={"denoise__truth": truth}``, and with metadata routing
    ``UNetDenoiser().set_fit_request(truth=True)``. `fit_transform` denoises the training wafers
    with a net that has seen their truth; what it returns is cleaner than what `transform` makes
    of new wafers.

    The saliency is the probability that the die, if it fails, fails by the pattern.

    References
    ----------
    .. [1] O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for Biomedical Image
       Segmentation", MICCAI 2015, arXiv 1505.04597.
    .. [2] T. Nakazawa, D. V. Kulkarni, "Anomaly Detection and Segmentation for Wafer Defect
       Patterns Using Deep Convolutional Encoder-Decoder Neural Network Architectures in
       Semiconductor Manufacturing", IEEE Trans. Semicond. Manuf. 32(2), 2019.

    Examples
    --------
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.learned import UNetDenoiser
    >>> from camdenoise.metrics import die_scores
    >>> wafers = make_wafer_maps(60, classes=["Center", "Edge-Ring"], random_state=0)
    >>> denoiser = UNetDenoiser(width=4, input_size=32, max_epochs=8, batch_size=8, random_state=0)
    >>> explained = denoiser.fit(wafers.maps, truth=wafers.truth).explain(wafers.maps)
    >>> scores = die_scores(wafers.maps, wafers.truth, [e.kept for e in explained])
    >>> bool(scores["f1"].mean() > 0.8)
    True
    """

    _parameter_constraints: dict = {
        "threshold": [Interval(Real, 0, 1, closed="both")],
        "width": [Interval(Integral, 1, None, closed="left")],
        "input_size": [Interval(Integral, 8, 1024, closed="both")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "device": [str],
        "progress": ["boolean"],
        "on_error": [StrOptions({"raise", "keep"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        threshold=0.5,
        width=8,
        input_size=64,
        max_epochs=8,
        learning_rate=3e-3,
        batch_size=32,
        precision="auto",
        device="cpu",
        progress=False,
        on_error="raise",
        random_state=None,
    ):
        self.threshold = threshold
        self.width = width
        self.input_size = input_size
        self.max_epochs = max_epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.precision = precision
        self.device = device
        self.progress = progress
        self.on_error = on_error
        self.random_state = random_state

    def fit(
        self, X: WaferMaps, y: Any = None, *, truth: Sequence[np.ndarray] | None = None
    ) -> UNetDenoiser:
        """Train the net from scratch.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail).
        y : object, default=None
            Ignored; it exists for scikit-learn's pipelines.
        truth : sequence of bool arrays, one per wafer, each of its map's shape
            Where the pattern is. Dies in it that do not fail are left out of account. All False
            for a wafer without a pattern.

        Returns
        -------
        self

        Raises
        ------
        WaferMapError
            For a map that cannot be read, whatever `on_error` is: a training set should be right.
        ValueError
            Without `truth`, for masks that do not fit the maps, a training set in which no die
            fails, or a bad parameter.
        """
        maps = self._read_training_maps(X)
        if truth is None:
            raise ValueError(
                "UNetDenoiser learns from masks of the pattern: pass fit(X, truth=masks), one "
                "boolean array per wafer. In a Pipeline name the step, as denoise__truth=masks."
            )
        masks = check_die_masks(truth, maps, "truth")
        pattern = encode_maps([mask.astype(np.uint8) for mask in masks], self.input_size)
        self._train(PatternDies(self.encode(maps), pattern.bool()))
        return self

    def explain(self, X: WaferMaps) -> list[Explanation]:
        """Tell for each wafer which fails are kept, which are removed, and why.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail).

        Returns
        -------
        list of Explanation
            One per wafer, in the order of `X`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        WaferMapError
            For a map that cannot be read, with ``on_error="raise"``.
        """
        check_is_fitted(self, "module_")
        return super().explain(X)

    def encode(self, maps: Sequence[np.ndarray]) -> torch.Tensor:
        """Return checked maps as the net sees them: uint8 codes, (n, input_size, input_size)."""
        return encode_maps(maps, self.input_size)

    def _read_training_maps(self, X: WaferMaps) -> Sequence[np.ndarray]:
        self._validate_params()
        maps = self._read_maps(X, reset=True, min_maps=2)
        if not any((grid == FAIL).any() for grid in maps):
            raise ValueError(
                f"none of the {len(maps)} wafer maps has a failing die (code 2), so there is "
                "nothing to learn. Check that bins were recoded to 0, 1 and 2."
            )
        return maps

    def _train(self, wafers: PatternDies) -> None:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = train_die_net(
                UNet(self.width),
                wafers,
                max_epochs=self.max_epochs,
                learning_rate=self.learning_rate,
                batch_size=self.batch_size,
                precision=self.precision,
                device=self.device,
                progress=self.progress,
                seed=seed,
            )
        self.module_: UNet = net.module_.eval()
        self.history_ = epoch_summaries(net.history)

    def _explain_maps(self, maps: Sequence[np.ndarray]) -> list[Explanation]:
        starts = range(0, len(maps), self.batch_size)
        explanations: list[Explanation] = []
        for start in tqdm(starts, unit="batch", leave=None, disable=not self.progress):
            batch = maps[start : start + self.batch_size]
            explanations += [
                build_explanation(grid, score >= self.threshold, score)
                for grid, score in zip(batch, self._scores(batch), strict=True)
            ]
        return explanations

    def _scores(self, maps: Sequence[np.ndarray]) -> list[np.ndarray]:
        logits = die_logits(self.module_, self.encode(maps), [grid.shape for grid in maps])
        return [expit(values) for values in logits]

    def _takes_table(self, X: Any, reset: bool) -> bool:
        """Refuse 2-D tables: with no labels to count rows by, one map would pass for many."""
        return False

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = self.random_state is None
        tags.input_tags.two_d_array = False
        return tags
