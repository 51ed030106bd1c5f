"""The graph of cells that touch, for the filters that need more of it than its components."""

from __future__ import annotations

import numpy as np

#: One step to each neighbour, so that every pair of neighbours is met once: right, down, and the
#: two diagonals.
_STRAIGHT = ((0, 1), (1, 0))
_DIAGONAL = ((1, 1), (1, -1))


def touching_pairs(mask: np.ndarray, diagonal: bool) -> tuple[np.ndarray, np.ndarray]:
    """List the pairs of marked cells that touch at a side, or else at a corner.

    Parameters
    ----------
    mask : ndarray of bool, shape (height, width)
        The cells of the graph.
    diagonal : bool
        Whether to list the pairs that touch at a corner or those that share a side.

    Returns
    -------
    first, second : ndarray of int, shape (n_pairs,)
        Numbers of the cells, counted along ``mask[mask]``. Each pair is listed once.

    Examples
    --------
    >>> first, second = touching_pairs(np.array([[True, True], [False, True]]), diagonal=False)
    >>> list(zip(first.tolist(), second.tolist()))
    [(0, 1), (1, 2)]
    """
    number = np.cumsum(mask).reshape(mask.shape) - 1
    pairs = [_pairs_at(mask, number, *step) for step in (_DIAGONAL if diagonal else _STRAIGHT)]
    first, second = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    return first, second


def _pairs_at(mask: np.ndarray, number: np.ndarray, down: int, right: int):
    height, width = mask.shape
    here = np.s_[: height - down, max(0, -right) : width - max(0, right)]
    there = np.s_[down:, max(0, right) : width - max(0, -right)]
    both = mask[here] & mask[there]
    return number[here][both], number[there][both]
