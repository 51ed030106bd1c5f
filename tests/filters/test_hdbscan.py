"""HDBSCANFilter equals scikit-learn's HDBSCAN."""

import numpy as np
import pytest
from filter_cases import random_maps
from sklearn.cluster import HDBSCAN
from sklearn_clusters import clustered

from camdenoise.filters import (
    HDBSCANFilter,
)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(("size", "samples"), [(2, None), (3, 2), (5, 1), (4, 9)])
def test_hdbscan_filter_equals_scikit_learn(size, samples, single):
    maps = random_maps(40)
    found = HDBSCANFilter(size, samples, allow_single_cluster=single).explain(maps)
    model = HDBSCAN(size, samples, allow_single_cluster=single, copy=True)
    for grid, e in zip(maps, found, strict=True):
        np.testing.assert_array_equal(e.kept, clustered(grid, model, max(size, samples or 0)))
