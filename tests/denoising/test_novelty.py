"""Wafers unlike all known ones: the rate that is asked for, and nothing decided about them."""

import pickle

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from camdenoise import CamDenoiser, load_model, save_model
from camdenoise.datasets import PATTERN_CLASSES, make_wafer_maps
from camdenoise.denoising._novelty import FEWEST_KNOWN, NoveltyDetector, choose_known
from camdenoise.lots import lot_summary
from camdenoise.report import lot_report
from camdenoise.stream import denoise_batches, wafer_batch


def features(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 5)) * [1, 2, 3, 0.1, 0] + 4


def test_novelty_distance_is_to_tenth_nearest_wafer():
    known, new = features(300), features(20, seed=1)
    novelty = NoveltyDetector(0.1).fit(known)
    rounded = known.astype(np.float16).astype(float)
    unit = np.where(rounded.std(axis=0) > 0, rounded.std(axis=0), 1)
    expected = np.sort(cdist(new / unit, rounded / unit))[:, 9]
    np.testing.assert_allclose(novelty.score_samples(new), expected, rtol=1e-3)
    among = np.sort(cdist(rounded / unit, rounded / unit))[:, 10]
    np.testing.assert_allclose(novelty.distances_, np.sort(among), rtol=1e-3)


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5])
def test_novelty_rate_holds_on_new_wafers(rate):
    novelty = NoveltyDetector(rate).fit(features(1500))
    assert novelty.predict(features(4000, seed=1)).mean() == pytest.approx(rate, abs=0.02)
    again = NoveltyDetector.from_references(0.0, novelty.references_, novelty.distances_)
    assert again.predict(features(50) + 30).all()


def test_choose_known_includes_rare_classes():
    labels = np.repeat([*PATTERN_CLASSES, "none", "Random"], [9000, 300, 2000, 9000, 90, 0, 50, 50])
    rows = choose_known(labels, PATTERN_CLASSES)
    names, counts = np.unique(labels[rows], return_counts=True)
    assert len(set(rows)) == len(rows) and set(names) <= set(PATTERN_CLASSES)
    wanted = [max(100, 1000 * n / 20390) for n in (9000, 300, 2000, 9000, 90)]
    found = dict(zip(names.tolist(), counts.tolist(), strict=True))
    expected = dict(zip(PATTERN_CLASSES, [*wanted[:4], 90], strict=False))
    assert found == pytest.approx(expected, abs=0.51)
    assert len(choose_known(np.array(["none"] * 9), PATTERN_CLASSES)) == 0


def barred(n=6):
    """Wafers of which two of every six columns fail, which the bundled net calls Scratch."""
    maps = make_wafer_maps(n, classes=["none"], shapes=[(60, 60)], random_state=0).maps
    for grid in maps:
        bars = grid[:, np.arange(60) % 6 < 2]
        grid[:, np.arange(60) % 6 < 2] = np.where(bars == 1, 2, bars)
    return maps


@pytest.fixture(scope="module")
def denoiser():
    return CamDenoiser.from_pretrained("wm811k")


def test_novel_wafers_are_decided_as_unknown(denoiser):
    maps = barred()
    explained = denoiser.explain(maps)
    assert sum(why.verdict == "unknown pattern" for why in explained) >= len(maps) / 2
    known = CamDenoiser.from_pretrained("wm811k", novelty_rate=None).explain(maps)
    for why, same in zip(explained, known, strict=True):
        np.testing.assert_array_equal(why.kept, same.kept)
        assert (why.novelty > 1) == why.novel


@pytest.mark.parametrize("how", [{"novelty_rate": None}, {"false_alarm_rate": None}])
def test_novelty_is_off_by_default(how):
    told = CamDenoiser.from_pretrained("wm811k", **how).explain(barred())
    assert not any(why.novel for why in told) and any(why.removed.any() for why in told)


def test_given_targets_are_explained_despite_novelty(denoiser):
    maps = barred()
    assert not any(why.novel for why in denoiser.explain(maps, ["Scratch"] * len(maps)))


def test_known_patterns_are_not_novel(denoiser):
    wafers = make_wafer_maps(60, classes=["Center", "Edge-Ring", "Donut"], random_state=0)
    assert np.mean([why.novel for why in denoiser.explain(wafers.maps)]) <= 0.1


def test_higher_novelty_rate_finds_more(denoiser):
    maps = make_wafer_maps(80, random_state=1).maps
    shares = [
        np.mean([why.novel for why in CamDenoiser.from_pretrained(novelty_rate=r).explain(maps)])
        for r in (0.0, 0.02, 0.3, 1.0)
    ]
    assert shares == sorted(shares) and shares[0] < shares[-1]


def test_novelty_reaches_stream_lots_and_report(denoiser):
    maps = barred()
    novel = [why.novel for why in denoiser.explain(maps)]
    assert any(novel)
    (batch,) = denoise_batches([wafer_batch(maps)], denoiser)
    unknown = ["unknown pattern" if each else None for each in novel]
    for table in (batch.to_pandas(), lot_summary(denoiser, maps)):
        assert [v if v == "unknown pattern" else None for v in table["verdict"]] == unknown
    page = lot_report(denoiser, maps)
    assert "unknown pattern" in page and "unlike the known ones" in page


def test_fit_stores_reference_wafers_of_known_classes(tmp_path):
    wafers = make_wafer_maps(
        300, classes=["none", "Center", "Edge-Ring"], shapes=[(24, 24)], random_state=0
    )
    bundled = CamDenoiser.from_pretrained()
    denoiser = CamDenoiser(bundled.estimator, novelty_rate=0.05, random_state=0)
    assert denoiser.fit(wafers.maps).calibration_.references is None  # no labels, no known patterns
    few = np.r_[:60]
    denoiser.fit([wafers.maps[row] for row in few], wafers.target[few])
    assert (
        denoiser.calibration_.references is None
        or len(denoiser.calibration_.distances) >= FEWEST_KNOWN
    )
    denoiser.fit(wafers.maps, wafers.target)
    known = denoiser.calibration_
    assert len(known.distances) >= 200 and (np.diff(known.distances) >= 0).all()
    novel = [why.novel for why in denoiser.explain(wafers.maps)]
    assert np.mean(novel) <= 0.1
    save_model(denoiser, tmp_path / "m")
    for again in (load_model(tmp_path / "m"), pickle.loads(pickle.dumps(denoiser))):
        np.testing.assert_array_equal(again.calibration_.references, known.references)
        np.testing.assert_array_equal(again.calibration_.distances, known.distances)
        assert [why.novel for why in again.explain(wafers.maps)] == novel
    assert load_model(tmp_path / "m", novelty_rate=None).novelty_rate is None
