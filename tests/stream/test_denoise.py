"""Wafers as record batches: what goes in, what comes out, and parts that are whole or absent."""

import os
import signal
import threading
import time
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from camdenoise.datasets import make_wafer_maps, save_wafer_maps
from camdenoise.filters import ComponentSizeFilter
from camdenoise.io import WaferFileError
from camdenoise.io._results import SUMMARY_KEY, list_parts, read_note
from camdenoise.io._wafer_table import drop_results
from camdenoise.stream import (
    MARKS,
    PartsError,
    WaferBatchError,
    denoise_batches,
    in_threads,
    on_dask,
    open_source,
    wafer_batch,
    wafers_of,
    write_parts,
)

FILTER = ComponentSizeFilter(min_size=3)
GRIDS = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 2))
)


def by_filter(batches):
    return denoise_batches(batches, FILTER)


def some_wafers(n=25):
    maps = make_wafer_maps(n, random_state=0).maps
    keys = pd.DataFrame({"lot": [f"L{row // 7}" for row in range(n)], "slot": range(n)})
    return maps, keys


def marks_of(row):
    return np.frombuffer(row["marks"], np.uint8).reshape(row["rows"], row["cols"])


@given(st.lists(GRIDS, max_size=6), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_maps_come_back_as_they_went_in(maps, start):
    batch = wafer_batch(maps, pd.DataFrame({"slot": range(len(maps))})).slice(start)
    back, errors = wafers_of(batch)
    assert errors == [None] * len(maps[start:])
    for grid, again in zip(maps[start:], back, strict=True):
        np.testing.assert_array_equal(grid, again)


@given(st.lists(GRIDS, min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_marks_say_what_became_of_every_die(maps):
    (made,) = by_filter([wafer_batch(maps)])
    for grid, row, why in zip(maps, made.to_pylist(), FILTER.explain(maps), strict=True):
        marks = marks_of(row)
        assert set(np.unique(marks)) <= set(MARKS)
        np.testing.assert_array_equal(marks[grid < 2], grid[grid < 2])
        np.testing.assert_array_equal(marks == 2, why.kept)
        np.testing.assert_array_equal(marks == 3, why.removed)
        counts = [row[name] for name in ("n_fails", "n_kept", "n_removed")]
        assert counts == [(grid == 2).sum(), why.kept.sum(), why.removed.sum()]


def test_keys_stay_and_rows_stay_in_order():
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


def test_one_bad_wafer_among_ten_thousand_costs_its_own_row_alone(tmp_path):
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


def test_a_batch_of_nothing_readable_and_an_empty_one():
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


def test_results_of_an_earlier_run_are_made_anew():
    maps, keys = some_wafers(3)
    (first,) = by_filter([wafer_batch(maps, keys)])
    (again,) = by_filter([drop_results(first)])
    assert again.equals(first)
    (over,) = by_filter([wafer_batch(maps, keys.assign(n_kept=-1, error="old"))])
    assert over.select(first.schema.names).equals(first)


def test_the_denoiser_is_not_modified():
    denoiser = ComponentSizeFilter(on_error="raise")
    list(denoise_batches([wafer_batch([np.ones((2, 2), np.uint8)])], denoiser))
    assert denoiser.on_error == "raise"


def test_keys_of_another_number_are_an_error():
    with pytest.raises(ValueError, match="1 rows of keys for 2"):
        wafer_batch([np.ones((2, 2), np.uint8)] * 2, pd.DataFrame({"lot": ["a"]}))


@pytest.fixture
def wafers():
    maps, keys = some_wafers()
    return wafer_batch(maps, keys)


def read_parts(folder):
    return pa.concat_tables(map(pq.read_table, sorted(folder.glob("part-*.parquet"))))


def test_parts_have_equal_lengths_whatever_the_batches(wafers, tmp_path):
    batches = [wafers.slice(0, 3), wafers.slice(3, 17), wafers.slice(20)]
    seen = []
    summary = write_parts(tmp_path, batches, by_filter, part_rows=10, progress=seen.append)
    parts = [pq.read_table(tmp_path / f"part-0000{n}.parquet").num_rows for n in range(3)]
    assert parts == [10, 10, 5] and sum(seen) == 25
    expected = pa.Table.from_batches(by_filter([wafers]))
    assert read_parts(tmp_path).combine_chunks().equals(expected.combine_chunks())
    assert summary.wafers == 25 and summary.parts == 3 and summary.errors == 0
    assert summary.fails == summary.kept + summary.removed == sum(expected["n_fails"].to_pylist())
    assert [read_note(part, SUMMARY_KEY) for part in list_parts(tmp_path)[:2]] == [None, None]
    assert read_note(list_parts(tmp_path)[2], SUMMARY_KEY)["wafers"] == 25
    assert len(list(tmp_path.iterdir())) == 3  # and nothing that a reader of folders minds


def stop_at(number):
    """A transformation that is stopped at a batch, as by a kill."""
    left = iter(range(number))

    def transform(batches):
        for batch in by_filter(batches):
            if next(left, None) is None:
                raise KeyboardInterrupt
            yield batch

    return transform


def test_a_stopped_run_goes_on_where_it_was(wafers, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "stopped"
    write_parts(whole, [wafers], by_filter, part_rows=4)
    with pytest.raises(KeyboardInterrupt):
        write_parts(folder, [wafers], stop_at(3), part_rows=4)
    assert len(list(folder.iterdir())) == 3
    assert all(read_note(part, SUMMARY_KEY) is None for part in list_parts(folder))
    assert not [file for file in folder.iterdir() if file.name.startswith(".")]
    times = {file: file.stat().st_mtime_ns for file in folder.glob("part-*")}
    summary = write_parts(folder, [wafers], by_filter, part_rows=4, resume=True)
    assert summary.parts_before == 3 and summary.parts == 7 and summary.wafers == 25
    assert read_parts(folder).equals(read_parts(whole))
    assert all(file.stat().st_mtime_ns == time for file, time in times.items())


def test_results_are_never_mixed_with_those_of_another_run(wafers, tmp_path):
    write_parts(tmp_path, [wafers], by_filter, about={"model": "a"})
    with pytest.raises(PartsError, match="holds results already"):
        write_parts(tmp_path, [wafers], by_filter, about={"model": "a"})
    with pytest.raises(PartsError, match="model was a, is b"):
        write_parts(tmp_path, [wafers], by_filter, about={"model": "b"}, resume=True)
    with pytest.raises(PartsError, match="part_rows was 4096, is 5"):
        write_parts(tmp_path, [wafers], by_filter, about={"model": "a"}, part_rows=5, resume=True)
    bare = pq.read_table(tmp_path / "part-00000.parquet").replace_schema_metadata(None)
    pq.write_table(bare, tmp_path / "part-00000.parquet")
    with pytest.raises(PartsError, match="says what run it is of"):
        write_parts(tmp_path, [wafers], by_filter, about={"model": "a"}, resume=True)


@pytest.mark.parametrize("content", [b"PAR1", b""])
def test_a_damaged_part_is_not_taken_for_a_whole_one(wafers, tmp_path, content):
    write_parts(tmp_path, [wafers], by_filter, part_rows=20)
    (tmp_path / "part-00001.parquet").write_bytes(content)
    with pytest.raises(PartsError, match="Delete it and resume"):
        write_parts(tmp_path, [wafers], by_filter, part_rows=20, resume=True)


def test_a_part_of_another_length_is_an_error(wafers, tmp_path):
    write_parts(tmp_path, [wafers], by_filter, part_rows=20)
    with pytest.raises(PartsError, match="has 5 wafers where the input has 2"):
        write_parts(tmp_path, [wafers.slice(0, 22)], by_filter, part_rows=20, resume=True)


def wafers_in(source):
    maps, keys = [], []
    for batch in source.batches:
        maps += wafers_of(batch)[0]
        keys.append(batch.to_pandas().drop(columns=["cells", "rows", "cols"]))
    return maps, pd.concat(keys, ignore_index=True)


@pytest.mark.parametrize("kind", ["wafers", "npz", "dies", "csv"])
def test_files_are_told_by_their_content(kind, tmp_path):
    file = tmp_path / "no_suffix"
    maps, keys = some_wafers(9)
    maps = [np.where(grid == 0, 1, grid).astype(np.uint8) for grid in maps]
    dies = pd.concat(
        pd.DataFrame({"lot": lot, "wafer": str(slot), "y": y, "x": x, "bin": grid[y, x]})
        for grid, lot, slot in zip(maps, keys["lot"], keys["slot"], strict=True)
        for y, x in [np.divmod(np.arange(grid.size), grid.shape[1])]
    )
    if kind == "wafers":
        pq.write_table(pa.Table.from_batches([wafer_batch(maps, keys)]), file)
    elif kind == "npz":
        save_wafer_maps(tmp_path / "a.npz", maps, ["Loc"] * 9, lot=keys["lot"])
        (tmp_path / "a.npz").rename(file)
    elif kind == "dies":
        dies.to_parquet(file)
    else:
        dies.to_csv(file, index=False)
    source = open_source(file, batch_rows=4)
    found, found_keys = wafers_in(source)
    assert source.n_wafers == (None if kind == "dies" else 9)
    assert found_keys["lot"].tolist() == keys["lot"].tolist()
    for grid, again in zip(maps, found, strict=True):
        np.testing.assert_array_equal(grid, again)
    # Whatever the keys are, they can be denoised.
    assert pa.Table.from_batches(by_filter(open_source(file).batches)).num_rows == 9


def noise(n_wafers):
    codes = np.random.default_rng(0).integers(0, 256, (n_wafers, 64, 64), np.uint8)
    return wafer_batch(list(codes)), codes.nbytes


def peak_while_reading(path, batches_of):
    """Bytes that Arrow held at most, whoever else in this process uses it."""
    before, peak = pa.total_allocated_bytes(), 0
    for _ in batches_of(path):
        peak = max(peak, pa.total_allocated_bytes() - before)
    return peak


@pytest.mark.parametrize("group_rows", [64, 10_000], ids=["many row groups", "one row group"])
def test_memory_does_not_grow_with_the_file(group_rows, tmp_path):
    batch, n_bytes = noise(8000)
    with pq.ParquetWriter(tmp_path / "w", batch.schema) as writer:
        writer.write_batch(batch, group_rows)
    del batch
    peak = peak_while_reading(tmp_path / "w", lambda path: open_source(path, batch_rows=64).batches)
    assert peak < n_bytes / 2


def test_fab_files_are_read(data_folder):
    maps, keys = wafers_in(open_source(data_folder / "formats" / "g85_1101.xml"))
    assert len(maps) == len(keys) == 1 and (maps[0] == 2).any()


def test_what_is_no_file_of_wafers_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        open_source(tmp_path / "none")
    other = tmp_path / "other.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(other)
    with pytest.raises(WaferFileError, match="needs x, y and bin.*row per wafer has cells, rows"):
        open_source(other)
    (tmp_path / "cut").write_bytes(b"PAR1" + bytes(20))
    with pytest.raises(WaferFileError, match="cannot be read"):
        open_source(tmp_path / "cut")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(WaferFileError, match="none of STDF"):
        open_source(tmp_path / "text")
    (tmp_path / "dies.csv").write_text("x,y,bin\n1,1,1\n")
    # Without names all dies are of one wafer, named by the file.
    (batch,) = open_source(tmp_path / "dies.csv").batches
    assert batch.column("wafer").to_pylist() == ["dies"]


def test_threads_make_the_same_parts(wafers, tmp_path):
    batches = [wafers.slice(start, 2) for start in range(0, 24, 2)]
    write_parts(tmp_path / "one", batches, by_filter, part_rows=8)
    together = threading.Barrier(2, timeout=20)

    def transform(batches):
        # Nobody gets past it alone.
        together.wait()
        return by_filter(batches)

    write_parts(tmp_path / "two", batches, transform, part_rows=8, make_parts=in_threads(2))
    assert read_parts(tmp_path / "two").equals(read_parts(tmp_path / "one"))


def test_torch_has_one_thread_in_each_of_ours(wafers):
    before, seen = torch.get_num_threads(), []

    def transform(batches):
        seen.append(torch.get_num_threads())
        return by_filter(batches)

    torch.set_num_threads(2)
    try:
        list(in_threads(2)([(0, [wafers, wafers])], transform))
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 1]


def test_a_run_of_threads_that_is_stopped_ends_soon(wafers):
    begun = []

    def transform(batches):
        begun.append(1)
        time.sleep(0.02)
        return by_filter(batches)

    parts = ((number, [wafers.slice(row, 1) for row in range(25)]) for number in range(3))
    made = in_threads(2)(parts, transform)
    next(made)
    made.close()
    assert len(begun) < 50


def test_an_error_in_a_thread_is_told_here(wafers, tmp_path):
    with pytest.raises(WaferBatchError, match="no such wafers"):
        write_parts(tmp_path, [wafers], fail, make_parts=in_threads(2))
    assert not list(tmp_path.glob("part-*"))


@pytest.fixture(scope="module")
def client():
    from camdenoise.stream._dask import connect

    with connect(None, 2) as found:
        yield found


def test_workers_make_the_same_parts(wafers, tmp_path, client):
    write_parts(tmp_path / "here", [wafers], by_filter, part_rows=4)
    summary = write_parts(
        tmp_path / "there", [wafers], by_filter, part_rows=4, make_parts=on_dask(client)
    )
    assert summary.wafers == 25 and summary.parts == 7
    assert read_parts(tmp_path / "there").equals(read_parts(tmp_path / "here"))


def with_one_thread(batches):
    assert torch.get_num_threads() == 1
    return by_filter(batches)


def test_torch_has_one_thread_on_a_worker(wafers, client):
    for worker in client.nthreads():
        client.submit(torch.set_num_threads, 4, workers=[worker], pure=False).result()
    ((number, made),) = on_dask(client)([(0, [wafers])], with_one_thread)
    assert number == 0 and made[0].num_rows == 25


def die_once(batches, *, note):
    """Kill the worker that comes here first."""
    try:
        os.close(os.open(note, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        yield from by_filter(batches)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_loses_nothing(wafers, tmp_path, client):
    write_parts(tmp_path / "here", [wafers], by_filter, part_rows=3)
    dying = partial(die_once, note=str(tmp_path / "died"))
    make_parts = on_dask(client)
    write_parts(tmp_path / "there", [wafers], dying, part_rows=3, make_parts=make_parts)
    assert (tmp_path / "died").exists()
    assert read_parts(tmp_path / "there").equals(read_parts(tmp_path / "here"))


def fail(batches):
    raise WaferBatchError("no such wafers")
    yield


def test_an_error_on_a_worker_is_told_here(wafers, tmp_path, client):
    with pytest.raises(WaferBatchError, match="no such wafers"):
        write_parts(tmp_path, [wafers], fail, make_parts=on_dask(client))
    assert not list(tmp_path.glob("part-*"))


def test_parts_are_sent_as_there_is_room(wafers, tmp_path, client):
    """A history of a fab is not to be read into memory before the first part is made."""
    read = []

    def batches():
        for row in range(25):
            read.append(row)
            yield wafers.slice(row, 1)

    ahead = []
    made = partial(ahead.append)
    write_parts(
        tmp_path, batches(), by_filter, part_rows=1, make_parts=on_dask(client),
        progress=lambda n: made(len(read)),
    )  # fmt: skip
    assert len(ahead) == 25 and ahead[0] <= 6
