"""LSWMD.pkl as a Parquet file: when it is converted, what is refused."""

import os
import random

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from lswmd_pickles import load_bytes, pickled, some_wafers, write_mir
from same_maps import assert_same_maps

from camdenoise.datasets import load_wm811k


def test_pickle_is_converted_once(lswmd_file, monkeypatch):
    first = load_wm811k(lswmd_file)
    assert sorted(e.name for e in lswmd_file.parent.iterdir()) == [
        "WM811K.pkl", "WM811K.pkl.camdenoise.parquet",
    ]  # fmt: skip
    monkeypatch.setattr("camdenoise.datasets._wm811k.convert_safely", None)
    again = load_wm811k(lswmd_file)
    assert_same_maps(again.maps, first.maps)


def test_changed_pickle_is_converted_again(lswmd_file):
    load_wm811k(lswmd_file)
    lswmd_file.write_bytes(pickled(write_mir, some_wafers(9, seed=1)))
    assert len(load_wm811k(lswmd_file, labeled=False, drop=()).maps) == 9


def test_change_of_equal_size_and_time_is_noticed(lswmd_file):
    before, status = load_wm811k(lswmd_file), lswmd_file.stat()
    lswmd_file.write_bytes(pickled(write_mir, some_wafers(12, seed=1)))
    os.utime(lswmd_file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert lswmd_file.stat().st_size == status.st_size
    assert not np.array_equal(load_wm811k(lswmd_file).maps[0], before.maps[0])


def test_damaged_parquet_file_is_rebuilt(lswmd_file):
    load_wm811k(lswmd_file)
    cached = lswmd_file.with_name("WM811K.pkl.camdenoise.parquet")
    cached.write_bytes(cached.read_bytes()[:-100])
    assert len(load_wm811k(lswmd_file).maps) == 7


def test_cache_names_another_folder(lswmd_file, tmp_path):
    (tmp_path / "cache").mkdir()
    load_wm811k(lswmd_file, cache=tmp_path / "cache")
    assert [e.name for e in (tmp_path / "cache").iterdir()] == ["WM811K.pkl.camdenoise.parquet"]


def test_absent_cache_folder_is_an_error(lswmd_file, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No folder .*absent to keep WM811K\.pkl"):
        load_wm811k(lswmd_file, cache=tmp_path / "absent")


def test_read_only_folder_is_an_error(lswmd_file, monkeypatch):
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    with pytest.raises(PermissionError, match="Pass a folder for it as cache="):
        load_wm811k(lswmd_file)


def test_table_without_rows_is_loaded(tmp_path):
    loaded = load_bytes(tmp_path, pickled(write_mir, some_wafers(0)))
    assert len(loaded.maps) == len(loaded.target) == len(loaded.frame) == len(loaded.groups) == 0


def test_parquet_file_or_its_folder_is_loaded(lswmd_file):
    first = load_wm811k(lswmd_file.parent)
    again = load_wm811k(lswmd_file.with_name("WM811K.pkl.camdenoise.parquet"))
    assert_same_maps(again.maps, first.maps)


def test_parquet_file_is_readable_by_pyarrow(lswmd_file, lswmd):
    load_wm811k(lswmd_file)
    table = pq.read_table(lswmd_file.with_name("WM811K.pkl.camdenoise.parquet"))
    assert table.schema.names == [
        "cells", "rows", "cols", "lot", "wafer", "die_size", "split", "label",
    ]  # fmt: skip
    row = table.to_pylist()[3]
    assert row["cells"] == lswmd.maps[3].tobytes() and row["label"] == "Edge-Ring"
    assert table["label"].null_count == 2


def test_failed_conversion_keeps_the_old_file(lswmd_file):
    load_wm811k(lswmd_file)
    cached = lswmd_file.with_name("WM811K.pkl.camdenoise.parquet")
    before = cached.read_bytes()
    lswmd_file.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="damaged"):
        load_wm811k(lswmd_file)
    assert cached.read_bytes() == before
    assert len(list(lswmd_file.parent.iterdir())) == 2


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("rows", 5, "row 1 has not as many cells"),
        ("rows", 0, "row 1 is of 0 x 23 dies"),
        ("rows", 20_000, "row 1 is of 20000 x 23 dies"),
        ("rows", None, "a wafer has no rows or columns"),
        ("cells", None, "row 1 has not as many cells"),
        ("cells", b"\x07" * 115, "rows 0 to 11 hold values over 2"),
    ],
)
def test_contradictory_parquet_file_is_refused(lswmd_file, column, value, message):
    load_wm811k(lswmd_file)
    cached = lswmd_file.with_name("WM811K.pkl.camdenoise.parquet")
    table = pq.read_table(cached)
    rows = table.to_pylist()
    if column == "cells" or value != 5:
        rows[1][column] = value
    else:
        rows[1]["rows"] = 4
    pq.write_table(table.from_pylist(rows, table.schema), cached)
    with pytest.raises(ValueError, match=message) as caught:
        load_wm811k(cached)
    assert "Delete it and load the original file" in str(caught.value)


def test_mutated_parquet_file_is_read_or_refused(lswmd_file):
    load_wm811k(lswmd_file)
    cached = lswmd_file.with_name("WM811K.pkl.camdenoise.parquet")
    good, rng, refused = cached.read_bytes(), random.Random(0), 0
    for _ in range(150):
        data = bytearray(good)
        at = rng.randrange(4, len(data))
        data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(1, 3))
        cached.write_bytes(data)
        try:
            load_wm811k(cached, labeled=False, drop=())
        except ValueError:
            refused += 1
    assert refused > 100


def test_foreign_parquet_file_is_refused(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    message = r"load_wm811k did not make; its columns are a\. .*camdenoise\.io\.read_maps"
    with pytest.raises(ValueError, match=message):
        load_wm811k(tmp_path / "a.parquet")
