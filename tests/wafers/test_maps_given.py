"""Wafer maps as people hand them over: masks, tables, tensors, nested lists.

Sources of the cases are public issues; each is named where its symptom is tried.
"""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from small_models import TINY

from camdenoise import CamDenoiser, RaggedWaferMaps, WaferClassifier
from camdenoise.datasets import make_wafer_maps
from camdenoise.features import WaferFeatures
from camdenoise.filters import MedianFilter
from camdenoise.wafers._maps import check_wafer_maps, read_readable_maps, warn_once

WAFERS = make_wafer_maps(6, classes=["Center", "none"], random_state=0)
SAME_GRID = make_wafer_maps(6, shapes=[(20, 22)], classes=["Center"], random_state=0).maps
MASKS = [grid == 2 for grid in WAFERS.maps]
ZERO_ONE = [mask.astype(np.uint8) for mask in MASKS]
# https://github.com/radxtools/collageradiomics/issues/45 (masks of 0 and 1 where 0 and 255 were
# meant), https://github.com/open-mmlab/mmsegmentation/issues/2592 (the same the other way round,
# "it waste tons of time") and https://github.com/scikit-image/scikit-image/issues/1623 (a boolean
# image saved as good as black): each library went on in silence.
NO_FAIL = "no map of the 6 holds a failing die .2.: 0 was read as no die and 1 as pass. .*np.where"
BOOLEAN = "the 6 maps are boolean: True was read as pass .1. and False as no die .0.. .*np.where"


@pytest.fixture
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


# Masks, and maps of 0 and 1


@pytest.mark.parametrize("read", [check_wafer_maps, read_readable_maps])
@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (MASKS, BOOLEAN),
        ([mask.tolist() for mask in MASKS], BOOLEAN),
        ([torch.from_numpy(mask) for mask in MASKS], BOOLEAN),
        (ZERO_ONE, NO_FAIL),
        (RaggedWaferMaps.from_maps(ZERO_ONE), NO_FAIL),
        ([mask.astype(float) for mask in MASKS], NO_FAIL),
    ],
    ids=["bool", "lists", "tensors", "uint8", "ragged", "float"],
)
def test_masks_are_read_with_one_warning(read, maps, message):
    with pytest.warns(UserWarning) as caught:
        read(maps)
    assert len(caught) == 1
    assert re.match(message, str(caught[0].message))


def test_warning_points_to_the_calling_line():
    with pytest.warns(UserWarning) as caught:
        MedianFilter().fit(ZERO_ONE)
    assert caught[0].filename == __file__


def test_some_boolean_maps_are_counted():
    with pytest.warns(UserWarning, match="1 of the 2 maps are boolean"):
        check_wafer_maps([WAFERS.maps[0], MASKS[1]])


def test_single_mask_has_a_singular_message():
    with pytest.warns(UserWarning, match="^the map is boolean: True was read as pass"):
        check_wafer_maps(MASKS[:1])


def test_unreadable_map_is_not_counted():
    with pytest.warns(UserWarning, match="no map of the 6 holds"):
        maps, errors = read_readable_maps([*ZERO_ONE[:3], None, *ZERO_ONE[3:]])
    assert len(maps) == 6 and errors[3]


@pytest.mark.parametrize(
    "maps",
    [
        WAFERS.maps,
        [np.minimum(grid, 1) for grid in WAFERS.maps],
        [*ZERO_ONE, WAFERS.maps[0]],
        [np.zeros((9, 9), np.uint8)],
        [np.array([[0, 1], [1, 1]], np.uint8)],
        RaggedWaferMaps.from_maps(WAFERS.maps),
        RaggedWaferMaps.from_maps([np.minimum(grid, 1) for grid in WAFERS.maps]),
    ],
    ids=["real", "perfect", "one with fails", "no die", "tiny", "ragged", "ragged and perfect"],
)
def test_plausible_maps_are_read_without_warning(maps, no_warnings):
    check_wafer_maps(maps)
    read_readable_maps(maps)


def test_few_test_structures_are_read_without_warning(no_warnings):
    grid = np.minimum(SAME_GRID[0], 1)
    grid[8:10, 9:12] = 0
    check_wafer_maps([grid])


