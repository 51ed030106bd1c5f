import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camdenoise.filters import ComponentSizeFilter
from camdenoise.io import DieTableError, from_die_table, iter_lots, to_die_table
from camdenoise.wafers._explanation import Explanation, abstain, build_explanation
from camdenoise.wafers._maps import MAX_SIDE


def die_table(**columns):
    """Three dies of one wafer in a row: pass, fail, pass."""
    table = {"lot": "A", "wafer": "1", "x": [0, 1, 2], "y": [0, 0, 0], "bin": [1, 7, 1]}
    return pd.DataFrame(table | columns)


def test_dies_lie_at_their_coordinates():
    wafers = from_die_table(die_table(x=[-5, -3, -3], y=[10, 10, 11]))
    np.testing.assert_array_equal(wafers.maps[0], [[1, 0, 2], [0, 0, 1]])
    assert wafers.maps[0].dtype == np.uint8
    assert wafers.frame.loc[0, ["x0", "y0", "rows", "cols"]].tolist() == [-5, 10, 2, 3]


def test_wafer_frame_counts_dies_and_fails():
    table = die_table(x=[0, 1, 1], bin=[1, 7, 8])
    frame = from_die_table(table).frame
    assert frame.columns.tolist() == [
        *("lot", "wafer", "x0", "y0", "axes", "notch", "rows", "cols"),
        *("n_rows", "n_dies", "n_fails", "n_retests"),
    ]
    assert frame.loc[0, ["n_rows", "n_dies", "n_fails", "n_retests"]].tolist() == [3, 2, 1, 1]


def test_wafers_come_in_the_order_of_their_first_row():
    table = die_table(lot=["B", "A", "B"], wafer=[2, 1, 1])
    wafers = from_die_table(table, frame="wafer")
    assert wafers.frame[["lot", "wafer"]].to_numpy().tolist() == [["B", 2], ["A", 1], ["B", 1]]
    assert wafers.groups.tolist() == [0, 1, 0]
    assert [grid.tolist() for grid in wafers.maps] == [[[1]], [[2]], [[1]]]


def test_wafer_name_in_another_lot_is_another_wafer():
    assert len(from_die_table(die_table(lot=["A", "B", "C"])).maps) == 3


def test_columns_may_have_any_name():
    table = die_table().rename(columns={"x": "DIE_X", "y": 4, "bin": "HB", "wafer": "W"})
    wafers = from_die_table(table, x="DIE_X", y=4, bin="HB", by="W")
    assert wafers.maps[0].tolist() == [[1, 2, 1]]
    assert wafers.frame.columns[0] == "W" and wafers.groups.tolist() == [0]


def test_without_names_all_rows_are_one_wafer():
    assert len(from_die_table(die_table(wafer=[1, 2, 3]), by=()).maps) == 1


def test_table_is_not_changed():
    table = die_table()
    before = table.copy()
    wafers = from_die_table(table)
    to_die_table(wafers, [abstain(grid) for grid in wafers.maps], table)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    ("retest", "bins", "code", "used"),
    [
        ("last", [7, 1, 8], 2, 2),
        ("first", [1, 7, 8], 1, 0),
        ("best", [7, 1, 8], 1, 1),
        ("best", [7, 8, 9], 2, 2),
        ("worst", [1, 7, 1], 2, 1),
        ("worst", [1, 1, 1], 1, 2),
        ("last", [7, 1, None], 1, 1),
        ("first", [None, 7, 1], 2, 1),
        ("worst", [1, None, None], 1, 0),
    ],
)
def test_retest_policy_decides_which_row_counts(retest, bins, code, used):
    table = die_table(x=0, bin=bins)
    wafers = from_die_table(table, retest=retest, pass_bins=[1] if 1 in bins else [])
    assert wafers.maps[0].tolist() == [[code]]
    assert np.flatnonzero(to_die_table(wafers, table=table)["used"]).tolist() == [used]


