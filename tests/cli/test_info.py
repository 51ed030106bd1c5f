"""The command that describes files: wafers, models, results."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from command_line import run


def test_info_describes_a_file_of_wafers(file, wafers):
    facts = json.loads(run("info", file, "--json").stdout)
    assert facts["wafers"] == 30 and facts["unreadable"] == 0
    assert facts["dies that fail"] == sum(int((grid == 2).sum()) for grid in wafers.maps)
    assert facts["dies that pass"] == sum(int((grid == 1).sum()) for grid in wafers.maps)
    assert facts["keys"] == ["lot", "slot", "label"]
    assert facts["labels"] == pd.Series(wafers.target).value_counts().to_dict()
    assert sum(facts["grids"].values()) == 30
    assert "wafers          30" in run("info", file).stdout


def test_info_counts_wrong_codes_and_unreadable_rows(tmp_path):
    columns = {"cells": [b"\x01\x07", b"\x01"], "rows": [1, 2], "cols": [2, 2]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    facts = json.loads(run("info", tmp_path / "a.parquet", "--json").stdout)
    assert facts["wafers"] == 2 and facts["unreadable"] == 1
    assert facts["cells with another code"] == 1


def test_info_describes_models_and_results(file, tmp_path):
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
