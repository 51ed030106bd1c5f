"""AutoencoderDenoiser: learn to undo noise that was added, and apply it to noise that was there."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from camdenoise._sklearn_compat import Interval
from camdenoise.learned._learned import LearnedDenoiser
from camdenoise.nets._augmentation import BatchAugmentation
from camdenoise.nets._encoding import encode_dies
from camdenoise.nets._segmentation import DieTask, MaskedTarget, die_logits
from camdenoise.wafers._maps import FAIL, NO_DIE, WaferMaps


class FlippedDiesTask(DieTask):
    """Ask which dies failed before some were flipped.

    Parameters
    ----------
    codes : Tensor of uint8, shape (n, size, size)
        Die codes.
    dies : Tensor of int64, shape (n, 2, size)
        Which die row, and which die column, each pixel shows.
    flip_rate : float
        Each wafer draws a rate between 0 and this and has that share of its dies flipped.
    """

    def __init__(self, codes: torch.Tensor, dies: torch.Tensor, flip_rate: float):
        super().__init__(codes)
        self.dies = dies
        self.noise = BatchAugmentation(symmetries=False, flip_rate=flip_rate)

    def make_batch(self, rows: torch.Tensor, generator: torch.Generator) -> MaskedTarget:
        """Show the wafers with dies flipped; ask about all dies."""
        codes = self.codes[rows]
        flipped = self.noise(codes, self.dies[rows], generator)
        return MaskedTarget(flipped, codes == FAIL, codes != NO_DIE)


class AutoencoderDenoiser(LearnedDenoiser):
    """Keep the fails that survive an autoencoder trained to undo added noise.

    It learns from maps alone: dies of the training wafers are flipped at random, from pass to fail
    and from fail to pass, and the net is to say which failed before. Applied to a wafer as it is,
    it takes the wafer's own random fails for such noise.

    Parameters
    ----------
    flip_rate : float between 0 and 1, default=0.2
        Each training wafer draws a rate between 0 and this and has that share of its dies flipped,
        anew in each epoch.
    threshold : float between 0 and 1, default=0.3
        Keep a fail whose probability to have failed before the noise is at least this.
    width : int, default=8
        Channels of the net's first stage. Width 8 has 0.10 million parameters.
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
        Initial weights, order, symmetries and flips. The same integer gives the same net on
        the same machine with the same number of threads.

    Attributes
    ----------
    module_ : UNet
        The trained network, in eval mode.
    history_ : list of dict
        One entry per epoch: training loss and seconds.

    See Also
    --------
    BlindSpotDenoiser : Adds no noise; hides dies instead.
    UNetDenoiser : Learns from masks of the pattern.

    Notes
    -----
    The training wafers have random fails of their own, which the net is asked to restore as well.
    It cannot where they look like the flipped ones, so what it restores is what hangs together.
    The net is a U-Net without the skip connections: all it knows of a wafer has to pass a grid of
    an eighth of the input's side. With them it can copy each die, which is right for most, since
    most were not flipped.

    The saliency is the reconstruction: the probability that the die fails.

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, Y. Bengio, P.-A. Manzagol, "Extracting and Composing Robust
       Features with Denoising Autoencoders", ICML 2008, doi:10.1145/1390156.1390294.

    Examples
    --------
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.learned import AutoencoderDenoiser
    >>> from camdenoise.metrics import die_scores
    >>> wafers = make_wafer_maps(40, classes=["Center", "Edge-Ring"], random_state=0)
    >>> denoiser = AutoencoderDenoiser(width=4, input_size=32, batch_size=8, random_state=0)
    >>> explained = denoiser.fit(wafers.maps).explain(wafers.maps)
    >>> scores = die_scores(wafers.maps, wafers.truth, [e.kept for e in explained])
    >>> bool(scores["specificity"].mean() > 1 - scores["recall"].mean())
    True
    """

    _parameter_constraints: dict = {
        **LearnedDenoiser._parameter_constraints,
        "flip_rate": [Interval(Real, 0, 1, closed="both")],
    }

    def __init__(
        self,
        *,
        flip_rate=0.2,
        threshold=0.3,
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
        self.flip_rate = flip_rate

    def fit(self, X: WaferMaps, y: Any = None) -> AutoencoderDenoiser:
        """Train the net from scratch.

        Parameters
        ----------
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail).
        y : object, default=None
            Ignored; it exists for scikit-learn's pipelines.

        Returns
        -------
        self

        Raises
        ------
        WaferMapError
            For a map that cannot be read, whatever `on_error` is: a training set should be right.
        ValueError
            For a training set in which no die fails, or a bad parameter.
        """
        maps = self._read_training_maps(X)
        dies = encode_dies([grid.shape for grid in maps], self.input_size)
        self._train(FlippedDiesTask(self.encode(maps), dies, self.flip_rate), skips=False)
        return self

    def _scores(self, maps: Sequence[np.ndarray]) -> list[np.ndarray]:
        logits = die_logits(self.module_, self.encode(maps), [grid.shape for grid in maps])
        return [expit(values) for values in logits]
