"""What counts as a wafer map and as a collection of them, and what comes back."""

import pickle

import numpy as np
import pandas as pd
import pytest
from array_likes import OnlyAnArray
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, WaferMapError
from camdenoise.filters import ComponentSizeFilter, MedianFilter, NeighborCountFilter
from camdenoise.wafers._maps import (
    as_collection,
    check_wafer_map,
    check_wafer_maps,
    convert_like,
    remove_fails,
)

CODES = [[0, 1, 2], [2, 1, 0]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.float16, np.float64, object])
def test_any_number_type_is_read_as_uint8(dtype):
    grid = check_wafer_map(np.array(CODES, dtype))
    assert grid.dtype == np.uint8
    np.testing.assert_array_equal(grid, CODES)


def test_nested_lists_and_booleans_are_read():
    np.testing.assert_array_equal(check_wafer_map(CODES), CODES)
    np.testing.assert_array_equal(check_wafer_map([[True, False]]), [[1, 0]])


def test_uint8_is_not_copied():
    grid = np.array(CODES, np.uint8)
    assert check_wafer_map(grid) is grid


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.full((2, 2), 3, np.uint8), r"value 3 at row 0, column 0 \(and 3 more\); allowed are 0"),
        ([[1, 1], [1, 255]], r"value 255 at row 1, column 1; allowed"),
        ([[1.0, np.nan]], "value nan at row 0, column 1"),
        ([[1.0, np.inf]], "value inf at row 0, column 1"),
        ([[1.0, 1.0000001]], "value 1.0000001 at row 0, column 1"),
        ([[-1, 1]], "value -1 at row 0, column 0"),
        ([["1", "2"]], "die codes must be numbers 0, 1 or 2, got <U1"),
        (np.array([[1, None]]), "value None at row 0, column 1"),
        (np.array([[10**400, 1]], object), "die codes must be numbers"),
        ([[1j, 1]], "die codes must be numbers 0, 1 or 2, got complex128"),
        ([[1, 2], [1]], "its rows have different lengths"),
        ([1, 2], r"expected a non-empty 2-D grid of die codes, got shape \(2,\)"),
        (np.ones((2, 2, 1)), r"got shape \(2, 2, 1\)"),
        (np.ones((3, 0)), r"got shape \(3, 0\)"),
        (None, r"got shape \(\)"),
    ],
)
def test_invalid_map_error_names_row_and_value(bad, message):
    with pytest.raises(WaferMapError, match=f"^wafer map 5: .*{message}"):
        check_wafer_map(bad, row=5)


def test_map_error_survives_a_process_pool():
    again = pickle.loads(pickle.dumps(WaferMapError(3, "no grid")))
    assert (again.row, again.reason, str(again)) == (3, "no grid", "wafer map 3: no grid")


def test_first_bad_map_of_a_collection_is_named():
    with pytest.raises(WaferMapError, match="wafer map 1: value 9"):
        check_wafer_maps([CODES, [[9]], [[8]]])


GRIDS = [np.array(CODES, np.uint8), np.array([[2, 2, 2], [1, 1, 1]], np.uint8)]
KINDS = {
    "list": GRIDS,
    "nested lists": [grid.tolist() for grid in GRIDS],
    "tuple": tuple(GRIDS),
    "series": pd.Series(GRIDS, index=["w1", "w2"]),
    "object array": pd.Series(GRIDS).to_numpy(),
    "3-D array": np.stack(GRIDS),
    "iterator": iter(GRIDS),
    "only an array": OnlyAnArray(np.stack(GRIDS)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_collection_is_read(kind):
    for read, grid in zip(check_wafer_maps(KINDS[kind]), GRIDS, strict=True):
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, grid)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((3, 3)), "Wrap a single wafer map in a list"),
        (OnlyAnArray(np.ones((3, 3))), "Wrap a single wafer map in a list"),
        (CODES, "Wrap a single wafer map in a list"),
        (pd.DataFrame(CODES), "Wrap a single wafer map in a list"),
        ([], "Found 0 wafer map"),
        (np.empty((0, 3, 3)), "Found 0 wafer map"),
        ("wafers.npz", "got str"),
        ({"a": GRIDS[0]}, "got dict"),
        (None, "got NoneType"),
        (7, "got int"),
        (np.array(7), "got ndarray"),
    ],
)
def test_invalid_collection_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        check_wafer_maps(X)