def test_die_without_a_bin_is_not_a_die():
    table = die_table(bin=[1, None, None])
    wafers = from_die_table(table)
    assert wafers.maps[0].tolist() == [[1, 0, 0]]
    assert wafers.frame["n_dies"].tolist() == [1]


@pytest.mark.parametrize("dtype", ["int8", "uint64", "float32", "Int32", "Float64"])
def test_coordinates_may_have_any_number_type(dtype):
    assert from_die_table(die_table().astype({"x": dtype})).maps[0].tolist() == [[1, 2, 1]]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("x", [0.0, 5.5, 1.0], r"row 1: x is 5.5, which is not a die coordinate. Drop"),
        ("y", [0.0, 1.0, np.nan], "row 2: y is nan"),
        ("x", [0, -np.inf, 1], "row 1: x is -inf"),
        ("x", [0, 4294967295, 1], "row 1: x is 4294967295, which is not a die coordinate"),
        ("x", [0, 2**31, 2**40], r"row 1: x is 2147483648 \(and 1 more\)"),
        ("x", np.array([2**63, 0, 0], np.uint64), "row 0: x is 9223372036854775808"),
        ("x", [0, -32768, 1], r"row 1: x is -32768, far from the other dies.* missing value"),
        ("y", [2**31 - 1, 0, 1], "row 0: y is 2147483647, far from"),
        ("x", ["0", "1", "2"], r"column 'x' holds .*pd.to_numeric\(table\['x'\]\)"),
        ("x", [True, False, True], "column 'x' holds bool"),
        ("x", [1 + 2j, 0, 0], "column 'x' holds complex128"),
        ("lot", ["A", None, "A"], "row 1: lot is missing; fill it in"),
        ("wafer", [np.nan, 1, 2], "row 0: wafer is missing"),
    ],
)
def test_invalid_row_is_named(column, values, message):
    with pytest.raises(DieTableError, match=message):
        from_die_table(die_table(**{column: values}))


def test_missing_nullable_coordinate_is_named():
    x = pd.array([0, None, 2], dtype="Int64")
    with pytest.raises(DieTableError, match="row 1: x is nan"):
        from_die_table(die_table(x=x))


def test_row_error_names_the_index_label():
    table = die_table(x=[0, 1, 0.5]).set_index(pd.Index(["a", "b", "c"]))
    with pytest.raises(DieTableError, match=r"die table row 2 \(index 'c'\): x is 0.5") as caught:
        from_die_table(table)
    assert caught.value.row == 2
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        (die_table().drop(columns="lot"), {}, r"no column \['lot'\]; it has .*by="),
        (die_table().iloc[:0], {}, "the table has no rows"),
        (die_table(), {"retest": "newest"}, "retest must be one of"),
        (die_table(), {"frame": "reticle"}, "frame must be 'lot', 'wafer' or four"),
        (die_table(), {"frame": (0, 0, 0, 3)}, "frame must be"),
        (die_table(), {"frame": (0, 0, 2.5, 3)}, "frame must be"),
        (die_table(), {"pass_bins": ["A"]}, r"pass_bins is \['A'\], but the bins are numbers: 1 "),
        (die_table(bin=["01", "07", "01"]), {}, r"no die has bin 1, .* 01 \(2\), 07 \(1\)\. Name"),
        (die_table(bin=[0, 7, 0]), {}, r"no die has bin 1, .* 0 \(2\), 7 \(1\)\. Name"),
        (pd.concat([die_table(), die_table()[["x"]]], axis=1), {}, "several columns named"),
    ],
)
def test_unusable_table_or_option_is_named(table, options, message):
    with pytest.raises(ValueError, match=message):
        from_die_table(table, **options)


def test_from_die_table_refuses_other_objects():
    with pytest.raises(TypeError, match="expected a DataFrame with one row per die, got dict"):
        from_die_table({"x": [1]})


def test_frame_too_small_names_the_die_outside():
    with pytest.raises(DieTableError, match=r"row 2: the die at x = 2, y = 0 lies outside"):
        from_die_table(die_table(), frame=(0, 0, 1, 2))


