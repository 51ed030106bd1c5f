"""The pure function: record batches of wafer maps in, record batches of decisions out.

It keeps nothing between batches, so the same call serves a loop over a file, a worker of a cluster
and ``mapInArrow``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from camdenoise.denoising._base import BaseDenoiser
from camdenoise.io._results import OVERLAY_BINS
from camdenoise.io._wafer_table import (
    CELLS,
    add_result_fields,
    make_binary_column,
    probability_column,
    wafers_of,
)
from camdenoise.wafers._coverage import is_partial
from camdenoise.wafers._explanation import Explanation, result_row
from camdenoise.wafers._maps import read_readable_maps
from camdenoise.wafers._verdict import ERROR

if TYPE_CHECKING:
    from camdenoise import CamDenoiser, WaferClassifier

#: Codes of the column ``marks``, which has none for wafers that were not decided.
MARKS = {0: "no die"} | {code: OVERLAY_BINS[code] for code in (1, 2, 3)}

#: What is said of each wafer, after its keys.
RESULTS = pa.schema(
    [
        ("verdict", pa.string()),
        ("verdict_probability", pa.float32()),
        ("predicted", pa.string()),
        ("probability", pa.float32()),
        ("n_fails", pa.int32()),
        ("n_kept", pa.int32()),
        ("n_removed", pa.int32()),
        ("patterns", pa.string()),
        ("abstained", pa.bool_()),
        ("partial", pa.bool_()),
        ("marks", pa.binary()),
        ("error", pa.string()),
    ]
)


def denoise_batches(
    batches: Iterable[pa.RecordBatch], denoiser: BaseDenoiser
) -> Iterator[pa.RecordBatch]:
    """Denoise record batches of wafer maps as they come.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        With the columns of `wafer_batch`, and any others.
    denoiser : CamDenoiser or another fitted denoiser
        It is not modified.

    Yields
    ------
    pyarrow.RecordBatch
        For each batch one with as many rows, in their order: all columns but ``cells``, then
        ``verdict`` (as in `Explanation`, and "error"), ``verdict_probability`` (of all classes that
        it stands for), ``predicted`` (class), ``probability`` (of it), ``n_fails``, ``n_kept``,
        ``n_removed`` (fails that are kept, all where no pattern is claimed, and removed),
        ``patterns`` (JSON: kept fails of each pattern), ``abstained`` (every fail was kept),
        ``partial`` (whether less than most of it was tested), ``marks`` (the map as bytes, row by
        row, in codes of `MARKS`) and ``error``, which says why a map could not be read; the columns
        between verdict and error are null there. What an earlier
        run decided is left out.

    Raises
    ------
    WaferBatchError
        For a batch without wafer maps.

    See Also
    --------
    write_parts : Write what comes out to disk.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.filters import ComponentSizeFilter
    >>> from camdenoise.stream import denoise_batches, wafer_batch
    >>> wafer = np.array([[2, 2, 1, 1], [2, 2, 1, 2]], np.uint8)
    >>> (made,) = denoise_batches([wafer_batch([wafer])], ComponentSizeFilter(min_size=3))
    >>> made.column("n_removed").to_pylist()
    [1]
    >>> np.frombuffer(made.column("marks")[0].as_py(), np.uint8).reshape(2, 4)
    array([[2, 2, 1, 1],
           [2, 2, 1, 3]], dtype=uint8)
    """
    tolerant = copy(denoiser)
    tolerant.on_error = "keep"
    return (_denoise(batch, tolerant) for batch in batches)


def result_schema(schema: pa.Schema) -> pa.Schema:
    """Tell the columns that `denoise_batches` gives for batches with those of `schema`.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of the wafers.

    Returns
    -------
    pyarrow.Schema
        The same without ``cells`` and the results of an earlier run, then the results.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from camdenoise.stream import result_schema
    >>> result_schema(pa.schema([("lot", pa.string()), ("cells", pa.binary())])).names[:3]
    ['lot', 'verdict', 'verdict_probability']
    """
    return add_result_fields(schema, RESULTS)


def _denoise(batch: pa.RecordBatch, denoiser: BaseDenoiser) -> pa.RecordBatch:
    schema = result_schema(batch.schema)
    maps, errors = wafers_of(batch)
    rows = [row for row, grid in enumerate(maps) if grid is not None]
    explained = denoiser.explain([maps[row] for row in rows]) if rows else []
    decided: list[Explanation | None] = [None] * len(maps)
    for row, explanation in zip(rows, explained, strict=True):
        if explanation.error is None:
            decided[row] = explanation
        else:
            # It numbers the maps that were readable; the row of the table is in the table.
            errors[row] = explanation.error.split(": ", 1)[-1]
    found = _make_results(maps, decided, errors)
    return _add_columns(batch, found, schema)


def _add_columns(
    batch: pa.RecordBatch, found: dict[str, pa.Array], schema: pa.Schema
) -> pa.RecordBatch:
    arrays = [found[n] if n in found else batch.column(n) for n in schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _make_results(
    maps: list, decided: list[Explanation | None], errors: list
) -> dict[str, pa.Array]:
    rows = [None if e is None else result_row(g, e) for g, e in zip(maps, decided, strict=True)]
    columns = {
        name: [None if row is None else row[name] for row in rows]
        for name in RESULTS.names
        if name not in ("marks", "error")
    }
    columns["predicted"] = [None if label is None else str(label) for label in columns["predicted"]]
    for name in ("probability", "verdict_probability"):
        columns[name] = [
            None if share is None or np.isnan(share) else float(share) for share in columns[name]
        ]
    columns["verdict"] = [
        found if error is None else ERROR
        for found, error in zip(columns["verdict"], errors, strict=True)
    ]
    made = {name: pa.array(values, RESULTS.field(name).type) for name, values in columns.items()}
    # 2 for a fail and 1 for "removed" make 3.
    marks = [
        None if e is None else grid + e.removed.view(np.uint8)
        for grid, e in zip(maps, decided, strict=True)
    ]
    return made | {"marks": make_binary_column(marks), "error": pa.array(errors, pa.string())}


def classify_batches(
    batches: Iterable[pa.RecordBatch], model: WaferClassifier | CamDenoiser
) -> Iterator[pa.RecordBatch]:
    """Classify record batches of wafer maps as they come.

    Parameters
    ----------
    batches : iterable of pyarrow.RecordBatch
        With the columns of `wafer_batch`, and any others.
    model : WaferClassifier or CamDenoiser
        A fitted one. It is not modified. A denoiser says the same of each wafer as in
        `denoise_batches`; a classifier has no verdicts.

    Yields
    ------
    pyarrow.RecordBatch
        For each batch one with as many rows, in their order: all columns, then of a denoiser
        ``verdict`` and ``verdict_probability``; ``predicted`` (class), ``probability`` (of it), the
        probability of each class, such as ``p(Center)``, ``partial`` (whether less than most of the
        wafer was tested) and ``error``, which says why a map could not be read; the columns between
        verdict and error are null there. What an earlier run decided is left out.

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
    return (_classify(batch, model) for batch in batches)


