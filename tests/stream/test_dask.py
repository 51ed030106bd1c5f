"""Parts made by workers of Dask."""

import os
import signal
from functools import partial

import pytest
import torch
from record_batches import by_filter, fail, read_parts

from camdenoise.stream import (
    WaferBatchError,
    on_dask,
    write_parts,
)


@pytest.fixture(scope="module")
def client():
    from camdenoise.stream._dask import connect

    with connect(None, 2) as found:
        yield found


def test_dask_workers_make_the_same_parts(wafers, tmp_path, client):
    write_parts(tmp_path / "here", [wafers], by_filter, part_rows=4)
    summary = write_parts(
        tmp_path / "there", [wafers], by_filter, part_rows=4, make_parts=on_dask(client)
    )
    assert summary.wafers == 25 and summary.parts == 7
    assert read_parts(tmp_path / "there").equals(read_parts(tmp_path / "here"))


def with_one_thread(batches):
    assert torch.get_num_threads() == 1
    return by_filter(batches)


def test_torch_has_one_thread_per_worker(wafers, client):
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


def test_killed_worker_loses_nothing(wafers, tmp_path, client):
    write_parts(tmp_path / "here", [wafers], by_filter, part_rows=3)
    dying = partial(die_once, note=str(tmp_path / "died"))
    make_parts = on_dask(client)
    write_parts(tmp_path / "there", [wafers], dying, part_rows=3, make_parts=make_parts)
    assert (tmp_path / "died").exists()
    assert read_parts(tmp_path / "there").equals(read_parts(tmp_path / "here"))


def test_error_on_a_worker_reaches_the_caller(wafers, tmp_path, client):
    with pytest.raises(WaferBatchError, match="no such wafers"):
        write_parts(tmp_path, [wafers], fail, make_parts=on_dask(client))
    assert not list(tmp_path.glob("part-*"))


def test_parts_are_sent_as_workers_are_free(wafers, tmp_path, client):
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
