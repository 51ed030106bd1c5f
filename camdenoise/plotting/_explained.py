"""Wafer maps with their explanations, the input of most pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from camdenoise.denoising._base import BaseDenoiser
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import (
    FAIL,
    WaferMaps,
    as_collection,
    check_die_masks,
    check_lengths,
    check_wafer_map,
    map_items,
)


class ExplainedWafer(NamedTuple):
    """A wafer and its explanation.

    Attributes
    ----------
    row : int
        Its position in the collection.
    grid : ndarray of uint8, shape (height, width)
        The checked map; without cells where it cannot be read.
    explanation : Explanation
    """

    row: int
    grid: np.ndarray
    explanation: Explanation


def pair_explanations(maps: WaferMaps, explanations: Sequence[Explanation]) -> list[ExplainedWafer]:
    """Pair each map with its explanation, also maps that cannot be read."""
    items = map_items(maps)
    check_lengths(explanations, len(items), "explanations")
    return [_pair(*both) for both in zip(range(len(items)), items, explanations, strict=True)]


def select_readable(maps: WaferMaps, explanations: Sequence[Explanation]) -> list[ExplainedWafer]:
    """Leave out the wafers that cannot be read; refuse a collection without readable wafers."""
    wafers = pair_explanations(maps, explanations)
    readable = [wafer for wafer in wafers if wafer.explanation.error is None]
    if not readable:
        first = f": {wafers[0].explanation.error}" if wafers else "."
        raise ValueError(f"None of {len(wafers)} wafer maps can be drawn{first}")
    return readable


def select_masks(
    truth: Sequence[np.ndarray], wafers: Sequence[ExplainedWafer], n_wafers: int
) -> list[np.ndarray]:
    """Take the masks of the readable wafers."""
    check_lengths(truth, n_wafers, "truth")
    chosen = [truth[wafer.row] for wafer in wafers]
    return check_die_masks(chosen, [wafer.grid for wafer in wafers], "truth")


def _pair(row: int, item: Any, explanation: Explanation) -> ExplainedWafer:
    if explanation.error is not None:
        return ExplainedWafer(row, np.zeros((0, 0), np.uint8), explanation)
    grid = check_wafer_map(item, row)
    if not np.array_equal(explanation.kept | explanation.removed, grid == FAIL):
        raise ValueError(
            f"wafer map {row}: its {np.count_nonzero(grid == FAIL)} fails are not those that its "
            f"explanation keeps ({explanation.kept.sum()}) or removes "
            f"({explanation.removed.sum()}). Pass the maps as they were before denoising, in the "
            "order of the explanations."
        )
    return ExplainedWafer(row, grid, explanation)


class FromExplanations:
    """A display that is made from wafer maps and their explanations by `from_predictions`."""

    from_predictions: ClassVar[Callable[..., Any]]

    @classmethod
    def from_estimator(cls, denoiser: BaseDenoiser, X: WaferMaps, **options: Any) -> Self:
        """Denoise wafers and draw the result.

        Parameters
        ----------
        denoiser : CamDenoiser or any denoiser with `explain`
            Fitted. With ``on_error="keep"`` a map that cannot be read costs its own row only.
        X : list, object array or Series of 2-D maps, or 3-D array
            Wafer maps with the codes 0 (no die), 1 (pass), 2 (fail).
        **options
            As in `from_predictions`.

        Returns
        -------
        display
            Drawn.
        """
        X = as_collection(X)
        return cls.from_predictions(X, denoiser.explain(X), **options)
