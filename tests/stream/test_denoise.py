"""Wafers as record batches: what goes in, what comes out, and parts that are whole or absent."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from record_batches import FILTER, by_filter, some_wafers

from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import ComponentSizeFilter
from camdenoise.io._wafer_table import drop_results
from camdenoise.stream import (
    MARKS,
    WaferBatchError,
    denoise_batches,
    in_threads,
    open_source,
    wafer_batch,
    write_parts,
)

GRIDS = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 2))
)


def marks_of(row):
    return np.frombuffer(row["marks"], np.uint8).reshape(row["rows"], row["cols"])


@given(st.lists(GRIDS, min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_marks_show_the_decision_on_every_die(maps):
    (made,) = by_filter([wafer_batch(maps)])
    for grid, row, why in zip(maps, made.to_pylist(), FILTER.explain(maps), strict=True):
        marks = marks_of(row)
        assert set(np.unique(marks)) <= set(MARKS)
        np.testing.assert_array_equal(marks[grid < 2], grid[grid < 2])
        np.testing.assert_array_equal(marks == 2, why.kept)
        np.testing.assert_array_equal(marks == 3, why.removed)
        counts = [row[name] for name in ("n_fails", "n_kept", "n_removed")]
        assert counts == [(grid == 2).sum(), why.kept.sum(), why.removed.sum()]


def test_keys_are_kept_and_rows_stay_in_order():
    maps, keys = some_wafers()
    whole = wafer_batch(maps, keys)
    made = pa.Table.from_batches(by_filter([whole.slice(0, 10), whole.slice(10)]))
    assert made["lot"].to_pylist() == keys["lot"].tolist()
    assert made["slot"].to_pylist() == keys["slot"].tolist()
    once = pa.Table.from_batches(by_filter([whole]))
    assert made.combine_chunks().equals(once.combine_chunks())


def test_one_bad_wafer_makes_one_row_with_an_error():
    rows = {
        "slot": list(range(7)),
        "cells": [b"\x02\x01", b"\x02", None, b"\x02\x07", b"", b"\x02\x01", b"\x01\x01"],
        "rows": [1, 2, 1, 1, 0, None, 1],
        "cols": [2, 2, 2, 2, 3, 2, 2],
    }
    (made,) = by_filter([pa.RecordBatch.from_pydict(rows)])
    errors = made.column("error").to_pylist()
    assert [error is None for error in errors] == [True, False, False, False, False, False, True]
    assert errors[1] == "1 cells for 2 x 2 dies" and "missing" in errors[2] + errors[5]
    assert "7" in errors[3] and "0 x 3 dies" in errors[4]
    assert made.column("n_fails").to_pylist() == [1, None, None, None, None, None, 0]
    assert made.column("marks").null_count == 5
    assert made.column("slot").to_pylist() == rows["slot"]


def test_bad_wafer_among_10000_costs_only_its_own_row(tmp_path):
    maps = make_wafer_maps(50, shapes=[(12, 12)], random_state=0).maps * 200
    maps[7777] = maps[7777].copy()
    maps[7777][3, 3] = 9
    keys = pd.DataFrame({"slot": range(10_000)})
    pq.write_table(pa.Table.from_batches([wafer_batch(maps, keys)]), tmp_path / "wafers")
    batches = open_source(tmp_path / "wafers").batches
    write_parts(tmp_path / "out", batches, by_filter, make_parts=in_threads(2))
    made = pd.concat([pd.read_parquet(f) for f in sorted((tmp_path / "out").glob("*.parquet"))])
    assert made["slot"].tolist() == list(range(10_000))
    (bad,) = np.flatnonzero(made["error"].notna())
    assert bad == 7777 and "9" in made["error"].iloc[bad]
    assert made["n_kept"].isna().sum() == 1 and made["marks"].isna().sum() == 1


def test_unreadable_and_empty_batches_are_accepted():
    columns = {"cells": [b"\x01"], "rows": [5], "cols": [5]}
    bad, empty = by_filter([pa.RecordBatch.from_pydict(columns), wafer_batch([])])
    assert bad.num_rows == 1 and bad.column("error").null_count == 0
    assert empty.num_rows == 0 and empty.schema.names == bad.schema.names


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"cells": [b"\x01"], "rows": [1]}, "no column cols"),
        ({"cells": [b"\x01"], "rows": ["a"], "cols": [1]}, "rows and cols whole numbers"),
        ({"cells": [[1, 2]], "rows": [1], "cols": [2]}, "cells must be binary"),
    ],
)
def test_batches_without_wafers_are_refused(columns, said):
    with pytest.raises(WaferBatchError, match=said):
        list(by_filter([pa.RecordBatch.from_pydict(columns)]))


def test_results_of_an_earlier_run_are_recomputed():
    maps, keys = some_wafers(3)
    (first,) = by_filter([wafer_batch(maps, keys)])
    (again,) = by_filter([drop_results(first)])
    assert again.equals(first)
    (over,) = by_filter([wafer_batch(maps, keys.assign(n_kept=-1, error="old"))])
    assert over.select(first.schema.names).equals(first)


def test_denoiser_is_not_modified():
    denoiser = ComponentSizeFilter(on_error="raise")
    list(denoise_batches([wafer_batch([np.ones((2, 2), np.uint8)])], denoiser))
    assert denoiser.on_error == "raise"
