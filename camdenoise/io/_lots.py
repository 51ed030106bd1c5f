"""Die tables larger than the memory, a few lots at a time."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._problems import WaferFileError

_BATCH_ROWS = 1 << 18


def iter_lots(
    source: str | os.PathLike | pd.DataFrame | Iterable[Any],
    *,
    lot: Hashable = "lot",
    columns: Sequence[str] | None = None,
    min_rows: int = 1_000_000,
) -> Iterator[pd.DataFrame]:
    """Go through a die table in pieces that never cut a lot in two.

    Parameters
    ----------
    source : path-like, DataFrame, or iterable of DataFrame or pyarrow.RecordBatch
        A Parquet file, a table, or a table in pieces of any size. The rows of a lot must follow
        one another; within a lot any order will do.
    lot : str, default="lot"
        The column that tells lots apart.
    columns : sequence of str or None, default=None
        Columns to read from a Parquet file; None: all.
    min_rows : int, default=1_000_000
        Collect whole lots until there are so many rows. More rows at once are a little faster and
        take more memory, some 200 bytes a row in `from_die_table` and `to_die_table` together.

    Yields
    ------
    DataFrame
        Whole lots, in the order of the source, with the index of the pieces they came in. Text
        that the file holds as a dictionary comes as a category.

    Raises
    ------
    WaferFileError
        For a file that is not readable Parquet.
    ValueError
        For a lot whose rows do not follow one another, and a column that is missing.

    See Also
    --------
    write_results : write the pieces as they come.

    Examples
    --------
    >>> import pandas as pd
    >>> from camdenoise.io import iter_lots
    >>> table = pd.DataFrame({"lot": ["A", "A", "B", "C", "C"], "x": range(5)})
    >>> [piece["lot"].unique().tolist() for piece in iter_lots(table, min_rows=3)]
    [['A', 'B'], ['C']]
    """
    if not isinstance(min_rows, int | np.integer) or min_rows < 1:
        raise ValueError(f"min_rows must be a whole number from 1, got {min_rows!r}.")
    # Checked here, not in a generator, whose first line runs only with the first piece.
    if isinstance(source, str | os.PathLike):
        source = _parquet_batches(source, columns)
    pieces = [source] if isinstance(source, pd.DataFrame) else source
    return _collect_lots(pieces, lot, min_rows)


def _parquet_batches(path: str | os.PathLike, columns: Sequence[str] | None) -> Iterator[Any]:
    import pyarrow as pa

    from camdenoise.io._wafer_table import open_to_stream

    try:
        with open(path, "rb") as stream, open_to_stream(stream) as file:
            absent = sorted(set(columns or ()) - set(file.schema_arrow.names))
            if absent:
                raise ValueError(f"{path} has no column {absent}; it has {file.schema_arrow.names}")
            yield from file.iter_batches(_BATCH_ROWS, columns=columns)
    except pa.ArrowException as error:
        raise WaferFileError(path, f"it is not a readable Parquet file ({error}).") from error


def _find_runs(piece: Any, lot: Hashable) -> tuple[int, Any, Any]:
    """Find where the last lot of a piece begins, and the names of its first and last lot."""
    is_frame = isinstance(piece, pd.DataFrame)
    names = list(piece.columns) if is_frame else piece.schema.names
    if lot not in names:
        raise ValueError(f"the table has no column {lot!r}; it has {names}. Name it with lot=.")
    column = piece[lot] if is_frame else piece.column(lot).to_pandas()
    codes = pd.factorize(column)[0]
    changes = np.flatnonzero(codes[1:] != codes[:-1])
    return (int(changes[-1]) + 1 if len(changes) else 0), column.iloc[0], column.iloc[-1]


def _slice(piece: Any, start: int, stop: int) -> Any:
    if isinstance(piece, pd.DataFrame):
        return piece.iloc[start:stop]
    return piece.slice(start, stop - start)


def _join(pieces: list[Any]) -> pd.DataFrame:
    if isinstance(pieces[0], pd.DataFrame):
        return pieces[0] if len(pieces) == 1 else pd.concat(pieces)
    import pyarrow as pa

    return pa.Table.from_batches(pieces).unify_dictionaries().to_pandas()


def _collect_lots(pieces: Iterable[Any], lot: Hashable, min_rows: int) -> Iterator[pd.DataFrame]:
    complete: list[Any] = []  # pieces of lots that have ended
    tail: list[Any] = []  # pieces of the lot that may go on
    tail_lot: Any = None
    seen: set[Any] = set()
    for piece in pieces:
        if len(piece) == 0:
            continue
        start, first, last = _find_runs(piece, lot)
        if first != tail_lot:
            complete, tail = complete + tail, []
        if start:
            complete, tail = [*complete, *tail, _slice(piece, 0, start)], []
        tail.append(_slice(piece, start, len(piece)))
        tail_lot = last
        if sum(map(len, complete)) >= min_rows:
            yield _check_lots(_join(complete), lot, seen, tail_lot)
            complete = []
    if complete or tail:
        yield _check_lots(_join(complete + tail), lot, seen, None)


def _check_lots(table: pd.DataFrame, lot: Hashable, seen: set, tail_lot: Any) -> pd.DataFrame:
    """Refuse a lot that comes in two places: its wafers would be cut in two."""
    lots = set(table[lot].unique())
    split = (lots & seen) | (lots & {tail_lot})
    if split:
        raise ValueError(
            f"the rows of lot {split.pop()!r} do not follow one another. Sort the table by "
            f"{lot!r} first."
        )
    seen |= lots
    return table
