"""The command that classifies: what it prints and leaves behind."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from command_line import run
from record_batches import maps_in
from same_maps import assert_same_maps

from camdenoise import CamDenoiser, WaferClassifier, save_model
from camdenoise.datasets import make_wafer_maps


def test_classify_says_what_denoise_says(file, wafers, tmp_path):
    result = run("classify", file, tmp_path / "out", "--part-rows", 20)
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["wafers"] == 30 and summary["parts"] == 2 and "kept" not in summary
    table = pa.concat_tables(map(pq.read_table, sorted((tmp_path / "out").glob("part-*"))))
    classifier = WaferClassifier.from_pretrained()
    explained = CamDenoiser.from_pretrained().explain(wafers.maps)
    assert table["predicted"].to_pylist() == [e.label for e in explained]
    assert table["verdict"].to_pylist() == [e.verdict for e in explained]
    assert run("denoise", file, tmp_path / "decided").exit_code == 0
    decided = pq.read_table(tmp_path / "decided")
    for name in ("verdict", "verdict_probability", "predicted", "probability"):
        assert decided[name].to_pylist() == table[name].to_pylist()
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
