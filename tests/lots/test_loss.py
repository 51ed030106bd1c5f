"""What the yield of a lot is lost to."""

import numpy as np
import pandas as pd
import pytest

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import ComponentSizeFilter
from camdenoise.lots import lot_summary, pattern_loss, yield_loss

FILTER = ComponentSizeFilter(min_size=3, on_error="keep")


def test_yield_loss_adds_up():
    wafers = make_wafer_maps(25, random_state=0)
    table = lot_summary(CamDenoiser.from_pretrained(), wafers.maps)
    loss = yield_loss(table)
    parts = loss.drop(index="all")
    assert parts["n_dies"].sum() == loss.loc["all", "n_dies"] == table["n_fails"].sum()
    assert loss.loc["all", "loss"] == pytest.approx(table["n_fails"].sum() / table["n_dies"].sum())
    none, everywhere = table["verdict"] == "none", table["verdict"] == "everywhere"
    of_none = table["n_fails"][none].sum()
    assert loss.loc["random", "n_dies"] == table["n_removed"].sum() + of_none
    assert loss.loc["whole-wafer", "n_dies"] == table["n_fails"][everywhere].sum() > 0
    of_patterns = pattern_loss(table)
    assert of_patterns["n_dies"].sum() == loss.loc["systematic", "n_dies"]
    some = loss[loss["n_dies"] > 0]
    assert (some["low"] < some["loss"]).all() and (some["loss"] < some["high"]).all()
    assert loss.equals(yield_loss(table))


def test_dies_without_coordinates_count_in_loss():
    maps = [np.array([[1, 2], [1, 1]], np.uint8)]
    keys = pd.DataFrame({"n_unplaced": [4], "n_unplaced_fails": [3]})
    table = lot_summary(FILTER, maps, keys=keys)
    assert table["yield"].tolist() == [0.5] and table["n_dies"].tolist() == [4]
    loss = yield_loss(table)
    assert loss.loc["unplaced", "n_dies"] == 3 and loss.loc["all", "loss"] == 0.5
    # One wafer tells nothing of how wafers differ.
    assert loss[["low", "high"]].isna().all(axis=None)


SUMMARY = pd.DataFrame(
    {
        "verdict": ["pattern", "mixed", "unknown pattern", "everywhere", "none", "unsure"]
        + ["partial", None, None, "error"],
        "n_dies": [100] * 9 + [np.nan],
        "n_kept": [8, 12, 9, 60, 4, 5, 6, 7, 3, np.nan],
        "n_removed": [2, 1, 1, 0, 0, 0, 0, 1, 0, np.nan],
        "patterns": ['{"Loc": 8}', '{"Edge-Ring": 10, "Loc": 2}'] + [None] * 8,
        "abstained": [False] * 3 + [True] * 4 + [False, True, None],
        "error": [None] * 9 + ["value 7"],
    }
)


def test_every_fail_is_in_one_part_by_hand():
    loss = yield_loss(SUMMARY)["n_dies"]
    assert loss.to_dict() == {
        "systematic": 8 + 12 + 9 + 7, "random": 2 + 1 + 1 + 1 + 4, "whole-wafer": 60,
        "unsure": 5 + 3, "partial": 6, "unplaced": 0, "all": 119,
    }  # fmt: skip
    assert yield_loss(SUMMARY).loc["all", "loss"] == 119 / 900


def test_patterns_share_the_systematic_loss_by_hand():
    found = pattern_loss(SUMMARY)
    assert found["n_dies"].to_dict() == {
        "Loc": 10, "Edge-Ring": 10, "unknown pattern": 9, "no class": 7
    }  # fmt: skip
    assert found["n_wafers"].to_dict() == {
        "Loc": 2, "Edge-Ring": 1, "unknown pattern": 1, "no class": 1
    }  # fmt: skip


def test_lot_without_a_pattern_has_no_pattern_loss():
    assert pattern_loss(SUMMARY[4:6]).empty
