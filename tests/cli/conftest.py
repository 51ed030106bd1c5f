"""Fixtures of the commands' tests."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camdenoise.datasets import make_wafer_maps
from camdenoise.stream import wafer_batch


@pytest.fixture(scope="module")
def wafers():
    return make_wafer_maps(30, random_state=0)


@pytest.fixture(scope="module")
def file(wafers, tmp_path_factory):
    """Write the wafers as Parquet, with a lot, slots and labels."""
    keys = pd.DataFrame({"lot": "A", "slot": range(30), "label": wafers.target})
    path = tmp_path_factory.mktemp("wafers") / "lot.parquet"
    pq.write_table(pa.Table.from_batches([wafer_batch(wafers.maps, keys)]), path)
    return path
