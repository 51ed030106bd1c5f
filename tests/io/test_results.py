import gzip

import numpy as np
import pandas as pd
import pytest

from camdenoise.filters import ComponentSizeFilter
from camdenoise.io import (
    OVERLAY_BINS,
    from_die_table,
    iter_lots,
    pattern_overlay,
    to_die_table,
    wafer_results,
    write_results,
)
from camdenoise.wafers._explanation import Explanation, abstain, build_explanation


def lot_table(lot="A", seed=0):
    rng = np.random.default_rng(seed)
    x, y, wafer = (axis.ravel() for axis in np.meshgrid(np.arange(12), np.arange(10), [1, 2, 3]))
    bins = rng.choice([1, 1, 1, 5], len(x))
    return pd.DataFrame({"lot": lot, "wafer": wafer, "x": x, "y": y, "bin": bins})


def denoised(table):
    wafers = from_die_table(table)
    return wafers, ComponentSizeFilter(min_size=3).explain(wafers.maps)


def unread():
    nothing = np.zeros((0, 0), bool)
    return Explanation(nothing, nothing, nothing, error="no map", abstained=True)


def test_wafer_results_have_one_row_per_wafer():
    wafers, why = denoised(lot_table())
    results = wafer_results(wafers, [*why[:2], unread()])
    assert results["wafer"].tolist() == [1, 2, 3]
    assert results["n_kept"].tolist() == [int(w.kept.sum()) for w in why[:2]] + [0]
    sums = results["n_kept"] + results["n_removed"]
    assert sums[:2].tolist() == results["n_fails"][:2].tolist()
    assert results["error"].fillna("").tolist() == ["", "", "no map"]
    assert results["abstained"].tolist() == [False, False, True]


def test_wafer_results_list_labels_and_probabilities():
    wafers = from_die_table(lot_table())
    grid = wafers.maps[0]
    why = build_explanation(grid, grid > 0, np.zeros(grid.shape), label="Loc", probability=0.75)
    results = wafer_results(wafers, [why] * 3)
    assert results["predicted"].tolist() == ["Loc"] * 3
    assert results["probability"].tolist() == [0.75] * 3
    with pytest.raises(ValueError, match="got 1 explanations for 3 wafers"):
        wafer_results(wafers, [why])


def test_overlay_shows_every_die_and_decision():
    wafers, why = denoised(lot_table())
    overlay = pattern_overlay(wafers, [*why[:2], unread()])
    assert overlay.columns.tolist() == ["lot", "wafer", "x", "y", "bin", "passed"]
    n = overlay.groupby("wafer")["bin"].value_counts().unstack(fill_value=0)
    assert n.loc["1", [2, 3]].tolist() == [why[0].kept.sum(), why[0].removed.sum()]
    n_fails = wafers.frame["n_fails"][2]
    assert n.loc["3"].tolist() == [120 - n_fails, 0, 0, n_fails]
    assert set(overlay["bin"]) == set(OVERLAY_BINS)
    assert (overlay["passed"] == (overlay["bin"] == 1)).all()


@pytest.mark.parametrize(("verdict", "code"), [("none", 3), ("unsure", 4), ("partial", 4)])
def test_overlay_shows_no_pattern_that_is_not_claimed(verdict, code):
    wafers = from_die_table(lot_table())
    why = [abstain(grid, verdict=verdict) for grid in wafers.maps]
    overlay = pattern_overlay(wafers, why)
    assert set(overlay["bin"]) == {1, code}
    assert (overlay["bin"] == code).sum() == sum((grid == 2).sum() for grid in wafers.maps)


def read_back(path):
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


@pytest.fixture(params=["r.parquet", "r.csv", "r.csv.gz"])
def file(request, tmp_path):
    return tmp_path / request.param


def test_written_table_is_read_back(file):
    table = lot_table()
    wafers, why = denoised(table)
    results = to_die_table(wafers, why, table)
    write_results(file, results)
    pd.testing.assert_frame_equal(read_back(file), results, check_dtype=file.suffix == ".parquet")


def test_pieces_are_written_in_order(file):
    pieces = [lot_table(lot, seed) for seed, lot in enumerate("ABC")]
    write_results(file, iter(pieces))
    pd.testing.assert_frame_equal(read_back(file), pd.concat(pieces, ignore_index=True))


def test_same_results_give_the_same_file(file):
    write_results(file, lot_table())
    first = file.read_bytes()
    write_results(file, lot_table())
    assert file.read_bytes() == first


@pytest.mark.parametrize("bad", [lot_table().drop(columns="bin"), 1 / 2])
def test_failed_write_keeps_the_old_file(file, bad):
    file.write_bytes(b"old")
    with pytest.raises((ValueError, AttributeError)):
        write_results(file, [lot_table(), bad])
    assert file.read_bytes() == b"old" and list(file.parent.iterdir()) == [file]


def test_pieces_must_have_the_same_columns(file):
    with pytest.raises(ValueError, match="a piece has the columns .*, the first one had"):
        write_results(file, [lot_table(), lot_table().drop(columns="bin")])


def test_later_pieces_may_add_categories_and_errors(tmp_path):
    pieces = [
        pd.DataFrame({"lot": pd.Categorical([f"{n}-{i}" for i in range(200)]), "error": error})
        for n, error in enumerate([None, "no map"])
    ]
    write_results(tmp_path / "r.parquet", pieces)
    back = pd.read_parquet(tmp_path / "r.parquet")
    assert back["lot"].astype(str).tolist() == [name for p in pieces for name in p["lot"]]
    assert back["error"].notna().sum() == 200


def test_parquet_pieces_of_other_types_are_named(tmp_path):
    pieces = [pd.DataFrame({"n": [1]}), pd.DataFrame({"n": ["one"]})]
    with pytest.raises(ValueError, match="a piece has other types of columns than the first"):
        write_results(tmp_path / "r.parquet", pieces)


def test_unknown_suffix_or_no_pieces_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"results are written to \['.parquet', '.csv', '.csv.gz'"):
        write_results(tmp_path / "r.xlsx", lot_table())
    with pytest.raises(ValueError, match="there is no table to write"):
        write_results(tmp_path / "r.csv", [])
    assert list(tmp_path.iterdir()) == []


def test_csv_gz_suffix_writes_gzip(tmp_path):
    write_results(tmp_path / "r.csv.gz", lot_table())
    assert gzip.decompress((tmp_path / "r.csv.gz").read_bytes()).startswith(b"lot,wafer,x,y,bin\n")


def test_lots_are_read_denoised_and_written_in_turn(tmp_path):
    tables = [lot_table(lot, seed) for seed, lot in enumerate("ABCD")]
    write_results(tmp_path / "dies.parquet", tables)

    def annotated():
        for lots in iter_lots(tmp_path / "dies.parquet", min_rows=100):
            wafers, why = denoised(lots)
            yield to_die_table(wafers, why, lots)

    write_results(tmp_path / "out.parquet", annotated())
    expected = [to_die_table(*denoised(table), table) for table in tables]
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "out.parquet"), pd.concat(expected, ignore_index=True)
    )
