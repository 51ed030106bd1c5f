"""What a change must not make slower, for pytest-benchmark.

Run as ``python -m pytest benchmarks/test_speed.py --benchmark-autosave``, then after a change with
``--benchmark-compare``: on one machine, in turn, with nothing else running. One torch thread.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import LargestComponentFilter, MedianFilter
from camdenoise.io import from_die_table
from camdenoise.stream import denoise_batches, wafer_batch


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def maps():
    return make_wafer_maps(64, random_state=0).maps


@pytest.fixture(scope="module")
def denoiser():
    return CamDenoiser.from_pretrained()


def test_predict(benchmark, denoiser, maps):
    benchmark(denoiser.estimator_.predict_proba, maps)


def test_explain(benchmark, denoiser, maps):
    benchmark(denoiser.explain, maps)


def test_transform(benchmark, denoiser, maps):
    benchmark(denoiser.transform, maps)


def test_record_batch(benchmark, denoiser, maps):
    batch = wafer_batch(maps)
    benchmark(lambda: next(denoise_batches([batch], denoiser)))


def test_encoding(benchmark, denoiser, maps):
    benchmark(lambda: list(denoiser.estimator_.batches(maps)))


@pytest.mark.parametrize("kind", [MedianFilter, LargestComponentFilter])
def test_filter(benchmark, kind, maps):
    benchmark(kind().transform, maps)


def test_die_table(benchmark, maps):
    import pandas as pd

    dies = pd.concat(
        pd.DataFrame({"wafer": number, "y": y, "x": x, "bin": grid[y, x]})
        for number, grid in enumerate(maps)
        for y, x in [np.nonzero(grid)]
    )
    benchmark(from_die_table, dies, by=["wafer"])
