"""WM-811K's pickles of both eras: what is loaded, what is refused, what is kept."""

import gc
import io
import os
import pickle
import random
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from lswmd_pickles import pickled, some_wafers, write_kaggle, write_mir

from camdenoise import RaggedWaferMaps
from camdenoise.datasets import CLASSES, load_wm811k
from camdenoise.io import _lswmd_convert, _lswmd_rows
from camdenoise.io._capped import CappedError, run_capped
from camdenoise.io._lswmd_pickle import read_columns
from camdenoise.io._lswmd_rows import LABELS, row_batches
from camdenoise.io._stand_ins import PickleError

ERAS = {"kaggle": write_kaggle, "mir": write_mir}


@pytest.fixture(params=ERAS)
def era(request):
    return ERAS[request.param]


@pytest.fixture
def wafers():
    return some_wafers()


@pytest.fixture
def file(tmp_path, wafers):
    (tmp_path / "WM811K.pkl").write_bytes(pickled(write_mir, wafers))
    return tmp_path / "WM811K.pkl"


def assert_same_maps(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == np.uint8
        np.testing.assert_array_equal(one, other)


def load_bytes(folder, data, **options):
    (folder / "file.pkl").write_bytes(data)
    return load_wm811k(folder / "file.pkl", **options)


# What is loaded


def test_everything_of_both_eras_is_loaded(era, wafers, tmp_path):
    loaded = load_bytes(tmp_path, pickled(era, wafers), labeled=False, drop=())
    assert isinstance(loaded.maps, RaggedWaferMaps)
    assert_same_maps(loaded.maps, wafers.maps)
    assert loaded.target.tolist() == wafers.label and loaded.target.dtype.kind == "U"
    assert loaded.groups.tolist() == [i // 5 for i in range(12)]
    expected = pd.DataFrame(
        {
            "label": wafers.label,
            "height": [grid.shape[0] for grid in wafers.maps],
            "width": [grid.shape[1] for grid in wafers.maps],
            "lot": wafers.lot,
            "wafer": wafers.wafer,
            "die_size": np.array(wafers.die_size, float),
            "split": wafers.split,
            "order": range(12),
        }
    )
    pd.testing.assert_frame_equal(loaded.frame, expected, check_dtype=False)
    assert loaded.truth is None and loaded.about["name"] == "file.pkl"


def test_by_default_the_six_patterns_are_loaded(era, wafers, tmp_path):
    loaded = load_bytes(tmp_path, pickled(era, wafers))
    rows = [0, 1, 2, 3, 4, 5, 11]
    assert loaded.target.tolist() == [wafers.label[row] for row in rows]
    assert loaded.frame["order"].tolist() == rows
    assert loaded.groups.tolist() == [0, 0, 0, 0, 0, 1, 2]
    assert_same_maps(loaded.maps, [wafers.maps[row] for row in rows])


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({"drop": "none"}, CLASSES[:8]),
        ({"drop": [name for name in CLASSES if name != "Loc"]}, ["Loc"]),
        ({"drop": ("none", *CLASSES[:7]), "labeled": False}, ["Random", ""]),
        ({"drop": CLASSES}, []),
    ],
)
def test_classes_are_dropped(file, options, labels):
    loaded = load_wm811k(file, **options)
    assert set(loaded.target) == set(labels)
    assert len(loaded.maps) == len(loaded.frame) == len(loaded.groups) == len(loaded.target)


def test_an_unknown_class_is_an_error_before_anything_is_read(tmp_path):
    with pytest.raises(ValueError, match=r"drop names \['Loch'\]; the classes are"):
        load_wm811k(tmp_path / "absent.pkl", drop=["Loch"])


def test_labels_here_are_those_of_the_simulator():
    assert set(LABELS) == set(CLASSES)


