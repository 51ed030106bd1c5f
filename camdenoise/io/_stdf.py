"""STDF V4, the testers' binary format, by way of the package stdf-convert."""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._container import Content
from camdenoise.io._die_file import DieFile, ReadOptions, read_one
from camdenoise.io._problems import Problem
from camdenoise.io._stdf_wafers import FIELDS, NOT_SAID, Piece, check_bins, wafer_file

#: File attributes record of either byte order: length 2, type 0, subtype 10.
MAGICS = (b"\x02\x00\x00\x0a", b"\x00\x02\x00\x0a")
_ORDERS = {MAGICS[0]: "<", MAGICS[1]: ">"}
# Types and subtypes of V4 and V4-2007.
_KNOWN = frozenset(
    (kind, sub)
    for kind, subs in {
        0: (10, 20, 30),
        1: (10, 20, 30, 40, 50, 60, 62, 63, 70, 80, 90, 91, 92, 93, 94),
        2: (10, 20, 30),
        5: (10, 20),
        10: (30,),
        15: (10, 15, 20, 30),
        20: (10, 20),
        50: (10, 30),
    }.items()
    for sub in subs
)
_MRR = (1, 20)
#: An Arrow table for each kind of record that occurs.
Tables = dict[str, Any]
# A FAR and the header of the record after it.
_START_BYTES = 10
# Bytes; 1 MiB stays in the processor's cache, which makes the search five times faster.
_CHUNK = 1 << 20
# Names of people's making, which may hold letters of any encoding.
_NAMES = frozenset(("LOT_ID", "PART_TYP", "WAFER_ID"))


def _load_package() -> Any:
    try:
        import stdf_convert
    except ImportError as error:
        raise ImportError(
            "reading STDF needs the package stdf-convert: pip install stdf-convert"
        ) from error
    return stdf_convert


def looks_like_stdf(head: bytes) -> bool:
    """Whether a file is STDF, by what it begins with."""
    return head[:4] in MAGICS


def read_stdf(
    path: str | os.PathLike,
    *,
    bins: str = "hard",
    incomplete: bool = False,
    pass_bins: Sequence[int] | None = None,
) -> pd.DataFrame:
    """Read the dies of the wafers in an STDF V4 file.

    Parameters
    ----------
    path : path-like
        The file, plain or packed; its name does not matter. Files that were joined byte by byte
        are read too, also of different byte orders. Each is judged by its own records.
    bins : {"hard", "soft"}, default="hard"
        Which bin number to give.
    incomplete : bool, default=False
        Also read a file that holds less than it declares: without a master results record (MRR),
        which testers write last, with fewer parts than it counts, or cut within a record.
    pass_bins : sequence of int or None, default=None
        Bins of good dies. They decide which of the parts without coordinates fail. The column
        `passed` keeps what the file says.

    Returns
    -------
    DataFrame
        The die table, as `read_wafers` gives it, one row per part results record (PRR). lot is
        MIR.LOT_ID; wafer is WIR.WAFER_ID, else WRR.WAFER_ID. A die passed where PART_FLG says
        so, else where the bin's record (HBR, SBR) does; where that is blank too, `passed` is
        missing. A part without a bin keeps its row where PART_FLG says whether it passed, with
        bin 65535. Parts without coordinates (-32768) are on no map and have no row; their number
        is in ``attrs["about"]["n_without_coordinates"]``, with the wafer configuration (WCR), and
        by wafer in ``attrs["wafers"]``.

    Raises
    ------
    ImportError
        Without the package stdf-convert, with the command that installs it.
    WaferFileError
        For a file that is damaged, holds less than it declares, or no wafer (packaged parts).

    Examples
    --------
    A file of one wafer with two dies, written record by record:

    >>> import struct, tempfile
    >>> from pathlib import Path
    >>> from camdenoise.io import read_stdf
    >>> def record(kind, sub, body):
    ...     return struct.pack("<HBB", len(body), kind, sub) + body
    >>> def part(x, y, bin, failed):
    ...     numbers = (1, 1, 8 * failed, 0, bin, bin, x, y, 0)
    ...     return record(5, 20, struct.pack("<BBBHHHhhI", *numbers) + bytes(3))
    >>> file = Path(tempfile.mkdtemp(), "lot.stdf")
    >>> _ = file.write_bytes(
    ...     record(0, 10, bytes([2, 4]))
    ...     + record(2, 10, struct.pack("<BBI", 1, 255, 0) + bytes([2]) + b"W1")
    ...     + part(0, 0, 1, False)
    ...     + part(1, 0, 7, True)
    ...     + record(1, 20, bytes(4))
    ... )
    >>> read_stdf(file)[["wafer", "x", "y", "bin", "passed"]]
      wafer  x  y  bin  passed
    0    W1  0  0    1    True
    1    W1  1  0    7   False
    """
    options = ReadOptions(bins=bins, incomplete=incomplete, pass_bins=pass_bins)
    check_bins(options)
    return read_one(path, stdf_file, options).to_table()


