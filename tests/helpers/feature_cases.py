"""Round wafers that fail where told, and their features by name."""

import numpy as np

from camdenoise.features import WaferFeatures

NAMES = WaferFeatures().get_feature_names_out().tolist()


def features(grid):
    return dict(zip(NAMES, WaferFeatures().transform([grid])[0], strict=True))


def disc(side, radius):
    at = (np.arange(side) + 0.5) * 2 / side - 1
    return np.hypot(at[:, np.newaxis], at) <= radius


def wafer(fails):
    """A wafer on a square grid that fails where told."""
    return np.where(fails, 2, disc(len(fails), 1).astype(int))
