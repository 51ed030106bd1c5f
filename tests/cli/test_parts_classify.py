"""The command that classifies: what it prints and leaves behind."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from camdenoise import WaferClassifier, save_model
from camdenoise.cli import main
from camdenoise.datasets import make_wafer_maps
from camdenoise.stream import open_source, wafer_batch, wafers_of


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


def test_classify_writes_the_classifiers_classes(file, wafers, tmp_path):
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


def test_classify_never_mixes_results_of_classifiers(file, tmp_path):
    some = make_wafer_maps(40, classes=["Center", "Edge-Ring"], random_state=0)
    clf = WaferClassifier(width=4, input_size=32, batch_size=16, max_epochs=1, random_state=0)
    save_model(clf.fit(some.maps, some.target), tmp_path / "mine.safetensors")
    out = tmp_path / "out"
    assert run("classify", file, out, "--model", tmp_path / "mine.safetensors").exit_code == 0
    names = pq.read_schema(out / "part-00000.parquet").names
    assert [n for n in names if n.startswith("p(")] == ["p(Center)", "p(Edge-Ring)"]
    other = run("denoise", file, out, "--resume")
    assert other.exit_code == 2 and "is of another run" in other.stderr
