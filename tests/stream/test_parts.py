"""Parts of results: whole or absent, and of one run."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from record_batches import by_filter, read_parts

from camdenoise.io._results import SUMMARY_KEY, list_parts, read_note
from camdenoise.stream import (
    PartsError,
    write_parts,
)


def test_parts_have_equal_lengths_for_any_batches(wafers, tmp_path):
    batches = [wafers.slice(0, 3), wafers.slice(3, 17), wafers.slice(20)]
    seen = []
    summary = write_parts(tmp_path, batches, by_filter, part_rows=10, progress=seen.append)
    parts = [pq.read_table(tmp_path / f"part-0000{n}.parquet").num_rows for n in range(3)]
    assert parts == [10, 10, 5] and sum(seen) == 25
    expected = pa.Table.from_batches(by_filter([wafers]))
    assert read_parts(tmp_path).combine_chunks().equals(expected.combine_chunks())
    assert summary.wafers == 25 and summary.parts == 3 and summary.errors == 0
    assert summary.fails == summary.kept + summary.removed == sum(expected["n_fails"].to_pylist())
    assert [read_note(part, SUMMARY_KEY) for part in list_parts(tmp_path)[:2]] == [None, None]
    assert read_note(list_parts(tmp_path)[2], SUMMARY_KEY)["wafers"] == 25
    assert len(list(tmp_path.iterdir())) == 3  # and nothing that a reader of folders minds


def stop_at(number):
    """A transformation that is stopped at a batch, as by a kill."""
    left = iter(range(number))

    def transform(batches):
        for batch in by_filter(batches):
            if next(left, None) is None:
                raise KeyboardInterrupt
            yield batch

    return transform


def test_stopped_run_resumes_where_it_stopped(wafers, tmp_path):
    whole, folder = tmp_path / "whole", tmp_path / "stopped"
    write_parts(whole, [wafers], by_filter, part_rows=4)
    with pytest.raises(KeyboardInterrupt):
        write_parts(folder, [wafers], stop_at(3), part_rows=4)
    assert len(list(folder.iterdir())) == 3
    assert all(read_note(part, SUMMARY_KEY) is None for part in list_parts(folder))
    assert not [file for file in folder.iterdir() if file.name.startswith(".")]
    times = {file: file.stat().st_mtime_ns for file in folder.glob("part-*")}
    summary = write_parts(folder, [wafers], by_filter, part_rows=4, resume=True)
    assert summary.parts_before == 3 and summary.parts == 7 and summary.wafers == 25
    assert read_parts(folder).equals(read_parts(whole))
    assert all(file.stat().st_mtime_ns == time for file, time in times.items())


def test_results_of_two_runs_are_never_mixed(wafers, tmp_path):
    write_parts(tmp_path, [wafers], by_filter, about={"model": "a"})
    with pytest.raises(PartsError, match="holds results already"):
        write_parts(tmp_path, [wafers], by_filter, about={"model": "a"})
    with pytest.raises(PartsError, match="model was a, is b"):
        write_parts(tmp_path, [wafers], by_filter, about={"model": "b"}, resume=True)
    with pytest.raises(PartsError, match="part_rows was 4096, is 5"):
        write_parts(tmp_path, [wafers], by_filter, about={"model": "a"}, part_rows=5, resume=True)
    bare = pq.read_table(tmp_path / "part-00000.parquet").replace_schema_metadata(None)
    pq.write_table(bare, tmp_path / "part-00000.parquet")
    with pytest.raises(PartsError, match="says what run it is of"):
        write_parts(tmp_path, [wafers], by_filter, about={"model": "a"}, resume=True)


@pytest.mark.parametrize("content", [b"PAR1", b""])
def test_damaged_part_is_refused_with_remedy(wafers, tmp_path, content):
    write_parts(tmp_path, [wafers], by_filter, part_rows=20)
    (tmp_path / "part-00001.parquet").write_bytes(content)
    with pytest.raises(PartsError, match="Delete it and resume"):
        write_parts(tmp_path, [wafers], by_filter, part_rows=20, resume=True)


def test_part_of_another_length_is_an_error(wafers, tmp_path):
    write_parts(tmp_path, [wafers], by_filter, part_rows=20)
    with pytest.raises(PartsError, match="has 5 wafers where the input has 2"):
        write_parts(tmp_path, [wafers.slice(0, 22)], by_filter, part_rows=20, resume=True)