def test_flat_item_among_maps_is_not_read_as_table():
    with pytest.raises(WaferMapError, match=r"wafer map 0: .*shape \(2,\)"):
        check_wafer_maps([[1, 2], CODES])
    with pytest.raises(WaferMapError, match=r"wafer map 0: .*shape \(3,\)"):
        check_wafer_maps([[1, 2, 2], [1, 2]])


def test_minimum_number_of_maps_is_checked():
    with pytest.raises(ValueError, match="Found 2 wafer map.* minimum of 3"):
        check_wafer_maps(GRIDS, min_maps=3)


@pytest.mark.parametrize(
    "X", [np.ones((3, 3)), np.ones((3, 3)).tolist(), pd.DataFrame(np.ones((3, 3)))], ids=type
)
def test_single_map_instead_of_collection_is_an_error(X, classifier):
    """Where no labels show how many wafers there are, its rows would pass for wafers."""
    frozen = CamDenoiser(FrozenEstimator(classifier))
    for denoiser in (MedianFilter(), ComponentSizeFilter(), NeighborCountFilter(), frozen):
        with pytest.raises(ValueError, match="Wrap a single wafer map in a list"):
            denoiser.fit_transform(X)


@pytest.mark.parametrize("kind", ["list", "tuple", "series", "object array", "3-D array"])
def test_same_kind_comes_back_row_for_row(kind):
    back = convert_like(KINDS[kind], [grid + 10 for grid in GRIDS])
    assert type(back) is type(KINDS[kind])
    for found, grid in zip(back, GRIDS, strict=True):
        np.testing.assert_array_equal(found, grid + 10)


def test_ragged_maps_come_back_as_an_object_array():
    ragged = [np.ones((2, 3)), np.ones((4, 1))]
    back = convert_like(pd.Series(ragged).to_numpy(), ragged)
    assert back.dtype == object and [grid.shape for grid in back] == [(2, 3), (4, 1)]


def test_equal_maps_stay_objects_in_arrays_and_series():
    back = convert_like(KINDS["object array"], GRIDS)
    assert back.shape == (2,) and back.dtype == object
    assert convert_like(KINDS["series"], GRIDS).shape == (2,)


def test_series_keeps_index_and_name():
    column = pd.Series(GRIDS, index=[7, 3], name="wafer")
    back = convert_like(column, GRIDS[::-1])
    assert back.index.tolist() == [7, 3] and back.name == "wafer"
    np.testing.assert_array_equal(back[7], GRIDS[1])


@pytest.mark.parametrize("table", [np.ones((2, 3)), pd.DataFrame(np.ones((2, 3)))], ids=type)
def test_table_comes_back_as_a_table(table):
    back = convert_like(table, [np.array([[0, 1, 2]]), np.array([[2, 1, 0]])])
    assert isinstance(back, np.ndarray)
    np.testing.assert_array_equal(back, CODES)


def test_iterator_can_be_read_twice_once_collected():
    collected = as_collection(iter(GRIDS))
    assert list(collected) == list(collected) and len(collected) == 2
    assert as_collection(GRIDS) is GRIDS


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32, bool])
def test_remove_fails_copies_and_keeps_the_dtype(dtype):
    grid = np.array([[2, 1], [0, 2]]).astype(dtype)
    before = grid.copy()
    clean = remove_fails(grid, np.array([[True, False], [False, False]]))
    assert clean.dtype == dtype and clean[0, 0] == 1
    assert not np.shares_memory(clean, grid)
    np.testing.assert_array_equal(grid, before)
    np.testing.assert_array_equal(clean.ravel()[1:], before.ravel()[1:])
