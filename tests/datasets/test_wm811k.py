"""WM-811K's pickles of both eras: what is loaded, what is refused, what is kept."""

import io
import pickle

import numpy as np
import pandas as pd
import pytest
from lswmd_pickles import load_bytes, pickled, saved_again, some_wafers, write_kaggle, write_mir
from same_maps import assert_same_maps

from camdenoise import RaggedWaferMaps
from camdenoise.datasets import CLASSES, load_wm811k
from camdenoise.io._lswmd_pickle import read_columns
from camdenoise.io._lswmd_rows import LABELS, row_batches

ERAS = {"kaggle": write_kaggle, "mir": write_mir}


@pytest.fixture(params=ERAS)
def era(request):
    return ERAS[request.param]


# What is loaded


def test_both_eras_are_loaded_completely(era, lswmd, tmp_path):
    loaded = load_bytes(tmp_path, pickled(era, lswmd), labeled=False, drop=())
    assert isinstance(loaded.maps, RaggedWaferMaps)
    assert_same_maps(loaded.maps, lswmd.maps)
    assert loaded.target.tolist() == lswmd.label and loaded.target.dtype.kind == "U"
    assert loaded.groups.tolist() == [i // 5 for i in range(12)]
    expected = pd.DataFrame(
        {
            "label": lswmd.label,
            "height": [grid.shape[0] for grid in lswmd.maps],
            "width": [grid.shape[1] for grid in lswmd.maps],
            "lot": lswmd.lot,
            "wafer": lswmd.wafer,
            "die_size": np.array(lswmd.die_size, float),
            "split": lswmd.split,
            "order": range(12),
        }
    )
    pd.testing.assert_frame_equal(loaded.frame, expected, check_dtype=False)
    assert loaded.truth is None and loaded.about["name"] == "file.pkl"


def test_default_classes_are_the_six_patterns(era, lswmd, tmp_path):
    loaded = load_bytes(tmp_path, pickled(era, lswmd))
    rows = [0, 1, 2, 3, 4, 5, 11]
    assert loaded.target.tolist() == [lswmd.label[row] for row in rows]
    assert loaded.frame["order"].tolist() == rows
    assert loaded.groups.tolist() == [0, 0, 0, 0, 0, 1, 2]
    assert_same_maps(loaded.maps, [lswmd.maps[row] for row in rows])


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ({"drop": "none"}, CLASSES[:8]),
        ({"drop": [name for name in CLASSES if name != "Loc"]}, ["Loc"]),
        ({"drop": ("none", *CLASSES[:7]), "labeled": False}, ["Random", ""]),
        ({"drop": CLASSES}, []),
    ],
)
def test_classes_are_dropped(lswmd_file, options, labels):
    loaded = load_wm811k(lswmd_file, **options)
    assert set(loaded.target) == set(labels)
    assert len(loaded.maps) == len(loaded.frame) == len(loaded.groups) == len(loaded.target)


def test_unknown_class_is_refused_before_reading(tmp_path):
    with pytest.raises(ValueError, match=r"drop names \['Loch'\]; the classes are"):
        load_wm811k(tmp_path / "absent.pkl", drop=["Loch"])


def test_labels_equal_the_simulators_classes():
    assert set(LABELS) == set(CLASSES)


def test_pickle_of_current_pandas_is_loaded(lswmd, tmp_path):
    frame = pd.DataFrame(
        {
            "waferMap": pd.Series(lswmd.maps, dtype=object),
            "dieSize": lswmd.die_size,
            "lotName": lswmd.lot,
            "waferIndex": lswmd.wafer,
            "trainTestLabel": lswmd.split,
            "failureType": pd.Series(lswmd.label).replace("", None),
            "more": [(1, 2)] * 12,
            "lotCategory": pd.Categorical(lswmd.lot),
        }
    )
    for i, protocol in enumerate((2, 3, 4, 5)):
        for j, kind in enumerate(("object", "category", "string")):
            changed = frame.astype({"lotName": kind, "failureType": kind})[::-1]
            data = pickle.dumps(changed, protocol)
            columns = read_columns(io.BytesIO(data))
            assert columns["lotName"] == lswmd.lot[::-1], (protocol, kind)
            assert columns["more"] == [(1, 2)] * 12
            if i == j:
                loaded = load_bytes(tmp_path, data, drop=())
                labelled = [i for i in range(11, -1, -1) if lswmd.label[i]]
                assert_same_maps(loaded.maps, [lswmd.maps[i] for i in labelled])


