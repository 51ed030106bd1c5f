"""Lots as a whole: rows of wafers, what the yield is lost to, and the test of randomness."""

import numpy as np
import pandas as pd
import pytest

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import ComponentSizeFilter
from camdenoise.lots import lot_summary, yield_loss

FILTER = ComponentSizeFilter(min_size=3, on_error="keep")


def test_lot_summary_row_describes_the_wafer():
    wafer = np.ones((9, 9), np.uint8)
    wafer[0, 0] = 0
    wafer[4, 7:9] = wafer[5, 8] = 2
    wafer[1, 1] = 2
    (row,) = lot_summary(FILTER, [wafer]).to_dict("records")
    assert (row["n_dies"], row["n_fails"], row["n_kept"], row["n_removed"]) == (80, 4, 3, 1)
    assert row["yield"] == 76 / 80 and row["pattern_area"] == 3 / 80
    # Right of the center, a little below: 90 degrees and some.
    assert 90 < row["angle"] < 110 and row["radius"] == pytest.approx(0.82, abs=0.02)
    assert row["sector"] == 2 and row["ring"] in (6, 7)
    assert row["p_random"] < 0.05 and pd.isna(row["entropy"]) and row["error"] is None


@pytest.mark.parametrize(("turns", "angle", "sector"), [(0, 0, 0), (3, 90, 2), (2, 180, 4)])
def test_lot_summary_angles_are_clockwise_from_row_0(turns, angle, sector):
    wafer = np.ones((11, 11), np.uint8)
    wafer[0, 4:7] = 2
    (row,) = lot_summary(FILTER, [np.rot90(wafer, turns)]).to_dict("records")
    assert row["angle"] % 360 == pytest.approx(angle, abs=1e-6) and row["sector"] == sector


def test_lot_summary_bad_map_costs_only_its_row():
    maps = [np.full((3, 3), 2), np.array([[7]]), np.zeros((2, 2), int)]
    keys = pd.DataFrame({"lot": "A", "slot": [4, 5, 6]}, index=[9, 9, 9])
    table = lot_summary(FILTER, maps, keys=keys)
    assert table["slot"].tolist() == [4, 5, 6] and table.index.tolist() == [0, 1, 2]
    assert "value 7" in table["error"][1] and table["error"].isna().tolist() == [True, False, True]
    assert pd.isna(table["n_dies"][1]) and pd.isna(table["yield"][2])
    assert yield_loss(table).loc["all", "loss"] == 1
    with pytest.raises(ValueError, match="keys has 2 rows for 3"):
        lot_summary(FILTER, maps, keys=keys[:2])
    # What an earlier run decided is decided anew.
    again = lot_summary(FILTER, maps, keys=keys.assign(predicted="Loc", n_kept=-1))
    pd.testing.assert_frame_equal(again, table)
    with pytest.raises(ValueError, match="No wafer of the summary"):
        yield_loss(table[1:2])


def test_lot_summary_has_classes_and_probabilities():
    wafers = make_wafer_maps(8, classes=["Edge-Ring", "none"], random_state=0)
    denoiser = CamDenoiser.from_pretrained()
    why = denoiser.explain(wafers.maps)
    table = lot_summary(denoiser, wafers.maps, explanations=why)
    assert table["predicted"].tolist() == [e.label for e in why]
    assert table["probability"].tolist() == [e.probability for e in why]
    probability = denoiser.estimator_.predict_proba(wafers.maps)
    bits = -(probability * np.log2(np.maximum(probability, 1e-300))).sum(axis=1)
    np.testing.assert_allclose(table["entropy"], bits, atol=1e-9)
    undecided = table["abstained"].to_numpy(bool)
    assert table.loc[undecided, "radius"].isna().all() and undecided.any() and not undecided.all()
