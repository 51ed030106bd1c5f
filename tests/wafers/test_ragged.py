"""Many wafer maps in one array: as a list to look at, as an array to select from."""

import pickle
import tracemalloc
from operator import attrgetter

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from same_maps import assert_same_maps
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    cross_val_predict,
    cross_validate,
    train_test_split,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import resample
from small_models import TINY

from camdenoise import CamDenoiser, RaggedWaferMaps, WaferClassifier, WaferMapError
from camdenoise.datasets import load_wafer_maps, make_wafer_maps, save_wafer_maps
from camdenoise.filters import MedianFilter
from camdenoise.metrics import die_scores
from camdenoise.wafers._maps import check_wafer_maps, convert_like

FAST = TINY | {"max_epochs": 2}


@pytest.fixture
def grids():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 3, (2 + i % 3, 3 + i % 4)).astype(np.uint8) for i in range(9)]


@pytest.fixture
def ragged(grids):
    return RaggedWaferMaps.from_maps(grids)


def memmapped(folder, grids):
    flat = np.concatenate([grid.ravel() for grid in grids])
    (folder / "cells.bin").write_bytes(b"head" + flat.tobytes())
    cells = np.memmap(folder / "cells.bin", np.uint8, "r", offset=4)
    return RaggedWaferMaps(cells, *np.array([grid.shape for grid in grids]).T)


def test_ragged_maps_are_a_sequence(ragged, grids):
    assert_same_maps(ragged, grids)
    assert_same_maps([ragged[i] for i in range(-9, 9)], grids + grids)
    assert ragged.shape == (9,) and ragged.nbytes == sum(grid.size for grid in grids)


@pytest.mark.parametrize("row", [9, -10, np.int64(9)])
def test_missing_row_is_an_index_error(ragged, row):
    with pytest.raises(IndexError):
        ragged[row]


@pytest.mark.parametrize(
    "key",
    [
        slice(2, 7, 2),
        slice(None, None, -1),
        np.array([4, 4, 0]),
        np.array([-1, 0], np.int32),
        [3, 1],
        [],
        np.arange(9) % 2 == 0,
        [True, False, True] * 3,
        pd.Series([5, 2]),
    ],
    ids=str,
)
def test_selection_keeps_the_kind_and_shares_cells(ragged, grids, key):
    rows = np.arange(9)[key if isinstance(key, slice) or len(key) else slice(0)]
    picked = ragged[key]
    assert isinstance(picked, RaggedWaferMaps)
    assert np.shares_memory(picked.cells, ragged.cells)
    assert_same_maps(picked, [grids[row] for row in rows])


def test_selection_of_a_selection_is_right(ragged, grids):
    assert_same_maps(ragged[3:][np.array([2, 0])][:1], [grids[5]])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ([True, False], "the mask has 2 values for 9 wafer maps"),
        (np.ones((2, 2), int), "a 1-D array of row numbers"),
        ([0.5], "a 1-D array of row numbers"),
        ("a", "got str"),
        ((0, 1), "got tuple"),
        ([9], "out of bounds"),
        (True, "got bool"),
    ],
)
def test_invalid_key_is_refused(ragged, key, message):
    with pytest.raises(IndexError, match=message):
        ragged[key]


def test_ragged_maps_are_read_only(ragged):
    for array in (ragged[0], ragged.cells, ragged.heights, next(iter(ragged)), ragged[1:][0]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_input_stays_writable_and_is_not_copied():
    cells = np.array([1, 2, 1], np.uint8)
    maps = RaggedWaferMaps(cells, [1, 1], [1, 2])
    assert cells.flags.writeable and np.shares_memory(maps[1], cells)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([1, 2], [1], [2]), "array of uint8"),
        ((np.zeros((2, 2), np.uint8), [1], [2]), "one-dimensional array of uint8"),
        ((np.zeros(8, np.uint8)[::2], [1], [2]), "end to end"),
        ((np.zeros(4, np.uint8), [1, 2], [2]), r"heights \(2,\), widths \(1,\) .* equally long"),
        ((np.zeros(4, np.uint8), [1.0], [2]), "heights must be whole numbers"),
        ((np.zeros(4, np.uint8), [2, 1], [1, 3]), "wafer map 1: 1 x 3 dies from cell 2"),
        ((np.zeros(4, np.uint8), [0], [2]), "wafer map 0: 0 x 2"),
        ((np.zeros(4, np.uint8), [-2], [-2]), "wafer map 0"),
        ((np.zeros(4, np.uint8), [1], [1], [4]), "wafer map 0"),
        ((np.zeros(4, np.uint8), [1], [1], [-1]), "wafer map 0"),
        ((np.zeros(4, np.uint8), [2**32], [2**32]), "wafer map 0"),
        ((np.zeros(4, np.uint8), [2**31 - 1], [2**31 - 1], [0]), "wafer map 0"),
    ],
)
def test_mismatched_parts_are_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        RaggedWaferMaps(*parts)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([[0.5]], "wafer map 1: die codes must be the numbers"),
        ([[300]], "wafer map 1"),
        ([[-1]], "wafer map 1"),
        ([[float("nan")]], "wafer map 1"),
        ([["a"]], "wafer map 1"),
        ([1, 2], r"wafer map 1: .* shape \(2,\)"),
        ([[]], "wafer map 1"),
    ],
)
def test_invalid_map_is_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        RaggedWaferMaps.from_maps([[[1]], bad])


