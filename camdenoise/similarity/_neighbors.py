"""Nearest neighbors of wafers, and whether they are of the same class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import gen_even_slices
from sklearn.utils.validation import check_array, check_consistent_length

# Similarities in memory at a time: 128 MB.
_AT_ONCE = 2**24


def similar_wafers(
    embedded: np.ndarray,
    queries: Any = None,
    *,
    n_neighbors: int = 10,
    groups: Any = None,
) -> pd.DataFrame:
    """Find the most similar wafers of each wafer.

    Parameters
    ----------
    embedded : ndarray of float, shape (n_wafers, n_features)
        A vector per wafer, as `WaferEmbedding` gives them.
    queries : array-like of int, default=None
        Rows to find neighbors of; all if not given.
    n_neighbors : int, default=10
        Neighbors of each wafer; fewer if there are no more.
    groups : array-like of shape (n_wafers,), default=None
        A wafer's neighbors are from other groups than its own, such as other lots.

    Returns
    -------
    DataFrame
        ``query`` and ``wafer`` (rows of `embedded`), ``rank`` from 1, ``similarity`` (cosine).
        No wafer is its own neighbor. A wafer without fails has no neighbors, and is not a neighbor.

    Raises
    ------
    ValueError
        For values that are not finite numbers, queries that are not rows, or groups of another
        length.

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
    rows = np.arange(len(vectors)) if queries is None else np.asarray(queries, int).ravel()
    beyond = rows[(rows < 0) | (rows >= len(vectors))]
    if len(beyond):
        raise ValueError(f"queries: there is no row {beyond[0]} among {len(vectors)} wafers.")
    groups = np.arange(len(vectors)) if groups is None else np.asarray(groups)
    check_consistent_length(vectors, groups)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(length > 0, length, 1)
    found = []
    n_batches = min(len(rows), -(-len(rows) * len(unit) // _AT_ONCE))
    for batch in gen_even_slices(len(rows), max(1, n_batches)):
        query = rows[batch]
        similarity = unit[query] @ unit.T
        similarity[groups[query][:, None] == groups] = -np.inf
        similarity[query[:, None] == np.arange(len(unit))] = -np.inf
        similarity[:, length[:, 0] == 0] = -np.inf
        similarity[length[query, 0] == 0] = -np.inf
        found.append(_best(query, similarity, min(n_neighbors, len(unit))))
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
    """Compute the mean average precision (mAP) of neighbors that have the query's label.

    Parameters
    ----------
    neighbors : DataFrame
        As `similar_wafers` gives it.
    labels : array-like of shape (n_wafers,)
        Class of each wafer.

    Returns
    -------
    Series of float, by class
        Mean of the average precision of the wafers of the class. The average precision of a wafer
        is the mean of the precision at the ranks of neighbors of its class; 0 without such
        neighbors. Wafers without neighbors do not count.

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
    by_query = precision.where(same).groupby(table["query"]).mean().fillna(0.0)
    return by_query.groupby(labels[by_query.index]).mean()
