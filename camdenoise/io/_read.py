"""Read wafer files of any format, told by their content."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from camdenoise.io._container import Content, contents
from camdenoise.io._die_file import DieFile, Reader, ReadOptions, read_one
from camdenoise.io._e142 import e142_document
from camdenoise.io._g85 import g85_document
from camdenoise.io._klarf import STARTS, klarf_file
from camdenoise.io._problems import WaferFileError, naming
from camdenoise.io._sinf import looks_like_sinf, sinf_file
from camdenoise.io._stdf import MAGICS, stdf_file
from camdenoise.io._table import join_rows
from camdenoise.io._xml import parse_xml

# Files that hold wafers too, but are for another function.
_OTHERS = {
    b"PAR1": "a Parquet file. Read a die table with pandas.read_parquet and from_die_table",
    b"PK\x03\x04": "a zip or npz file. Read an npz file with camdenoise.datasets.load_wafer_maps",
    b"\x80": "a pickle, which could run code. camdenoise.datasets.load_wm811k does not let it",
}


def _xml_file(content: Content, options: ReadOptions) -> DieFile:
    root = parse_xml(content.read_bytes())
    document = e142_document if root.tag == "MapData" else g85_document
    return document(root, content.stem, options)


def find_reader(content: Content) -> Reader:
    """Find the reader for a file by what it begins with; its name does not matter."""
    head = content.head()
    if head[:4] in MAGICS:
        return stdf_file
    text = head.decode("utf-8-sig", "replace").lstrip()
    if text.startswith("<") or head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _xml_file
    if text.startswith(STARTS[0]) or text.split()[:2] == STARTS[1].split():
        return klarf_file
    if looks_like_sinf(text):
        return sinf_file
    return _refuse(content, head)


def _refuse(content: Content, head: bytes) -> Reader:
    if not head.strip():
        raise WaferFileError(content.name, "the file is empty. Fetch it again.")
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise WaferFileError(content.name, f"this is {what}.")
    raise WaferFileError(
        content.name,
        "the content is none of STDF, SEMI G85 or E142 (XML), SINF and KLARF. If it is a table, "
        "read it with pandas and pass it to from_die_table.",
    )


def read_wafers(
    path: str | os.PathLike | Sequence[str | os.PathLike], *, repeated: str = "raise"
) -> pd.DataFrame:
    """Read wafer files as one die table, each by the reader for its content.

    STDF V4, SEMI G85 and E142, SINF and KLARF are known by their first bytes, plain or
    gzip-compressed; the names of the files do not matter. A reader's options are those of its own
    function: `read_stdf`, `read_g85`, `read_e142`, `read_sinf`, `read_klarf`.

    Parameters
    ----------
    path : path-like or sequence of path-like
        The file, or several, such as the wafers of a lot.
    repeated : {"raise", "retest"}, default="raise"
        What to do where two files hold the same wafer (lot and wafer by name): refuse, or take
        the later file's rows as later tests of the same dies.

    Returns
    -------
    DataFrame
        One row per test of a die, in the order of the files, with these columns:

        - ``lot`` : str, as the file names it; "" where it does not.
        - ``wafer`` : str, as the file names it; else the file's own name without its endings.
        - ``x``, ``y`` : int32, die coordinates as the reader says; negative ones are kept.
        - ``bin`` : int32, the tester's bin (KLARF: number of defects); str for maps of letters.
        - ``passed`` : boolean, whether the file says that the die is good; missing where it does
          not say. `from_die_table` asks for `pass_bins` then.

        A position without a die or without a result has no row. A die tested several times has
        several rows, also where one file holds its wafer several times; see `retest` of
        `from_die_table`. ``attrs["format"]`` and ``attrs["about"]`` tell what else the file
        said, where there is one file.

    Raises
    ------
    WaferFileError
        For a file that is of no known format, damaged, cut short or contradicts itself; it names
        the file, the place and the remedy.
    OSError
        Where a file cannot be opened.
    ValueError
        For no file, or the same wafer in two files.

    Examples
    --------
    >>> from camdenoise.io import from_die_table, read_wafers
    >>> table = read_wafers("lot2.stdf.gz")                          # doctest: +SKIP
    >>> wafers = from_die_table(table)                               # doctest: +SKIP
    """
    if repeated not in ("raise", "retest"):
        raise ValueError(f"repeated must be 'raise' or 'retest', got {repeated!r}.")
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    if not paths:
        raise ValueError("no file to read: the sequence of paths is empty.")
    found = [content for each in paths for content in contents(each)]
    options = ReadOptions()
    files = [read_one(content, find_reader(content), options) for content in found]
    if repeated == "raise":
        _check_repeated([c.name for c in found], [f.table for f in files])
    if len(files) == 1:
        return files[0].as_table()
    with naming(Path(paths[0]).parent):
        return join_rows([file.table for file in files])


def _check_repeated(paths: list, tables: list[pd.DataFrame]) -> None:
    home: dict[tuple, str | os.PathLike] = {}
    for path, table in zip(paths, tables, strict=True):
        for wafer in table[["lot", "wafer"]].drop_duplicates().itertuples(index=False, name=None):
            if wafer in home:
                raise ValueError(
                    f"wafer {wafer[1]!r} of lot {wafer[0]!r} is in {home[wafer]} and in {path}. If "
                    "the later file is a retest, say so with repeated='retest'; else read the "
                    "files one by one and rename."
                )
            home[wafer] = path
