"""MixedWM38: maps with the stray value 3, labels of several patterns, and bad files."""

import io
import struct
import zipfile
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camdenoise import WaferMapError
from camdenoise.datasets import CLASSES, MIXED_CLASSES, MIXED_PATTERNS, load_mixed_wm38
from camdenoise.wafers._maps import check_wafer_maps

LABELS = [[0] * 8, [1, 0, 1, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]]


def some_maps(n=4):
    return np.random.default_rng(0).integers(0, 3, (n, 52, 52))


def write(folder, maps, labels, save=np.savez):
    save(folder / "Wafer_Map_Datasets.npz", maps, np.asarray(labels))
    return folder / "Wafer_Map_Datasets.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "float64"])
def test_maps_and_labels_are_loaded(tmp_path, dtype, save):
    wafers = load_mixed_wm38(write(tmp_path, some_maps().astype(dtype), LABELS, save))
    assert wafers.maps.dtype == np.uint8
    np.testing.assert_array_equal(wafers.maps, some_maps())
    np.testing.assert_array_equal(wafers.labels, LABELS)
    assert wafers.target.tolist() == ["none", "Center+Edge-Loc+Loc+Scratch", "Near-full", "Donut"]
    assert wafers.frame["n_patterns"].tolist() == [0, 4, 1, 1]
    assert wafers.frame["label"].tolist() == wafers.target.tolist()
    assert wafers.groups is None and wafers.truth is None
    assert len(check_wafer_maps(wafers.maps)) == 4


def test_stray_value_3_is_a_fail(tmp_path):
    maps = some_maps()
    maps[2, 5, :9] = 3
    loaded = load_mixed_wm38(write(tmp_path, maps, LABELS)).maps
    assert (loaded[2, 5, :9] == 2).all()
    np.testing.assert_array_equal(loaded, np.minimum(maps, 2))


def test_mixed_classes_are_38_combinations():
    assert len(set(MIXED_CLASSES)) == len(MIXED_CLASSES) == 38
    n_patterns = [0 if name == "none" else name.count("+") + 1 for name in MIXED_CLASSES]
    # As published: one normal, 8 single, 13 of two, 12 of three, 4 of four patterns.
    assert np.bincount(n_patterns).tolist() == [1, 8, 13, 12, 4]
    assert not [name for name in MIXED_CLASSES if "Center" in name and "Donut" in name]
    assert set(MIXED_PATTERNS) == set(CLASSES) - {"none"}


def test_every_combination_is_named(tmp_path):
    labels = [[name in combo.split("+") for name in MIXED_PATTERNS] for combo in MIXED_CLASSES]
    wafers = load_mixed_wm38(write(tmp_path, some_maps(38), np.array(labels, float)))
    assert wafers.target.tolist() == list(MIXED_CLASSES)
    assert wafers.label_names == MIXED_PATTERNS


def test_folder_loads_the_file_in_it(tmp_path):
    write(tmp_path, some_maps(), LABELS)
    assert len(load_mixed_wm38(tmp_path).maps) == 4


def test_missing_file_error_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"Wafer_Map_Datasets\.npz"):
        load_mixed_wm38(tmp_path)


