"""BlindSpotDenoiser: predict each die from the others, keep the fails that were to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from camdenoise._sklearn_compat import Interval
from camdenoise.learned._learned import LearnedDenoiser
from camdenoise.nets._encoding import encode_dies
from camdenoise.nets._segmentation import DieTask, MaskedTarget, die_logits
from camdenoise.wafers._maps import FAIL, NO_DIE, WaferMaps

#: Code of a die whose state the net is not shown; any above the die codes.
HIDDEN = 3


def hide(codes: torch.Tensor, dies: torch.Tensor, offset: torch.Tensor, spacing: int):
    """Hide the dies of a lattice, all pixels of each.

    Parameters
    ----------
    codes : Tensor of uint8, shape (n, size, size)
        Die codes.
    dies : Tensor of int64, shape (n, 2, size)
        Which die row, and which die column, each pixel shows.
    offset : Tensor of int64, shape (n, 2) or (2,)
        Die row and die column of the lattice's first die.
    spacing : int
        Steps of the lattice, in dies.

    Returns
    -------
    shown : Tensor of uint8, shape (n, size, size)
        The codes, `HIDDEN` in the lattice.
    hidden : Tensor of bool, shape (n, size, size)
        The pixels of the lattice's dies.
    """
    rows, columns = (dies % spacing == offset[..., None]).unbind(1)
    hidden = rows[:, :, None] & columns[:, None, :] & (codes != NO_DIE)
    return torch.where(hidden, HIDDEN, codes).to(codes.dtype), hidden


class HiddenDiesTask(DieTask):
    """Hide some dies and ask which of them fail.

    Parameters
    ----------
    codes : Tensor of uint8, shape (n, size, size)
        Die codes.
    dies : Tensor of int64, shape (n, 2, size)
        Which die row, and which die column, each pixel shows.
    spacing : int
        Of the lattice of hidden dies, which starts elsewhere on each wafer.
    """

    def __init__(self, codes: torch.Tensor, dies: torch.Tensor, spacing: int):
        super().__init__(codes)
        self.dies, self.spacing = dies, spacing

    def make_batch(self, rows: torch.Tensor, generator: torch.Generator) -> MaskedTarget:
        """Show the wafers with a lattice of dies hidden; ask about those."""
        codes = self.codes[rows]
        offset = torch.randint(self.spacing, (len(codes), 2), generator=generator)
        shown, hidden = hide(codes, self.dies[rows], offset, self.spacing)
        return MaskedTarget(shown, codes == FAIL, hidden)


def pattern_share(grid: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Turn the probability to fail into the probability that a fail is of the pattern.

    Parameters
    ----------
    grid : ndarray of uint8, shape (height, width)
        Wafer map.
    expected : ndarray of float, shape (height, width)
        Probability that the die fails, judged by all others.

    Returns
    -------
    ndarray of float, shape (height, width)
        ``1 - background / expected``, at least 0, where the background is the lower quartile of
        `expected` over the dies: of the fails to be expected here, the share that the background
        leaves over. 0 everywhere on a wafer without dies.
    """
    on_dies = expected[grid != NO_DIE]
    background = np.quantile(on_dies, 0.25) if on_dies.size else 1.0
    shares = np.zeros_like(expected)
    return np.divide(expected - background, expected, out=shares, where=expected > background)


class BlindSpotDenoiser(LearnedDenoiser):
    """Keep the fails that a net expects from the other dies, beyond the wafer's background.

    It learns from maps alone. Some dies are hidden, and the net is to say from all others which of
    them fail. A random fail cannot be told from its surroundings; one of a pattern can.

    Parameters
    ----------
    spacing : int, default=3
        Every so many dies of each row and column one is hidden at a time. Small values leave few
        neighbours to judge by; large ones take ``spacing ** 2`` passes in `transform`.
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
        Initial weights, order, symmetries and hidden dies. The same integer gives the same net on
        the same machine with the same number of threads.

    Attributes
    ----------
    module_ : UNet
        The trained network, in eval mode.
    history_ : list of dict
        One entry per epoch: training loss and seconds.

    See Also
    --------
    AutoencoderDenoiser : Adds noise to learn how to remove it.
    UNetDenoiser : Learns from masks of the pattern.

    Notes
    -----
    In `explain` too a die is hidden while it is judged, so that the probability p that it fails
    does not depend on whether it does (the J-invariance of [2]_). The background rate b of a wafer
    is the lower quartile of p over its dies, and the saliency 1 - b / p is what Bayes' rule makes
    of both: the probability that a fail is not of the background. A pattern that takes up more
    than three quarters of the wafer is background in this sense.

    References
    ----------
    .. [1] A. Krull, T.-O. Buchholz, F. Jug, "Noise2Void - Learning Denoising from Single Noisy
       Images", CVPR 2019, arXiv 1811.10980.
    .. [2] J. Batson, L. Royer, "Noise2Self: Blind Denoising by Self-Supervision", ICML 2019,
       arXiv 1901.11365.

    Examples
    --------
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.learned import BlindSpotDenoiser
    >>> from camdenoise.metrics import die_scores
    >>> wafers = make_wafer_maps(40, classes=["Center", "Edge-Ring"], random_state=0)
    >>> denoiser = BlindSpotDenoiser(width=4, input_size=32, batch_size=8, random_state=0)
    >>> explained = denoiser.fit(wafers.maps).explain(wafers.maps)
    >>> scores = die_scores(wafers.maps, wafers.truth, [e.kept for e in explained])
    >>> bool(scores["specificity"].mean() > 1 - scores["recall"].mean())
    True
    """

    _parameter_constraints: dict = {
        **LearnedDenoiser._parameter_constraints,
        "spacing": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        *,
        spacing=3,
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
        self.spacing = spacing

    def fit(self, X: WaferMaps, y: Any = None) -> BlindSpotDenoiser:
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
        self._train(HiddenDiesTask(self.encode(maps), dies, self.spacing))
        return self

    def _scores(self, maps: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [
            pattern_share(grid, expected)
            for grid, expected in zip(maps, self._expected(maps), strict=True)
        ]

    def _expected(self, maps: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return for each die the probability that it fails, judged by all others."""
        shapes = [grid.shape for grid in maps]
        codes, dies = self.encode(maps), encode_dies(shapes, self.input_size)
        expected = [np.zeros(shape, np.float32) for shape in shapes]
        for row, column in product(range(self.spacing), repeat=2):
            shown, _ = hide(codes, dies, torch.tensor([row, column]), self.spacing)
            lattice = np.s_[row :: self.spacing, column :: self.spacing]
            for values, logits in zip(
                expected, die_logits(self.module_, shown, shapes), strict=True
            ):
                values[lattice] = expit(logits[lattice])
        return expected
