"""Rows of LSWMD.pkl: labels, and rows that are wrong."""

import io
import pickle

import numpy as np
import pandas as pd
import pytest
from lswmd_pickles import load_bytes, pickled, saved_again, some_wafers, write_kaggle, write_mir

from camdenoise.io import _lswmd_rows
from camdenoise.io._lswmd_pickle import read_columns
from camdenoise.io._lswmd_rows import row_batches
from camdenoise.io._stubs import PickleError


def test_tables_saved_by_notebooks_are_loaded(tmp_path, lswmd):
    """A common notebook drops waferIndex, adds sizes and numbers, and keeps the labeled rows."""
    table = saved_again(lswmd, waferIndex=None)
    table["waferMapDim"] = [grid.shape for grid in lswmd.maps]
    table["failureNum"] = table["failureType"].map(lambda value: float(value.size))
    table = table[table["failureNum"] > 0]
    for changed in (table, table.reset_index(), table.reset_index(drop=True)):
        loaded = load_bytes(tmp_path, pickle.dumps(changed), drop=())
        assert loaded.target.tolist() == [label for label in lswmd.label if label]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Loc", "Loc"), (["Loc"], "Loc"), ([["Loc"]], "Loc"), (("Loc",), "Loc"), (b"Loc", "Loc"),
        (0, ""), (0.0, ""), (float("nan"), ""), (None, ""), ([], ""), ([[]], ""), ("", ""),
    ],
)  # fmt: skip
def test_nested_label_is_unwrapped(value, text):
    assert _lswmd_rows.unwrap(value) == text


@pytest.mark.parametrize("value", [["Loc", "none"], 1, True, {}, [[[[[["Loc"]]]]]], object()])
def test_empty_label_is_missing(value):
    with pytest.raises(TypeError):
        _lswmd_rows.unwrap(value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": ["Loc", "Crater"]}, "row 1: failureType is 'Crater'; expected Center, Donut"),
        ({"split": ["Training", "Train"]}, "row 1: split is 'Train'; expected Training, Test"),
        ({"lot": ["lot1", ""]}, "row 1: lotName is not a short text"),
        ({"lot": ["lot1", "x" * 101]}, "row 1: lotName is not a short text"),
        ({"lot": ["lot1\n", "a"]}, "row 0: lotName"),
        ({"wafer": [1, -1]}, "row 1: waferIndex is -1, expected a whole number"),
        ({"maps": [np.ones((2, 3), np.uint8), np.array([[1, 2], [1, 7]], np.uint8)]},
         "row 1: waferMap holds the value 7"),
        ({"maps": [np.full((2, 3), 3), np.ones((2, 2), np.uint8)]}, "row 0: waferMap holds the "),
        ({"maps": [np.ones(3, np.uint8), np.ones((2, 2), np.uint8)]},
         r"row 0: waferMap has shape \(3,\)"),
        ({"maps": [np.ones((1, 1), np.uint8), np.ones((0, 2), np.uint8)]},
         r"row 1: waferMap has shape \(0, 2\)"),
        ({"maps": [np.ones((1, 20_000), np.uint8), np.ones((1, 2), np.uint8)]}, "row 0: waferMap"),
        ({"maps": [np.array([[0.5]]), np.ones((1, 2))]}, "row 0: waferMap holds something else"),
        ({"maps": [np.array([[np.nan]]), np.ones((1, 2))]}, "row 0: waferMap holds something el"),
        ({"maps": [np.array([["a"]]), np.ones((1, 2))]}, "row 0: waferMap holds something else"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:invalid value")
def test_invalid_row_is_named(change, message):
    wafers = some_wafers(2)
    for name, values in change.items():
        setattr(wafers, name, values)
    with pytest.raises(PickleError, match=message):
        list(row_batches(read_columns(io.BytesIO(pickled(write_mir, wafers))), lambda *n: None))


def test_rows_are_counted_across_batches(monkeypatch):
    monkeypatch.setattr(_lswmd_rows, "_BATCH_ROWS", 5)
    wafers = some_wafers(12)
    wafers.maps[8] = np.array([[1, 9]], np.uint8)
    columns = read_columns(io.BytesIO(pickled(write_kaggle, wafers)))
    with pytest.raises(PickleError, match="row 8: waferMap holds the value 9"):
        list(row_batches(columns, lambda done, of: None))


def test_repeated_map_cannot_fill_the_disk(monkeypatch):
    monkeypatch.setattr(_lswmd_rows, "MOST_CELLS", 10_000)
    columns = read_columns(io.BytesIO(pickled(write_mir)))
    columns = {name: list(values) * 200 for name, values in columns.items()}
    columns |= {name: np.array(columns[name]) for name in ("waferIndex", "dieSize")}
    with pytest.raises(PickleError, match="its maps have over 10000 cells"):
        list(row_batches(columns, lambda done, of: None))


def frame_of(columns):
    """A pickle of a DataFrame of any columns of numbers or objects."""
    return pickle.dumps(pd.DataFrame(columns))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (frame_of({"a": [1]}), "it has no column waferMap, which holds the maps; found a"),
        (pickle.dumps({"waferMap": [1]}), "it holds no DataFrame but dict"),
        (pickle.dumps(np.ones(3)), "it holds no DataFrame but Array"),
        (b"not a pickle at all", "it is damaged or no pickle of a DataFrame"),
        (b".", "it is damaged"),
        (b"\x80\x09.", r"it is damaged .* \(ValueError\)"),
        (b"cpandas.core.frame\nDataFrame\n)\x81.", "it is damaged"),
        (b"cpandas.core.frame\nDataFrame\n)\x81}b.", "it holds no DataFrame but a DataFrame with"),
    ],
)
def test_other_pickle_content_is_refused(data, message):
    with pytest.raises(PickleError, match=message):
        list(row_batches(read_columns(io.BytesIO(data)), lambda done, of: None))
