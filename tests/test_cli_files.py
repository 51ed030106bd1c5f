"""Commands that convert, describe and classify files: what they print and leave behind."""

import json

import lswmd_pickles
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from camdenoise import WaferClassifier, save_model
from camdenoise.cli import main
from camdenoise.datasets import load_wafer_maps, load_wm811k, make_wafer_maps, save_wafer_maps
from camdenoise.stream import classify_batches, open_source, wafer_batch, wafers_of


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def wafers():
    return make_wafer_maps(30, random_state=0)


@pytest.fixture(scope="module")
def file(wafers, tmp_path_factory):
    keys = pd.DataFrame({"lot": "A", "slot": range(30), "label": wafers.target})
    path = tmp_path_factory.mktemp("wafers") / "lot.parquet"
    pq.write_table(pa.Table.from_batches([wafer_batch(wafers.maps, keys)]), path)
    return path


def maps_in(path):
    return [grid for batch in open_source(path).batches for grid in wafers_of(batch)[0]]


def assert_same_maps(found, wafers):
    assert len(found) == len(wafers)
    for grid, again in zip(wafers, found, strict=True):
        np.testing.assert_array_equal(grid, again)


def test_classes_are_the_classifier_s(file, wafers, tmp_path):
    result = run("classify", file, tmp_path / "out", "--part-rows", 20)
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["wafers"] == 30 and summary["parts"] == 2 and "kept" not in summary
    table = pa.concat_tables(map(pq.read_table, sorted((tmp_path / "out").glob("part-*"))))
    classifier = WaferClassifier.from_pretrained()
    assert table["predicted"].to_pylist() == classifier.predict(wafers.maps).tolist()
    names = [f"p({label})" for label in classifier.classes_]
    found = table.select(names).to_pandas().to_numpy()
    np.testing.assert_allclose(found, classifier.predict_proba(wafers.maps), atol=2e-3)
    assert table["slot"].to_pylist() == list(range(30))
    # The maps stay, so that the folder is input for every other command.
    assert_same_maps(maps_in(tmp_path / "out"), wafers.maps)
    again = run("classify", file, tmp_path / "out", "--part-rows", 20, "--resume")
    assert json.loads(again.stdout)["parts_before"] == 2


def test_a_classifier_may_be_given_and_its_results_are_not_mixed_with_others(file, tmp_path):
    some = make_wafer_maps(40, classes=["Center", "Edge-Ring"], random_state=0)
    clf = WaferClassifier(width=4, input_size=32, batch_size=16, max_epochs=1, random_state=0)
    save_model(clf.fit(some.maps, some.target), tmp_path / "mine.safetensors")
    out = tmp_path / "out"
    assert run("classify", file, out, "--model", tmp_path / "mine.safetensors").exit_code == 0
    names = pq.read_schema(out / "part-00000.parquet").names
    assert [n for n in names if n.startswith("p(")] == ["p(Center)", "p(Edge-Ring)"]
    other = run("denoise", file, out, "--resume")
    assert other.exit_code == 2 and "is of another run" in other.stderr


def test_a_wafer_that_cannot_be_read_costs_its_own_class(wafers):
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


@pytest.mark.parametrize("name", ["out.parquet", "out.npz"])
def test_wafers_keys_and_labels_are_converted(file, wafers, tmp_path, name):
    result = run("convert", file, tmp_path / name)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"wafers": 30, "out": str(tmp_path / name)}
    assert_same_maps(maps_in(tmp_path / name), wafers.maps)
    keys = pa.Table.from_batches(open_source(tmp_path / name).batches).to_pandas()
    assert keys["label"].tolist() == wafers.target.tolist()
    assert keys["slot"].tolist() == list(range(30)) and set(keys["lot"]) == {"A"}


def test_a_pickle_is_converted_without_being_run(tmp_path):
    made = lswmd_pickles.some_wafers()
    with open(tmp_path / "LSWMD.pkl", "wb") as stream:
        lswmd_pickles.write_kaggle(stream, made)
    result = run("convert", tmp_path / "LSWMD.pkl", tmp_path / "out.parquet", "-q")
    assert result.exit_code == 0, result.stderr
    assert_same_maps(maps_in(tmp_path / "out.parquet"), made.maps)
    assert_same_maps(load_wm811k(tmp_path / "out.parquet", labeled=False, drop=()).maps, made.maps)


def test_nothing_is_replaced_and_nothing_half_written(file, tmp_path, monkeypatch):
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


def test_an_unreadable_wafer_has_no_place_in_npz(tmp_path):
    columns = {"cells": [b"\x01\x02", b"\x01"], "rows": [1, 2], "cols": [2, 2]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    result = run("convert", tmp_path / "a.parquet", tmp_path / "a.npz")
    assert result.exit_code == 2 and "wafer 1 cannot be read" in result.stderr
    assert run("convert", tmp_path / "a.parquet", tmp_path / "b.parquet").exit_code == 0


def test_a_file_of_wafers_is_described(file, wafers):
    facts = json.loads(run("info", file, "--json").stdout)
    assert facts["wafers"] == 30 and facts["unreadable"] == 0
    assert facts["dies that fail"] == sum(int((grid == 2).sum()) for grid in wafers.maps)
    assert facts["dies that pass"] == sum(int((grid == 1).sum()) for grid in wafers.maps)
    assert facts["keys"] == ["lot", "slot", "label"]
    assert facts["labels"] == pd.Series(wafers.target).value_counts().to_dict()
    assert sum(facts["grids"].values()) == 30
    assert "wafers          30" in run("info", file).stdout


def test_codes_and_rows_that_are_no_wafers_are_counted(tmp_path):
    columns = {"cells": [b"\x01\x07", b"\x01"], "rows": [1, 2], "cols": [2, 2]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    facts = json.loads(run("info", tmp_path / "a.parquet", "--json").stdout)
    assert facts["wafers"] == 2 and facts["unreadable"] == 1
    assert facts["cells with another code"] == 1


def test_models_and_results_are_described(file, tmp_path):
    facts = json.loads(run("info", "wm811k", "--json").stdout)
    assert "Scratch" in facts["classes"] and facts["false_alarm_rate"] == 0.04
    assert run("classify", file, tmp_path / "out", "-q").exit_code == 0
    facts = json.loads(run("info", tmp_path / "out", "--json").stdout)
    assert facts["kind"] == "results" and facts["wafers"] == 30
    assert facts["of"]["command"] == "classify"
    (part,) = (tmp_path / "out").iterdir()
    table = pq.read_table(part)
    metadata = {k: v for k, v in table.schema.metadata.items() if b"summary" not in k}
    pq.write_table(table.replace_schema_metadata(metadata), part)
    assert "has not ended" in run("info", tmp_path / "out").stdout


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
def test_a_mistake_is_told_in_a_line(tmp_path, arguments, said):
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "pickle").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    result = run(*(text.format(there=tmp_path) for text in arguments))
    assert result.exit_code == 2 and said in result.stderr, result.stderr
    assert result.stdout == "" and "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_npz_keeps_what_can_be_kept(wafers, tmp_path):
    save_wafer_maps(tmp_path / "a.npz", wafers.maps, wafers.target, lot=["B"] * 30)
    assert run("convert", tmp_path / "a.npz", tmp_path / "b.parquet").exit_code == 0
    assert run("convert", tmp_path / "b.parquet", tmp_path / "c.npz").exit_code == 0
    again = load_wafer_maps(tmp_path / "c.npz")
    assert again.target.tolist() == wafers.target.tolist()
    assert set(again.frame["lot"]) == {"B"}
