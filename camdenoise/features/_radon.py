"""The Radon transform of the fails: how many lie along each line across the wafer.

J. Radon, "Über die Bestimmung von Funktionen durch ihre Integralwerte längs gewisser
Mannigfaltigkeiten", 1917. A line through a scratch meets many fails in one direction and few in
all others; of a disc all directions look alike.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline

from camdenoise.wafers._geometry import positions

N_ANGLES = 60
N_VALUES = 20


def sinogram(fails: np.ndarray) -> np.ndarray:
    """Integrate the fails along parallel lines in each of 60 directions, 3 degrees apart.

    Parameters
    ----------
    fails : ndarray of bool, shape (height, width)
        The dies that fail.

    Returns
    -------
    ndarray of float, shape (60, min(height, width))
        Length of each line that lies on fails, in wafer radii. The lines of a direction are one
        die apart and cover the wafer from rim to rim. A fail between two lines counts for both in
        part; a fail beyond the outermost line counts for this line.
    """
    height, width = fails.shape
    n_lines = min(height, width)
    rows, columns = np.nonzero(fails)
    cosine, sine = _directions()
    offset = np.multiply.outer(cosine, positions(width)[columns])
    offset += np.multiply.outer(sine, positions(height)[rows])
    line = np.clip((offset + 1) * (n_lines / 2) - 0.5, 0, n_lines - 1)
    nearest = line.astype(np.intp)
    share = (line - nearest).ravel()
    index = (nearest + n_lines * np.arange(N_ANGLES)[:, np.newaxis]).ravel()
    n_cells = N_ANGLES * n_lines
    # A fail on a direction's last line has no share in the next.
    sums = np.bincount(index, 1 - share, n_cells) + np.bincount(index + 1, share, n_cells + 1)[:-1]
    area, spacing = 4 / (height * width), 2 / n_lines
    return sums.reshape(N_ANGLES, n_lines) * (area / spacing)


@lru_cache(maxsize=1)
def _directions() -> tuple[np.ndarray, np.ndarray]:
    angle = np.pi / N_ANGLES * np.arange(N_ANGLES)
    return np.cos(angle), np.sin(angle)


@lru_cache(maxsize=256)
def cubic_resampling(n_lines: int) -> np.ndarray:
    """Return the weights that read `n_lines` values at 20 places by cubic interpolation.

    Returns
    -------
    ndarray of float, shape (20, n_lines)
        From the first value to the last, evenly spaced.

    Examples
    --------
    >>> (cubic_resampling(5) @ [0, 1, 2, 3, 4])[[0, -1]].round(6).tolist()
    [0.0, 4.0]
    """
    if n_lines == 1:
        return np.ones((N_VALUES, 1))
    spline = CubicSpline(np.arange(n_lines), np.eye(n_lines))
    return spline(np.linspace(0, n_lines - 1, N_VALUES))


def radon_features(fails: np.ndarray) -> np.ndarray:
    """Summarize the sinogram over its directions.

    Parameters
    ----------
    fails : ndarray of bool, shape (height, width)
        The dies that fail.

    Returns
    -------
    ndarray of float, shape (40,)
        For 20 lines across the wafer the mean over all directions, then the standard deviation.
    """
    lines = sinogram(fails)
    summary = np.stack([lines.mean(axis=0), lines.std(axis=0)], axis=1)
    return (cubic_resampling(len(summary)) @ summary).T.ravel()
