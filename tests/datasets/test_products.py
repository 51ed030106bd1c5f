"""Grouping wafers by product."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from camdenoise import WaferMapError
from camdenoise.datasets import make_wafer_maps, product_groups

SHAPES = [(3, 4), (4, 3), (3, 3), (3, 3), (12, 34), (123, 4)]


def test_product_groups_ignore_the_grids_orientation():
    maps = [np.ones(shape) for shape in SHAPES]
    expected = ["3x4", "3x4", "3x3", "3x3", "12x34", "4x123"]
    for kind in (maps, tuple(maps), pd.Series(maps)):
        assert product_groups(kind).tolist() == expected


def test_rare_products_share_one_group():
    maps = [np.ones(shape) for shape in SHAPES]
    assert product_groups(maps, min_wafers=2).tolist() == [
        *["3x4"] * 2,
        *["3x3"] * 2,
        *["rare"] * 2,
    ]
    assert set(product_groups(maps, min_wafers=3)) == {"rare"}


def test_split_by_product_spreads_classes():
    wafers = make_wafer_maps(400, classes=["Center", "Edge-Ring"], random_state=0)
    products = product_groups(wafers.maps)
    grids = np.array([grid.shape for grid in wafers.maps])
    splitter = StratifiedGroupKFold(4, shuffle=True, random_state=0)
    for train, test in splitter.split(grids, wafers.target, products):
        there = {tuple(sorted(shape)) for shape in grids[train]}
        assert not there & {tuple(sorted(shape)) for shape in grids[test]}
        assert set(wafers.target[test]) == {"Center", "Edge-Ring"}


def test_product_groups_refuse_bad_input():
    with pytest.raises(WaferMapError, match="wafer map 1: value 7"):
        product_groups([np.ones((2, 2)), np.full((2, 2), 7)])
    with pytest.raises(ValueError, match="Wrap a single wafer map"):
        product_groups(np.ones((3, 3)))
