"""Wafers that are left alone, cleared or flagged."""

import copy

import numpy as np
import pytest
from brief_classifiers import brief_classifier, frozen, labeled_wafers
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser


def renamed(backbone, temperature=1.0):
    """The brief classifier, whose patterns are called by the names of wafers without one."""
    clf = copy.copy(brief_classifier(backbone))
    clf.classes_, clf.patterns_ = np.array(["Near-full", "Random", "none"]), ()
    clf.temperature_ = temperature
    return FrozenEstimator(clf)


@pytest.mark.parametrize("backbone", ["wafer_resnet", "wafer_unet"])
@pytest.mark.parametrize("no_pattern", ["abstain", "remove"])
def test_wafer_without_pattern_is_unchanged_or_cleared(backbone, no_pattern):
    maps = labeled_wafers().maps
    method = "evidence" if backbone == "wafer_unet" else "auto"
    denoiser = CamDenoiser(renamed(backbone), method=method, no_pattern=no_pattern).fit(maps[:2])
    why, clean = denoiser.explain(maps), denoiser.transform(maps)
    assert {e.label for e in why} == {"Near-full", "Random", "none"}
    for grid, e, after in zip(maps, why, clean, strict=True):
        cleared = no_pattern == "remove" and e.label == "none" and e.probability >= 0.5
        assert e.abstained != cleared
        np.testing.assert_array_equal(after, np.where(grid == 2, 1, grid) if cleared else grid)
        assert not (e.kept & (grid != 2)).any()


def test_none_is_cleared_only_when_probable_enough():
    maps = labeled_wafers().maps
    options = {"no_pattern": "remove", "method": "evidence"}
    unsure = CamDenoiser(renamed("wafer_unet", 20.0), **options).fit(maps[:2]).explain(maps)
    assert {e.label for e in unsure} > {"none"}
    assert {e.probability >= 0.5 for e in unsure if e.label == "none"} == {False}
    assert all(e.abstained for e in unsure)


@pytest.mark.parametrize("threshold", ["auto", 1.0])
def test_wafer_without_evidence_abstains(threshold):
    denoiser = frozen(threshold=threshold)
    nothing = [np.ones((9, 9), int), np.zeros((3, 3), int), np.array([[1]])]
    for e in denoiser.explain(nothing, ["Center"] * 3):
        assert e.abstained and not e.kept.any() and not e.removed.any()
    if threshold == 1.0:
        maps = labeled_wafers().maps
        for grid, e in zip(maps, denoiser.explain(maps), strict=True):
            assert e.abstained and (e.kept == (grid == 2)).all()
