"""The recipes of docs/cluster.md, as they stand there."""

import os
import re
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.stream import denoise_batches, result_schema, wafer_batch

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[1] / "docs" / "cluster.md"
N_WAFERS = 60


@pytest.fixture(autouse=True)
def workers_know_this_file(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")


def recipe(heading):
    """Run the block of code under a heading of the page; return what it defines."""
    section = PAGE.read_text().split(f"## {heading}\n")[1].split("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    # As a module of its own, so that what it defines goes to workers by value.
    defined = {"__name__": "__main__"}
    exec(compile(block, f"{PAGE.name}: {heading}", "exec"), defined)
    return defined


@pytest.fixture(scope="module")
def wafers():
    maps = make_wafer_maps(N_WAFERS, random_state=0).maps
    keys = pd.DataFrame({"lot": ["A"] * N_WAFERS, "slot": np.arange(N_WAFERS)})
    return pa.Table.from_batches([wafer_batch(maps, keys)])


@pytest.fixture(scope="module")
def expected(wafers):
    made = denoise_batches(wafers.to_batches(), CamDenoiser.from_pretrained())
    return pa.Table.from_batches(made).to_pandas()


@pytest.fixture
def parquet(wafers, tmp_path):
    folder = tmp_path / "wafers"
    folder.mkdir()
    for number in range(3):
        pq.write_table(wafers.slice(number * 20, 20), folder / f"{number}.parquet")
    return folder


def assert_equal_to(expected, folder):
    made = pq.read_table(folder).to_pandas().sort_values("slot", ignore_index=True)
    pd.testing.assert_frame_equal(made, expected, check_exact=False, rtol=1e-5)


def dies_once(note):
    """Kill the process that comes here first."""
    try:
        os.close(os.open(note, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_schema_is_that_of_the_results(wafers, expected):
    assert result_schema(wafers.schema).names == expected.columns.tolist()


@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")
def test_spark_makes_the_same_though_a_worker_dies(parquet, expected, tmp_path):
    sql = pytest.importorskip("pyspark.sql")
    defined, note = recipe("Spark"), str(tmp_path / "died")
    decide = defined["decide"]

    def decide_or_die(batches):
        for batch in decide(batches):
            dies_once(note)
            yield batch

    defined["decide"] = decide_or_die
    builder = sql.SparkSession.builder.master("local[2,3]").config("spark.ui.enabled", "false")
    spark = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", "8").getOrCreate()
    try:
        defined["denoise_on_spark"](spark, str(parquet), str(tmp_path / "out"))
    finally:
        spark.stop()
    assert Path(note).exists()
    assert_equal_to(expected, tmp_path / "out")


def test_ray_makes_the_same_though_a_worker_dies(parquet, expected, tmp_path):
    ray = pytest.importorskip("ray")
    defined, note = recipe("Ray"), str(tmp_path / "died")

    class DecideOrDie(defined["Decide"]):
        def __call__(self, table):
            dies_once(note)
            return super().__call__(table)

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        defined["denoise_on_ray"](str(parquet), str(tmp_path / "out"), 1, DecideOrDie)
    finally:
        ray.shutdown()
    assert Path(note).exists()
    assert_equal_to(expected, tmp_path / "out")
