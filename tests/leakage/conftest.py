"""Fixtures of the leakage tests."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser
from camdenoise.leakage import CrossFit


@pytest.fixture
def fit(classifier, wafers):
    """Sixty wafers, forty of which train, explained by one net."""
    maps, target = wafers.maps[:60], wafers.target[:60]
    denoiser = CamDenoiser(FrozenEstimator(classifier)).fit(maps)
    train = np.arange(40)
    models = [(denoiser, np.arange(40, 60)), (denoiser, train)]
    return CrossFit(maps, target, train, models, independent=models)
