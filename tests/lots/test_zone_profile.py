"""The test of evenness over zones."""

import matplotlib

matplotlib.use("Agg")
import numpy as np

from camdenoise.lots._zone_profile import evenness_test


def test_evenness_test_allows_rates_to_differ_by_wafer():
    """Pooled, zone 1 would look worse: most of its dies are of the wafer with more fails."""
    free = np.array([[1000, 100], [100, 1000]])
    removed = np.array([[100, 10], [33, 330]])
    assert evenness_test(removed, free, random_state=0) > 0.5
    assert evenness_test(removed + [[0, 40], [0, 0]], free, random_state=0) < 0.01
