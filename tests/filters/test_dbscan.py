"""DBSCANFilter equals scikit-learn's DBSCAN."""

import numpy as np
import pytest
from filter_cases import random_maps
from sklearn.cluster import DBSCAN
from sklearn_clusters import clustered

from camdenoise.filters import (
    DBSCANFilter,
)


@pytest.mark.parametrize("eps", [0.5, 1, 1.5, 2, 2.3, 3.7, 1e6])
@pytest.mark.parametrize("min_samples", [1, 3, 4, 7])
def test_dbscan_filter_equals_scikit_learn(eps, min_samples):
    maps = random_maps(40)
    for grid, e in zip(maps, DBSCANFilter(eps, min_samples).explain(maps), strict=True):
        expected = clustered(grid, DBSCAN(eps=eps, min_samples=min_samples), 1)
        np.testing.assert_array_equal(e.kept, expected)
