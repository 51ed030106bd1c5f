"""Wafers by the million: Arrow record batches in, record batches out, files in parts."""

from camdenoise.io._wafer_source import WaferSource, open_source
from camdenoise.io._wafer_table import WaferBatchError, wafer_batch, wafers_of
from camdenoise.stream._dask import on_dask
from camdenoise.stream._denoise import MARKS, classify_batches, denoise_batches, result_schema
from camdenoise.stream._parts import PartsError, PartsSummary, write_parts
from camdenoise.stream._threads import in_threads

__all__ = [
    "MARKS",
    "PartsError",
    "PartsSummary",
    "WaferBatchError",
    "WaferSource",
    "classify_batches",
    "denoise_batches",
    "in_threads",
    "on_dask",
    "open_source",
    "result_schema",
    "wafer_batch",
    "wafers_of",
    "write_parts",
]