def test_empty_collection_has_length_zero():
    empty = RaggedWaferMaps.from_maps([])
    assert len(empty) == 0 and list(empty) == [] and len(pickle.loads(pickle.dumps(empty))) == 0


def test_numpy_array_is_an_object_column_of_maps():
    same_size = RaggedWaferMaps.from_maps([[[1, 2]], [[2, 0]]])
    column = np.asarray(same_size)
    assert column.shape == (2,) and column.dtype == object
    assert_same_maps(column, list(same_size))


@given(st.data())
def test_any_chain_of_selections_agrees_with_a_list(data):
    shapes = data.draw(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), max_size=8))
    maps = [np.full(shape, i, np.uint8) for i, shape in enumerate(shapes)]
    ragged = RaggedWaferMaps.from_maps(maps)
    for _ in range(3):
        rows = list(range(len(maps)))
        if data.draw(st.booleans()) and rows:
            key = data.draw(st.lists(st.sampled_from(rows), max_size=6))
            maps, ragged = [maps[i] for i in key], ragged[key]
        else:
            key = data.draw(st.slices(len(rows)))
            maps, ragged = maps[key], ragged[key]
    assert_same_maps(ragged, maps)
    assert_same_maps(ragged.compact(), maps)
    assert_same_maps(pickle.loads(pickle.dumps(ragged)), maps)


def test_pickle_of_a_selection_leaves_the_rest_out(grids):
    ragged = RaggedWaferMaps.from_maps([np.ones((300, 300), np.uint8), *grids])
    few = ragged[1:]
    assert len(pickle.dumps(few)) < 5000 < len(pickle.dumps(ragged))
    assert_same_maps(pickle.loads(pickle.dumps(few)), grids)


def test_compact_copies_the_memory(ragged, grids):
    few = ragged[[8, 0]].compact()
    assert few.cells.size == few.nbytes and not np.shares_memory(few.cells, ragged.cells)
    assert_same_maps(few, [grids[8], grids[0]])


def test_mapped_file_is_pickled_by_name(tmp_path, grids):
    big = [np.ones((200, 200), np.uint8), *grids]
    mapped = memmapped(tmp_path, big)
    blob = pickle.dumps(mapped[::-1])
    assert len(blob) < 5000
    again = pickle.loads(blob)
    assert isinstance(again.cells, np.memmap)
    assert_same_maps(again, big[::-1])


def test_part_of_a_mapped_file_is_pickled_by_offset(tmp_path, grids):
    mapped = memmapped(tmp_path, grids)
    skip = grids[0].size
    part = RaggedWaferMaps(mapped.cells[skip:], mapped.heights[1:], mapped.widths[1:])
    assert_same_maps(pickle.loads(pickle.dumps(part)), grids[1:])


def test_deleted_mapped_file_is_pickled_by_cells(tmp_path, grids):
    mapped = memmapped(tmp_path, grids)
    (tmp_path / "cells.bin").unlink()
    assert_same_maps(pickle.loads(pickle.dumps(mapped)), grids)


def test_ragged_maps_accept_arrow_memory(grids):
    buffer = pa.py_buffer(np.concatenate([grid.ravel() for grid in grids]))
    cells = np.frombuffer(buffer, np.uint8)
    ragged = RaggedWaferMaps(cells, *np.array([grid.shape for grid in grids]).T)
    assert_same_maps(ragged, grids)
    assert np.shares_memory(ragged.cells, cells)