@pytest.mark.parametrize(
    ("maps", "labels", "message"),
    [
        (np.full((4, 52, 52), 4), LABELS, "wafer 0: value 4 at row 0, column 0"),
        (np.full((4, 52, 52), -1), LABELS, "wafer 0: value -1"),
        (np.full((4, 52, 52), 0.5), LABELS, "wafer 0: value 0.5"),
        (np.full((4, 52, 52), np.nan), LABELS, "wafer 0: value nan"),
        (np.ones((4, 52)), LABELS, r"arr_0 is float64 \(4, 52\); expected"),
        (np.ones((4, 1, 4097)), LABELS, "arr_0 is"),
        (np.ones((4, 0, 52)), LABELS, "arr_0 is"),
        (np.full((4, 5, 5), "a"), LABELS, "arr_0 is <U1"),
        (np.ones((4, 5, 5)), LABELS[:3], r"arr_1 is int64 \(3, 8\); expected numbers \(4, 8\)"),
        (np.ones((4, 5, 5)), [[1]] * 4, "arr_1 is"),
        (np.ones((4, 5, 5)), [*LABELS[:3], [2] * 8], r"wafer 3: label \[2, 2"),
        (np.ones((4, 5, 5)), [*LABELS[:2], [1, 1, 0, 0, 0, 0, 0, 0], LABELS[3]],
         r"wafer 2: Center\+Donut is none of the 38"),
        (np.ones((4, 5, 5), object), LABELS, "arr_0 is object"),
    ],
)  # fmt: skip
def test_foreign_values_are_named(tmp_path, maps, labels, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_mixed_wm38(write(tmp_path, maps, labels))
    assert "is not a MixedWM38 file" in str(caught.value)
    assert not isinstance(caught.value, WaferMapError)


def npz_that_claims(folder, header, content=b""):
    """An npz whose first array has a header of our own."""
    text = header.encode() + b"\n"
    npy = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content
    labels = io.BytesIO()
    np.save(labels, np.array(LABELS))
    with zipfile.ZipFile(folder / "claim.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", npy)
        archive.writestr("arr_1.npy", labels.getvalue())
    return folder / "claim.npz"


@pytest.mark.parametrize(
    "shape", ["(4, 2147483647, 52)", "(100000000000, 52, 52)", f"({2**62}, 512, 512)", "(-4, 5, 5)"]
)
def test_oversized_header_is_refused_before_allocation(tmp_path, shape):
    header = f"{{'descr': '<i4', 'fortran_order': False, 'shape': {shape}, }}"
    with pytest.raises(ValueError, match="is not a MixedWM38 file"):
        load_mixed_wm38(npz_that_claims(tmp_path, header))


@pytest.mark.parametrize("header", ["", "[1]", "{'shape': ()}", "__import__('os')", "{" * 9000])
def test_malformed_header_is_refused(tmp_path, header):
    with pytest.raises(ValueError, match="is not a MixedWM38 file"):
        load_mixed_wm38(npz_that_claims(tmp_path, header))


def test_missing_array_is_named(tmp_path):
    np.savez(tmp_path / "w.npz", arr_0=some_maps(), label=LABELS)
    with pytest.raises(ValueError, match=r"\['arr_1.npy'\] missing; found"):
        load_mixed_wm38(tmp_path / "w.npz")


@pytest.mark.parametrize("share", [0, 0.3, 0.99])
def test_cut_off_file_is_refused(tmp_path, share):
    file = write(tmp_path, some_maps(), LABELS)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(ValueError, match="is not a MixedWM38 file"):
        load_mixed_wm38(file)


def test_file_without_wafers_loads_empty(tmp_path):
    wafers = load_mixed_wm38(write(tmp_path, np.ones((0, 5, 5)), np.ones((0, 8))))
    assert len(wafers.maps) == len(wafers.target) == 0


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_mutated_file_is_read_or_refused(tmp_path, data):
    file = write(tmp_path, some_maps()[:, :5, :5], LABELS)
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    file.write_bytes(content)
    try:
        assert load_mixed_wm38(file).maps.max() <= 2
    except ValueError as error:
        # A first byte of 0x80 is how a pickle begins.
        assert "is not a MixedWM38 file" in str(error) or "is a pickle, not" in str(error)


def test_zlib_errors_are_caught(tmp_path):
    file = write(tmp_path, some_maps(), LABELS, np.savez_compressed)
    content = bytearray(file.read_bytes())
    content[100:160] = bytes(60)
    file.write_bytes(content)
    with pytest.raises(ValueError, match="is not a MixedWM38 file") as caught:
        load_mixed_wm38(file)
    assert isinstance(caught.value.__cause__, zlib.error | zipfile.BadZipFile | ValueError)
