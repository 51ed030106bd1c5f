"""The class of each wafer, and how likely every class is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from camdenoise.io._columns import CELLS, probability_column
from camdenoise.io._wafer_batches import wafers_of, with_results
from camdenoise.wafers._coverage import is_partial
from camdenoise.wafers._maps import read_readable_maps

if TYPE_CHECKING:
    from camdenoise import WaferClassifier


def classify_batches(
    batches: Iterable[pa.RecordBatch], classifier: WaferClassifier
) -> Iterator[pa.RecordBatch]:
    """Classify record batches of wafer maps as they come.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        With the columns of `wafer_batch`, and any others.
    classifier : WaferClassifier
        A fitted one. It is not modified.

    Yields
    ------
    pyarrow.RecordBatch
        For each batch one with as many rows, in their order: all columns, less what an earlier
        run decided, then ``predicted``, ``probability`` of that class, for each class its
        probability in ``p(CLASS)``, ``partial`` (whether less than most of the wafer was tested)
        and ``error``, which says why a map could not be read; the results before it are null
        there.

    Raises
    ------
    WaferBatchError
        For a batch without wafer maps.

    See Also
    --------
    denoise_batches : Tells which fails belong to the pattern, too.

    Examples
    --------
    >>> from camdenoise import WaferClassifier
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.stream import classify_batches, wafer_batch
    >>> wafers = make_wafer_maps(2, classes=["Edge-Ring"], random_state=0)
    >>> classifier = WaferClassifier.from_pretrained()
    >>> (made,) = classify_batches([wafer_batch(wafers.maps)], classifier)
    >>> made.column("predicted").to_pylist()
    ['Edge-Ring', 'Edge-Ring']
    """
    return (_classify(batch, classifier) for batch in batches)


def _classify(batch: pa.RecordBatch, classifier: WaferClassifier) -> pa.RecordBatch:
    names = [probability_column(label) for label in classifier.classes_]
    results = pa.schema(
        [("predicted", pa.string()), ("probability", pa.float32())]
        + [(name, pa.float32()) for name in names]
        + [("partial", pa.bool_()), ("error", pa.string())]
    )
    schema = with_results(batch.schema, results, keep=(CELLS,))
    maps, errors = wafers_of(batch)
    there = [row for row, grid in enumerate(maps) if grid is not None]
    grids, unread = read_readable_maps([maps[row] for row in there]) if there else ([], [])
    for row, error in zip(there, unread, strict=True):
        # It numbers the maps that were there; the row of the table is in the table.
        errors[row] = error and error.split(": ", 1)[-1]
    rows = np.flatnonzero([error is None for error in errors])
    probability = np.full((len(maps), len(names)), np.nan)
    if grids:
        probability[rows] = classifier.predict_proba(grids)
    missing = np.isnan(probability[:, 0]) if len(maps) else np.zeros(0, bool)
    best = classifier.classes_[np.nan_to_num(probability).argmax(axis=1)].astype(str)
    found = {"predicted": pa.array(best.astype(object), pa.string(), mask=missing)}
    highest = np.nan_to_num(probability).max(axis=1) if len(maps) else np.zeros(0)
    found["probability"] = pa.array(highest, pa.float32(), mask=missing)
    for name, values in zip(names, probability.T, strict=True):
        found[name] = pa.array(values, pa.float32(), mask=missing)
    readable = dict(zip(rows, grids, strict=True))
    partial = [is_partial(readable[row]) if row in readable else None for row in range(len(maps))]
    found["partial"] = pa.array(partial, pa.bool_())
    found["error"] = pa.array(errors, pa.string())
    arrays = [found[n] if n in found else batch.column(n) for n in schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
