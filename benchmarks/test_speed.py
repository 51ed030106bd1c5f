"""What a change must not make slower, for pytest-benchmark.

Run as ``python -m pytest benchmarks/test_speed.py --benchmark-autosave``, then after a change with
``--benchmark-compare``: on one machine, in turn, with nothing else running. One torch thread.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from camdenoise import CamDenoiser
from camdenoise.cam import evidence_maps
from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import LargestComponentFilter, MedianFilter
from camdenoise.io import from_die_table
from camdenoise.nets._component_planes import add_component_planes, input_planes
from camdenoise.nets._encoding import encode_dies, encode_maps, mean_on_dies
from camdenoise.nets._inference import inference_net, predict_net
from camdenoise.stream import denoise_batches, wafer_batch

SIZE = 48


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


@pytest.fixture(scope="module")
def net(denoiser):
    return inference_net(denoiser.estimator_.module_, SIZE)


@pytest.fixture(scope="module")
def images(maps):
    dies = encode_dies([grid.shape for grid in maps], SIZE)
    return input_planes(add_component_planes(encode_maps(maps, SIZE), dies))


def test_forward(benchmark, net, images):
    benchmark(predict_net, net, images, "auto")


def test_evidence(benchmark, net, images):
    benchmark(evidence_maps, net, images, precision="auto")


def test_transform(benchmark, denoiser, maps):
    benchmark(denoiser.transform, maps)


def test_record_batch(benchmark, denoiser, maps):
    batch = wafer_batch(maps)
    benchmark(lambda: next(denoise_batches([batch], denoiser)))


def test_encoding(benchmark, maps):
    benchmark(encode_maps, maps, SIZE)


def test_component_planes(benchmark, maps):
    codes, dies = encode_maps(maps, SIZE), encode_dies([grid.shape for grid in maps], SIZE)
    benchmark(add_component_planes, codes, dies)


def test_back_to_dies(benchmark, maps):
    values = np.random.default_rng(0).random((len(maps), SIZE, SIZE), np.float32)
    benchmark(mean_on_dies, values, [grid.shape for grid in maps])


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