def test_explicit_frame_sets_the_map_size():
    wafers = from_die_table(die_table(), frame=(-1, -1, 2, 5))
    assert wafers.maps[0].tolist() == [[0, 0, 0, 0, 0], [0, 1, 2, 1, 0]]


def test_maps_of_a_lot_can_be_stacked():
    table = die_table(lot=["A", "A", "B"], wafer=[1, 2, 1], x=[0, 3, 7])
    shapes = [grid.shape for grid in from_die_table(table, frame="lot").maps]
    assert shapes == [(1, 4), (1, 4), (1, 1)]


def test_map_size_is_limited_to_the_largest_side():
    assert from_die_table(die_table(x=[0, 1, MAX_SIDE - 1])).maps[0].shape == (1, MAX_SIDE)
    with pytest.raises(DieTableError, match=f"would be {MAX_SIDE + 1} dies long"):
        from_die_table(die_table(x=[0, 1, MAX_SIDE]))


def test_maps_too_large_for_memory_are_refused():
    wafer = np.repeat(np.arange(200), 2)
    corners = np.tile([0, MAX_SIDE - 1], 200)
    table = pd.DataFrame({"wafer": wafer, "x": corners, "y": corners, "bin": 1})
    with pytest.raises(ValueError, match="3355443200 cells.*iter_lots"):
        from_die_table(table, by="wafer")


# --- which dies pass ------------------------------------------------------------------------------


def test_pass_bins_match_values_of_the_table():
    table = die_table(bin=["A", "B", "C"])
    assert from_die_table(table, pass_bins=["B", "C"]).maps[0].tolist() == [[2, 1, 1]]
    assert from_die_table(table, pass_bins="C").maps[0].tolist() == [[2, 2, 1]]
    assert from_die_table(die_table(), pass_bins=7).maps[0].tolist() == [[2, 1, 2]]


def test_float_bins_match_integer_pass_bins():
    assert from_die_table(die_table(bin=[1.0, 2.0, np.nan])).maps[0].tolist() == [[1, 2, 0]]


def test_passed_column_decides_without_pass_bins():
    table = die_table(passed=[False, True, True])
    assert from_die_table(table).maps[0].tolist() == [[2, 1, 1]]
    assert from_die_table(table, pass_bins=1).maps[0].tolist() == [[1, 2, 1]]


def test_die_without_pass_or_fail_is_named():
    table = die_table(passed=pd.array([True, None, True], dtype="boolean"))
    with pytest.raises(DieTableError, match="row 1: whether bin 7 passes is not said.*pass_bins="):
        from_die_table(table)
    assert from_die_table(table, pass_bins=1).maps[0].tolist() == [[1, 2, 1]]


def test_untested_die_need_not_pass_or_fail():
    passed = pd.array([True, None, True], dtype="boolean")
    assert from_die_table(die_table(bin=[1, None, 1], passed=passed)).maps[0].tolist() == [
        [1, 0, 1]
    ]


def test_non_boolean_passed_column_is_refused():
    with pytest.raises(ValueError, match="column 'passed' holds .*, expected truth values"):
        from_die_table(die_table(passed=["P", "F", "P"]))


def test_categorical_lots_and_bins_are_read():
    table = die_table().astype({"lot": "category", "wafer": "category", "bin": "category"})
    assert from_die_table(table).maps[0].tolist() == [[1, 2, 1]]


# --- and back -------------------------------------------------------------------------------------


def test_to_die_table_keeps_rows_in_place():
    table = die_table(bin=[7, 7, 1], note=["a", "b", "c"]).set_index(pd.Index([30, 10, 20]))
    wafers = from_die_table(table)
    grid = wafers.maps[0]
    why = build_explanation(grid, np.array([[True, False, False]]), np.array([[0.9, 0.4, 0.1]]))
    back = to_die_table(wafers, [why], table)
    pd.testing.assert_frame_equal(back[table.columns], table)
    assert back["kept"].tolist() == [True, False, False]
    assert back["removed"].tolist() == [False, True, False]
    assert back["saliency"].tolist() == pytest.approx([0.9, 0.4, 0.1])
    assert back.dtypes[["kept", "removed", "saliency", "used"]].astype(str).tolist() == [
        *("bool", "bool", "float32", "bool")
    ]


