"""Stream a long die table to maps and back: ``python benchmarks/die_tables.py ROWS [FOLDER]``.

Writes a Parquet file of about ROWS rows (lots of 25 wafers of 1,481 dies, 7 % of them tested
twice), reads it lot by lot, makes the maps, keeps every fail, and writes all rows again with what
was decided. Run it with ``OMP_NUM_THREADS=1 taskset -c 0`` for the time of one core.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from camdenoise import Explanation
from camdenoise.io import from_die_table, iter_lots, to_die_table, write_results
from camdenoise.wafers import FAIL

N_WAFERS = 25
BINS = np.array([1] * 7 + [5, 9, 12], np.int16)


def lot_columns():
    """Coordinates and wafers of a lot's rows; the retests of a wafer come after its dies."""
    y, x = np.nonzero(np.hypot(*np.mgrid[-22:23, -22:23]) <= 21.8)
    rows = np.concatenate([np.arange(len(x)), np.arange(len(x) // 14)])
    wafer = np.repeat(np.arange(N_WAFERS, dtype=np.int32), len(rows))
    return tuple(np.tile(axis[rows] - 22, N_WAFERS).astype(np.int16) for axis in (x, y)), wafer


def write_die_table(file, n_rows):
    rng = np.random.default_rng(0)
    (x, y), wafer = lot_columns()
    names = pa.array([f"{number:02d}" for number in range(1, N_WAFERS + 1)])
    n_lots = -(-n_rows // len(x))
    writer = None
    for lot in range(n_lots):
        lots = pa.DictionaryArray.from_arrays(np.zeros(len(x), np.int32), [f"LOT{lot:05d}"])
        wafers = pa.DictionaryArray.from_arrays(wafer, names)
        columns = {"lot": lots, "wafer": wafers, "x": x, "y": y, "bin": rng.choice(BINS, len(x))}
        table = pa.table(columns)
        writer = writer or parquet.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table)
    writer.close()


def keep_all(grid):
    nothing = np.zeros(grid.shape)
    return Explanation(nothing, grid == FAIL, nothing.astype(bool), abstained=True)


def annotated(file, counts):
    for table in iter_lots(file):
        wafers = from_die_table(table)
        why = [keep_all(grid) for grid in wafers.maps]
        counts["rows"] += len(table)
        counts["wafers"] += len(wafers.maps)
        counts["retests"] += int(wafers.frame["n_retests"].sum())
        yield to_die_table(wafers, why, table)


def main():
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    with tempfile.TemporaryDirectory(dir=(sys.argv[2:] or [None])[0]) as folder:
        file, out = Path(folder, "dies.parquet"), Path(folder, "results.parquet")
        write_die_table(file, int(float(sys.argv[1])))
        counts = dict.fromkeys(("rows", "wafers", "retests"), 0)
        start = time.perf_counter()
        write_results(out, annotated(file, counts))
        took = time.perf_counter() - start
        assert parquet.read_metadata(out).num_rows == counts["rows"]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(", ".join(f"{n:,} {name}" for name, n in counts.items()), end="; ")
        print(f"{took:.1f} s, {took / counts['rows'] * 1e9:.0f} ns a row, peak {peak:.0f} MiB")


if __name__ == "__main__":
    main()
