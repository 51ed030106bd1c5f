"""Files of wafers, opened by their content."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from record_batches import by_filter, some_wafers

from camdenoise.datasets import save_wafer_maps
from camdenoise.io import WaferFileError
from camdenoise.stream import (
    open_source,
    wafer_batch,
    wafers_of,
)


def wafers_in(source):
    maps, keys = [], []
    for batch in source.batches:
        maps += wafers_of(batch)[0]
        keys.append(batch.to_pandas().drop(columns=["cells", "rows", "cols"]))
    return maps, pd.concat(keys, ignore_index=True)


@pytest.mark.parametrize("kind", ["wafers", "npz", "dies", "csv"])
def test_open_source_recognizes_files_by_content(kind, tmp_path):
    file = tmp_path / "no_suffix"
    maps, keys = some_wafers(9)
    maps = [np.where(grid == 0, 1, grid).astype(np.uint8) for grid in maps]
    dies = pd.concat(
        pd.DataFrame({"lot": lot, "wafer": str(slot), "y": y, "x": x, "bin": grid[y, x]})
        for grid, lot, slot in zip(maps, keys["lot"], keys["slot"], strict=True)
        for y, x in [np.divmod(np.arange(grid.size), grid.shape[1])]
    )
    if kind == "wafers":
        pq.write_table(pa.Table.from_batches([wafer_batch(maps, keys)]), file)
    elif kind == "npz":
        save_wafer_maps(tmp_path / "a.npz", maps, ["Loc"] * 9, lot=keys["lot"])
        (tmp_path / "a.npz").rename(file)
    elif kind == "dies":
        dies.to_parquet(file)
    else:
        dies.to_csv(file, index=False)
    source = open_source(file, batch_rows=4)
    found, found_keys = wafers_in(source)
    assert source.n_wafers == (None if kind == "dies" else 9)
    assert found_keys["lot"].tolist() == keys["lot"].tolist()
    for grid, again in zip(maps, found, strict=True):
        np.testing.assert_array_equal(grid, again)
    # Whatever the keys are, they can be denoised.
    assert pa.Table.from_batches(by_filter(open_source(file).batches)).num_rows == 9


def noise(n_wafers):
    codes = np.random.default_rng(0).integers(0, 256, (n_wafers, 64, 64), np.uint8)
    return wafer_batch(list(codes)), codes.nbytes


def peak_while_reading(path, batches_of):
    """Bytes that Arrow held at most, whoever else in this process uses it."""
    before, peak = pa.total_allocated_bytes(), 0
    for _ in batches_of(path):
        peak = max(peak, pa.total_allocated_bytes() - before)
    return peak


@pytest.mark.parametrize("group_rows", [64, 10_000], ids=["many row groups", "one row group"])
def test_memory_does_not_grow_with_the_file(group_rows, tmp_path):
    batch, n_bytes = noise(8000)
    with pq.ParquetWriter(tmp_path / "w", batch.schema) as writer:
        writer.write_batch(batch, group_rows)
    del batch
    peak = peak_while_reading(tmp_path / "w", lambda path: open_source(path, batch_rows=64).batches)
    assert peak < n_bytes / 2


def test_open_source_reads_fab_files(data_folder):
    maps, keys = wafers_in(open_source(data_folder / "formats" / "g85_1101.xml"))
    assert len(maps) == len(keys) == 1 and (maps[0] == 2).any()


def test_open_source_refuses_other_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        open_source(tmp_path / "none")
    other = tmp_path / "other.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(other)
    with pytest.raises(WaferFileError, match="needs x, y and bin.*row per wafer has cells, rows"):
        open_source(other)
    (tmp_path / "cut").write_bytes(b"PAR1" + bytes(20))
    with pytest.raises(WaferFileError, match="cannot be read"):
        open_source(tmp_path / "cut")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(WaferFileError, match="none of STDF"):
        open_source(tmp_path / "text")
    (tmp_path / "dies.csv").write_text("x,y,bin\n1,1,1\n")
    # Without names all dies are of one wafer, named by the file.
    (batch,) = open_source(tmp_path / "dies.csv").batches
    assert batch.column("wafer").to_pylist() == ["dies"]
