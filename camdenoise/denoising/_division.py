"""Division of the kept fails of a wafer among the patterns on it."""

from __future__ import annotations

import numpy as np

# Least share of the kept fails of a second pattern; fewer fails are uncertain ones of the first.
_LEAST_SHARE = 0.05


def divide_fails(
    kept: np.ndarray, by_pattern: np.ndarray, names: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Give each kept fail to the pattern whose evidence is greatest there.

    A pattern with few of the fails is not on the wafer; the others share its fails.

    Parameters
    ----------
    kept : ndarray of bool, shape (height, width)
        Fails that belong to a pattern.
    by_pattern : ndarray of float, shape (n_patterns, height, width)
        Log-odds of each pattern.
    names : tuple of str
        Their names.

    Returns
    -------
    dict of str to ndarray of bool, shape (height, width)
        The fails of each pattern, the one with most of them first; together they are `kept`.

    Examples
    --------
    >>> kept = np.array([[True, True, False]])
    >>> divided = divide_fails(kept, np.array([[[2, -1, 0]], [[1, 3, 0]]]), ("Center", "Loc"))
    >>> {name: mask.tolist() for name, mask in divided.items()}
    {'Center': [[True, False, False]], 'Loc': [[False, True, False]]}
    """
    on_fails = by_pattern[:, kept]
    counts = np.bincount(on_fails.argmax(axis=0), minlength=len(names))
    present = np.flatnonzero(counts >= _LEAST_SHARE * counts.sum())
    best = present[on_fails[present].argmax(axis=0)]
    masks = {}
    for number in sorted(set(best.tolist()), key=lambda number: -np.count_nonzero(best == number)):
        masks[names[number]] = np.zeros_like(kept)
        masks[names[number]][kept] = best == number
    return masks
