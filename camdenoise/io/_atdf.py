"""ATDF, the text form of STDF."""

from __future__ import annotations

import calendar
import codecs
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._container import MAX_BINARY_BYTES, Content, decode
from camdenoise.io._die_file import DieFile, ReadOptions, read_one
from camdenoise.io._problems import Problem
from camdenoise.io._stdf_wafers import (
    ALL_HEADS,
    FAILED,
    FIELDS,
    NO_BIN,
    NO_COORDINATE,
    NO_COUNT,
    NOT_SAID,
    Piece,
    Row,
    check_bins,
    wafer_file,
)

# Order of the fields in each record, up to the last one that is used. It is not the order of STDF.
_ORDER = {
    "MIR": "LOT_ID PART_TYP JOB_NAM NODE_NAM TSTR_TYP SETUP_T START_T",
    "WCR": "WF_FLAT POS_X POS_Y WAFR_SIZ DIE_HT DIE_WID WF_UNITS CENTER_X CENTER_Y",
    "WIR": "HEAD_NUM START_T SITE_GRP WAFER_ID",
    "WRR": "HEAD_NUM FINISH_T PART_CNT WAFER_ID",
    "PRR": "HEAD_NUM SITE_NUM PART_ID NUM_TEST PART_FLG HARD_BIN SOFT_BIN X_COORD Y_COORD",
    "PCR": "HEAD_NUM SITE_NUM PART_CNT",
    "HBR": "HEAD_NUM SITE_NUM HBIN_NUM HBIN_CNT HBIN_PF",
    "SBR": "HEAD_NUM SITE_NUM SBIN_NUM SBIN_CNT SBIN_PF",
    "MRR": "FINISH_T",
}
_PLACES = {
    kind: [(order.split().index(name), name) for name in FIELDS[kind]]
    for kind, order in _ORDER.items()
}
# MIR in the order of STDF, which Semi-ATE STDF wrote before version 2 (its issue 36).
_MIR_AS_STDF = [(1, "START_T"), (8, "LOT_ID"), (9, "PART_TYP")]
# Smallest and largest value of each number, and what a blank field means.
_NUMBERS: dict[str, tuple[int, int, int]] = {
    **dict.fromkeys(("HEAD_NUM", "SITE_NUM"), (0, 255, ALL_HEADS)),
    **dict.fromkeys(("HARD_BIN", "SOFT_BIN", "HBIN_NUM", "SBIN_NUM"), (0, 65535, NO_BIN)),
    **dict.fromkeys(("PART_CNT", "HBIN_CNT", "SBIN_CNT"), (0, NO_COUNT, NO_COUNT)),
    **dict.fromkeys(
        ("X_COORD", "Y_COORD", "CENTER_X", "CENTER_Y"), (NO_COORDINATE, 32767, NO_COORDINATE)
    ),
}
_SIZES = ("WAFR_SIZ", "DIE_HT", "DIE_WID")
_FLAGS = {"P": 0, "F": FAILED}
_USED = frozenset(f"{kind}:".encode() for kind in (*_ORDER, "FAR"))
_START = re.compile(r"\ufeff?FAR:A(.)\d")
# Hour, minute, second, day, month and year, as in 8:14:59 23-JUL-1992.
_TIME = re.compile(r"(\d+):(\d+):(\d+)\s+(\d+)-([A-Z]{3})-(\d+)", re.IGNORECASE)
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def looks_like_atdf(head: str) -> bool:
    """Whether a file is ATDF, by what it begins with."""
    return _START.match(head) is not None


def read_atdf(
    path: str | os.PathLike,
    *,
    bins: str = "hard",
    incomplete: bool = False,
    pass_bins: Sequence[int] | None = None,
    encoding: str | None = None,
) -> pd.DataFrame:
    """Read the dies of the wafers in an ATDF file, the text form of STDF.

    Parameters
    ----------
    path : path-like
        The file, plain or packed; its name does not matter. Files that were joined are read too.
    bins, incomplete, pass_bins
        As in `read_stdf`.
    encoding : str or None, default=None
        Of the text; None: UTF-8, else Latin-1.

    Returns
    -------
    DataFrame
        The die table, as `read_stdf` gives it.

    Raises
    ------
    WaferFileError
        For a file that holds less than it declares, or no wafer (packaged parts).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from camdenoise.io import read_atdf
    >>> file = Path(tempfile.mkdtemp(), "lot.atd")
    >>> records = [
    ...     "FAR:A|4|2",
    ...     "MIR:LOT1|CHIP",
    ...     "WIR:1|8:23:02 23-JUL-2020||W1",
    ...     "PRR:1|1|1|9|P|1||0|0",
    ...     "PRR:1|1|2|9|F|7||1|0",
    ...     "WRR:1||2|W1",
    ...     "MRR:",
    ... ]
    >>> _ = file.write_text("".join(f"{record}{chr(10)}" for record in records))
    >>> read_atdf(file)
        lot wafer  x  y  bin  passed
    0  LOT1    W1  0  0    1    True
    1  LOT1    W1  1  0    7   False
    """
    options = ReadOptions(bins=bins, incomplete=incomplete, pass_bins=pass_bins, encoding=encoding)
    check_bins(options)
    return read_one(path, atdf_file, options).to_table()


def atdf_file(content: Content, options: ReadOptions) -> DieFile:
    """Read an ATDF file."""
    check_bins(options)
    notes: list[str] = []
    lines = _read_lines(content, options.encoding, notes)
    return wafer_file("ATDF", _read_pieces(lines, notes), options, notes)


@dataclass
class _Line:
    """A record with all its continuations, and the number of its first line."""

    number: int
    text: str