def stdf_file(content: Content, options: ReadOptions) -> DieFile:
    """Read an STDF file."""
    check_bins(options)
    notes: list[str] = []
    with content.on_disk() as path:
        return wafer_file("STDF", _read_pieces(path, options, notes), options, notes)


def _read_pieces(path: Path, options: ReadOptions, notes: list[str]) -> Iterator[Piece]:
    """Read the files that were joined, one after the other."""
    starts, size = _starts(path)
    if len(starts) < 2:
        yield _make_piece(_read_tables(path, options, notes), options)
        return
    names = [f"joined file {number} of {len(starts)}" for number in range(1, len(starts) + 1)]
    joined = _read_joined(path, starts)
    if joined is not None:
        yield from _split(joined, names, options)
        return
    stops = [*starts[1:], size]
    with tempfile.TemporaryDirectory(prefix="camdenoise-") as folder:
        for name, start, stop in zip(names, starts, stops, strict=True):
            own = Path(folder, f"piece{start}")
            _copy(path, start, stop, own)
            yield _make_piece(_read_tables(own, options, notes, name), options, name)
            own.unlink()


def _read_joined(path: Path, starts: list[int]) -> Tables | None:
    """Read joined files in one pass where all are sound and of one byte order."""
    package = _load_package()
    try:
        tables: Tables = package.tables(path, ["FAR", *FIELDS])
    except package.StdfError:
        return None
    files = tables["FAR"].select(["byte_offset", "rec_len", "STDF_VER"]).to_pydict()
    # The length of a FAR in the other byte order is read as 512.
    sound = set(files["rec_len"]) == {2} and set(files["STDF_VER"]) == {4}
    return tables if sound and files["byte_offset"] == starts else None


def _split(tables: Tables, names: list[str], options: ReadOptions) -> Iterator[Piece]:
    """Give the records of each joined file, which begins with its FAR."""
    begins = tables.pop("FAR")["sequence_number"].to_numpy()
    bounds = {
        kind: [*np.searchsorted(table["sequence_number"].to_numpy(), begins), len(table)]
        for kind, table in tables.items()
    }
    for number, name in enumerate(names):
        own = {
            kind: table.slice(bounds[kind][number], bounds[kind][number + 1] - bounds[kind][number])
            for kind, table in tables.items()
        }
        yield _make_piece(own, options, name, int(begins[number]))


def _starts(path: Path) -> tuple[list[int], int]:
    """Find where files begin in a file of joined ones, and its size.

    The search is for FAR records instead of a walk from header to header. So it is fast, and finds
    the file that follows one that was cut short. A FAR is taken as one where its version is known
    and the header of a known record follows, which data matches by chance once in 2 ** 50 places.
    """
    with open(path, "rb") as stream:
        _check_magic(stream.read(6))
        stream.seek(0)
        found = {0}
        position, rest = 0, b""
        while piece := stream.read(_CHUNK):
            block = rest + piece if rest else piece
            found.update(
                position + at
                for at in _find_magics(block)
                if len(block) >= at + _START_BYTES
                and block[at + 5] in (3, 4)
                and (block[at + 8], block[at + 9]) in _KNOWN
            )
            rest = block[-(_START_BYTES - 1) :]
            position += len(block) - len(rest)
        return sorted(found), position + len(rest)


