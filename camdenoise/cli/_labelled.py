"""Labelled wafers of a file, all in memory, as training and evaluation need them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.cli._mistakes import Mistake
from camdenoise.cli._sources import open_wafers


def labelled_wafers(
    sources: Sequence[Path], options: dict[str, Any]
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray | None, list[str]]:
    """Read the wafers that have a label and can be read.

    Returns
    -------
    maps : list of ndarray of uint8, shape (height, width)
    target : ndarray of str, shape (n_wafers,)
    lots : ndarray or None
        From the column ``chunk`` or ``lot``; None where there is neither.
    notes : list of str
        What was assumed, and classes with so few wafers that little can be said of them.
    """
    from camdenoise.metrics._class_report import few_wafers_warning
    from camdenoise.stream import wafers_of
    from camdenoise.wafers._maps import read_readable_maps

    maps: list[Any] = []
    frames = []
    stream, _ = open_wafers(sources, options)
    source = ", ".join(map(str, sources))
    for batch in stream.batches:
        if "label" not in batch.schema.names:
            raise Mistake(
                f"{source} has no column label with the class of each wafer. Make a table with a "
                "row per wafer by camdenoise convert, and add the column to it, for example with "
                "pandas."
            )
        maps += wafers_of(batch)[0]
        frames.append(batch.drop_columns(["cells", "rows", "cols"]).to_pandas())
    keys = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"label": []})
    labels = keys["label"].fillna("").astype(str)
    rows = [row for row, grid in enumerate(maps) if grid is not None and labels[row]]
    if not rows:
        raise Mistake(f"no wafer of {source} has a label.")
    read, errors = read_readable_maps([maps[row] for row in rows])
    rows = [row for row, error in zip(rows, errors, strict=True) if error is None]
    lots = next((keys[n].to_numpy()[rows] for n in ("chunk", "lot") if n in keys), None)
    target = labels.to_numpy(str)[rows]
    few = few_wafers_warning(target)
    return read, target, lots, [*stream.notes, *([few] if few else [])]