def test_what_pandas_writes_today_is_loaded(wafers, tmp_path):
    frame = pd.DataFrame(
        {
            "waferMap": pd.Series(wafers.maps, dtype=object),
            "dieSize": wafers.die_size,
            "lotName": wafers.lot,
            "waferIndex": wafers.wafer,
            "trainTestLabel": wafers.split,
            "failureType": pd.Series(wafers.label).replace("", None),
            "more": [(1, 2)] * 12,
            "lotCategory": pd.Categorical(wafers.lot),
        }
    )
    for i, protocol in enumerate((2, 3, 4, 5)):
        for j, kind in enumerate(("object", "category", "string")):
            changed = frame.astype({"lotName": kind, "failureType": kind})[::-1]
            data = pickle.dumps(changed, protocol)
            columns = read_columns(io.BytesIO(data))
            assert columns["lotName"] == wafers.lot[::-1], (protocol, kind)
            assert columns["more"] == [(1, 2)] * 12
            if i == j:
                loaded = load_bytes(tmp_path, data, drop=())
                labelled = [i for i in range(11, -1, -1) if wafers.label[i]]
                assert_same_maps(loaded.maps, [wafers.maps[i] for i in labelled])


@pytest.mark.parametrize("dtype", ["int8", "int64", "<u2", ">i4", "float32", "bool"])
def test_maps_of_other_number_types_and_orders_are_recoded(tmp_path, dtype, wafers):
    wafers.maps = [np.asfortranarray(grid % 2).astype(dtype, order="F") for grid in wafers.maps]
    columns = {
        "waferMap": pd.Series(wafers.maps, dtype=object), "dieSize": wafers.die_size,
        "lotName": wafers.lot, "waferIndex": wafers.wafer, "trainTestLabel": wafers.split,
        "failureType": wafers.label,
    }  # fmt: skip
    for protocol in (2, 5):
        data = pickle.dumps(pd.DataFrame(columns), protocol)
        batches = row_batches(read_columns(io.BytesIO(data)), lambda done, of: None)
        cells = [cell for batch in batches for cell in batch["cells"].to_pylist()]
        assert cells == [np.asarray(grid, np.uint8, order="C").tobytes() for grid in wafers.maps]


def saved_again(wafers, **changes):
    """LSWMD as people save it from their notebooks; None for a column takes it out."""
    columns = {
        "waferMap": pd.Series(wafers.maps, dtype=object),
        "dieSize": wafers.die_size,
        "lotName": wafers.lot,
        "waferIndex": wafers.wafer,
        "trianTestLabel": [
            np.array([[split]]) if split else np.zeros((0, 0)) for split in wafers.split
        ],
        "failureType": [
            np.array([[label]]) if label else np.zeros((0, 0)) for label in wafers.label
        ],
    }
    columns |= changes
    return pd.DataFrame({name: values for name, values in columns.items() if values is not None})


@pytest.mark.parametrize(
    ("name", "ours"),
    [("waferIndex", "wafer"), ("dieSize", "die_size"), ("trianTestLabel", "split"),
     ("lotName", "lot")],
)  # fmt: skip
def test_a_column_left_out_is_missing_in_the_result(tmp_path, wafers, name, ours):
    data = pickle.dumps(saved_again(wafers, **{name: None}))
    whole = load_bytes(tmp_path, pickle.dumps(saved_again(wafers)), drop=())
    loaded = load_bytes(tmp_path, data, drop=())
    assert loaded.frame[ours].isna().all() or (loaded.frame[ours] == "").all()
    assert_same_maps(loaded.maps, whole.maps)
    pd.testing.assert_frame_equal(
        loaded.frame.drop(columns=ours), whole.frame.drop(columns=ours), check_dtype=False
    )


def test_maps_alone_are_loaded_without_labels(tmp_path, wafers):
    data = pickle.dumps(saved_again(wafers)[["waferMap"]])
    loaded = load_bytes(tmp_path, data, labeled=False)
    assert_same_maps(loaded.maps, wafers.maps)
    assert loaded.target.tolist() == [""] * 12


