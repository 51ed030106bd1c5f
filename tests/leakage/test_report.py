"""Leakage controls: what their masks know, who has seen what, and what the report concludes."""

import numpy as np
import pytest
from leakage_stubs import PixelClassifier, StampingDenoiser, predictions, two_sided_wafers
from sklearn.model_selection import ShuffleSplit

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.filters import ComponentSizeFilter
from camdenoise.leakage import (
    CONTROLS,
    DENOISED,
    RAW,
    leakage_report,
    leakage_summary,
)


@pytest.fixture(scope="module")
def leak():
    maps, target = two_sided_wafers()
    return leakage_report(PixelClassifier(), StampingDenoiser(), maps, target, cv=3, random_state=0)


@pytest.fixture(scope="module")
def summary_of_leak(leak):
    return leak.summary().set_index("condition")


@pytest.fixture(scope="module")
def honest():
    maps, target = two_sided_wafers()
    return leakage_report(
        PixelClassifier(), ComponentSizeFilter(7), maps, target, cv=3, random_state=0
    )


def test_leak_is_reported(summary_of_leak):
    summary = summary_of_leak
    assert summary.loc[DENOISED, "gain_low"] > 0.05
    verdict = summary.loc[DENOISED, "verdict"]
    assert "class mean" in verdict and verdict.endswith("It may be leakage")
    assert summary.loc["class mean", "verdict"].endswith("stamps the prediction on the wafer")
    # Of two classes, the wrong one tells the right one.
    assert "wrong class" in verdict and "equal area" not in verdict


def test_honest_denoising_is_not_reported_as_leak(honest):
    summary = honest.summary().set_index("condition")
    verdict = summary.loc[DENOISED, "verdict"]
    assert verdict.startswith("a gain larger than that of every mask made without")
    assert "leak" not in verdict
    # What needs classes or a net is left out for a filter.
    assert summary.index.tolist() == [
        RAW, DENOISED, "class mean", "equal area", "random disc", "mask alone"
    ]  # fmt: skip


def test_report_rows_hold_accuracies_and_controls(leak):
    names = [RAW, DENOISED, *(name for name in CONTROLS if CONTROLS[name].needs != "net")]
    folds = leak.folds()
    assert folds["condition"].tolist() == names * 3 and folds["fold"].nunique() == 3
    predictions = leak.predictions
    for name, of_condition in predictions.groupby("condition"):
        assert sorted(of_condition["wafer"]) == list(range(300))
        part = of_condition[of_condition["fold"] == 1]
        right = [a == b for a, b in zip(part["label"], part["predicted"], strict=True)]
        row = folds[(folds["fold"] == 1) & (folds["condition"] == name)].iloc[0]
        assert row["accuracy"] == pytest.approx(sum(right) / len(right))
        assert row["n_wafers"] == len(part)
    _, target = two_sided_wafers()
    assert (predictions["label"] == target[predictions["wafer"]]).all()
    marked = predictions.pivot(index="wafer", columns="condition", values="marked")
    assert (marked["equal area"] == marked[DENOISED]).all()
    assert (marked[DENOISED] < marked[RAW]).any()


def test_report_differences_are_paired(leak, summary_of_leak):
    right = leak.predictions.assign(right=lambda p: p["label"] == p["predicted"])
    by_wafer = right.pivot(index="wafer", columns="condition", values="right").astype(float)
    for name, row in summary_of_leak.drop(RAW).iterrows():
        gain = by_wafer[name] - by_wafer[RAW]
        assert row["gain"] == pytest.approx(gain.mean())
        standard_error = gain.std() / np.sqrt(len(gain))
        width = 2 * 1.96 * standard_error
        assert row["gain_high"] - row["gain_low"] == pytest.approx(width, rel=0.15)
        if name != DENOISED:
            assert row["short"] == pytest.approx((by_wafer[DENOISED] - by_wafer[name]).mean())


def test_control_draws_ignore_the_other_controls(leak):
    maps, target = two_sided_wafers()
    alone = leakage_report(
        PixelClassifier(), StampingDenoiser(), maps, target,
        cv=3, controls=["random disc"], random_state=0,
    )  # fmt: skip
    accuracy = [
        report.folds().query("condition == 'random disc'")["accuracy"].tolist()
        for report in (leak, alone)
    ]
    assert accuracy[0] == accuracy[1]


def test_impossible_report_is_refused_early(wafers, monkeypatch):
    def report(denoiser, **options):
        monkeypatch.setattr(WaferClassifier, "fit", None)
        monkeypatch.setattr(CamDenoiser, "fit", None)
        leakage_report(WaferClassifier(), denoiser, wafers.maps, wafers.target, **options)

    with pytest.raises(ValueError, match="Unknown control 'no such'; choose from true class"):
        report(CamDenoiser(), controls=["no such"])
    with pytest.raises(ValueError, match="'wrong class' is not possible for ComponentSizeFilter"):
        report(ComponentSizeFilter(), controls=["wrong class"])
    with pytest.raises(ValueError, match="'wafer_resnet' is that of the classifier"):
        report(CamDenoiser(), independent_backbone="wafer_resnet")
    with pytest.raises(ValueError, match="'wafer_unet' is that of the denoiser"):
        report(CamDenoiser(), independent_backbone="wafer_unet")
    with pytest.raises(ValueError, match="groups has 3 entries for 120 wafer maps"):
        report(CamDenoiser(), groups=[1, 2, 3])
    with pytest.raises(ValueError, match="in no test fold; use a splitter that tests every wafer"):
        report(CamDenoiser(cv=ShuffleSplit(1, random_state=0)))
    with pytest.raises(ValueError, match="y has one class only, 'Center'"):
        leakage_report(PixelClassifier(), StampingDenoiser(), wafers.maps[:9], ["Center"] * 9, cv=3)
    rare = np.array(["Center"] * 110 + ["Loc"] * 5 + ["Scratch"] * 5)
    lots = np.arange(120) // 5  # all of Loc are in one lot
    with pytest.raises(ValueError, match="Class 'Loc' is missing from the training wafers of a"):
        leakage_report(WaferClassifier(), CamDenoiser(), wafers.maps, rare, groups=lots, cv=2)
    with pytest.raises(ValueError, match="the conditions are raw, equal area"):
        leakage_summary(predictions(raw=60, equal_area=90))
