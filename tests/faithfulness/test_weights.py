"""Saliency of nets with random weights."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.denoising._untrained import untrained_net
from camdenoise.faithfulness import (
    randomized_weights,
)
from camdenoise.faithfulness._weights import _rank_correlation
from camdenoise.nets._backbones import make_backbone


def test_randomized_weights_equal_a_new_nets(denoiser, classifier, wafers):
    maps = wafers.maps[:12]
    before = deepcopy(classifier.module_.state_dict())
    trained = denoiser.explain(maps)
    found = randomized_weights(denoiser, maps, random_state=0)
    assert found.columns.tolist() == ["head", "stage4", "stage3", "stage2", "stage1", "stem"]
    # The last column is that of a net with no trained weight, the first of one with a new head.
    seed = int(np.random.RandomState(0).randint(2**31 - 1, size=2)[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = make_backbone("wafer_resnet", 3, width=classifier.width).eval()
    headless = deepcopy(classifier.module_)
    headless.head.load_state_dict(fresh.head.state_dict())
    for net, column in ((fresh, "stem"), (headless, "head")):
        clf = WaferClassifier(**classifier.get_params())
        clf.classes_, clf.module_, clf.temperature_ = classifier.classes_, net, 1.0
        clf.feature_net_ = None
        other = CamDenoiser(FrozenEstimator(clf), method="hirescam", layers=["stage3"]).fit(maps)
        again = other.explain(maps, [e.label for e in trained])
        for row, (a, b, grid) in enumerate(zip(trained, again, maps, strict=True)):
            expected = spearmanr(a.saliency[grid > 0], b.saliency[grid > 0]).statistic
            if np.isfinite(expected):
                assert found.loc[row, column] == pytest.approx(expected)
    for name, value in classifier.module_.state_dict().items():
        assert torch.equal(value, before[name])
    for a, b in zip(trained, denoiser.explain(maps), strict=True):
        np.testing.assert_array_equal(a.saliency, b.saliency)


def test_random_weights_differ_from_initial_weights(classifier):
    assert classifier.random_state == 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(np.random.RandomState(0).randint(2**31 - 1))
        initial = make_backbone("wafer_resnet", 3, width=classifier.width)
    before, drawn = (
        torch.cat([values.flatten() for values in net.parameters() if values.ndim > 1])
        for net in (initial, untrained_net(classifier, 0))
    )
    trained = torch.cat([v.flatten() for v in classifier.module_.parameters() if v.ndim > 1])
    assert torch.corrcoef(torch.stack([before, trained]))[0, 1] > 0.3
    assert abs(torch.corrcoef(torch.stack([drawn, trained]))[0, 1]) < 0.1


def test_saliency_changes_with_random_weights(denoiser, wafers):
    found = randomized_weights(denoiser, wafers.maps[:40], random_state=0)
    assert found.drop(columns="head").mean().max() < 0.9
    again = randomized_weights(denoiser, wafers.maps[:40], random_state=0)
    pd.testing.assert_frame_equal(found, again)


def test_rank_correlation_without_an_order_is_nan():
    some, none = np.array([1.0, 3, 2]), np.zeros(3)
    assert _rank_correlation(some, 10 * some**3) == pytest.approx(1)
    assert _rank_correlation(some, -some) == pytest.approx(-1)
    assert _rank_correlation(some, none) == 0 and np.isnan(_rank_correlation(none, some))
