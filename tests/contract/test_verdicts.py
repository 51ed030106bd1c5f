"""One verdict for each wafer: on wafers drawn by hand, and the same in all results."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from camdenoise import CamDenoiser
from camdenoise.lots import lot_summary, pattern_loss, yield_loss
from camdenoise.stream import classify_batches, denoise_batches, wafer_batch
from camdenoise.wafers._verdict import CLAIMS, VERDICTS


def drawn(where, n_random=25, side=40, seed=0):
    """A round wafer that fails where told, and at some random dies."""
    y, x = np.meshgrid(*[(np.arange(side) + 0.5) * 2 / side - 1] * 2, indexing="ij")
    radius, rng = np.hypot(x, y), np.random.default_rng(seed)
    grid = np.where(radius <= 1, 1, 0).astype(np.uint8)
    dies = np.flatnonzero(grid)
    grid.flat[rng.choice(dies, n_random, replace=False)] = 2
    grid[(grid > 0) & where(x, y, radius)] = 2
    return grid


def nowhere(x, y, radius):
    return np.zeros(x.shape, bool)


def ring_and_center(x, y, radius):
    return (radius > 0.85) | (radius < 0.2)


@pytest.fixture(scope="module")
def denoiser():
    return CamDenoiser.from_pretrained()


def verdict_of(denoiser, grid):
    return denoiser.explain([grid])[0]


def test_ring_with_a_center_is_claimed(denoiser):
    grid = drawn(ring_and_center)
    why = verdict_of(denoiser, grid)
    assert why.verdict in CLAIMS and not why.abstained
    assert set(why.patterns) == {"Edge-Ring", "Center"}
    wanted = drawn(ring_and_center, n_random=0) == 2
    assert (why.kept & wanted).sum() > 0.95 * wanted.sum()
    assert (why.removed & ~wanted).sum() > 0.7 * ((grid == 2) & ~wanted).sum()


@pytest.mark.parametrize("n_random", [0, 5, 40])
def test_random_fails_are_none(denoiser, n_random):
    why = verdict_of(denoiser, drawn(nowhere, n_random))
    assert why.verdict == "none" and not why.claims_pattern
    assert why.random.sum() == n_random


def test_fails_everywhere_are_everywhere(denoiser):
    assert verdict_of(denoiser, drawn(lambda x, y, r: r < 2)).verdict == "everywhere"


def test_half_of_a_ring_in_a_half_wafer_is_partial(denoiser):
    grid = drawn(lambda x, y, radius: radius > 0.85)
    grid[:21] = 0
    assert verdict_of(denoiser, grid).verdict == "partial"


@pytest.mark.parametrize(
    "where",
    [
        lambda x, y, r: x < 0,
        lambda x, y, r: np.round(20 * y) % 4 == 0,
        lambda x, y, r: (np.round(20 * y) % 4 == 0) & (np.round(20 * x) % 4 == 0),
        lambda x, y, r: (abs(x - 0.3) < 0.06) & (abs(y) < 0.04),
    ],
    ids=["half wafer", "stripes", "reticle", "a few dies"],
)
def test_any_verdict_divides_the_fails(denoiser, where):
    grid = drawn(where)
    why = verdict_of(denoiser, grid)
    assert why.verdict in VERDICTS
    assert ((why.kept | why.removed) == (grid == 2)).all() and not (why.kept & why.removed).any()
    of_patterns = sum(mask.sum() for mask in why.patterns.values())
    assert of_patterns == (why.kept.sum() if why.claims_pattern else 0)


def test_all_results_say_the_same_of_real_wafers(denoiser, mini_wafers):
    maps = list(mini_wafers.maps)
    explained = denoiser.explain(maps)
    said = pd.DataFrame(
        {"verdict": [e.verdict for e in explained], "predicted": [e.label for e in explained]}
    )
    batch = wafer_batch(maps)
    for made in (denoise_batches([batch], denoiser), classify_batches([batch], denoiser)):
        table = pa.Table.from_batches(list(made)).to_pandas()
        assert (table[["verdict", "predicted"]] == said).all(axis=None)
    summary = lot_summary(denoiser, maps[:120], explanations=explained[:120])
    assert (summary[["verdict", "predicted"]] == said[:120]).all(axis=None)
    loss = yield_loss(summary)["n_dies"]
    assert loss.drop("all").sum() == loss["all"] == sum((m == 2).sum() for m in maps[:120])
    assert pattern_loss(summary)["n_dies"].sum() == loss["systematic"]