def test_retested_die_is_counted_once():
    table = die_table(x=[0, 0, 0], bin=[7, 8, 9])
    wafers = from_die_table(table, retest="first", pass_bins=[])
    back = to_die_table(wafers, [abstain(grid) for grid in wafers.maps], table)
    assert back["kept"].tolist() == [True, False, False]
    assert back["used"].tolist() == [True, False, False]


def test_removed_fail_keeps_its_bin():
    table = die_table()
    wafers = from_die_table(table)
    back = to_die_table(wafers, ComponentSizeFilter(min_size=5).explain(wafers.maps), table)
    assert back.loc[back["removed"], "bin"].tolist() == [7]


def test_unreadable_wafer_has_no_decision():
    wafers = from_die_table(die_table())
    nothing = np.zeros((0, 0), bool)
    why = Explanation(nothing, nothing, nothing, error="unreadable")
    back = to_die_table(wafers, [why], die_table())
    assert not back["kept"].any() and not back["removed"].any() and back["saliency"].isna().all()


def test_to_die_table_without_table_has_a_row_per_die():
    table = die_table(x=[4, 4, 9], y=[-1, -2, -1], wafer=[1, 1, 2])
    new = to_die_table(from_die_table(table))
    assert new.columns.tolist() == ["lot", "wafer", "x", "y", "bin", "passed"]
    assert new.to_numpy().tolist() == [
        ["A", 1, 4, -2, 2, False],
        ["A", 1, 4, -1, 1, True],
        ["A", 2, 9, -1, 1, True],
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[::-1], "not those that the wafers were made from, or not in their order"),
        (lambda t: t.iloc[:-1], "not those"),
        (lambda t: t.assign(x=t["x"] + [0, 0, 1]), "not those"),
        (lambda t: t.assign(kept=True), r"has columns \['kept'\] already"),
        (lambda t: t.drop(columns="wafer"), r"no column \['wafer'\]"),
    ],
)
def test_to_die_table_refuses_another_table(change, message):
    table = die_table()
    with pytest.raises(ValueError, match=message):
        to_die_table(from_die_table(table), table=change(table))


def test_to_die_table_refuses_foreign_explanations():
    wafers = from_die_table(die_table())
    with pytest.raises(ValueError, match="got 0 explanations for 1 wafers"):
        to_die_table(wafers, [])
    with pytest.raises(ValueError, match=r"wafer 0: kept of its explanation has shape \(2, 2\)"):
        to_die_table(wafers, [abstain(np.ones((2, 2), np.uint8))])
    with pytest.raises(ValueError, match="wafer 0: its explanation is of another map"):
        to_die_table(wafers, [abstain(np.full((1, 3), 2, np.uint8))])


ROWS = st.lists(
    st.tuples(
        st.sampled_from("AB"),
        st.integers(1, 3),
        st.integers(-4, 4),
        st.integers(-4, 4),
        st.sampled_from([1, 1, 2, 9, None]),
    ),
    min_size=1,
    max_size=40,
)


def bins_that_pass(table):
    """Bin 1, or none where no die has it."""
    return [1] if (table["bin"] == 1).any() else []


def by_hand(rows, retest):
    """What each die shows, the plain way."""
    tests = {}
    for lot, wafer, x, y, code in rows:
        if code is not None:
            tests.setdefault((lot, wafer, x, y), []).append(1 if code == 1 else 2)
    pick = {"last": lambda t: t[-1], "first": lambda t: t[0], "best": min, "worst": max}[retest]
    return {die: pick(codes) for die, codes in tests.items()}


