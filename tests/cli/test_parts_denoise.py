"""The command line: what it prints, what it leaves behind, how it ends."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import run

from camdenoise import CamDenoiser, WaferClassifier, save_model
from camdenoise.datasets import make_wafer_maps
from camdenoise.stream import wafer_batch


def test_help_of_every_command_has_examples():
    assert "denoise" in run("--help").stdout
    said = run("denoise", "--help").stdout
    assert "Examples:" in said and "camdenoise denoise lot.stdf.gz decided" in said


def test_denoise_writes_the_denoisers_results(file, tmp_path):
    out = tmp_path / "out"
    result = run("denoise", file, out, "--part-rows", 20)
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["wafers"] == 30 and summary["parts"] == 2 and summary["errors"] == 0
    table = pa.concat_tables(map(pq.read_table, sorted(out.glob("part-*")))).to_pylist()
    maps = make_wafer_maps(30, random_state=0).maps
    why = CamDenoiser.from_pretrained("wm811k").explain(maps)
    for grid, row, explained in zip(maps, table, why, strict=True):
        marks = np.frombuffer(row["marks"], np.uint8).reshape(grid.shape)
        np.testing.assert_array_equal(marks == 3, explained.removed)
        assert row["predicted"] == explained.label and row["abstained"] == explained.abstained
        assert row["probability"] == pytest.approx(explained.probability, abs=1e-6)
    assert summary["removed"] == sum(int(e.removed.sum()) for e in why)
    again = run("denoise", file, out, "--part-rows", 20, "--resume")
    assert again.exit_code == 0 and json.loads(again.stdout)["parts_before"] == 2


def test_denoise_takes_a_model_file(file, tmp_path):
    wafers = make_wafer_maps(60, classes=["Center", "Edge-Ring"], random_state=0)
    clf = WaferClassifier(width=4, input_size=32, batch_size=16, max_epochs=1, random_state=0)
    denoiser = CamDenoiser(clf, random_state=0).fit(wafers.maps, wafers.target)
    save_model(denoiser, tmp_path / "mine.safetensors")
    save_model(denoiser.estimator_, tmp_path / "classifier.safetensors")
    result = run("denoise", file, tmp_path / "out", "--model", tmp_path / "mine.safetensors", "-q")
    assert result.exit_code == 0, result.stderr
    predicted = pq.read_table(tmp_path / "out" / "part-00000.parquet")["predicted"]
    assert set(predicted.to_pylist()) <= {"Center", "Edge-Ring"}
    other = run("denoise", file, tmp_path / "o", "--model", tmp_path / "classifier.safetensors")
    assert other.exit_code == 2 and "holds a classifier" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{there}/none.parquet", "{out}"], "no file or folder"),
        (["{there}/lot.parquet", "{out}", "--model", "mine"], "no model 'mine'"),
        (["{there}/lot.parquet", "{out}", "--pass-bins", "1,,2"], "give bins with commas"),
        (["{there}/lot.parquet", "{there}/lot.parquet"], "is a file; OUT is a folder"),
        (["{there}/lot.parquet"], "Missing argument 'IN...'"),
        (["{there}/lot.parquet", "{out}", "--part-rows", "0"], "part-rows"),
    ],
)
def test_denoise_reports_user_errors_in_one_line(file, tmp_path, arguments, said):
    names = {"there": file.parent, "out": tmp_path / "out"}
    result = run("denoise", *(text.format(**names) for text in arguments))
    assert result.exit_code == 2 and said in result.stderr
    assert result.stdout == "" and "Traceback" not in result.stderr


def test_denoise_keeps_a_folder_with_results(file, tmp_path):
    (tmp_path / "part-00000.parquet").write_bytes(b"mine")
    result = run("denoise", file, tmp_path)
    assert result.exit_code == 2 and "holds results already" in result.stderr
    assert (tmp_path / "part-00000.parquet").read_bytes() == b"mine"


@pytest.mark.parametrize(("rate", "n_novel"), [("0", 0), ("1", 3)])
def test_novelty_rate_option_reaches_the_denoiser(rate, n_novel, tmp_path):
    maps = make_wafer_maps(3, classes=["Edge-Ring"], random_state=0).maps
    source = tmp_path / "rings.parquet"
    pq.write_table(pa.Table.from_batches([wafer_batch(maps)]), source)
    assert run("denoise", source, tmp_path / "out", "--novelty-rate", rate).exit_code == 0
    decided = pq.read_table(tmp_path / "out" / "part-00000.parquet").to_pandas()
    assert (decided["verdict"] == "unknown pattern").sum() == n_novel


def test_ctrl_c_names_the_command_to_resume(file, tmp_path, monkeypatch):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("camdenoise.stream.write_parts", stopped)
    result = run("denoise", file, tmp_path / "out")
    assert result.exit_code == 130 and "with --resume goes on" in result.stderr


def test_full_disk_is_reported_and_parts_stay(file, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("camdenoise.stream._parts.pq.write_table", full)
    result = run("denoise", file, tmp_path / "out")
    assert result.exit_code == 2 and "No space left" in result.stderr
    assert "with --resume goes on" in result.stderr
    assert not list((tmp_path / "out").glob("*part-0*"))


def test_several_processes_give_equal_results(file, tmp_path):
    result = run("denoise", file, tmp_path / "two", "--workers", 2, "--part-rows", 10)
    assert result.exit_code == 0, result.stderr
    assert run("denoise", file, tmp_path / "one", "--part-rows", 10).exit_code == 0
    for name in ("part-00000.parquet", "part-00002.parquet"):
        one, two = (pq.read_table(tmp_path / n / name) for n in ("one", "two"))
        assert two.drop(["probability"]).equals(one.drop(["probability"]))


def test_unreachable_scheduler_is_reported(file, tmp_path, monkeypatch):
    both = run("denoise", file, tmp_path, "--workers", 2, "--scheduler", "tcp://127.0.0.1:1")
    assert both.exit_code == 2 and "give one" in both.stderr
    monkeypatch.setattr("camdenoise.stream._dask._PATIENCE", "1s")
    result = run("denoise", file, tmp_path, "--scheduler", "tcp://127.0.0.1:1")
    assert result.exit_code == 2 and "127.0.0.1:1" in result.stderr


def test_pass_bins_option_names_passing_bins(tmp_path):
    y, x = np.divmod(np.arange(100), 10)
    dies = pd.DataFrame({"lot": "A", "wafer": "1", "x": x, "y": y, "bin": np.where(x < 5, 7, 3)})
    dies.to_csv(tmp_path / "dies.csv", index=False)
    result = run("denoise", tmp_path / "dies.csv", tmp_path / "out", "--pass-bins", "7, 9")
    assert json.loads(result.stdout)["fails"] == 50


def test_killed_denoise_resumes_to_the_same_result(file, tmp_path):
    command = [sys.executable, "-m", "camdenoise", "denoise", str(file)]
    options = ["--part-rows", "1", "-q"]
    killed = subprocess.Popen([*command, str(tmp_path / "killed"), *options])
    deadline = time.monotonic() + 120
    while not list((tmp_path / "killed").glob("part-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    n_done = len(list((tmp_path / "killed").glob("part-*")))
    assert n_done > 0
    resumed = run("denoise", file, tmp_path / "killed", *options, "--resume")
    assert resumed.exit_code == 0, resumed.stderr
    assert json.loads(resumed.stdout)["parts_before"] >= n_done
    assert run("denoise", file, tmp_path / "whole", *options).exit_code == 0
    for name in (f"part-{number:05d}.parquet" for number in range(30)):
        one, other = (pq.read_table(tmp_path / run / name) for run in ("killed", "whole"))
        assert one.equals(other)
