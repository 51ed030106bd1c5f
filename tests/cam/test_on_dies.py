"""From a class's evidence to a die's saliency."""

import numpy as np
import pytest
import torch

from camdenoise.cam._on_dies import pattern_probability, relative_saliency


def test_saliency_is_relative_to_the_wafers_mean():
    grid = np.array([[0, 1, 2]])
    layers = [np.array([[9.0, 1.0, 2.0]]), np.array([[0.0, 0.0, 5.0]])]
    np.testing.assert_allclose(relative_saliency(grid, layers), [[0, 0.25, 1]])
    assert (relative_saliency(grid, [np.zeros((1, 3))]) == 0).all()


def test_pattern_probability_combines_all_patterns():
    claims = torch.tensor([[-30.0, 30.0, -30.0], [-30.0, -30.0, 30.0], [0.0, 0.0, 0.0]])
    counted = torch.tensor([[True, True, False]])
    probability = pattern_probability(claims[:, :, None, None], counted)
    assert probability.flatten().tolist() == pytest.approx([1, 0, 0.75], abs=1e-6)
