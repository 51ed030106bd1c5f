"""Many at once and many after another: the same answers, and nothing piles up.

The long runs are slow and run on demand: ``pytest -m slow tests/robustness/test_load.py -s``.
"""

import gc
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache, partial
from multiprocessing import get_context

import numpy as np
import psutil
import pytest
import torch

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import ComponentSizeFilter
from camdenoise.stream import denoise_batches, in_threads, wafer_batch, write_parts


@cache
def bundled():
    torch.set_num_threads(1)
    return CamDenoiser.from_pretrained("wm811k")


def some_maps(number, n=40):
    return make_wafer_maps(n, random_state=number).maps


def kept_by(denoiser, number):
    torch.set_num_threads(1)
    return [why.kept for why in denoiser.explain(some_maps(number))]


def kept_here(number):
    return kept_by(bundled(), number)


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_eight_threads_share_one_denoiser():
    expected = [kept_here(number % 4) for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        assert_same(pool.map(partial(kept_by, bundled()), [k % 4 for k in range(16)]), expected)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_four_processes_use_one_denoiser(method):
    """As joblib does: the fitted denoiser is sent to the processes, or is there already."""
    expected = [kept_here(number) for number in range(4)]
    work = kept_here if method == "fork" else partial(kept_by, bundled())
    with ProcessPoolExecutor(4, mp_context=get_context(method)) as pool:
        assert_same(pool.map(work, range(4)), expected)


def state():
    """What a process holds that could pile up."""
    gc.collect()
    process = psutil.Process()
    net = bundled().estimator_.module_
    hooks = sum(len(m._forward_hooks) + len(m._backward_hooks) for m in net.modules())
    return {
        "threads": process.num_threads(),
        "python threads": threading.active_count(),
        "files": process.num_fds(),
        "hooks": hooks,
    }


def wafers_without_end(maps, n_wafers, rows=2048):
    batch = wafer_batch([maps[k % len(maps)] for k in range(rows)])
    for start in range(0, n_wafers, rows):
        yield batch.slice(0, min(rows, n_wafers - start))


def test_short_run_leaves_no_threads_files_or_memory(tmp_path):
    maps = some_maps(0)
    transform = partial(denoise_batches, denoiser=bundled())
    states = []
    for number in range(3):
        write_parts(
            tmp_path / str(number),
            wafers_without_end(maps, 300, rows=100),
            transform,
            part_rows=150,
            make_parts=in_threads(2),
        )
        states.append(state())
    # The first run starts the threads of torch and Arrow, which stay.
    assert states[1] == states[2] and states[2]["hooks"] == 0


@pytest.mark.slow
def test_million_maps_keep_memory_flat(tmp_path):
    """The stream itself; how the net holds up is in benchmarks/stream.py.

    The first run finds out how much memory the C library wants.
    """
    maps = make_wafer_maps(2048, random_state=0).maps
    transform = partial(denoise_batches, denoiser=ComponentSizeFilter().fit(maps[:1]))
    memory, states = [], []
    for number in range(3):
        peak = []
        summary = write_parts(
            tmp_path / str(number),
            wafers_without_end(maps, 10**6),
            transform,
            progress=lambda n: peak.append(psutil.Process().memory_info().rss),  # noqa: B023
            make_parts=in_threads(2),
        )
        assert summary.wafers == 10**6 and summary.errors == 0
        memory.append((max(peak[:25]), max(peak)))
        states.append(state())
    print([[round(n / 2**20) for n in pair] for pair in memory], states)
    assert states[0] == states[1] == states[2]
    # What the first hundred thousand took, the rest takes, too.
    for early, late in memory:
        assert late < early + 100 * 2**20
    assert memory[2][1] < memory[1][1] + 50 * 2**20


@pytest.mark.slow
def test_lot_per_minute_for_a_day_keeps_memory_flat():
    """24 hours of 25 wafers a minute, as fast as they are decided."""
    denoiser, process = bundled(), psutil.Process()
    lots = [some_maps(number, 25) for number in range(20)]
    expected = [[why.kept for why in denoiser.explain(lot)] for lot in lots]
    before, memory = state(), []
    for minute in range(24 * 60):
        found = [why.kept for why in denoiser.explain(lots[minute % 20])]
        if minute % 100 < 20:
            assert_same([found], [expected[minute % 20]])
        memory.append(process.memory_info().rss)
    print([round(n / 2**20) for n in memory[::240]], before)
    assert state() == before
    assert max(memory) < max(memory[:100]) + 60 * 2**20


def test_batches_of_one_wafer_give_equal_results():
    maps = some_maps(3, 12)
    denoiser = CamDenoiser.from_pretrained("wm811k", precision="float32")
    together = denoiser.explain(maps)
    for grid, why in zip(maps, together, strict=True):
        (alone,) = denoiser.explain([grid])
        np.testing.assert_array_equal(alone.kept, why.kept)
        assert alone.label == why.label
