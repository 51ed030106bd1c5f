"""Which fails to keep, so that as much as possible of a pattern and little else is kept.

A fixed threshold suits the average wafer. On one where every fail is doubtful it keeps nothing, and
on one where all is clear it keeps too much. The threshold that is best for F1 differs from wafer to
wafer and is half of the F1 that can be reached there (Lipton et al. 2014).
"""

from __future__ import annotations

import numpy as np


def best_expected_f1(probability: np.ndarray) -> tuple[float, float]:
    """Find the threshold on probabilities that makes the expected F1 of what is kept greatest.

    Parameters
    ----------
    probability : ndarray of float, shape (n,)
        How likely each fail is to be part of the pattern.

    Returns
    -------
    threshold : float
        The least probability that is kept; infinite where there are no fails.
    f1 : float
        Twice the expected hits, divided by the number kept plus the expected number of fails in
        the pattern. It is the ratio of expected values that is greatest, not the expected ratio,
        which takes far longer to compute and is nearly the same.

    References
    ----------
    .. [1] Z. C. Lipton, C. Elkan, B. Naryanaswamy, "Thresholding Classifiers to Maximize F1
       Score", ECML PKDD 2014, arXiv:1402.1892.

    Examples
    --------
    >>> best_expected_f1(np.array([0.9, 0.1, 0.8]))
    (0.8, 0.8947368421052632)
    >>> best_expected_f1(np.array([0.3, 0.2]))[0]  # nothing would score 0
    0.2
    """
    if not probability.size:
        return float("inf"), 0.0
    ranked = np.sort(probability.astype(float))[::-1]
    n_kept = np.arange(1, len(ranked) + 1)
    f1 = 2 * np.cumsum(ranked) / (n_kept + ranked.sum())
    best = int(f1.argmax())
    return float(ranked[best]), float(f1[best])