def test_without_lots_runs_of_one_grid_are_the_groups(tmp_path, wafers):
    wafers.maps = [wafers.maps[row // 4] for row in range(12)]
    loaded = load_bytes(
        tmp_path, pickle.dumps(saved_again(wafers, lotName=None)), labeled=False, drop=()
    )
    assert loaded.groups.tolist() == [row // 4 for row in range(12)]


@pytest.mark.parametrize("change", [{"failureType": None}, {"failureType": [[]] * 12}])
def test_a_file_without_any_label_says_how_to_load_it(tmp_path, wafers, change):
    message = r"file\.pkl has a label for none of its 12 wafers .*Pass labeled=False"
    with pytest.raises(ValueError, match=message):
        load_bytes(tmp_path, pickle.dumps(saved_again(wafers, **change)))


def test_a_table_without_maps_names_its_columns(tmp_path, wafers):
    data = pickle.dumps(saved_again(wafers, waferMap=None, dieSize=None))
    message = "it has no column waferMap, which holds the maps; found lotName, waferIndex, trian"
    with pytest.raises(ValueError, match=message):
        load_bytes(tmp_path, data)


def test_what_notebooks_make_of_it_is_loaded(tmp_path, wafers):
    """A common notebook drops waferIndex, adds sizes and numbers, and keeps the labelled rows."""
    table = saved_again(wafers, waferIndex=None)
    table["waferMapDim"] = [grid.shape for grid in wafers.maps]
    table["failureNum"] = table["failureType"].map(lambda value: float(value.size))
    table = table[table["failureNum"] > 0]
    for changed in (table, table.reset_index(), table.reset_index(drop=True)):
        loaded = load_bytes(tmp_path, pickle.dumps(changed), drop=())
        assert loaded.target.tolist() == [label for label in wafers.label if label]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Loc", "Loc"), (["Loc"], "Loc"), ([["Loc"]], "Loc"), (("Loc",), "Loc"), (b"Loc", "Loc"),
        (0, ""), (0.0, ""), (float("nan"), ""), (None, ""), ([], ""), ([[]], ""), ("", ""),
    ],
)  # fmt: skip
def test_a_label_is_unwrapped(value, text):
    assert _lswmd_rows.unwrap(value) == text


@pytest.mark.parametrize("value", [["Loc", "none"], 1, True, {}, [[[[[["Loc"]]]]]], object()])
def test_a_label_that_is_none_is_no_label(value):
    with pytest.raises(TypeError):
        _lswmd_rows.unwrap(value)


# Bad content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": ["Loc", "Crater"]}, "row 1: failureType is 'Crater'; expected Center, Donut"),
        ({"split": ["Training", "Train"]}, "row 1: split is 'Train'; expected Training, Test"),
        ({"lot": ["lot1", ""]}, "row 1: lotName is no short text"),
        ({"lot": ["lot1", "x" * 101]}, "row 1: lotName is no short text"),
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
def test_a_row_that_is_wrong_is_named(change, message):
    wafers = some_wafers(2)
    for name, values in change.items():
        setattr(wafers, name, values)
    with pytest.raises(PickleError, match=message):
        list(row_batches(read_columns(io.BytesIO(pickled(write_mir, wafers))), lambda *n: None))


def test_the_error_names_the_file_too_and_nothing_is_left_behind(tmp_path):
    wafers = some_wafers(2)
    wafers.lot[1] = ""
    with pytest.raises(ValueError, match=r"file\.pkl cannot be used: row 1: lotName") as caught:
        load_bytes(tmp_path, pickled(write_mir, wafers))
    assert str(tmp_path) in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.pkl"]


def test_rows_are_counted_through_all_batches(monkeypatch):
    monkeypatch.setattr(_lswmd_rows, "_BATCH_ROWS", 5)
    wafers = some_wafers(12)
    wafers.maps[8] = np.array([[1, 9]], np.uint8)
    columns = read_columns(io.BytesIO(pickled(write_kaggle, wafers)))
    with pytest.raises(PickleError, match="row 8: waferMap holds the value 9"):
        list(row_batches(columns, lambda done, of: None))


def test_one_map_repeated_by_reference_cannot_fill_the_disk(monkeypatch):
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
def test_another_kind_of_content_is_refused(data, message):
    with pytest.raises(PickleError, match=message):
        list(row_batches(read_columns(io.BytesIO(data)), lambda done, of: None))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04rest", "a damaged zip archive"),
        (b"\x1f\x8brest", r"a gzip file\. Unpack it first"),
        (b"\x89HDF\r\n", "an HDF5 file"),
        (b"MATLAB 5.0 MAT-file", r"a MATLAB file\. Take WM811K\.pkl from the folder Python"),
        (b"\x02\x00\x00\x0a\x02\x04", r"an STDF file\. .* camdenoise\.io\.read_maps"),
        (b"x,y,bin\n1,1,1\n", r"a text file of columns\. .* camdenoise\.io\.read_maps"),
        (b"<?xml version='1.0'?><Map/>", r"an XML file\. .* camdenoise\.io\.read_maps"),
        (b"PAR1rest", "is no table of wafers: it cannot be read"),
    ],
)
def test_a_file_of_another_kind_is_told_by_its_start(tmp_path, start, message):
    with pytest.raises(ValueError, match=message):
        load_bytes(tmp_path, start)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_cut_off_file_is_refused(era, tmp_path, share):
    data = pickled(era)
    with pytest.raises(ValueError, match="ends too early|damaged") as caught:
        load_bytes(tmp_path, data[: int(share * len(data))])
    assert "file.pkl cannot be used" in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.pkl"]


