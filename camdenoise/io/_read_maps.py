"""Wafer maps from anything that the commands read, in one call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from camdenoise.io._wafer_source import open_source
from camdenoise.io._wafer_table import collect_wafers
from camdenoise.wafers._coverage import is_partial

# What tells lots apart, the most usual first.
_LOTS = ("chunk", "lot")


def read_maps(paths: str | os.PathLike | Sequence[str | os.PathLike], **options: Any) -> Bunch:
    r"""Read wafer maps from files of any known kind.

    Parameters
    ----------
    paths : path-like or sequence of path-like
        Files, patterns such as ``"lot7/*.stdf.gz"``, or folders; kinds and packings as in
        `stream.open_source`.
    **options
        How files with a row per die are read: the options of `stream.open_source`.

    Returns
    -------
    sklearn.utils.Bunch
        With these attributes, a wafer for each that can be read, in the order of the files:

        - ``maps`` : list of ndarray of uint8, shape (rows, cols); 0 no die, 1 pass, 2 fail.
        - ``target`` : ndarray of str, shape (n_wafers,), the column ``label``; "" where a wafer
          has none. None where there is not such a column.
        - ``groups`` : ndarray of int, shape (n_wafers,), lots, for group-wise cross-validation;
          None where nothing tells lots apart.
        - ``frame`` : DataFrame, one row per wafer: all else that the files say, such as lot,
          wafer, x0 and y0 (see `from_die_table`), and ``partial``, whether less than most of the
          wafer was tested.
        - ``notes`` : list of str, what was assumed, skipped or left out.

    Raises
    ------
    FileNotFoundError
        Where there is not such a file.
    WaferFileError, ValueError
        For a file that is of no known kind, damaged, or not understood, and where no wafer can
        be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from camdenoise.io import read_maps
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "dies.csv")
    ...     _ = file.write_text("lot,wafer,x,y,bin\nA,1,0,0,1\nA,1,1,0,7\nA,2,0,0,1\n")
    ...     wafers = read_maps(file)
    >>> [grid.tolist() for grid in wafers.maps], wafers.groups.tolist()
    ([[[1, 2]], [[1, 0]]], [0, 0])
    >>> wafers.notes[0]
    'bin 1 passes: nothing says which bins do, so it was assumed'
    """
    source = open_source(paths, **options)
    maps, errors, table = collect_wafers(source.batches)
    readable = np.array([grid is not None for grid in maps], bool)
    notes = [note.rstrip(".") for note in source.notes]
    if not readable.all():
        row, n_unread = int(np.argmin(readable)), int((~readable).sum())
        notes.append(f"{n_unread} wafers cannot be read; the first is row {row}: {errors[row]}")
    if not readable.any():
        raise ValueError(f"no wafer can be read. {notes[-1] if notes else ''}".rstrip())
    keys = table[readable].reset_index(drop=True)
    target = None
    if "label" in keys:
        target = keys.pop("label").fillna("").astype(str).to_numpy(str)
        target = target if (target != "").any() else None
    grids = [grid for grid in maps if grid is not None]
    keys["partial"] = [is_partial(grid) for grid in grids]
    lots = next((keys[name] for name in _LOTS if name in keys), None)
    return Bunch(
        maps=grids,
        target=target,
        groups=None if lots is None else pd.factorize(lots)[0],
        frame=keys,
        notes=notes,
    )
