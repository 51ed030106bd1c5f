"""Commands that train and evaluate, and the report behind them."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from camdenoise import CamDenoiser, load_model
from camdenoise.cli import main
from camdenoise.datasets import make_wafer_maps
from camdenoise.metrics import class_report
from camdenoise.stream import wafer_batch


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def some_answers(n=400, seed=0):
    rng = np.random.default_rng(seed)
    target = rng.choice(["Center", "Loc", "Scratch", "none"], n, p=[0.4, 0.3, 0.1, 0.2])
    wrong = rng.random(n) < 0.3
    predicted = np.where(wrong, rng.choice(["Center", "Loc", "none"], n), target)
    return target, predicted


def test_scores_are_those_of_scikit_learn():
    target, predicted = some_answers()
    report = class_report(target, predicted)
    labels = np.unique(target)
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        expected = score(target, predicted, labels=labels, average=None)
        np.testing.assert_allclose(report.loc[labels, name], expected)
        assert report.loc["macro", name] == pytest.approx(expected.mean())
    assert report.loc["accuracy", "recall"] == pytest.approx(accuracy_score(target, predicted))
    assert report["n_wafers"].tolist() == [*np.unique(target, return_counts=True)[1], 400, 400]
    inside = (report["low"] < report["f1"]) & (report["f1"] < report["high"])
    assert inside[[*labels, "macro"]].all()
    assert report.loc["accuracy", "low"] < report.loc["accuracy", "recall"]


def test_intervals_are_as_wide_as_lots_make_them():
    target, predicted = some_answers(300)
    alone = class_report(target, predicted)
    # Nine wafers of a lot that are all alike tell no more than one.
    nine = np.tile(target, 9), np.tile(predicted, 9)
    of_lots, as_wafers = class_report(*nine, np.tile(np.arange(300), 9)), class_report(*nine)
    widths = [(r["high"] - r["low"])["accuracy"] for r in (alone, of_lots, as_wafers)]
    assert widths[1] == pytest.approx(widths[0]) and widths[2] < widths[0] / 2
    standard_error = np.sqrt(0.79 * 0.21 / 300)
    assert widths[0] == pytest.approx(2 * 1.96 * standard_error, rel=0.2)


def test_scores_that_are_not_defined():
    report = class_report(["Loc", "Loc"], ["Loc", "none"], ["A", "A"])
    assert np.isnan(report.loc["none", "recall"]) and report.loc["none", "n_wafers"] == 0
    assert report.loc["macro", "f1"] == report.loc["Loc", "f1"] == pytest.approx(2 / 3)
    assert report[["low", "high"]].isna().all(axis=None)
    with pytest.raises(ValueError, match="no wafer to score"):
        class_report([], [])


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    wafers = make_wafer_maps(90, classes=["Center", "Edge-Ring", "Scratch"], random_state=0)
    keys = pd.DataFrame({"lot": np.arange(90) % 9, "label": wafers.target})
    keys.loc[3, "label"] = None
    path = tmp_path_factory.mktemp("wafers") / "labelled.parquet"
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


def test_a_model_is_trained_and_can_be_used(file, model, tmp_path):
    denoiser = load_model(model)
    assert isinstance(denoiser, CamDenoiser)
    assert denoiser.classes_.tolist() == ["Center", "Edge-Ring", "Scratch"]
    assert run("denoise", file, tmp_path / "out", "--model", model, "-q").exit_code == 0
    again = run("train", file, model, "-q")
    assert again.exit_code == 2 and "is there already" in again.stderr


def test_a_fab_s_own_labels_are_trained_and_what_is_missing_is_noted(tmp_path):
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


def test_a_model_is_evaluated(file, model):
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


def test_false_alarms_and_unknown_classes_are_told(file, model, tmp_path):
    wafers = make_wafer_maps(20, classes=["none"], random_state=0)
    keys = pd.DataFrame({"label": ["none"] * 19 + ["Donut"]})
    path = tmp_path / "none.parquet"
    pq.write_table(pa.Table.from_batches([wafer_batch(wafers.maps, keys)]), path)
    facts = json.loads(run("evaluate", path, "--json").stdout)
    assert 0 <= facts["share of none wafers that get a pattern"] < 0.5 and "lots" not in facts
    facts = json.loads(run("evaluate", path, "--model", model, "--json").stdout)
    assert facts["share of none wafers that get a pattern"] == 1
    assert facts["classes that the model does not know"] == "Donut, none"


def test_ctrl_c_leaves_no_model(file, tmp_path, monkeypatch):
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
def test_a_mistake_is_told_in_a_line(file, tmp_path, arguments, said):
    maps = [np.ones((3, 3), np.uint8)] * 2
    pq.write_table(pa.Table.from_batches([wafer_batch(maps)]), tmp_path / "bare")
    keys = pd.DataFrame({"label": ["", ""]})
    pq.write_table(pa.Table.from_batches([wafer_batch(maps, keys)]), tmp_path / "empty")
    result = run(*(text.format(there=tmp_path, file=file) for text in arguments))
    assert result.exit_code == 2 and said in result.stderr, result.stderr
    assert result.stdout == "" and "Traceback" not in result.stderr
    assert not (tmp_path / "m").exists()
