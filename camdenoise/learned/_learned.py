"""What the learned denoisers share: a net that scores each die, and a threshold on the score."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from camdenoise._sklearn_compat import Interval, StrOptions
from camdenoise.denoising._base import BaseDenoiser
from camdenoise.nets._encoding import encode_maps
from camdenoise.nets._segmentation import DieTask, train_die_net
from camdenoise.nets._training import epoch_summaries
from camdenoise.nets._unet import UNet
from camdenoise.wafers._explanation import Explanation, build_explanation
from camdenoise.wafers._maps import FAIL, WaferMaps


class LearnedDenoiser(BaseDenoiser):
    """A denoiser with a U-Net that scores each die.

    A subclass's `fit` reads the maps by ``_read_training_maps`` and calls ``_train`` with a
    `DieTask`; it implements ``_scores(maps)``, which returns the saliencies of a batch.
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
        threshold,
        width,
        input_size,
        max_epochs,
        learning_rate,
        batch_size,
        precision,
        device,
        progress,
        on_error,
        random_state,
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

    def _train(self, task: DieTask, *, skips: bool = True) -> None:
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = train_die_net(
                UNet(self.width, skips=skips),
                task,
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
        raise NotImplementedError

    def _takes_table(self, X: Any, reset: bool) -> bool:
        """Refuse 2-D tables: with no labels to count rows by, one map would pass for many."""
        return False

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = self.random_state is None
        tags.input_tags.two_d_array = False
        return tags
