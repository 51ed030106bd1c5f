"""Lots as a whole: rows of wafers, what the yield is lost to, and the test of randomness."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from camdenoise import CamDenoiser, WaferMapError
from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import ComponentSizeFilter
from camdenoise.lots import lot_summary, spatial_randomness_test, yield_loss

GRIDS = st.tuples(st.integers(1, 7), st.integers(1, 7)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 2))
)
FILTER = ComponentSizeFilter(min_size=3, on_error="keep")


def random_wafer(rng, n_fails=40):
    wafer = np.ones((20, 20), np.uint8)
    wafer[np.hypot(*np.meshgrid(*[np.arange(20) - 9.5] * 2)) > 10] = 0
    wafer[tuple(rng.permutation(np.argwhere(wafer == 1))[:n_fails].T)] = 2
    return wafer


@given(GRIDS)
@settings(max_examples=40, deadline=None)
def test_touching_pairs_are_counted_once(wafer):
    at = np.argwhere(wafer == 2)
    apart = np.abs(at[:, None] - at[None]).max(axis=2)
    found = spatial_randomness_test(wafer, n_permutations=9)
    assert found.statistic == (apart == 1).sum() / 2
    assert 0.1 <= found.p_value <= 1


def test_p_values_are_as_rare_as_they_say_where_fails_are_random():
    rng = np.random.default_rng(0)
    p = [spatial_randomness_test(random_wafer(rng), n_permutations=99).p_value for _ in range(400)]
    for share in (0.05, 0.1, 0.25, 0.5):
        found, error = np.mean(np.array(p) <= share), np.sqrt(share * (1 - share) / 400)
        # Counts tie, so p-values are rather too large; one value of the count has some 8 %.
        assert share - 0.08 - 3 * error < found < share + 3 * error
    assert np.mean(np.array(p) <= 0.05) > 0.01


def test_a_cluster_is_found_and_what_cannot_be_random_is_not():
    wafer = random_wafer(np.random.default_rng(1))
    wafer[8:12, 8:12] = 2
    found = spatial_randomness_test(wafer)
    assert found.p_value == 0.001 and found.expected < found.statistic
    assert found == spatial_randomness_test(wafer)
    for nothing in (np.ones((5, 5)), np.full((5, 5), 2), np.zeros((3, 3)), [[2]], [[1]]):
        assert spatial_randomness_test(nothing, n_permutations=19).p_value == 1
    with pytest.raises(WaferMapError, match="value 7"):
        spatial_randomness_test([[7]])
    with pytest.raises(ValueError, match="at least 1"):
        spatial_randomness_test([[1]], n_permutations=0)


def test_a_row_says_what_there_is():
    wafer = np.ones((9, 9), np.uint8)
    wafer[0, 0] = 0
    wafer[4, 7:9] = wafer[5, 8] = 2
    wafer[1, 1] = 2
    (row,) = lot_summary(FILTER, [wafer]).to_dict("records")
    assert (row["n_dies"], row["n_fails"], row["n_kept"], row["n_removed"]) == (80, 4, 3, 1)
    assert row["yield"] == 76 / 80 and row["pattern_area"] == 3 / 80
    # Right of the centre, a little below: 90 degrees and some.
    assert 90 < row["angle"] < 110 and row["radius"] == pytest.approx(0.82, abs=0.02)
    assert row["sector"] == 2 and row["ring"] in (6, 7)
    assert row["p_random"] < 0.05 and pd.isna(row["entropy"]) and row["error"] is None


@pytest.mark.parametrize(("turns", "angle", "sector"), [(0, 0, 0), (3, 90, 2), (2, 180, 4)])
def test_angles_go_clockwise_from_row_0(turns, angle, sector):
    wafer = np.ones((11, 11), np.uint8)
    wafer[0, 4:7] = 2
    (row,) = lot_summary(FILTER, [np.rot90(wafer, turns)]).to_dict("records")
    assert row["angle"] % 360 == pytest.approx(angle, abs=1e-6) and row["sector"] == sector


def test_one_bad_map_costs_its_own_row():
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


def test_classes_and_how_sure_they_are():
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


def test_the_loss_adds_up():
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


def test_dies_without_coordinates_count_in_yield_and_loss():
    maps = [np.array([[1, 2], [1, 1]], np.uint8)]
    keys = pd.DataFrame({"n_unplaced": [4], "n_unplaced_fails": [3]})
    table = lot_summary(FILTER, maps, keys=keys)
    assert table["yield"].tolist() == [0.5] and table["n_dies"].tolist() == [4]
    loss = yield_loss(table)
    assert loss.loc["unplaced", "n_dies"] == 3 and loss.loc["all", "loss"] == 0.5
    # One wafer tells nothing of how wafers differ.
    assert loss[["low", "high"]].isna().all(axis=None)