def test_map_needs_memory_for_its_cells_only():
    n, side = 20_000, 20
    cells = np.ones(n * side * side, np.uint8)
    tracemalloc.start()
    ragged = RaggedWaferMaps(cells, np.full(n, side), np.full(n, side))
    half = ragged[np.arange(0, n, 2)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Three numbers a map, and some copies while they are checked; a small array alone takes 112.
    assert peak < 100 * n and len(half) == n // 2


def test_check_wafer_maps_keeps_ragged_maps(ragged):
    assert check_wafer_maps(ragged) is ragged
    with pytest.raises(ValueError, match="minimum of 1"):
        check_wafer_maps(ragged[:0])


def test_check_wafer_maps_names_the_wrong_code(grids):
    ragged = RaggedWaferMaps.from_maps([*grids[:2], [[1, 7]]])
    with pytest.raises(WaferMapError, match="wafer map 2: value 7 at row 0, column 1"):
        check_wafer_maps(ragged)
    assert_same_maps(check_wafer_maps(ragged[:2]), grids[:2])


def test_wrong_codes_are_searched_once_per_collection(ragged):
    half = ragged[:4]
    check_wafer_maps(half)
    half._flat = ragged._flat = None
    check_wafer_maps(ragged)
    check_wafer_maps(ragged[5:])


def test_transform_returns_ragged_maps(ragged, grids):
    back = convert_like(ragged, grids)
    assert isinstance(back, RaggedWaferMaps)
    assert_same_maps(back, grids)


@pytest.fixture(scope="module")
def wafers():
    return make_wafer_maps(60, classes=["Center", "Edge-Ring"], random_state=0)


def test_splitters_of_scikit_learn_keep_the_kind(wafers):
    ragged = RaggedWaferMaps.from_maps(wafers.maps)
    train, test, y_train, y_test = train_test_split(
        ragged, wafers.target, stratify=wafers.target, random_state=0
    )
    lists = train_test_split(wafers.maps, stratify=wafers.target, random_state=0)
    for part, expected in zip((train, test), lists, strict=True):
        assert isinstance(part, RaggedWaferMaps)
        assert np.shares_memory(part.cells, ragged.cells)
        assert_same_maps(part, expected)
    assert isinstance(resample(ragged, random_state=0), RaggedWaferMaps)


def test_cross_validation_scores_as_with_a_list(wafers):
    clf = WaferClassifier(**FAST)
    groups = np.arange(60) % 6
    scores = [
        cross_validate(clf, maps, wafers.target, groups=groups, cv=GroupKFold(2))["test_score"]
        for maps in (wafers.maps, RaggedWaferMaps.from_maps(wafers.maps))
    ]
    np.testing.assert_array_equal(*scores)


def test_search_and_cross_val_predict_take_ragged(wafers):
    ragged = RaggedWaferMaps.from_maps(wafers.maps)
    clf = WaferClassifier(**FAST)
    search = GridSearchCV(clf, {"width": [2, 4]}, cv=2).fit(ragged, wafers.target)
    assert search.predict(ragged[:3]).shape == (3,)
    assert cross_val_predict(clf, ragged, wafers.target, cv=2).shape == (60,)


def test_denoising_equals_that_of_a_list(wafers):
    ragged = RaggedWaferMaps.from_maps(wafers.maps)
    denoiser = CamDenoiser(WaferClassifier(**FAST), cv=2)
    clean = denoiser.fit_transform(ragged, wafers.target)
    assert isinstance(clean, RaggedWaferMaps)
    assert_same_maps(clean, denoiser.fit_transform(wafers.maps, wafers.target))
    assert isinstance(denoiser.transform(ragged[:2]), RaggedWaferMaps)
    Pipeline([("denoise", denoiser), ("classify", WaferClassifier(**FAST))]).fit(
        ragged, wafers.target
    )


def test_estimator_fitted_on_table_takes_ragged_maps(wafers):
    rng = np.random.default_rng(0)
    clf = WaferClassifier(**FAST).fit(rng.integers(0, 3, (20, 6)), np.arange(20) % 2)
    assert clf.predict(RaggedWaferMaps.from_maps(wafers.maps[:2])).shape == (2,)


@pytest.mark.parametrize("on_error", ["raise", "keep"])
def test_filters_accept_ragged_maps(wafers, on_error):
    step = MedianFilter(on_error=on_error)
    clean = step.fit_transform(RaggedWaferMaps.from_maps(wafers.maps))
    assert_same_maps(clean, step.fit_transform(wafers.maps))


def test_metrics_and_files_accept_ragged_maps(wafers, tmp_path):
    ragged = RaggedWaferMaps.from_maps(wafers.maps)
    pd.testing.assert_frame_equal(
        die_scores(ragged, wafers.truth, wafers.truth),
        die_scores(wafers.maps, wafers.truth, wafers.truth),
    )
    save_wafer_maps(tmp_path / "wafers.npz", ragged, wafers.target)
    assert_same_maps(load_wafer_maps(tmp_path / "wafers.npz").maps, wafers.maps)


def test_joblib_sends_one_mapped_copy_to_workers(grids):
    ragged = RaggedWaferMaps.from_maps([np.ones((1100, 1100), np.uint8), *grids])
    kind_of_cells = attrgetter("cells.__class__.__name__")
    kinds = joblib.Parallel(n_jobs=2)(joblib.delayed(kind_of_cells)(ragged) for _ in range(2))
    assert kinds == ["memmap", "memmap"]
