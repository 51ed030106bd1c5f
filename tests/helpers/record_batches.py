"""Wafers as record batches, a filter that denoises them, and what is read back from files."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import ComponentSizeFilter
from camdenoise.stream import WaferBatchError, denoise_batches, open_source, wafers_of

FILTER = ComponentSizeFilter(min_size=3)


def by_filter(batches):
    return denoise_batches(batches, FILTER)


def fail(batches):
    raise WaferBatchError("no such wafers")
    yield


def some_wafers(n=25):
    maps = make_wafer_maps(n, random_state=0).maps
    keys = pd.DataFrame({"lot": [f"L{row // 7}" for row in range(n)], "slot": range(n)})
    return maps, keys


def read_parts(folder):
    return pa.concat_tables(map(pq.read_table, sorted(folder.glob("part-*.parquet"))))


def maps_in(path):
    return [grid for batch in open_source(path).batches for grid in wafers_of(batch)[0]]
