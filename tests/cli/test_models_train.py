"""Commands that train and evaluate, and the report behind them."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import run
from sklearn.metrics import accuracy_score

from camdenoise import CamDenoiser, load_model
from camdenoise.datasets import make_wafer_maps
from camdenoise.stream import wafer_batch


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    wafers = make_wafer_maps(90, classes=["Center", "Edge-Ring", "Scratch"], random_state=0)
    keys = pd.DataFrame({"lot": np.arange(90) % 9, "label": wafers.target})
    keys.loc[3, "label"] = None
    path = tmp_path_factory.mktemp("wafers") / "labeled.parquet"
    pq.write_table(pa.Table.from_batches([wafer_batch(wafers.maps, keys)]), path)
    return path


@pytest.fixture(scope="module")
def model(file):
    path = file.parent / "mine.safetensors"
    result = run("train", file, path, "--backbone", "wafer_resnet", "--epochs", 6, "-q")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["wafers"] == 89 and sum(summary["labels"].values()) == 89
    return path


def test_train_writes_a_usable_model(file, model, tmp_path):
    denoiser = load_model(model)
    assert isinstance(denoiser, CamDenoiser)
    assert denoiser.classes_.tolist() == ["Center", "Edge-Ring", "Scratch"]
    assert run("denoise", file, tmp_path / "out", "--model", model, "-q").exit_code == 0
    again = run("train", file, model, "-q")
    assert again.exit_code == 2 and "is there already" in again.stderr


def test_train_learns_fab_labels_and_notes_gaps(tmp_path):
    wafers = make_wafer_maps(
        150,
        classes=["Center", "none"],
        shapes=[(24, 24)],
        noise_rate=(0.0, 0.05),
        random_state=0,
    )
    names = np.where(wafers.target == "none", "good", "hot spot")
    names[:2] = "odd"
    path = tmp_path / "fab.parquet"
    batch = wafer_batch(wafers.maps, pd.DataFrame({"label": names}))
    pq.write_table(pa.Table.from_batches([batch]), path)
    out = tmp_path / "fab.safetensors"
    result = run("train", path, out, "--none-label", "good", "--epochs", 1, "-q")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["patterns with evidence"] == ["hot spot"]
    assert "'odd'" in " ".join(summary["notes"])
    assert load_model(out).estimator_.none_labels == ("good",)


def test_evaluate_scores_a_model(file, model):
    result = run("evaluate", file, "--model", model, "--json")
    assert result.exit_code == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["wafers"] == 89 and facts["lots"] == 9
    wafers = make_wafer_maps(90, classes=["Center", "Edge-Ring", "Scratch"], random_state=0)
    rows = np.arange(90) != 3
    maps = [grid for grid, there in zip(wafers.maps, rows, strict=True) if there]
    predicted = load_model(model).estimator_.predict(maps)
    right = accuracy_score(wafers.target[rows], predicted)
    assert facts["classes"]["accuracy"]["recall"] == pytest.approx(right)
    shown = run("evaluate", file, "--model", model).stdout
    assert f"{right:.3f}" in shown and "lots: 9" in shown


def test_evaluate_reports_false_alarms_and_new_classes(file, model, tmp_path):
    wafers = make_wafer_maps(20, classes=["none"], random_state=0)
    keys = pd.DataFrame({"label": ["none"] * 19 + ["Donut"]})
    path = tmp_path / "none.parquet"
    pq.write_table(pa.Table.from_batches([wafer_batch(wafers.maps, keys)]), path)
    facts = json.loads(run("evaluate", path, "--json").stdout)
    assert 0 <= facts["share of none wafers that get a pattern"] < 0.5 and "lots" not in facts
    facts = json.loads(run("evaluate", path, "--model", model, "--json").stdout)
    assert facts["share of none wafers that get a pattern"] == 1
    assert facts["classes that the model does not know"] == "Donut, none"


def test_ctrl_c_in_train_leaves_no_model(file, tmp_path, monkeypatch):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("camdenoise.nets._training.WaferMapNet.fit_loop", stopped)
    result = run("train", file, tmp_path / "m.safetensors", "--backbone", "wafer_resnet")
    assert result.exit_code == 130 and "Nothing was written" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "{there}/none", "{there}/m"], "no file or folder"),
        (["train", "{there}/bare", "{there}/m"], "has no column label"),
        (["train", "{there}/empty", "{there}/m"], "no wafer of"),
        (["train", "{file}", "{there}/m", "--backbone", "resnet_18"], "Did you mean"),
        (["evaluate", "{there}/bare"], "has no column label"),
        (["evaluate", "{file}", "--model", "mine"], "no model 'mine'"),
    ],
)
def test_train_and_evaluate_report_errors_in_one_line(file, tmp_path, arguments, said):
    maps = [np.ones((3, 3), np.uint8)] * 2
    pq.write_table(pa.Table.from_batches([wafer_batch(maps)]), tmp_path / "bare")
    keys = pd.DataFrame({"label": ["", ""]})
    pq.write_table(pa.Table.from_batches([wafer_batch(maps, keys)]), tmp_path / "empty")
    result = run(*(text.format(there=tmp_path, file=file) for text in arguments))
    assert result.exit_code == 2 and said in result.stderr, result.stderr
    assert result.stdout == "" and "Traceback" not in result.stderr
    assert not (tmp_path / "m").exists()
