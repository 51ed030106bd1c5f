"""The shape of the largest group of touching fails, in wafer radii.

A die is a rectangle of ``2 / width`` by ``2 / height`` radii, so the lengths do not depend on the
number of dies of a product.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

from camdenoise.wafers._geometry import polar, positions

REGION_FEATURES = (
    "area", "perimeter", "major_axis", "minor_axis", "eccentricity", "solidity",
    "mean_radius", "radius_spread",
)  # fmt: skip


def region_features(region: np.ndarray) -> np.ndarray:
    """Measure one region.

    Parameters
    ----------
    region : ndarray of bool, shape (height, width)
        Its dies; at least one.

    Returns
    -------
    ndarray of float, shape (8,)
        Named by `REGION_FEATURES`. Area, and perimeter along the dies' edges, of holes as well;
        axes of the ellipse with the region's second moments, and its eccentricity; solidity, the
        share of the convex hull that the region fills; mean and standard deviation of the dies'
        distance from the wafer's center.
    """
    height, width = region.shape
    rows, columns = np.nonzero(region)
    y, x = positions(height)[rows], positions(width)[columns]
    die = 4 / (height * width)
    area = len(rows) * die
    major, minor = _axes(y, x, 2 / height, 2 / width)
    radius = polar(y, x)[0]
    return np.array(
        [
            area,
            _perimeter(region),
            major,
            minor,
            np.sqrt(1 - (minor / major) ** 2),
            area / (_hull_area(rows, columns) * die),
            radius.mean(),
            radius.std(),
        ]
    )


def _axes(y: np.ndarray, x: np.ndarray, die_y: float, die_x: float) -> tuple[float, float]:
    """Return the axes of the ellipse of uniform density with the same second moments."""
    # A die is not a point: a uniform length has a variance of one twelfth of its square.
    yy = y.var() + die_y**2 / 12
    xx = x.var() + die_x**2 / 12
    xy = (y * x).mean() - y.mean() * x.mean()
    middle, half = (yy + xx) / 2, np.hypot((yy - xx) / 2, xy)
    return 4 * np.sqrt(middle + half), 4 * np.sqrt(max(middle - half, 0))


def _perimeter(region: np.ndarray) -> float:
    height, width = region.shape
    framed = np.zeros((height + 2, width + 2), np.int8)
    framed[1:-1, 1:-1] = region
    along_x = np.count_nonzero(np.diff(framed, axis=0))
    along_y = np.count_nonzero(np.diff(framed, axis=1))
    return along_x * 2 / width + along_y * 2 / height


def _hull_area(rows: np.ndarray, columns: np.ndarray) -> float:
    """Return the area of the convex hull of whole dies, in dies."""
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    ends = np.append(starts[1:], len(rows)) - 1
    # Only the first and the last die of a row can be corners of the hull.
    top, left, right = rows[starts], columns[starts], columns[ends] + 1
    sides = np.concatenate([left, right, left, right])
    corners = np.stack([np.concatenate([top, top, top + 1, top + 1]), sides], axis=1)
    return ConvexHull(corners).volume