@settings(max_examples=150, deadline=None)
@given(ROWS, st.sampled_from(["last", "first", "best", "worst"]), st.sampled_from(["wafer", "lot"]))
def test_maps_agree_with_counts_by_hand(rows, retest, frame):
    table = pd.DataFrame(rows, columns=["lot", "wafer", "x", "y", "bin"])
    wafers = from_die_table(table, retest=retest, frame=frame, pass_bins=bins_that_pass(table))
    shown = to_die_table(wafers)
    keys = zip(shown["lot"], shown["wafer"], shown["x"], shown["y"], strict=True)
    assert dict(zip(keys, shown["bin"], strict=True)) == by_hand(rows, retest)


@settings(max_examples=100, deadline=None)
@given(ROWS, st.sampled_from(["last", "first", "best", "worst"]))
def test_counted_rows_are_one_per_die_as_on_map(rows, retest):
    table = pd.DataFrame(rows, columns=["lot", "wafer", "x", "y", "bin"])
    wafers = from_die_table(table, retest=retest, pass_bins=bins_that_pass(table))
    back = to_die_table(wafers, [abstain(grid) for grid in wafers.maps], table)
    used = back[back["used"]]
    assert not used.duplicated(["lot", "wafer", "x", "y"]).any()
    assert len(used) == wafers.frame["n_dies"].sum()
    assert (used["kept"] == (used["bin"] != 1)).all()
    assert not back.loc[~back["used"], "kept"].any()


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_one_row_per_die_gives_the_same_maps(rows):
    table = pd.DataFrame(rows, columns=["lot", "wafer", "x", "y", "bin"]).dropna()
    if table.empty:
        return
    wafers = from_die_table(table, pass_bins=bins_that_pass(table))
    again = from_die_table(to_die_table(wafers))
    assert all(map(np.array_equal, wafers.maps, again.maps))


# --- lot by lot -----------------------------------------------------------------------------------


def long_table():
    lots = np.repeat(["A", "B", "C", "D"], [5, 1, 7, 2])
    return pd.DataFrame({"lot": lots, "n": np.arange(len(lots))})


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("min_rows", [1, 6, 100])
def test_iter_lots_yields_whole_lots_and_all_rows(size, min_rows):
    table = long_table()
    pieces = (table.iloc[i : i + size] for i in range(0, len(table), size))
    got = list(iter_lots(pieces, min_rows=min_rows))
    pd.testing.assert_frame_equal(pd.concat(got), table)
    assert sum(piece["lot"].nunique() for piece in got) == 4
    assert all(len(piece) >= min_rows for piece in got[:-1])


@pytest.mark.parametrize("dtype", ["str", "category"])
def test_parquet_file_is_read_lot_by_lot(tmp_path, dtype):
    table = long_table().astype({"lot": dtype})
    table.to_parquet(tmp_path / "t.parquet", row_group_size=4)
    got = list(iter_lots(tmp_path / "t.parquet", min_rows=4))
    assert len(got) > 1 and sum(piece["lot"].nunique() for piece in got) == 4
    pd.testing.assert_frame_equal(pd.concat(got, ignore_index=True), table, check_categorical=False)
    assert list(iter_lots(tmp_path / "t.parquet", columns=["lot"]))[0].columns.tolist() == ["lot"]


@pytest.mark.parametrize("order", ["ABA", "ABBA", "AABCAA"])
def test_split_lot_in_a_stream_is_refused(order):
    pieces = [pd.DataFrame({"lot": [name]}) for name in order]
    with pytest.raises(ValueError, match="rows of lot 'A' do not follow one another. Sort"):
        list(iter_lots(pieces, min_rows=1))


def test_unusable_source_is_named(tmp_path):
    with pytest.raises(ValueError, match="no column 'lot'; it has .*lot="):
        list(iter_lots(pd.DataFrame({"x": [1]})))
    with pytest.raises(ValueError, match="min_rows must be"):
        iter_lots(long_table(), min_rows=0)
    (tmp_path / "t.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(ValueError, match="t.parquet: it is not a readable Parquet file"):
        list(iter_lots(tmp_path / "t.parquet"))
    long_table().to_parquet(tmp_path / "u.parquet")
    with pytest.raises(ValueError, match=r"has no column \['bin'\]"):
        list(iter_lots(tmp_path / "u.parquet", columns=["lot", "bin"]))
