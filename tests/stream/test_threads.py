"""Parts made by threads."""

import threading
import time

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import ComponentSizeFilter
from camdenoise.stream import (
    WaferBatchError,
    denoise_batches,
    in_threads,
    wafer_batch,
    write_parts,
)

FILTER = ComponentSizeFilter(min_size=3)


def by_filter(batches):
    return denoise_batches(batches, FILTER)


def some_wafers(n=25):
    maps = make_wafer_maps(n, random_state=0).maps
    keys = pd.DataFrame({"lot": [f"L{row // 7}" for row in range(n)], "slot": range(n)})
    return maps, keys


@pytest.fixture
def wafers():
    maps, keys = some_wafers()
    return wafer_batch(maps, keys)


def read_parts(folder):
    return pa.concat_tables(map(pq.read_table, sorted(folder.glob("part-*.parquet"))))


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


def test_torch_has_one_thread_per_worker_thread(wafers):
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


def test_stopped_threads_end_soon(wafers):
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


def test_error_in_a_thread_reaches_the_caller(wafers, tmp_path):
    with pytest.raises(WaferBatchError, match="no such wafers"):
        write_parts(tmp_path, [wafers], fail, make_parts=in_threads(2))
    assert not list(tmp_path.glob("part-*"))


def fail(batches):
    raise WaferBatchError("no such wafers")
    yield