def _read_lines(content: Content, encoding: str | None, notes: list[str]) -> list[_Line]:
    """Read the records that are used, as text."""
    source = _iter_lines(content)
    if content.head(2) in _MARKS:
        text, encoding = content.read_text()[0], "utf-8"
        source = iter(text.encode().splitlines(keepends=True))
    found: list[tuple[int, bytes]] = []
    is_open = False
    complete = True
    for number, line in enumerate(source, 1):
        if line.startswith(b" "):
            if is_open:
                found[-1] = (found[-1][0], found[-1][1] + line[1:].rstrip(b"\r\n"))
        elif line.strip():
            is_open = number == 1 or line[:4] in _USED
            if is_open:
                found.append((number, line.rstrip(b"\r\n")))
        complete = line.endswith((b"\n", b"\r"))
    if not complete and is_open and len(found) > 1 and not found[-1][1].startswith(b"MRR"):
        # The rest of a number that was cut would read as another number.
        number, _ = found.pop()
        notes.append(f"line {number} ends without an end of line; it is cut short and was skipped")
    joined = b"\n".join(line for _, line in found)
    plain = decode(joined, encoding, content.name)
    if plain is None:
        plain = joined.decode("latin-1")
        notes.append(
            "the text is not UTF-8 and was read as Latin-1; if names look wrong, give its encoding "
            "(--encoding, for example cp949, gb18030 or shift_jis)"
        )
    texts = plain.split("\n") if found else []
    if len(texts) != len(found):
        raise Problem(f"it is not text in {encoding}. Give another encoding.")
    return [_Line(number, text) for (number, _), text in zip(found, texts, strict=True)]


def _iter_lines(content: Content) -> Iterator[bytes]:
    """Read line by line. Most lines of a large file are of tests, which are not used."""
    pending = b""
    for chunk in content.chunks(MAX_BINARY_BYTES):
        lines = (pending + chunk).splitlines(keepends=True)
        pending = lines.pop()
        yield from lines
    if pending:
        yield pending


@dataclass
class _Misread:
    """Numbers that are not understood."""

    count: int = 0
    first: str = ""


@dataclass
class _Records:
    """The records of one file of a tester, as they are read."""

    delimiter: str
    rows: dict[str, list[Row]] = field(default_factory=dict)
    parts: list[Row] = field(default_factory=list)


def _read_pieces(lines: list[_Line], notes: list[str]) -> Iterator[Piece]:
    if not lines:
        raise Problem("it holds no records of a wafer test. Is it ATDF?")
    files: list[_Records] = []
    misread = _Misread()
    for line in lines:
        kind, _, text = line.text.removeprefix("\ufeff").partition(":")
        if not files or kind == "FAR":
            files.append(_Records(_find_delimiter(line)))
            continue
        row = _read_row(kind, text.split(files[-1].delimiter), line.number, misread)
        if kind == "PRR":
            files[-1].parts.append(row)
        else:
            files[-1].rows.setdefault(kind, []).append(row)
    if misread.count:
        notes.append(
            f"{misread.count} fields that are not numbers in their range were taken as not given, "
            f"the first in {misread.first}"
        )
    for number, file in enumerate(files, 1):
        name = f"joined file {number} of {len(files)}" if len(files) > 1 else ""
        parts = pd.DataFrame(file.parts, columns=["sequence_number", *FIELDS["PRR"]])
        numbers = dict.fromkeys(parts.columns.drop("PART_ID"), np.int64)
        yield Piece(file.rows, parts.astype(numbers), name, "line")


def _find_delimiter(line: _Line) -> str:
    """Find what separates the fields: the character after the type of the file."""
    match = _START.match(line.text)
    if match is None:
        raise Problem("it does not begin with a file attributes record (FAR:A). Is it ATDF?")
    version = line.text.removeprefix("\ufeff").split(match[1])[1].strip()
    if version != "4":
        raise Problem(f"it is ATDF of STDF version {version}; version 4 is read.")
    return match[1]


def _read_row(kind: str, fields: list[str], number: int, misread: _Misread) -> Row:
    """Read the fields that are used; those at the end may be left out."""
    places = _PLACES[kind]
    if kind == "MIR" and _TIME.match(fields[0].strip()):
        places = _MIR_AS_STDF
    row: Row = {"sequence_number": number - 1}
    for place, name in places:
        text = fields[place].strip() if place < len(fields) else ""
        row[name] = _read_value(name, text, number, misread)
    return row


def _read_value(name: str, text: str, number: int, misread: _Misread) -> Any:
    if name in _NUMBERS:
        low, high, missing = _NUMBERS[name]
        value = _number(text, int, missing)
        if value is not None and low <= value <= high:
            return value
    elif name in _SIZES:
        value = _number(text, float, 0.0)
        if value is not None and math.isfinite(value):
            return value
        missing = 0
    elif name == "START_T":
        return _parse_time(text)
    elif name == "PART_FLG":
        return _FLAGS.get(text.upper(), NOT_SAID)
    else:
        return text.upper() if name.endswith("_PF") else text
    misread.count += 1
    misread.first = misread.first or f"line {number}: {name} {text!r}"
    return missing


def _number(text: str, kind: type, missing: float) -> Any:
    try:
        return kind(text) if text else missing
    except ValueError:
        return None


def _parse_time(text: str) -> int:
    """Give a time in seconds since 1970; 0 where it is not understood, as in STDF."""
    match = _TIME.match(text)
    if match is None or match[5].upper() not in _MONTHS:
        return 0
    hour, minute, second, day, year = (int(match[n]) for n in (1, 2, 3, 4, 6))
    if not 1 <= day <= 31 or not 1970 <= year <= 9999:
        return 0
    return calendar.timegm((year, _MONTHS[match[5].upper()], day, hour, minute, second))
