"""Perceptrons on features: standardized, averaged, turned in training."""

import numpy as np
import pytest
import torch

from camdenoise.nets._feature_net import FeatureNet, train_feature_net

AS_IT_IS = np.arange(3)[np.newaxis]


def separable(n=300, seed=0):
    """Three classes by the sign of two features; the third feature is the same everywhere."""
    features = np.random.default_rng(seed).normal(5, 100, (n, 3))
    features[:, 2] = 7
    codes = np.where(features[:, 0] < 5, 0, np.where(features[:, 1] < 5, 1, 2))
    return features, codes


def test_classes_are_learned_at_any_scale():
    features, codes = separable()
    net = train_feature_net(features, codes, np.ones(300), AS_IT_IS, 3, seed=0)
    others, truth = separable(seed=1)
    scores = net(torch.tensor(others, dtype=torch.float32))
    assert torch.isfinite(scores).all()
    assert (scores.argmax(1).numpy() == truth).mean() > 0.93


def test_scores_are_the_mean_over_perceptrons():
    net = FeatureNet(3, 2).eval()
    features = torch.rand(4, 3)
    members = [member(features).log_softmax(1) for member in net.members]
    assert torch.allclose(net(features), torch.stack(members).mean(0))
    assert not torch.allclose(members[0], members[1])


def test_seed_repeats_the_net_and_draws_nothing():
    features, codes = separable(60)
    before = torch.random.get_rng_state()
    nets = [train_feature_net(features, codes, np.ones(60), AS_IT_IS, 3, s) for s in (0, 0, 1)]
    assert torch.equal(before, torch.random.get_rng_state())
    first, again, other = (net.state_dict()["members.0.0.weight"] for net in nets)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_wafers_without_weight_are_not_learned():
    features, codes = separable()
    wrong = np.concatenate([codes, (codes + 1) % 3])
    weights = np.repeat([2.0, 0.0], 300)
    net = train_feature_net(np.tile(features, (2, 1)), wrong, weights, AS_IT_IS, 3, seed=0)
    scores = net(torch.tensor(features, dtype=torch.float32))
    assert (scores.argmax(1).numpy() == codes).mean() > 0.9


def test_turned_wafers_are_learned_alike():
    """Class 0 has its fails in feature 0; with the symmetry that swaps 0 and 1 also in 1."""
    features = np.zeros((200, 3))
    features[:100, 0], features[100:, 2] = 1, 1
    codes = np.repeat([0, 1], 100)
    swapped = np.array([[0, 1, 2], [1, 0, 2]])
    turned = torch.tensor([[0.0, 1.0, 0.0]])
    learned = train_feature_net(features, codes, np.ones(200), swapped, 2, seed=0)(turned)
    assert learned.softmax(1)[0, 0] > 0.9


@pytest.mark.parametrize("n", [2, 3, 300])
def test_any_number_of_wafers_trains(n):
    features, codes = separable(n)
    net = train_feature_net(features, codes, np.ones(n), AS_IT_IS, 3, seed=0)
    assert torch.isfinite(net(torch.tensor(features, dtype=torch.float32))).all()