@pytest.mark.parametrize("dtype", ["int8", "int64", "<u2", ">i4", "float32", "bool"])
def test_maps_of_other_dtypes_and_orders_are_recoded(tmp_path, dtype, lswmd):
    lswmd.maps = [np.asfortranarray(grid % 2).astype(dtype, order="F") for grid in lswmd.maps]
    columns = {
        "waferMap": pd.Series(lswmd.maps, dtype=object), "dieSize": lswmd.die_size,
        "lotName": lswmd.lot, "waferIndex": lswmd.wafer, "trainTestLabel": lswmd.split,
        "failureType": lswmd.label,
    }  # fmt: skip
    for protocol in (2, 5):
        data = pickle.dumps(pd.DataFrame(columns), protocol)
        batches = row_batches(read_columns(io.BytesIO(data)), lambda done, of: None)
        cells = [cell for batch in batches for cell in batch["cells"].to_pylist()]
        assert cells == [np.asarray(grid, np.uint8, order="C").tobytes() for grid in lswmd.maps]


@pytest.mark.parametrize(
    ("name", "ours"),
    [("waferIndex", "wafer"), ("dieSize", "die_size"), ("trianTestLabel", "split"),
     ("lotName", "lot")],
)  # fmt: skip
def test_column_left_out_is_missing_in_the_result(tmp_path, lswmd, name, ours):
    data = pickle.dumps(saved_again(lswmd, **{name: None}))
    whole = load_bytes(tmp_path, pickle.dumps(saved_again(lswmd)), drop=())
    loaded = load_bytes(tmp_path, data, drop=())
    assert loaded.frame[ours].isna().all() or (loaded.frame[ours] == "").all()
    assert_same_maps(loaded.maps, whole.maps)
    pd.testing.assert_frame_equal(
        loaded.frame.drop(columns=ours), whole.frame.drop(columns=ours), check_dtype=False
    )


def test_maps_alone_are_loaded_without_labels(tmp_path, lswmd):
    data = pickle.dumps(saved_again(lswmd)[["waferMap"]])
    loaded = load_bytes(tmp_path, data, labeled=False)
    assert_same_maps(loaded.maps, lswmd.maps)
    assert loaded.target.tolist() == [""] * 12


def test_missing_lots_group_by_runs_of_one_grid(tmp_path, lswmd):
    lswmd.maps = [lswmd.maps[row // 4] for row in range(12)]
    loaded = load_bytes(
        tmp_path, pickle.dumps(saved_again(lswmd, lotName=None)), labeled=False, drop=()
    )
    assert loaded.groups.tolist() == [row // 4 for row in range(12)]


@pytest.mark.parametrize("change", [{"failureType": None}, {"failureType": [[]] * 12}])
def test_file_without_labels_error_names_the_option(tmp_path, lswmd, change):
    message = r"file\.pkl has a label for none of its 12 wafers .*Pass labeled=False"
    with pytest.raises(ValueError, match=message):
        load_bytes(tmp_path, pickle.dumps(saved_again(lswmd, **change)))


def test_table_without_maps_error_names_columns(tmp_path, lswmd):
    data = pickle.dumps(saved_again(lswmd, waferMap=None, dieSize=None))
    message = "it has no column waferMap, which holds the maps; found lotName, waferIndex, trian"
    with pytest.raises(ValueError, match=message):
        load_bytes(tmp_path, data)


# Bad content


def test_failed_load_names_file_and_leaves_nothing(tmp_path):
    wafers = some_wafers(2)
    wafers.lot[1] = ""
    with pytest.raises(ValueError, match=r"file\.pkl cannot be used: row 1: lotName") as caught:
        load_bytes(tmp_path, pickled(write_mir, wafers))
    assert str(tmp_path) in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.pkl"]


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
        (b"PAR1rest", "is not a table of wafers: it cannot be read"),
    ],
)
def test_other_file_kind_is_recognized_by_its_start(tmp_path, start, message):
    with pytest.raises(ValueError, match=message):
        load_bytes(tmp_path, start)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_cut_off_file_is_refused(era, tmp_path, share):
    data = pickled(era)
    with pytest.raises(ValueError, match="ends too early|damaged") as caught:
        load_bytes(tmp_path, data[: int(share * len(data))])
    assert "file.pkl cannot be used" in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.pkl"]


def test_missing_file_error_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"LSWMD\.pkl or WM811K\.pkl"):
        load_wm811k(tmp_path)
