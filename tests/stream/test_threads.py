"""Parts made by threads."""

import threading
import time

import pytest
import torch
from record_batches import by_filter, fail, read_parts

from camdenoise.stream import (
    WaferBatchError,
    in_threads,
    write_parts,
)


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
