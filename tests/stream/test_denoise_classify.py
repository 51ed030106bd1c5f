"""Classes of wafers as record batches."""

import pyarrow as pa

from camdenoise import WaferClassifier
from camdenoise.datasets import make_wafer_maps
from camdenoise.stream import classify_batches


def test_unreadable_wafer_costs_only_its_own_class():
    wafers = make_wafer_maps(30, random_state=0)
    columns = {
        "cells": [b"\x01\x02", wafers.maps[0].tobytes(), b"\x01", b"\x01\x07"],
        "rows": [1, wafers.maps[0].shape[0], 2, 1],
        "cols": [2, wafers.maps[0].shape[1], 2, 2],
    }
    batch = pa.RecordBatch.from_pydict(columns)
    (made,) = classify_batches([batch], WaferClassifier.from_pretrained())
    assert made.column("error").is_valid().to_pylist() == [False, False, True, True]
    assert "value 7" in made.column("error")[3].as_py()
    assert made.column("predicted").is_valid().to_pylist() == [True, True, False, False]
    assert made.column("p(none)").is_valid().to_pylist() == [True, True, False, False]
    (empty,) = classify_batches([batch.slice(0, 0)], WaferClassifier.from_pretrained())
    assert empty.num_rows == 0 and empty.schema == made.schema
