"""UNetDenoiser: segment the pattern with a net that was shown where patterns are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from camdenoise.learned._learned import LearnedDenoiser
from camdenoise.nets._encoding import encode_maps
from camdenoise.nets._segmentation import DieTask, MaskedTarget, die_logits
from camdenoise.wafers._maps import FAIL, WaferMaps, check_die_masks


class PatternTask(DieTask):
    """Ask which of a wafer's fails are of the pattern.

    Parameters
    ----------
    codes : Tensor of uint8, shape (n, size, size)
        Die codes.
    pattern : Tensor of bool, shape (n, size, size)
        Where the pattern is.
    """

    def __init__(self, codes: torch.Tensor, pattern: torch.Tensor):
        super().__init__(codes)
        self.pattern = pattern

    def make_batch(self, rows: torch.Tensor, generator: torch.Generator) -> MaskedTarget:
        """Show the wafers as they are; ask about their fails."""
        codes = self.codes[rows]
        return MaskedTarget(codes, self.pattern[rows], codes == FAIL)


class UNetDenoiser(LearnedDenoiser):
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
    BlindSpotDenoiser : Needs neither.

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
        super().__init__(
            threshold=threshold,
            width=width,
            input_size=input_size,
            max_epochs=max_epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            precision=precision,
            device=device,
            progress=progress,
            on_error=on_error,
            random_state=random_state,
        )

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
        self._train(PatternTask(self.encode(maps), pattern.bool()))
        return self

    def _scores(self, maps: Sequence[np.ndarray]) -> list[np.ndarray]:
        logits = die_logits(self.module_, self.encode(maps), [grid.shape for grid in maps])
        return [expit(values) for values in logits]
