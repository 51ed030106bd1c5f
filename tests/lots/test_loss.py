"""What the yield of a lot is lost to."""

import numpy as np
import pandas as pd
import pytest

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import ComponentSizeFilter
from camdenoise.lots import lot_summary, yield_loss

FILTER = ComponentSizeFilter(min_size=3, on_error="keep")


def test_yield_loss_adds_up():
    wafers = make_wafer_maps(25, random_state=0)
    table = lot_summary(CamDenoiser.from_pretrained(), wafers.maps)
    loss = yield_loss(table)
    parts = loss.loc[["systematic", "random", "undecided", "unplaced"]]
    assert parts["n_dies"].sum() == loss.loc["all", "n_dies"] == table["n_fails"].sum()
    assert loss.loc["all", "loss"] == pytest.approx(table["n_fails"].sum() / table["n_dies"].sum())
    undecided = table["abstained"].to_numpy(bool)
    assert loss.loc["undecided", "n_dies"] == table["n_fails"][undecided].sum()
    some = loss.drop(index="unplaced")
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
