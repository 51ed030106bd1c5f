"""Commands that convert, describe and classify files: what they print and leave behind."""

import json

import lswmd_pickles
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import run
from record_batches import maps_in
from same_maps import assert_same_maps

from camdenoise.datasets import load_wafer_maps, load_wm811k, save_wafer_maps
from camdenoise.stream import open_source


@pytest.mark.parametrize("name", ["out.parquet", "out.npz"])
def test_convert_keeps_wafers_keys_and_labels(file, wafers, tmp_path, name):
    result = run("convert", file, tmp_path / name)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"wafers": 30, "out": str(tmp_path / name)}
    assert_same_maps(maps_in(tmp_path / name), wafers.maps)
    keys = pa.Table.from_batches(open_source(tmp_path / name).batches).to_pandas()
    assert keys["label"].tolist() == wafers.target.tolist()
    assert keys["slot"].tolist() == list(range(30)) and set(keys["lot"]) == {"A"}


def test_convert_reads_a_pickle_without_running_code(tmp_path):
    made = lswmd_pickles.some_wafers()
    with open(tmp_path / "LSWMD.pkl", "wb") as stream:
        lswmd_pickles.write_kaggle(stream, made)
    result = run("convert", tmp_path / "LSWMD.pkl", tmp_path / "out.parquet", "-q")
    assert result.exit_code == 0, result.stderr
    assert_same_maps(maps_in(tmp_path / "out.parquet"), made.maps)
    assert_same_maps(load_wm811k(tmp_path / "out.parquet", labeled=False, drop=()).maps, made.maps)


def test_convert_leaves_no_replaced_or_partial_file(file, tmp_path, monkeypatch):
    there = tmp_path / "there.parquet"
    there.write_bytes(b"mine")
    result = run("convert", file, there)
    assert result.exit_code == 2 and "is there already" in result.stderr
    assert there.read_bytes() == b"mine"

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    result = run("convert", file, tmp_path / "new.parquet")
    assert result.exit_code == 2 and "No space left" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["there.parquet"]


def test_convert_to_npz_refuses_unreadable_wafers(tmp_path):
    columns = {"cells": [b"\x01\x02", b"\x01"], "rows": [1, 2], "cols": [2, 2]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    result = run("convert", tmp_path / "a.parquet", tmp_path / "a.npz")
    assert result.exit_code == 2 and "wafer 1 cannot be read" in result.stderr
    assert run("convert", tmp_path / "a.parquet", tmp_path / "b.parquet").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["info", "{there}/none"], "no file or folder"),
        (["info", "{there}/empty"], "no file of wafers"),
        (["info", "{there}/text"], "none of STDF"),
        (["convert", "{there}/none", "{there}/x.parquet"], "no file or folder"),
        (["convert", "{there}/pickle", "{there}/x.parquet"], "cannot be used"),
        (["convert", "{there}/pickle", "{there}/x.npz"], "cannot be used"),
        (["classify", "{there}/text", "{there}/out"], "none of STDF"),
    ],
)
def test_convert_and_info_report_errors_in_one_line(tmp_path, arguments, said):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "pickle").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    result = run(*(text.format(there=tmp_path) for text in arguments))
    assert result.exit_code == 2 and said in result.stderr, result.stderr
    assert result.stdout == "" and "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_convert_to_npz_keeps_storable_columns(wafers, tmp_path):
    save_wafer_maps(tmp_path / "a.npz", wafers.maps, wafers.target, lot=["B"] * 30)
    assert run("convert", tmp_path / "a.npz", tmp_path / "b.parquet").exit_code == 0
    assert run("convert", tmp_path / "b.parquet", tmp_path / "c.npz").exit_code == 0
    again = load_wafer_maps(tmp_path / "c.npz")
    assert again.target.tolist() == wafers.target.tolist()
    assert set(again.frame["lot"]) == {"B"}
