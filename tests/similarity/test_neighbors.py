"""Wafers that look alike, and how precisely they are found."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from camdenoise.similarity import (
    mean_average_precision,
    similar_wafers,
)


def test_neighbors_equal_brute_force():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 5))
    found = similar_wafers(vectors, n_neighbors=4)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T - 2 * np.eye(60)
    for query, of_query in found.groupby("query"):
        assert of_query["wafer"].tolist() == np.argsort(-cosine[query])[:4].tolist()
        np.testing.assert_allclose(of_query["similarity"], np.sort(cosine[query])[::-1][:4])
        assert of_query["rank"].tolist() == [1, 2, 3, 4]


def test_neighbors_skip_own_group_and_empty_wafers():
    vectors = np.array([[1.0, 0], [1, 0.1], [1, 0.2], [0, 0]])
    found = similar_wafers(vectors, groups=["a", "a", "b", "b"])
    pairs = list(zip(found["query"], found["wafer"], strict=True))
    assert pairs == [(0, 2), (1, 2), (2, 1), (2, 0)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"queries": [9]}, "no row 9 among 3 wafers"),
        ({"queries": [-1]}, "no row -1"),
        ({"n_neighbors": 0}, "n_neighbors must be at least 1"),
        ({"groups": [1, 2]}, "inconsistent numbers"),
        ({"embedded": np.full((3, 2), np.nan)}, "NaN"),
    ],
)
def test_bad_neighbor_requests_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        similar_wafers(**({"embedded": np.eye(3, 2)} | change))


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_mean_average_precision_equals_scikit_learn(same):
    labels = ["x", *("x" if one else "y" for one in same)]
    ranks = np.arange(1, len(same) + 1)
    found = pd.DataFrame({"query": 0, "wafer": ranks, "rank": ranks}).sample(frac=1, random_state=0)
    expected = average_precision_score(same, -ranks) if any(same) else 0.0
    assert mean_average_precision(found, labels)["x"] == pytest.approx(expected)