def test_denoised_maps_are_read_without_warning(no_warnings):
    clean = MedianFilter(3).fit_transform([np.minimum(grid, 1) for grid in WAFERS.maps])
    MedianFilter().transform(clean)


def test_one_call_warns_only_once(no_warnings):
    with warn_once():
        check_wafer_maps(WAFERS.maps)
        check_wafer_maps(ZERO_ONE)
        with warn_once():
            check_wafer_maps(MASKS)


def test_next_call_warns_again():
    with warn_once():
        check_wafer_maps(WAFERS.maps)
    with pytest.warns(UserWarning, match=NO_FAIL):
        check_wafer_maps(ZERO_ONE)


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_fitting_a_denoiser_warns_once(method, wafers):
    masks = [grid == 2 for grid in wafers.maps]
    denoiser = CamDenoiser(WaferClassifier(**TINY | {"max_epochs": 1}), cv=2)
    with pytest.warns(UserWarning, match="the 120 maps are boolean") as caught:
        getattr(denoiser, method)(masks, wafers.target)
    assert len([w for w in caught if "boolean" in str(w.message)]) == 1


# Tables


@pytest.fixture
def lswmd(wafers):
    return pd.DataFrame(
        {
            "waferMap": wafers.maps,
            "dieSize": 1.0,
            "failureType": [np.array([[label]]) for label in wafers.target],
        }
    )


def test_lswmd_table_is_fitted_directly(lswmd, wafers):
    # https://github.com/scikit-learn/scikit-learn/issues/15816: "setting an array element with a
    # sequence", for a table whose cells are arrays.
    clf = WaferClassifier(**TINY | {"max_epochs": 1}).fit(lswmd, lswmd["failureType"])
    plain = WaferClassifier(**TINY | {"max_epochs": 1}).fit(wafers.maps, wafers.target)
    np.testing.assert_array_equal(clf.predict(lswmd[:5]), plain.predict(wafers.maps[:5]))


def test_lswmd_table_is_cross_validated(lswmd, wafers):
    clf = WaferClassifier(**TINY | {"max_epochs": 1})
    scores = cross_validate(clf, lswmd, wafers.target, cv=2)["test_score"]
    np.testing.assert_array_equal(
        scores, cross_validate(clf, wafers.maps, wafers.target, cv=2)["test_score"]
    )


def test_lswmd_table_comes_back_as_its_map_column(lswmd):
    clean = MedianFilter().fit_transform(lswmd.set_index(lswmd.index + 7))
    assert isinstance(clean, pd.Series) and clean.name == "waferMap" and clean.index[0] == 7


def test_column_of_maps_is_named():
    table = pd.DataFrame({"maps": WAFERS.maps, "lot": "A"})
    with pytest.raises(ValueError, match=r"its column 'maps' holds .*: pass one column, X\['maps'"):
        MedianFilter().fit_transform(table)


def test_several_columns_of_maps_are_named():
    table = pd.DataFrame({"raw": [None, *WAFERS.maps[1:]], "clean": WAFERS.maps})
    with pytest.raises(ValueError, match="its columns 'raw' and 'clean' hold wafer maps"):
        check_wafer_maps(table)


def test_nested_labels_are_not_taken_for_maps():
    with pytest.raises(ValueError, match="Wrap a single wafer map in a list"):
        check_wafer_maps(pd.DataFrame({"failureType": [[["Loc"]], np.array([["none"]])]}))


def test_parquet_column_of_nested_lists_is_read(tmp_path):
    table = pd.DataFrame({"waferMap": [grid.tolist() for grid in WAFERS.maps]})
    table.to_parquet(tmp_path / "maps.parquet")
    read = check_wafer_maps(pd.read_parquet(tmp_path / "maps.parquet"))
    for grid, expected in zip(read, WAFERS.maps, strict=True):
        np.testing.assert_array_equal(grid, expected)


# Tensors and nested lists

#: https://github.com/pytorch/pytorch/issues/105730 and
#: https://github.com/zhuangdizhu/FedGen/issues/1: "Can't call numpy() on Tensor that requires
#: grad"; https://github.com/skorch-dev/skorch/issues/937: a tuple of tensors taken for columns.
TENSORS = {
    "of bytes": lambda grid: torch.from_numpy(grid),
    "that require a gradient": lambda grid: torch.from_numpy(grid).float().requires_grad_(),
    "of bfloat16": lambda grid: torch.from_numpy(grid).to(torch.bfloat16),
    "parameters": lambda grid: torch.nn.Parameter(torch.from_numpy(grid).float()),
    "sparse": lambda grid: torch.from_numpy(grid).to_sparse(),
}


