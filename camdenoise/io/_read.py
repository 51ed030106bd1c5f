"""Read wafer files of any format, told by their content."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd

from camdenoise.io._atdf import atdf_file, looks_like_atdf
from camdenoise.io._container import Content, list_contents
from camdenoise.io._die_csv import die_csv_file, looks_like_die_csv
from camdenoise.io._die_file import DieFile, Reader, ReadOptions, read_one
from camdenoise.io._e142 import e142_document, substrate_documents
from camdenoise.io._file_kinds import detect_kind
from camdenoise.io._g85 import g85_document, g85_text_file, looks_like_g85_text
from camdenoise.io._join import join_files, judge
from camdenoise.io._klarf import STARTS, klarf_file
from camdenoise.io._problems import WaferFileError, name_file
from camdenoise.io._semi_map import read_document
from camdenoise.io._sinf import looks_like_sinf, sinf_file
from camdenoise.io._stdf import looks_like_stdf, stdf_file
from camdenoise.io._xml import looks_like_xml

_NO_OPTIONS = ReadOptions()
_WEB_PAGE = ("<!doctype html", "<html")
# What a file with a row per wafer begins with: Parquet, pickle, npz.
_TABLES = (b"PAR1", b"\x80", b"PK\x03\x04")


def _looks_like_klarf(text: str) -> bool:
    return text.startswith(STARTS[0]) or text.split(None, 2)[:2] == STARTS[1].split()


def xml_file(content: Content, options: ReadOptions) -> DieFile:
    """Read a G85 or E142 file."""
    return read_document(content, options, _xml_document)


def _xml_document(root: Element, name: str, options: ReadOptions) -> DieFile:
    """Read a parsed G85 or E142 document; `name` is for wafers that have none."""
    document = e142_document if substrate_documents(root) else g85_document
    return document(root, name, options)


#: Text formats: how a file is told, reader. The first that fits is taken.
_TEXTS: tuple[tuple[Callable[[str], bool], Reader], ...] = (
    (_looks_like_klarf, klarf_file),
    (looks_like_atdf, atdf_file),
    (looks_like_g85_text, g85_text_file),
    (looks_like_sinf, sinf_file),
    (looks_like_die_csv, die_csv_file),
)


def find_reader(content: Content, options: ReadOptions = _NO_OPTIONS) -> Reader:
    """Find the reader for a file by what it begins with; its name does not matter."""
    head, text = content.head(), content.text_head()
    if looks_like_stdf(head):
        return stdf_file
    if looks_like_xml(head) and not text[:14].lower().startswith(_WEB_PAGE):
        return xml_file
    # Lines such as "LOT: A7" stand above a table, too.
    is_table = looks_like_die_csv(text) and "ROWDATA" not in text.upper()
    for fits, reader in _TEXTS:
        if fits(text) and not (reader is sinf_file and (is_table or options.columns)):
            return reader
    if not head.strip():
        raise WaferFileError(content.name, "the file is empty. Fetch it again.")
    if options.columns and b"\0" not in head:
        return die_csv_file
    if head[257:262] == b"ustar":
        raise WaferFileError(content.name, "this is a tar archive. Unpack it first.")
    kind = detect_kind(content.path) if content.member is None else None
    if kind is not None and not kind.is_packed and "text file" not in kind.what:
        raise WaferFileError(content.name, f"this is {kind.what}. {kind.remedy}")
    if b"\0" in head:
        raise WaferFileError(
            content.name, "the content is none of STDF, Parquet and npz, and no text."
        )
    columns = text.split("\n", 1)[0].strip()[:200]
    raise WaferFileError(
        content.name,
        "the content is none of STDF, ATDF, SEMI G85 or E142, SINF, KLARF and a table with a row "
        "per die. If it is a table, it begins with the names of its columns, and its columns x, y "
        "and bin have names that are not known: say which they are with columns={'x': ...} "
        f"(--columns x=...,y=...,bin=...). Its first line is {columns!r}.",
    )


def read_wafers(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    *,
    repeated: str = "raise",
    pass_bins: Any = None,
    incomplete: bool = False,
    encoding: str | None = None,
) -> pd.DataFrame:
    """Read wafer files as one die table, each by the reader for its content.

    STDF V4, ATDF, SEMI G85 and E142, SINF, KLARF and tables of text with a row per die are known
    by their first bytes, plain or packed by gzip, bzip2, xz, zstd or zip, of which all members are
    read; the names of the files do not matter. A reader's further options are those of its own
    function: `read_stdf`, `read_atdf`, `read_g85`, `read_e142`, `read_sinf`, `read_klarf`,
    `read_die_csv`.

    Parameters
    ----------
    path : path-like or sequence of path-like
        The file, or several, such as the wafers of a lot.
    repeated : {"raise", "retest"}, default="raise"
        What to do where two files hold the same wafer (lot and wafer by name): refuse, or take
        its rows as tests of the same dies, in the order of the time of test where all files say
        it, else in that of the files.
    pass_bins : bin, sequence of bins, or None, default=None
        Bins of good dies, for files that do not say which bins pass or say it in words that are
        not understood. An empty sequence: no die passes.
    incomplete : bool, default=False
        Read files that hold less than they declare; what is missing is counted.
    encoding : str or None, default=None
        Of text that is not UTF-8 and does not say what it is, such as "cp949".

    Returns
    -------
    DataFrame
        One row per test of a die, with these columns:

        - ``lot`` : str, as the file names it; "" where it does not.
        - ``wafer`` : str, as the file names it; else the file's own name without its endings.
        - ``x``, ``y`` : int32, die coordinates of the file; negative ones are kept.
        - ``bin`` : int32, the tester's bin (KLARF: number of defects); str for maps of letters.
        - ``passed`` : boolean, whether the die is good, as the file or `pass_bins` says; missing
          where nobody does. `from_die_table` asks for `pass_bins` then.

        A position without a die or without a result has no row. A die tested several times has
        several rows; see `retest` of `from_die_table`. ``attrs`` hold ``format``, ``about`` (the
        file's header), ``wafers`` (for each wafer: product, time, extent of the map, directions
        of x and y, notch, dies without coordinates), by which `from_die_table` lays the maps, and
        ``notes``: what was assumed or left out.

    Raises
    ------
    WaferFileError
        For a file that is of no known format, damaged, cut short or contradicts itself; it names
        the file, the place and the remedy.
    OSError
        Where a file cannot be opened.
    ValueError
        For no file, or the same wafer in two files.

    See Also
    --------
    read_maps : Wafer maps from these files and all others.

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
    found = [content for each in paths for content in wafer_contents(each)[0]]
    bins = [pass_bins] if np.ndim(pass_bins) == 0 and pass_bins is not None else pass_bins
    options = ReadOptions(pass_bins=bins, incomplete=incomplete, encoding=encoding)
    files = [read_one(content, find_reader(content), options) for content in found]
    if repeated == "raise":
        _check_repeated([c.name for c in found], [f.table for f in files])
    with name_file(paths[0] if len(paths) == 1 else Path(paths[0]).parent):
        if bins is not None:
            judge(files, bins)
        return join_files(files, retest=True).to_table()


def wafer_contents(path: str | os.PathLike) -> tuple[list[Content], list[str]]:
    """List what a file holds, and what else an archive holds."""
    found = list_contents(path)
    if len(found) == 1:
        return found, []
    known = [content for content in found if holds_wafers(content)]
    if not known:
        raise WaferFileError(path, f"none of its {len(found)} files holds wafers.")
    return known, [content.name for content in found if content not in known]


def holds_wafers(content: Content) -> bool:
    """Tell whether a file is of a known kind."""
    if content.head().startswith(_TABLES):
        return True
    try:
        find_reader(content)
    except WaferFileError:
        return False
    return True


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
