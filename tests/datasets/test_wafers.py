import struct
import zipfile

import numpy as np
import pandas as pd
import pytest

from camdenoise.datasets import (
    CLASSES,
    load_wafer_maps,
    make_wafer_maps,
    save_wafer_maps,
)
from camdenoise.wafers._maps import WaferMapError


@pytest.fixture
def wafers():
    return make_wafer_maps(12, classes=CLASSES, random_state=3)


@pytest.fixture
def arrays():
    """The arrays of a small, sound file: a 2 x 3 and a 1 x 2 wafer."""
    return {
        "cells": np.array([0, 1, 2, 1, 1, 0, 2, 1], np.uint8),
        "offset": np.array([0, 6, 8]),
        "height": np.array([2, 1], np.uint16),
        "width": np.array([3, 2], np.uint16),
        "label": np.array(["Loc", "none"]),
    }


def write(folder, arrays):
    np.savez(folder / "wafers.npz", **arrays)
    return folder / "wafers.npz"


def test_saved_wafers_are_loaded_unchanged(wafers, tmp_path):
    file = tmp_path / "wafers.npz"
    save_wafer_maps(
        file, wafers.maps, wafers.target, truth=wafers.truth, lot=wafers.groups, source="simulated"
    )
    again = load_wafer_maps(file)
    for name in ("maps", "truth"):
        for was, now in zip(wafers[name], again[name], strict=True):
            assert was.dtype == now.dtype
            np.testing.assert_array_equal(was, now)
    np.testing.assert_array_equal(again.target, wafers.target)
    np.testing.assert_array_equal(again.groups, wafers.groups)
    assert again.about == {"source": "simulated"}


def test_frame_holds_sides_and_all_file_columns(arrays, tmp_path):
    arrays |= {"fold": np.array([3, 1], np.int8), "tool": np.array(["a", "b"])}
    frame = load_wafer_maps(write(tmp_path, arrays)).frame
    assert frame.columns.tolist() == ["label", "height", "width", "fold", "tool"]
    assert frame.loc[1].tolist() == ["none", 1, 2, 1, "b"]


def test_maps_are_views_of_one_array(arrays, tmp_path):
    first, second = load_wafer_maps(write(tmp_path, arrays)).maps
    assert first.base is not None and first.base is second.base


def test_folder_loads_the_file_in_it(arrays, tmp_path):
    write(tmp_path, arrays).rename(tmp_path / "wm811k_dev.npz")
    assert len(load_wafer_maps(tmp_path).maps) == 2


def test_classes_option_selects_complete_rows(arrays, tmp_path):
    arrays["chunk"] = np.array([4, 9])
    picked = load_wafer_maps(write(tmp_path, arrays), classes=["none"])
    assert picked.target.tolist() == ["none"]
    assert picked.groups.tolist() == [9]
    assert picked.maps[0].tolist() == [[2, 1]]
    assert picked.frame.index.tolist() == [0] and picked.truth is None


def test_class_missing_from_the_file_is_an_error(arrays, tmp_path):
    with pytest.raises(ValueError, match=r"no wafer of class \['Loch'\]; the file has \['Loc'"):
        load_wafer_maps(write(tmp_path, arrays), classes=["Loch"])


@pytest.mark.parametrize(
    ("columns", "groups"),
    [
        ({"chunk": [5, 5], "lot": [1, 2]}, [5, 5]),
        ({"lot": np.array(["B", "A"])}, [0, 1]),
        ({"shape_run": [7, 8]}, [7, 8]),
        ({}, [0, 1]),
    ],
)
def test_groups_come_from_the_best_column(arrays, tmp_path, columns, groups):
    arrays |= {name: np.array(values) for name, values in columns.items()}
    assert load_wafer_maps(write(tmp_path, arrays)).groups.tolist() == groups


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("offset", [0, 6, 9], "offset runs from 0 to 9; it must run from 0 to the 8 cells"),
        ("offset", [1, 6, 8], "offset runs from 1"),
        ("offset", [0, 5, 8], "wafer 0: offset gives it 5 cells, but its grid is 2 x 3"),
        ("offset", [0.0, 6.0, 8.0], "offset must be a 1-D array of integers"),
        ("offset", np.array([], int), "offset runs nowhere"),
        ("height", [2, 3], "wafer 1: offset gives it 2 cells, but its grid is 3 x 2"),
        ("height", [2, -1], "wafer 1"),
        ("width", [3], "width has shape"),
        ("label", ["Loc"], "label has shape"),
        ("label", [1, 2], "label must hold text"),
        ("fold", [1, 2, 3], "fold has shape .* one value per wafer"),
        ("cells", np.array([0, 1, 2, 1, 1, 0, 7, 1], np.uint8), "value 7 at position 6"),
        ("cells", [0, 1, 2, 1, 1, 0, 2, 1], "cells must be a 1-D uint8 array, got 1-D int64"),
        ("truth", np.ones(8, bool), "truth marks cell 0, which is not a fail"),
        ("truth", np.ones(5, bool), "one value per cell"),
    ],
)
def test_contradictory_file_error_names_the_place(arrays, tmp_path, name, value, message):
    arrays[name] = np.asarray(value)
    with pytest.raises(ValueError, match=message) as caught:
        load_wafer_maps(write(tmp_path, arrays))
    assert "rebuild it with save_wafer_maps" in str(caught.value)