@pytest.mark.parametrize("kind", TENSORS)
@pytest.mark.parametrize("collect", [list, tuple, pd.Series])
def test_tensors_are_maps(kind, collect, no_warnings):
    read = check_wafer_maps(collect([TENSORS[kind](grid) for grid in SAME_GRID]))
    np.testing.assert_array_equal(np.stack(read), np.stack(SAME_GRID))


@pytest.mark.parametrize("kind", ["of bytes", "that require a gradient"])
def test_tensor_stack_comes_back_as_a_3_d_array(kind, no_warnings):
    stack = torch.stack([TENSORS[kind](grid) for grid in SAME_GRID])
    clean = MedianFilter().fit_transform(stack)
    assert isinstance(clean, np.ndarray)
    np.testing.assert_array_equal(clean, MedianFilter().fit_transform(np.stack(SAME_GRID)))


def test_tensors_come_back_as_arrays(no_warnings):
    clean = MedianFilter().fit_transform([torch.from_numpy(grid) for grid in WAFERS.maps])
    expected = MedianFilter().fit_transform(WAFERS.maps)
    assert type(clean) is list and all(type(grid) is np.ndarray for grid in clean)
    assert all(map(np.array_equal, clean, expected))


def test_nested_lists_come_back_as_arrays():
    clean = MedianFilter().fit_transform([grid.tolist() for grid in WAFERS.maps])
    expected = MedianFilter().fit_transform(WAFERS.maps)
    assert type(clean) is list and all(map(np.array_equal, clean, expected))


def test_denoising_leaves_a_tensor_unchanged():
    tensor = torch.from_numpy(SAME_GRID[0].copy())
    MedianFilter().fit_transform([tensor])
    np.testing.assert_array_equal(tensor.numpy(), SAME_GRID[0])


def test_single_tensor_instead_of_maps_is_an_error():
    with pytest.raises(ValueError, match="Wrap a single wafer map in a list"):
        MedianFilter().fit_transform(torch.from_numpy(SAME_GRID[0]))


def test_stack_of_tensors_is_cross_validated(wafers):
    # https://github.com/skorch-dev/skorch/issues/11: a search over tensors "suddenly" saw lists.
    same = make_wafer_maps(24, shapes=[(20, 22)], classes=["Center", "none"], random_state=0)
    stack = torch.from_numpy(np.stack(same.maps))
    clf = WaferClassifier(**TINY | {"max_epochs": 1})
    scores = cross_validate(clf, stack, same.target, cv=2, error_score="raise")["test_score"]
    np.testing.assert_array_equal(
        scores, cross_validate(clf, same.maps, same.target, cv=2)["test_score"]
    )


def test_ragged_maps_accept_tensors():
    ragged = RaggedWaferMaps.from_maps([torch.from_numpy(grid) for grid in WAFERS.maps])
    assert all(map(np.array_equal, ragged, WAFERS.maps))


# Tables out


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_table_output_is_refused_with_a_reason(kind, classifier):
    # https://github.com/EBjerrum/scikit-mol/issues/38: "pandas transform output option is ignored".
    denoiser = CamDenoiser(FrozenEstimator(classifier))
    with pytest.warns(UserWarning, match=f"transform='{kind}'. changes nothing here"):
        assert denoiser.set_output(transform=kind) is denoiser


@pytest.mark.parametrize("kind", [None, "default"])
def test_default_output_is_accepted(kind, no_warnings):
    assert MedianFilter().set_output(transform=kind).transform is not None


def test_unknown_output_is_an_error():
    with pytest.raises(ValueError, match="transform must be .*, got 'excel'"):
        MedianFilter().set_output(transform="excel")


def test_pipeline_still_gives_features_as_a_table():
    pipeline = make_pipeline(MedianFilter(), WaferFeatures())
    with pytest.warns(UserWarning, match="MedianFilter gives wafer maps"):
        pipeline.set_output(transform="pandas")
    assert isinstance(pipeline.fit_transform(WAFERS.maps), pd.DataFrame)