def _find_magics(block: bytes) -> list[int]:
    """Find `MAGICS`; four times faster than to search for both as text."""
    found = []
    data = np.frombuffer(block, np.uint8)
    # Both end in the same two bytes, which are compared as one number at even and odd places.
    for shift in (0, 1):
        pairs = np.frombuffer(block, "<u2", max(len(block) - shift, 0) // 2, shift)
        ends = 2 * np.flatnonzero(pairs == 0x0A00) + shift
        ends = ends[ends >= 2]
        first, second = data[ends - 2], data[ends - 1]
        starts = ends[((first | second) == 2) & ((first & second) == 0)] - 2
        found.extend(starts.tolist())
    return found


def _check_magic(head: bytes, name: str = "") -> None:
    if head[:4] not in MAGICS:
        raise Problem("it does not begin with a file attributes record (FAR). Is it STDF?")
    if head[5:6] != b"\x04":
        version = head[5:].hex() or "none"
        raise Problem(f"it is STDF of version {version}; version 4 is read.", name)


def _copy(path: Path, start: int, stop: int, target: Path) -> None:
    with open(path, "rb") as source, open(target, "wb") as copy:
        source.seek(start)
        while start < stop and (data := source.read(min(_CHUNK, stop - start))):
            copy.write(data)
            start += len(data)


def _read_tables(path: Path, options: ReadOptions, notes: list[str], name: str = "") -> Tables:
    """Read the records that are used of one file of a tester."""
    package = _load_package()
    with open(path, "rb") as stream:
        _check_magic(stream.read(6), name)
    try:
        tables: Tables = package.tables(path, list(FIELDS))
    except package.StdfError as error:
        reason = str(error).removeprefix(f"{path}: ")
        return _read_undamaged(package, path, options, reason, notes, name)
    return tables


def _make_piece(tables: Tables, options: ReadOptions, name: str = "", begin: int = 0) -> Piece:
    """Give records as `Piece` has them; `begin` is the number of the first one."""
    used = {
        kind: table.select(["sequence_number", *FIELDS[kind]]) for kind, table in tables.items()
    }
    parts = used.pop("PRR", _load_package().schema("PRR").empty_table()).to_pandas()
    parts["sequence_number"] = parts["sequence_number"].astype(np.int64) - begin
    # A part without flags gives no pass or fail indication.
    blank = bytes([NOT_SAID])
    parts["PART_FLG"] = np.array(
        bytearray(b"".join([flag[:1] or blank for flag in parts["PART_FLG"]])), dtype=np.uint8
    )
    rows = {kind: table.to_pylist() for kind, table in used.items()}
    for row in (row for of_kind in rows.values() for row in of_kind):
        row["sequence_number"] -= begin
        for field in _NAMES & row.keys():
            row[field] = _decode(row[field], options.encoding).strip(" \t\r\n\0")
    return Piece(rows, parts, name)


def _read_undamaged(
    package: Any, path: Path, options: ReadOptions, reason: str, notes: list[str], name: str
) -> Tables:
    """Read the records before the place where a file is damaged or cut.

    Where the file is complete before that place, the rest does not belong to it. Else the user must
    accept incomplete files.
    """
    remedy = ", or read what there is with incomplete=True (--incomplete)"
    # Records of unknown types are allowed, but may be the damage; so this is tried next.
    for only_known in (False, True):
        stop, last = _find_whole_records(path, only_known)
        if last != _MRR and not options.incomplete:
            break
        remedy = ""
        n_left = path.stat().st_size - stop
        with tempfile.TemporaryDirectory(prefix="camdenoise-") as folder:
            whole = Path(folder, "whole")
            _copy(path, 0, stop, whole)
            try:
                tables: Tables = package.tables(whole, list(FIELDS))
            except package.StdfError:
                continue
        place = f"in {name} " if name else ""
        after = "the master results record (MRR)" if last == _MRR else "the last whole record"
        notes.append(f"{n_left} bytes {place}after {after} are ignored ({reason})")
        return tables
    raise Problem(f"it is damaged or cut short ({reason}). Fetch the file again{remedy}.", name)


def _find_whole_records(path: Path, only_known: bool) -> tuple[int, tuple[int, int] | None]:
    """Find where the last whole record ends, and of which type it is."""
    last = None
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        header = struct.Struct(f"{_ORDERS[data[:4]]}HBB")
        position, size = 0, len(data)
        while position + header.size <= size:
            length, kind, sub = header.unpack_from(data, position)
            following = position + header.size + length
            # Blocks of zeros come from a disk that was full or failed.
            if following > size or (length, kind, sub) == (0, 0, 0):
                break
            if only_known and (kind, sub) not in _KNOWN:
                break
            position, last = following, (kind, sub)
            if last == _MRR:
                break
    return position, last


def _decode(text: str, encoding: str | None) -> str:
    """Decode a name again by the encoding that the user gives.

    stdf-convert reads text as UTF-8, else as Latin-1, which keeps every byte.
    """
    if encoding is None or text.isascii():
        return text
    try:
        return text.encode("latin-1").decode(encoding)
    except UnicodeError:
        return text
    except LookupError as error:
        raise Problem(f"the encoding {encoding!r} is unknown. Give another encoding.") from error
