"""The recipes of docs/cluster.md, as they stand there."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from dying_workers import die_once

from camdenoise import CamDenoiser, load_model
from camdenoise.datasets import make_wafer_maps, save_wafer_maps
from camdenoise.stream import denoise_batches, result_schema, wafer_batch

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "cluster.md"
N_FILES, FILE_ROWS = 4, 275


@pytest.fixture(autouse=True)
def workers_know_this_checkout(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "helpers"), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")


def block(heading):
    """Return the block of code under a heading of the page."""
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return code


def recipe(heading):
    """Run the block of code under a heading of the page; return what it defines."""
    # As a module of its own, so that what it defines goes to workers by value.
    defined = {"__name__": "__main__"}
    exec(compile(block(heading), f"{PAGE.name}: {heading}", "exec"), defined)
    return defined


@pytest.fixture(scope="module")
def wafers():
    n = N_FILES * FILE_ROWS
    maps = make_wafer_maps(n, random_state=0).maps
    tested = pd.date_range("2026-01-01", periods=n, freq="h", unit="us")
    site = (np.arange(n) % 7).astype(np.uint8)
    keys = pd.DataFrame({"lot": "A", "slot": np.arange(n), "site": site, "tested": tested})
    batch = wafer_batch(maps, keys)
    # One wafer cannot be read.
    rows = batch.column("rows").to_numpy().copy()
    rows[5] += 1
    return batch.set_column(batch.schema.get_field_index("rows"), "rows", pa.array(rows))


@pytest.fixture(scope="module")
def expected(wafers):
    made = denoise_batches([wafers], CamDenoiser.from_pretrained())
    return pa.Table.from_batches(made).to_pandas()


@pytest.fixture
def parquet(wafers, tmp_path):
    folder = tmp_path / "wafers"
    folder.mkdir()
    table = pa.Table.from_batches([wafers])
    for number in range(N_FILES):
        some = table.slice(number * FILE_ROWS, FILE_ROWS)
        pq.write_table(some, folder / f"{number}.parquet")
    pq.write_table(table.slice(0, 0), folder / "none.parquet")
    return folder


def assert_equal_to(expected, folder):
    """Equal but for the last digits of probabilities, and for Spark's types of keys."""
    made = pq.read_table(folder).to_pandas().sort_values("slot", ignore_index=True)
    assert made["error"].notna().tolist() == [slot == 5 for slot in made["slot"]]
    pd.testing.assert_frame_equal(made, expected, check_dtype=False, rtol=1e-5)


def test_result_schema_matches_the_results(wafers, expected):
    assert result_schema(wafers.schema).names == expected.columns.tolist()


def test_dask_result_survives_a_killed_worker(wafers, expected, tmp_path):
    distributed = pytest.importorskip("distributed")
    defined, note = recipe("Dask"), str(tmp_path / "died")

    def decide_or_die(batches, denoiser):
        for batch in denoise_batches(batches, denoiser):
            # Decided, and not sent back yet.
            die_once(note)
            yield batch

    defined["denoise_batches"] = decide_or_die
    pq.write_table(pa.Table.from_batches([wafers]), tmp_path / "wafers.parquet")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        address = cluster.scheduler_address
        defined["denoise_on_dask"](address, tmp_path / "wafers.parquet", tmp_path / "out")
    assert Path(note).exists()
    assert_equal_to(expected, tmp_path / "out" / "part-00000.parquet")


@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")
def test_spark_result_survives_a_killed_worker(parquet, expected, tmp_path):
    sql = pytest.importorskip("pyspark.sql")
    defined, note = recipe("Spark"), str(tmp_path / "died")
    decide = defined["decide"]

    def decide_or_die(batches):
        torch.set_num_threads(4)
        decided = decide(batches)
        for number, batch in enumerate(decided):
            assert torch.get_num_threads() == 1
            assert batch.num_rows <= 100
            if number == 1:
                die_once(note)
            yield batch

    defined["decide"] = decide_or_die
    builder = sql.SparkSession.builder.master("local[2,3]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "100").getOrCreate()
    run = partial(defined["denoise_on_spark"], spark, str(parquet), str(tmp_path / "out"))
    try:
        run()
        with pytest.raises(sql.utils.AnalysisException, match="already exists"):
            run()
    finally:
        spark.stop()
    assert Path(note).exists() and (tmp_path / "out" / "_SUCCESS").exists()
    assert_equal_to(expected, tmp_path / "out")


def test_ray_result_survives_a_killed_worker(parquet, expected, tmp_path):
    ray = pytest.importorskip("ray")
    defined, note = recipe("Ray"), str(tmp_path / "died")

    class DecideOrDie(defined["Decide"]):
        def __init__(self):
            torch.set_num_threads(4)
            super().__init__()
            self.n_calls = 0

        def __call__(self, table):
            assert torch.get_num_threads() == 1
            self.n_calls += 1
            if self.n_calls == 2:
                die_once(note)
            return super().__call__(table)

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    run = partial(defined["denoise_on_ray"], str(parquet), str(tmp_path / "out"), 1, DecideOrDie)
    try:
        run()
        with pytest.raises(ValueError, match="already exists"):
            run()
    finally:
        ray.shutdown()
    assert Path(note).exists()
    assert_equal_to(expected, tmp_path / "out")


def test_ray_returns_no_rows_for_an_empty_block(wafers):
    pytest.importorskip("ray")
    decide = recipe("Ray")["Decide"]()
    made = decide(pa.Table.from_batches([], wafers.schema))
    assert made.num_rows == 0 and made.schema == result_schema(wafers.schema)


def test_two_processes_train_and_save_a_model(tmp_path):
    wafers = make_wafer_maps(80, classes=["Center", "Edge-Ring"], random_state=0)
    save_wafer_maps(tmp_path / "wafers.npz", wafers.maps, wafers.target)
    (tmp_path / "train.py").write_text(block("Training on several GPUs or machines"))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    subprocess.run([*launch, "train.py"], cwd=tmp_path, timeout=300, check=True)
    trained = load_model(tmp_path / "model.safetensors")
    assert trained.predict_proba(wafers.maps).shape == (80, 2)
