"""KLARF inspection results: a die is good where it was inspected and has no defect."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._container import Content
from camdenoise.io._die_file import DieFile, ReadOptions, read_one
from camdenoise.io._klarf_1 import read_statements
from camdenoise.io._klarf_18 import read_records
from camdenoise.io._klarf_wafer import InspectedWafer
from camdenoise.io._problems import Problem
from camdenoise.io._table import die_rows, facts_of, join_rows

#: What the text of a file begins with.
STARTS = ("FileVersion", "Record FileRecord")


def read_klarf(
    path: str | os.PathLike, *, inspected: Sequence[Sequence[int]] | None = None
) -> pd.DataFrame:
    """Read the inspected dies of the wafers in a KLARF file of version 1.1, 1.2 or 1.8.

    KLARF lists defects, not dies. The dies without a defect are known only where the file lists
    those that were inspected (SampleTestPlan), so that a wafer without such a list is an error.

    Parameters
    ----------
    path : path-like
        The text file, plain or gzip-compressed.
    inspected : array-like of int, shape (n_dies, 2), or None, default=None
        XINDEX and YINDEX of the dies that were inspected, for wafers whose file does not list
        them; for example the x and y of another file of the same product.

    Returns
    -------
    DataFrame
        The die table: lot, wafer, x, y, bin, passed (see `camdenoise.io.read_wafers`), one row
        per die. x and y are XINDEX and YINDEX; ``bin`` is the number of defects on the die, and a
        die passed where that is 0. A die with a defect counts as inspected, whether the list has
        it or not.

    Raises
    ------
    WaferFileError
        For a file that is damaged or cut short, and a wafer whose inspected dies are not listed.
    OSError
        Where the file cannot be opened.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> text = '''FileVersion 1 2;
    ... LotID "L";
    ... WaferID "7";
    ... SampleTestPlan 3
    ...  -1 0 0 0 1 0;
    ... DefectRecordSpec 3 DEFECTID XINDEX YINDEX ;
    ... DefectList
    ...  1 0 0
    ...  2 0 0;
    ... EndOfFile;'''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "w7.000")
    ...     _ = file.write_text(text)
    ...     read_klarf(file)
      lot wafer  x  y  bin  passed
    0   L     7 -1  0    0    True
    1   L     7  0  0    2   False
    2   L     7  1  0    0    True
    """
    given = None if inspected is None else _given_dies(inspected)
    return read_one(path, klarf_file, ReadOptions(inspected=given)).as_table()


def _given_dies(inspected: Any) -> np.ndarray:
    dies = np.asarray(inspected)
    if dies.ndim != 2 or dies.shape[1] != 2 or dies.dtype.kind not in "iu" or not len(dies):
        raise ValueError(
            f"inspected must be whole numbers of shape (n_dies, 2), got {dies.dtype} {dies.shape}."
        )
    return dies.astype(np.int64)


def klarf_file(content: Content, options: ReadOptions) -> DieFile:
    """Read a KLARF file."""
    text, note = content.read_text(options.encoding)
    text = text.lstrip()
    wafers, about = (read_statements if text.startswith("FileVersion") else read_records)(text)
    if not wafers:
        raise Problem("it holds no wafer (no WaferID or WaferRecord).")
    table = join_rows([_wafer_rows(w, content.stem, options.inspected) for w in wafers])
    return DieFile("KLARF", table, facts_of(table), about, [note] if note else [])


def _wafer_rows(wafer: InspectedWafer, name: str, given: np.ndarray | None) -> pd.DataFrame:
    wafer_name = wafer.wafer or name
    listed = np.array(wafer.inspected, np.int64).reshape(-1, 2)
    if not len(listed):
        if given is None:
            raise Problem(
                "the file does not list the inspected dies (SampleTestPlan), so that the dies "
                "without a defect are not known. Give them with read_klarf(..., inspected=...), "
                "for example those of another wafer of the product.",
                f"wafer {wafer_name!r}",
            )
        listed = given
    defects = np.array(wafer.defects, np.int64).reshape(-1, 2)
    dies, index = np.unique(np.concatenate([listed, defects]), axis=0, return_inverse=True)
    counts = np.bincount(index.ravel()[len(listed) :], minlength=len(dies))
    order = np.lexsort((dies[:, 0], dies[:, 1]))
    x, y = dies[order].T
    return die_rows(wafer.lot, wafer_name, x, y, counts[order], counts[order] == 0)
