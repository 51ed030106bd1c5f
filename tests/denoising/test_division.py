"""Wafers with several patterns: every kept fail goes to one of them."""

import numpy as np
import pytest

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.denoising._division import divide_fails


@pytest.fixture(scope="module")
def denoiser():
    return CamDenoiser.from_pretrained(on_error="keep")


def ring_and_scratch():
    """A ring around a wafer of 30 x 30 dies, and a scratch inside."""
    radius = np.hypot(*np.meshgrid(*[np.arange(30) - 14.5] * 2))
    wafer = np.where(radius > 15, 0, np.where(radius > 13.4, 2, 1)).astype(np.uint8)
    scratch = np.zeros((30, 30), bool)
    scratch[np.arange(8, 20), np.arange(6, 18)] = True
    wafer[scratch] = 2
    return wafer, scratch


def test_fail_goes_to_the_pattern_with_most_evidence():
    kept = np.ones((5, 10), bool)
    left = np.tile(np.arange(10) < 6, (5, 1))
    by_pattern = np.stack([np.where(left, 2.0, -2.0), np.where(left, -1.0, 1.0)])
    masks = divide_fails(kept, by_pattern, ("Loc", "Scratch"))
    assert list(masks) == ["Loc", "Scratch"]
    np.testing.assert_array_equal(masks["Loc"], left)
    np.testing.assert_array_equal(masks["Scratch"], ~left)


def test_few_fails_are_not_a_second_pattern():
    kept = np.ones((5, 10), bool)
    kept[0, 0] = False
    loc = np.zeros((5, 10))
    loc[0, :3] = -9
    by_pattern = np.stack([np.full((5, 10), -8.0), loc, loc - 7])
    masks = divide_fails(kept, by_pattern, ("Center", "Loc", "Scratch"))
    assert list(masks) == ["Loc"] and (masks["Loc"] == kept).all()


def test_ring_and_scratch_are_separated(denoiser):
    wafer, scratch = ring_and_scratch()
    (why,) = denoiser.explain([wafer])
    assert why.verdict == "mixed" and list(why.patterns) == ["Edge-Ring", "Scratch"]
    assert (why.patterns["Scratch"] & scratch).sum() >= 10
    assert not (why.patterns["Edge-Ring"] & scratch).any()


def test_masks_divide_the_kept_fails(denoiser):
    maps = [*make_wafer_maps(12, random_state=0).maps, np.array([[7]]), np.zeros((3, 3), int)]
    explained = denoiser.explain(maps)
    for e in explained:
        if e.abstained:
            assert e.patterns == {}
            continue
        counts = [mask.sum() for mask in e.patterns.values()]
        assert counts == sorted(counts, reverse=True) and min(counts) > 0
        np.testing.assert_array_equal(sum(m.astype(int) for m in e.patterns.values()), e.kept)
    assert sum(len(e.patterns) for e in explained) >= 5


def test_explained_class_owns_all_kept_fails(denoiser):
    wafer, _ = ring_and_scratch()
    cam = CamDenoiser.from_pretrained(method="layercam")
    for (why,) in (denoiser.explain([wafer], ["Scratch"]), cam.explain([wafer])):
        assert why.verdict == "pattern"
        assert list(why.patterns) == [why.label]
        np.testing.assert_array_equal(why.patterns[why.label], why.kept)