def test_an_absent_file_says_what_was_looked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"LSWMD\.pkl or WM811K\.pkl"):
        load_wm811k(tmp_path)


# The process with a cap


def test_time_is_limited(monkeypatch, file):
    monkeypatch.setattr(_lswmd_convert, "_SECONDS", 0.01)
    with pytest.raises(ValueError, match="it took more than 0 s"):
        load_wm811k(file)
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_memory_is_limited(monkeypatch, tmp_path):
    monkeypatch.setattr(_lswmd_convert, "_MEMORY", 300 * 2**20)
    with pytest.raises(ValueError, match=r"it needs more than 0\.\d GiB of memory|ended with"):
        load_bytes(tmp_path, b"]" * 10**7 + b".")


def test_a_crash_is_an_error_that_tells_of_it(tmp_path):
    with pytest.raises(CappedError, match="the process that read it ended with code"):
        run_capped(
            os.abort, memory=2**32, seconds=60, on_progress=lambda *step: None
        )  # os.abort takes no on_progress: the complaint is quoted


def test_whoever_asked_may_be_gone(file, tmp_path):
    """A reading process that can report to nobody stops and takes its half file with it."""
    target = tmp_path / "part"

    def vanish(stage, done, of):
        if stage == "write":
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        _lswmd_convert.convert(str(file), str(target), {}, on_progress=vanish)
    gc.enable()
    assert not target.exists()


def test_progress_is_reported_from_the_other_process(file):
    steps = []
    target = file.with_name("out.parquet")
    n = run_capped(
        _lswmd_convert.convert, str(file), str(target), {},
        memory=2**32, seconds=60, on_progress=lambda *step: steps.append(step),
    )  # fmt: skip
    size = file.stat().st_size
    assert n == 12 and ("read", size, size) in steps and steps[-1] == ("write", 12, 12)


def test_no_progress_bar_where_there_is_no_terminal(file, capfd):
    load_wm811k(file)
    assert capfd.readouterr() == ("", "")


