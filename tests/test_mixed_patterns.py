"""Wafers with several patterns: every kept fail goes to one of them."""

import numpy as np
import pytest

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.mixed_patterns import _divide, mixed_patterns


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
    evidence = {"Loc": np.where(left, 2.0, -2.0), "Scratch": np.where(left, -1.0, 1.0)}
    masks = _divide(kept, list(evidence), np.stack(list(evidence.values())))
    assert list(masks) == ["Loc", "Scratch"]
    np.testing.assert_array_equal(masks["Loc"], left)
    np.testing.assert_array_equal(masks["Scratch"], ~left)


def test_few_fails_are_not_a_second_pattern():
    kept = np.ones((5, 10), bool)
    kept[0, 0] = False
    loc = np.zeros((5, 10))
    loc[0, :3] = -9
    by_pattern = np.stack([np.full((5, 10), -8.0), loc, loc - 7])
    masks = _divide(kept, ["Center", "Loc", "Scratch"], by_pattern)
    assert list(masks) == ["Loc"] and (masks["Loc"] == kept).all()


def test_ring_and_scratch_are_separated(denoiser):
    wafer, scratch = ring_and_scratch()
    (masks,) = mixed_patterns(denoiser, [wafer])
    assert list(masks) == ["Edge-Ring", "Scratch"]
    assert (masks["Scratch"] & scratch).sum() >= 10 and not (masks["Edge-Ring"] & scratch).any()


def test_masks_divide_the_kept_fails(denoiser):
    maps = [*make_wafer_maps(12, random_state=0).maps, np.array([[7]]), np.zeros((3, 3), int)]
    why = denoiser.explain(maps)
    divided = mixed_patterns(denoiser, maps, explanations=why)
    assert len(divided) == 14
    for masks, e in zip(divided, why, strict=True):
        if e.abstained:
            assert masks == {}
            continue
        counts = [mask.sum() for mask in masks.values()]
        assert counts == sorted(counts, reverse=True) and min(counts) > 0
        np.testing.assert_array_equal(sum(mask.astype(int) for mask in masks.values()), e.kept)
    assert sum(map(len, divided)) >= 5


def test_indivisible_explanations_are_refused(denoiser):
    with pytest.raises(ValueError, match="got 0 explanations for 1"):
        mixed_patterns(denoiser, [np.ones((2, 2))], explanations=[])
    other = CamDenoiser.from_pretrained(method="layercam")
    with pytest.raises(ValueError, match="explains one class"):
        mixed_patterns(other, [np.ones((2, 2))])