def test_sides_are_multiplied_without_overflow(arrays, tmp_path):
    # 256 x 256 is 0 in uint16, which would agree with an empty wafer.
    arrays |= {"offset": np.array([0, 0, 8]), "height": np.array([256, 4], np.uint16)}
    arrays["width"] = np.array([256, 2], np.uint16)
    with pytest.raises(ValueError, match="wafer 0: offset gives it 0 cells"):
        load_wafer_maps(write(tmp_path, arrays))


def test_missing_array_is_named(arrays, tmp_path):
    del arrays["width"]
    with pytest.raises(ValueError, match=r"arrays \['width'\] are missing"):
        load_wafer_maps(write(tmp_path, arrays))


def test_pickled_objects_are_refused(arrays, tmp_path):
    arrays["label"] = arrays["label"].astype(object)
    with pytest.raises(ValueError, match="'label' .* cannot be read without pickle"):
        load_wafer_maps(write(tmp_path, arrays))


@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_cut_off_file_is_refused(arrays, tmp_path, share):
    file = write(tmp_path, arrays)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="not a readable npz file"):
        load_wafer_maps(file)


@pytest.mark.parametrize("header", [b"{" * 100, b" 1\n  2\n 3", b"\x00"])
def test_malformed_header_is_refused(tmp_path, header):
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header
    with zipfile.ZipFile(tmp_path / "wafers.npz", "w") as archive:
        archive.writestr("cells.npy", npy)
    with pytest.raises(ValueError, match="rebuild it with save_wafer_maps"):
        load_wafer_maps(tmp_path / "wafers.npz")


def test_damaged_array_is_refused(wafers, tmp_path):
    file = tmp_path / "wafers.npz"
    save_wafer_maps(file, wafers.maps, wafers.target)
    content = bytearray(file.read_bytes())
    content[200:260] = bytes(60)
    file.write_bytes(content)
    with pytest.raises(ValueError, match="'cells' of .* cannot be read"):
        load_wafer_maps(file)


def test_bare_array_is_refused(tmp_path):
    np.save(tmp_path / "wafers.npy", np.zeros(3))
    with pytest.raises(ValueError, match="one bare array"):
        load_wafer_maps(tmp_path / "wafers.npy")


def test_missing_file_error_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"wm811k_dev\.npz"):
        load_wafer_maps(tmp_path)


def test_failed_save_leaves_only_the_old_file(wafers, tmp_path, monkeypatch):
    file = tmp_path / "wafers.npz"
    save_wafer_maps(file, wafers.maps, wafers.target)
    before = file.read_bytes()

    def run_out_of_space(stream, **arrays):
        stream.write(b"half a file")
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "savez_compressed", run_out_of_space)
    with pytest.raises(OSError, match="no space"):
        save_wafer_maps(file, wafers.maps[:3], wafers.target[:3])
    assert file.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["wafers.npz"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": ["Loc"]}, r"column 'target' has shape \(1,\), expected \(2,\)"),
        ({"target": [1, 2]}, "column 'target' is of type object"),
        ({"lot": [object(), None]}, "column 'lot' is of type object, which needs pickle"),
        ({"lot": [1, 2, 3]}, "column 'lot' has shape"),
        ({"allow_pickle": True}, "names that the file format uses"),
        ({"truth": [np.zeros((2, 2), bool)]}, "truth has 1 masks for 2"),
        ({"truth": [np.zeros((2, 2))] * 2}, "truth of wafer 0 is float64"),
        ({"truth": [np.zeros((2, 2), bool), np.ones((2, 2), bool)]}, "truth of wafer 1 marks"),
    ],
)
def test_unsavable_values_are_refused_before_writing(tmp_path, change, message):
    target = change.pop("target", ["Loc", "none"])
    with pytest.raises(ValueError, match=message):
        save_wafer_maps(tmp_path / "w.npz", np.ones((2, 2, 2), np.uint8), target, **change)
    assert list(tmp_path.iterdir()) == []


def test_map_with_a_wrong_code_is_not_saved(tmp_path):
    with pytest.raises(WaferMapError, match="wafer map 1: value 7"):
        save_wafer_maps(tmp_path / "w.npz", [[[1]], [[7]]], ["Loc", "Loc"])


def test_columns_of_a_frame_can_be_saved(wafers, tmp_path):
    columns = wafers.frame.drop(columns=["label", "height", "width"])
    save_wafer_maps(tmp_path / "w.npz", wafers.maps, wafers.frame["label"], **columns)
    frame = load_wafer_maps(tmp_path / "w.npz").frame
    pd.testing.assert_frame_equal(
        frame[wafers.frame.columns], wafers.frame, check_dtype=False, check_like=True
    )


def test_real_wafers_load(data_folder):
    mini = load_wafer_maps(data_folder / "wm811k_mini.npz")
    assert len(mini.maps) == len(mini.target) == len(mini.groups) == len(mini.frame) == 520
    assert set(mini.target) == set(CLASSES)
    assert "order" in mini.frame and "provenance" in mini.about