def test_loading_works_in_a_script_without_a_main_guard(file, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from camdenoise.datasets import load_wm811k\n"
        f"print(len(load_wm811k({str(file)!r}).maps))\n"
    )
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    done = subprocess.run(
        [sys.executable, script], env=os.environ | {"PYTHONPATH": path}, capture_output=True,
        text=True, cwd=tmp_path,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("7\n", "")


# The Parquet file


def test_the_pickle_is_converted_once(file, monkeypatch):
    first = load_wm811k(file)
    assert sorted(e.name for e in file.parent.iterdir()) == [
        "WM811K.pkl", "WM811K.pkl.camdenoise.parquet",
    ]  # fmt: skip
    monkeypatch.setattr("camdenoise.datasets._wm811k.convert_safely", None)
    again = load_wm811k(file)
    assert_same_maps(again.maps, first.maps)


def test_a_changed_pickle_is_converted_anew(file):
    load_wm811k(file)
    file.write_bytes(pickled(write_mir, some_wafers(9, seed=1)))
    assert len(load_wm811k(file, labeled=False, drop=()).maps) == 9


def test_a_change_that_keeps_size_and_time_is_noticed(file):
    before, status = load_wm811k(file), file.stat()
    file.write_bytes(pickled(write_mir, some_wafers(12, seed=1)))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size
    assert not np.array_equal(load_wm811k(file).maps[0], before.maps[0])


def test_a_damaged_parquet_file_is_made_anew(file):
    load_wm811k(file)
    cached = file.with_name("WM811K.pkl.camdenoise.parquet")
    cached.write_bytes(cached.read_bytes()[:-100])
    assert len(load_wm811k(file).maps) == 7


def test_cache_names_another_folder(file, tmp_path):
    (tmp_path / "cache").mkdir()
    load_wm811k(file, cache=tmp_path / "cache")
    assert [e.name for e in (tmp_path / "cache").iterdir()] == ["WM811K.pkl.camdenoise.parquet"]


def test_an_absent_cache_folder_is_an_error(file, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No folder .*absent to keep WM811K\.pkl"):
        load_wm811k(file, cache=tmp_path / "absent")


def test_a_folder_that_cannot_be_written_is_an_error(file, monkeypatch):
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    with pytest.raises(PermissionError, match="Pass a folder for it as cache="):
        load_wm811k(file)


def test_a_table_without_rows_is_loaded(tmp_path):
    loaded = load_bytes(tmp_path, pickled(write_mir, some_wafers(0)))
    assert len(loaded.maps) == len(loaded.target) == len(loaded.frame) == len(loaded.groups) == 0


def test_the_parquet_file_itself_and_the_folder_can_be_given(file):
    first = load_wm811k(file.parent)
    again = load_wm811k(file.with_name("WM811K.pkl.camdenoise.parquet"))
    assert_same_maps(again.maps, first.maps)


def test_any_tool_can_read_the_parquet_file(file, wafers):
    load_wm811k(file)
    table = pq.read_table(file.with_name("WM811K.pkl.camdenoise.parquet"))
    assert table.schema.names == [
        "cells", "rows", "cols", "lot", "wafer", "die_size", "split", "label",
    ]  # fmt: skip
    row = table.to_pylist()[3]
    assert row["cells"] == wafers.maps[3].tobytes() and row["label"] == "Edge-Ring"
    assert table["label"].null_count == 2


def test_a_failed_conversion_keeps_the_old_file(file):
    load_wm811k(file)
    cached = file.with_name("WM811K.pkl.camdenoise.parquet")
    before = cached.read_bytes()
    file.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="damaged"):
        load_wm811k(file)
    assert cached.read_bytes() == before
    assert len(list(file.parent.iterdir())) == 2


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("rows", 5, "row 1 has not as many cells"),
        ("rows", 0, "row 1 is of 0 x 23 dies"),
        ("rows", 20_000, "row 1 is of 20000 x 23 dies"),
        ("rows", None, "a wafer has no rows or columns"),
        ("cells", None, "row 1 has not as many cells"),
        ("cells", b"\x07" * 115, "rows 0 to 11 hold values over 2"),
    ],
)
def test_a_parquet_file_that_contradicts_itself_is_refused(file, column, value, message):
    load_wm811k(file)
    cached = file.with_name("WM811K.pkl.camdenoise.parquet")
    table = pq.read_table(cached)
    rows = table.to_pylist()
    if column == "cells" or value != 5:
        rows[1][column] = value
    else:
        rows[1]["rows"] = 4
    pq.write_table(table.from_pylist(rows, table.schema), cached)
    with pytest.raises(ValueError, match=message) as caught:
        load_wm811k(cached)
    assert "Delete it and load the original file" in str(caught.value)


def test_a_mutated_parquet_file_is_read_or_refused(file):
    load_wm811k(file)
    cached = file.with_name("WM811K.pkl.camdenoise.parquet")
    good, rng, refused = cached.read_bytes(), random.Random(0), 0
    for _ in range(150):
        data = bytearray(good)
        at = rng.randrange(4, len(data))
        data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(1, 3))
        cached.write_bytes(data)
        try:
            load_wm811k(cached, labeled=False, drop=())
        except ValueError:
            refused += 1
    assert refused > 100


def test_a_parquet_file_of_something_else_is_refused(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    message = r"load_wm811k did not make; its columns are a\. .*camdenoise\.io\.read_maps"
    with pytest.raises(ValueError, match=message):
        load_wm811k(tmp_path / "a.parquet")
