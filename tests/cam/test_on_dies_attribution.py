"""Attribution on dies: scores at each wafer's own size, for all patterns or for given classes."""

from copy import copy

import numpy as np
import pytest
import torch
from scipy.special import expit
from small_models import fitted_classifier

from camdenoise.cam import activation_maps
from camdenoise.cam._on_dies import CamAttribution, EvidenceAttribution, relative_saliency
from camdenoise.nets._component_planes import input_planes
from camdenoise.nets._encoding import to_die_grid


@pytest.fixture
def evidence_classifier():
    return copy(fitted_classifier("wafer_unet")).set_params(precision="float32")


def test_evidence_scores_have_the_wafers_shapes(evidence_classifier, wafers):
    maps = [wafers.maps[0], np.ones((3, 50), np.uint8), np.full((70, 9), 2, np.uint8)]
    scores = EvidenceAttribution(evidence_classifier).attribute(maps)
    for grid, of_wafer in zip(maps, scores, strict=True):
        assert of_wafer.saliency.shape == grid.shape
        assert of_wafer.by_pattern.shape == (3, *grid.shape)
        assert of_wafer.probabilities.sum() == pytest.approx(1)
        assert 0 <= of_wafer.saliency.min() <= of_wafer.saliency.max() <= 1


def test_evidence_of_all_patterns_covers_each_of_them(evidence_classifier, wafers):
    attribution, maps = EvidenceAttribution(evidence_classifier), wafers.maps[:6]
    together = attribution.attribute(maps)
    for code, label in enumerate(evidence_classifier.classes_.tolist()):
        assert attribution.patterns[code] == label
        for one, every in zip(attribution.attribute(maps, np.full(6, code)), together, strict=True):
            assert (one.saliency <= every.saliency + 1e-6).all()
            np.testing.assert_array_equal(one.probabilities, every.probabilities)


def test_each_pattern_is_what_a_target_scores(evidence_classifier, wafers):
    # With a pixel for each die there is no mean that comes before or after the sigmoid.
    maps = [np.resize(grid, (32, 32)) for grid in wafers.maps[:4]]
    attribution = EvidenceAttribution(evidence_classifier)
    for code in range(3):
        of_target = attribution.attribute(maps, np.full(4, code))
        by_pattern = attribution.attribute(maps)
        for one, every in zip(of_target, by_pattern, strict=True):
            np.testing.assert_allclose(one.saliency, expit(every.by_pattern[code]), atol=1e-5)


def test_scores_are_of_their_wafers_when_sizes_mix(evidence_classifier, wafers):
    clf = evidence_classifier.set_params(input_size=(32, 48))
    maps = [wafers.maps[0], np.resize(wafers.maps[1], (40, 41)), wafers.maps[2]]
    together = EvidenceAttribution(clf).attribute(maps)
    for grid, of_wafer in zip(maps, together, strict=True):
        (alone,) = EvidenceAttribution(clf).attribute([grid])
        np.testing.assert_allclose(of_wafer.saliency, alone.saliency, atol=1e-5)


def test_cam_scores_are_the_maps_read_at_the_dies(classifier, wafers):
    clf, maps = copy(classifier).set_params(precision="float32"), wafers.maps[:5]
    targets, layers = np.array([0, 1, 2, 1, 0]), ["stage2", "stage3"]
    scores = CamAttribution(clf, "hirescam", layers).attribute(maps, targets)
    ((rows, codes),) = clf.batches(maps)
    result = activation_maps(
        clf.module_,
        input_planes(codes),
        layers,
        method="hirescam",
        targets=torch.as_tensor(targets[rows]),
    )
    shapes = [maps[row].shape for row in rows]
    on_dies = [to_die_grid(v.numpy(), shapes, codes.shape[-1]) for v in result.layers.values()]
    for row, *parts in zip(rows, *on_dies, strict=True):
        wanted = relative_saliency(maps[row], parts)
        np.testing.assert_allclose(scores[row].saliency, wanted, atol=1e-4)


def test_cam_probabilities_are_the_classifiers(classifier, wafers):
    clf = copy(classifier).set_params(precision="float32")
    scores = CamAttribution(clf, "layercam", ["stage3"]).attribute(wafers.maps[:9])
    found = np.stack([of_wafer.probabilities for of_wafer in scores])
    np.testing.assert_allclose(found, clf.predict_proba(wafers.maps[:9]), atol=1e-5)