def _classify(batch: pa.RecordBatch, model: WaferClassifier | CamDenoiser) -> pa.RecordBatch:
    names = [probability_column(label) for label in model.classes_]
    with_verdict = isinstance(model, BaseDenoiser)
    results = pa.schema(
        [RESULTS.field(name) for name in ("verdict", "verdict_probability") if with_verdict]
        + [RESULTS.field(name) for name in ("predicted", "probability")]
        + [(name, pa.float32()) for name in names]
        + [RESULTS.field(name) for name in ("partial", "error")]
    )
    maps, errors = wafers_of(batch)
    present = [row for row, grid in enumerate(maps) if grid is not None]
    grids, unread = read_readable_maps([maps[row] for row in present]) if present else ([], [])
    for row, error in zip(present, unread, strict=True):
        # It numbers the maps that were there; the row of the table is in the table.
        errors[row] = error and error.split(": ", 1)[-1]
    table: list[dict[str, Any]] = [
        {"verdict": None if error is None else ERROR, "error": error} for error in errors
    ]
    readable = [wafer for wafer, error in zip(table, errors, strict=True) if error is None]
    for wafer, grid, said in zip(readable, grids, _name_classes(model, grids), strict=True):
        wafer |= said | {"partial": is_partial(grid)}
    found = {
        field.name: pa.array([wafer.get(field.name) for wafer in table], field.type)
        for field in results
    }
    return _add_columns(batch, found, add_result_fields(batch.schema, results, keep=(CELLS,)))


def _name_classes(
    model: WaferClassifier | CamDenoiser, grids: Sequence[np.ndarray]
) -> list[dict[str, Any]]:
    """Return what is said of each readable wafer, by column."""
    if not len(grids):
        return []
    names = [probability_column(label) for label in model.classes_]
    if isinstance(model, BaseDenoiser):
        return [
            {
                "verdict": e.verdict,
                "verdict_probability": None
                if np.isnan(e.verdict_probability)
                else e.verdict_probability,
                "predicted": str(e.label),
                "probability": e.probability,
                **dict(zip(names, np.asarray(e.probabilities), strict=True)),
            }
            for e in model.explain(grids)
        ]
    return [
        {
            "predicted": str(model.classes_[row.argmax()]),
            "probability": row.max(),
            **dict(zip(names, row, strict=True)),
        }
        for row in model.predict_proba(grids)
    ]
