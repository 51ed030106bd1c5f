"""Nearest neighbors of wafers, and whether they are of the same class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import gen_even_slices
from sklearn.utils.validation import check_array, check_consistent_length

# Similarities held in memory at a time.
_AT_ONCE = 2**24


def similar_wafers(
    embedded: np.ndarray,
    queries: Any = None,
    *,
    n_neighbors: int = 10,
    groups: Any = None,
) -> pd.DataFrame:
    """Find for each wafer those that look most like it.

    Parameters
    ----------
    embedded : ndarray of float, shape (n_wafers, n_features)
        A vector per wafer, as `WaferEmbedding` gives them.
    queries : array-like of int, default=None
        Rows to find neighbors of; all if not given.
    n_neighbors : int, default=10
        How many for each; fewer where there are no more.
    groups : array-like of shape (n_wafers,), default=None
        A wafer's neighbors are sought in other groups than its own: with lots, which wafers of
        other lots look like it.

    Returns
    -------
    DataFrame
        ``query`` and ``wafer`` (rows of `embedded`), ``rank`` from 1, ``similarity`` (cosine).
        No wafer is its own neighbor; one without a fail has none and is none.

    Raises
    ------
    ValueError
        For an array with other values than finite numbers, rows that it has not, or groups of
        another length.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.similarity import similar_wafers
    >>> vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> similar_wafers(vectors, [0], n_neighbors=1)
       query  wafer  rank  similarity
    0      0      2     1         0.8
    """
    vectors = check_array(embedded, dtype=[np.float32, np.float64])
    if n_neighbors < 1:
        raise ValueError(f"n_neighbors must be at least 1, got {n_neighbors}.")
    asked = np.arange(len(vectors)) if queries is None else np.asarray(queries, int).ravel()
    beyond = asked[(asked < 0) | (asked >= len(vectors))]
    if len(beyond):
        raise ValueError(f"queries: there is no row {beyond[0]} among {len(vectors)} wafers.")
    groups = np.arange(len(vectors)) if groups is None else np.asarray(groups)
    check_consistent_length(vectors, groups)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(length > 0, length, 1)
    found = []
    n_batches = min(len(asked), -(-len(asked) * len(unit) // _AT_ONCE))
    for some in gen_even_slices(len(asked), max(1, n_batches)):
        rows = asked[some]
        similarity = unit[rows] @ unit.T
        similarity[groups[rows][:, None] == groups] = -np.inf
        similarity[rows[:, None] == np.arange(len(unit))] = -np.inf
        similarity[:, length[:, 0] == 0] = -np.inf
        similarity[length[rows, 0] == 0] = -np.inf
        found.append(_best(rows, similarity, min(n_neighbors, len(unit))))
    return pd.concat(found, ignore_index=True)


def _best(rows: np.ndarray, similarity: np.ndarray, n_neighbors: int) -> pd.DataFrame:
    # Among equals the first, on every machine.
    best = np.argsort(-similarity, axis=1, kind="stable")[:, :n_neighbors]
    values = np.take_along_axis(similarity, best, axis=1)
    table = pd.DataFrame(
        {
            "query": np.repeat(rows, n_neighbors),
            "wafer": best.ravel(),
            "rank": np.tile(np.arange(1, n_neighbors + 1), len(rows)),
            "similarity": values.ravel().astype(float),
        }
    )
    return table[np.isfinite(table["similarity"])]


def mean_average_precision(neighbors: pd.DataFrame, labels: Any) -> pd.Series:
    """Tell how well neighbors agree with labels: mAP at as many as were asked for.

    Parameters
    ----------
    neighbors : DataFrame
        As `similar_wafers` gives it.
    labels : array-like of shape (n_wafers,)
        Class of each wafer.

    Returns
    -------
    Series of float, by class
        Mean over the wafers of the class of their average precision: the mean, over the ranks at
        which a neighbor has the wafer's class, of the share of such neighbors up to that rank.
        0 for a wafer without any; wafers without neighbors do not count.

    References
    ----------
    .. [1] C. Manning, P. Raghavan and H. Schutze, "Introduction to Information Retrieval",
       Cambridge University Press 2008, section 8.4.

    Examples
    --------
    >>> import pandas as pd
    >>> from camdenoise.similarity import mean_average_precision
    >>> found = pd.DataFrame({"query": [0, 0, 0], "wafer": [1, 2, 3], "rank": [1, 2, 3]})
    >>> mean_average_precision(found, ["Loc", "Loc", "Donut", "Loc"]).round(3).to_dict()
    {'Loc': 0.833}
    """
    labels = np.asarray(labels)
    table = neighbors.sort_values(["query", "rank"])
    same = pd.Series(labels[table["wafer"]] == labels[table["query"]], index=table.index)
    precision = same.groupby(table["query"]).cumsum() / table["rank"]
    of_query = precision.where(same).groupby(table["query"]).mean().fillna(0.0)
    return of_query.groupby(labels[of_query.index]).mean()
