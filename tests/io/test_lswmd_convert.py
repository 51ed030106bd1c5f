"""LSWMD.pkl as a Parquet file: when it is converted, what is refused."""

import os
import random

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from lswmd_pickles import pickled, some_wafers, write_mir
from same_maps import assert_same_maps

from camdenoise.datasets import load_wm811k


@pytest.fixture
def wafers():
    return some_wafers()


@pytest.fixture
def file(tmp_path, wafers):
    (tmp_path / "WM811K.pkl").write_bytes(pickled(write_mir, wafers))
    return tmp_path / "WM811K.pkl"


def load_bytes(folder, data, **options):
    (folder / "file.pkl").write_bytes(data)
    return load_wm811k(folder / "file.pkl", **options)


def test_pickle_is_converted_once(file, monkeypatch):
    first = load_wm811k(file)
    assert sorted(e.name for e in file.parent.iterdir()) == [
        "WM811K.pkl", "WM811K.pkl.camdenoise.parquet",
    ]  # fmt: skip
    monkeypatch.setattr("camdenoise.datasets._wm811k.convert_safely", None)
    again = load_wm811k(file)
    assert_same_maps(again.maps, first.maps)


def test_changed_pickle_is_converted_again(file):
    load_wm811k(file)
    file.write_bytes(pickled(write_mir, some_wafers(9, seed=1)))
    assert len(load_wm811k(file, labeled=False, drop=()).maps) == 9


def test_change_of_equal_size_and_time_is_noticed(file):
    before, status = load_wm811k(file), file.stat()
    file.write_bytes(pickled(write_mir, some_wafers(12, seed=1)))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size
    assert not np.array_equal(load_wm811k(file).maps[0], before.maps[0])


def test_damaged_parquet_file_is_rebuilt(file):
    load_wm811k(file)
    cached = file.with_name("WM811K.pkl.camdenoise.parquet")
    cached.write_bytes(cached.read_bytes()[:-100])
    assert len(load_wm811k(file).maps) == 7


def test_cache_names_another_folder(file, tmp_path):
    (tmp_path / "cache").mkdir()
    load_wm811k(file, cache=tmp_path / "cache")
    assert [e.name for e in (tmp_path / "cache").iterdir()] == ["WM811K.pkl.camdenoise.parquet"]


def test_absent_cache_folder_is_an_error(file, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No folder .*absent to keep WM811K\.pkl"):
        load_wm811k(file, cache=tmp_path / "absent")


def test_read_only_folder_is_an_error(file, monkeypatch):
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    with pytest.raises(PermissionError, match="Pass a folder for it as cache="):
        load_wm811k(file)


def test_table_without_rows_is_loaded(tmp_path):
    loaded = load_bytes(tmp_path, pickled(write_mir, some_wafers(0)))
    assert len(loaded.maps) == len(loaded.target) == len(loaded.frame) == len(loaded.groups) == 0


def test_parquet_file_or_its_folder_is_loaded(file):
    first = load_wm811k(file.parent)
    again = load_wm811k(file.with_name("WM811K.pkl.camdenoise.parquet"))
    assert_same_maps(again.maps, first.maps)


def test_parquet_file_is_readable_by_pyarrow(file, wafers):
    load_wm811k(file)
    table = pq.read_table(file.with_name("WM811K.pkl.camdenoise.parquet"))
    assert table.schema.names == [
        "cells", "rows", "cols", "lot", "wafer", "die_size", "split", "label",
    ]  # fmt: skip
    row = table.to_pylist()[3]
    assert row["cells"] == wafers.maps[3].tobytes() and row["label"] == "Edge-Ring"
    assert table["label"].null_count == 2


def test_failed_conversion_keeps_the_old_file(file):
    load_wm811k(file)
    cached = file.with_name("WM811K.pkl.camdenoise.parquet")
    before = cached.read_bytes()
    file.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="damaged"):
        load_wm811k(file)
    assert cached.read_bytes() == before
    assert len(list(file.parent.iterdir())) == 2


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
def test_contradictory_parquet_file_is_refused(file, column, value, message):
    load_wm811k(file)
    cached = file.with_name("WM811K.pkl.camdenoise.parquet")
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


def test_mutated_parquet_file_is_read_or_refused(file):
    load_wm811k(file)
    cached = file.with_name("WM811K.pkl.camdenoise.parquet")
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
