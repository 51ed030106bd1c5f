"""Files of a kind, written in memory."""

import io
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


def parquet(**columns):
    """A Parquet file."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def zipped(**members):
    """A zip archive."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def npy(array, **options):
    """An array as in npz."""
    sink = io.BytesIO()
    np.save(sink, array, **options)
    return sink.getvalue()


def npz(**arrays):
    """A file of numpy arrays."""
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return sink.getvalue()
