"""SINF wafer maps: a header of ``KEY:value`` lines, then one ``RowData:`` line per row of dies.

The format is described at artwork.com (wafer map formats, "SINF"); files in the wild write bins as
two hexadecimal or as three decimal digits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._atomic import atomic_write
from camdenoise.io._bins import BIN_TYPES, BinType, read_count
from camdenoise.io._code_grid import RowReader
from camdenoise.io._container import Content
from camdenoise.io._die_file import (
    DieFile,
    ReadOptions,
    WaferFacts,
    die_rows,
    find_common,
    join_rows,
    merge_facts,
    read_one,
)
from camdenoise.io._pass_bins import DEFAULT, NONE_PASSES, REMEDY, convert_bins, list_bins
from camdenoise.io._problems import Problem, allow_lack
from camdenoise.io._wafer_grid import WaferGrid, choose_notation, wafer_grids

#: Fields of the header in the order in which they are written.
FIELDS: tuple[str, ...] = (
    *("DEVICE", "LOT", "WAFER", "FNLOC", "ROWCT", "COLCT", "BCEQU"),
    *("REFPX", "REFPY", "DUTMS", "XDIES", "YDIES"),
)
_KINDS = {2: BIN_TYPES["hexadecimal"], 3: BIN_TYPES["decimal"]}
# What the header of a further map in a file begins with.
_FIRST_FIELDS = ("DEVICE", "LOT", "WAFER")
# What `write_sinf` puts into COMMENT where no die passes: BCEQU cannot say that.
_NONE_PASSES = "no die passes"
_LINE = re.compile(r"([A-Za-z][\w#]*)\s*:(.*)")


def looks_like_sinf(head: str) -> bool:
    """Whether a text begins with a line of the header."""
    first = _LINE.match(head.lstrip())
    return first is not None and first[1].upper() in (*FIELDS, "DIECT", "COMMENT", "ROWDATA")


def read_sinf(
    path: str | os.PathLike,
    *,
    pass_bins: Any = None,
    incomplete: bool = False,
    encoding: str | None = None,
) -> pd.DataFrame:
    """Read the wafers of a SINF map file.

    Parameters
    ----------
    path : path-like
        The text file, plain or compressed. It may hold several maps, one after the other.
    pass_bins : int, sequence of int, or None, default=None
        Bins of good dies, as numbers (the bin 1F of a map is 31). None: those of BCEQU.
    incomplete, encoding
        As in `read_wafers`.

    Returns
    -------
    DataFrame
        The die table, as `read_wafers` gives it. x counts the columns of the file's map and y its
        rows, from 0 at the top left. Positions without a die (``__``) or an inspection (``@@``)
        have no row. The bins that BCEQU lists passed, all others failed; where it lists none, bin
        1 passed, with a note.

    Raises
    ------
    WaferFileError
        For a file that is damaged or contradicts its own header, and where no die passes but
        nobody said so.

    Notes
    -----
    The map is never rotated. FNLOC should tell where the notch is (0 top, 90 right, 180 bottom,
    270 left), but files in the wild also count from the bottom, so that it contradicts the map
    too often to be acted upon.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> text = '''LOT:L
    ... WAFER:7
    ... FNLOC:180
    ... ROWCT:2
    ... COLCT:3
    ... BCEQU:01
    ... RowData:__ 01 __
    ... RowData:01 1F @@'''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "w7.sinf")
    ...     _ = file.write_text(text)
    ...     read_sinf(file)
      lot wafer  x  y  bin  passed
    0   L     7  1  0    1    True
    1   L     7  0  1    1    True
    2   L     7  1  1   31   False
    """
    options = ReadOptions(pass_bins=pass_bins, incomplete=incomplete, encoding=encoding)
    return read_one(path, sinf_file, options).to_table()


def sinf_file(content: Content, options: ReadOptions) -> DieFile:
    """Read a SINF file."""
    text, note = content.read_text(options.encoding)
    maps = _split(text)
    for wafer in maps:
        _read_map(wafer, content.stem, options)
    table = join_rows([wafer.rows for wafer in maps])
    notes = [note] if note else []
    # A note that is true of all maps is given once.
    notes += dict.fromkeys(line for wafer in maps for line in wafer.notes)
    assumed = options.pass_bins is None and not all(_names_bins(m.header) for m in maps)
    if not all(_NONE_PASSES in wafer.header.get("COMMENT", "") for wafer in maps):
        _check_passes(table, assumed, options)
    facts = merge_facts([wafer.facts for wafer in maps], notes)
    return DieFile("SINF", table, facts, find_common([m.header for m in maps]), notes)


@dataclass
class _Map:
    """One map: its header fields, the tokens of its rows, and what was read of them."""

    header: dict[str, str] = field(default_factory=dict)
    tokens: list[list[str]] = field(default_factory=list)
    rows: pd.DataFrame = field(default_factory=pd.DataFrame)
    facts: WaferFacts = field(default_factory=lambda: WaferFacts("", ""))
    notes: list[str] = field(default_factory=list)


def _read_map(wafer_map: _Map, stem: str, options: ReadOptions) -> None:
    """Read the rows of a map, and what its header says of the wafer."""
    header, rows, notes = wafer_map.header, wafer_map.tokens, wafer_map.notes
    wafer = header.get("WAFER") or stem
    where = f"wafer {wafer!r}"
    n_rows, n_columns = (read_count(header.get(name), name, where) for name in ("ROWCT", "COLCT"))
    n_missing = 0
    width = max(map(len, rows))
    if n_columns is not None and n_columns > width:
        lack = f"the header claims {n_columns} columns, the rows have {width}."
        allow_lack(lack, where, options.incomplete, notes)
        n_missing, n_columns = (n_columns - width) * len(rows), None
    if n_rows is not None and n_rows > len(rows):
        lack = f"the header claims {n_rows} rows, the file has {len(rows)}."
        allow_lack(lack, where, options.incomplete, notes)
        n_missing += (n_rows - len(rows)) * (
            read_count(header.get("COLCT"), "COLCT", where) or width
        )
    if options.incomplete:
        rows = _complete_rows(rows, width)
    kind = _find_notation(rows, where)
    zero = "0" * kind.width
    texts = [" ".join(t if _is_result(t) else zero for t in row) for row in rows]
    reader = RowReader(kind, None, False, False, where)
    codes, _ = reader.read_rectangle(texts, None if options.incomplete else n_rows, n_columns)
    y, x = np.nonzero([[_is_result(token) for token in row] for row in rows])
    bins = codes[y, x]
    n_dies = sum(not token.startswith("_") for row in rows for token in row)
    lacking = (read_count(header.get("DIECT"), "DIECT", where) or 0) - n_dies
    if lacking > 0:
        n_missing = lacking
        lack = f"DIECT declares {header['DIECT']} dies, the map has {n_dies}."
        allow_lack(lack, where, options.incomplete, notes)
    passing = _read_pass_bins(header, kind, bins, where, options, notes)
    lot = header.get("LOT", "")
    wafer_map.facts = WaferFacts(
        lot,
        wafer,
        product=header.get("DEVICE", ""),
        extent=(0, 0, max(n_rows or 0, len(codes)), codes.shape[1]),
        x_right=True,
        y_down=True,
        notch=_read_notch(header.get("FNLOC", ""), notes),
        n_missing=n_missing,
    )
    wafer_map.rows = die_rows(lot, wafer, x, y, bins, np.isin(bins, passing))


def _complete_rows(rows: list[list[str]], width: int) -> list[list[str]]:
    """Fill up a last row that is cut short with positions of no die."""
    *whole, last = rows
    length = len(whole[0][0]) if whole and whole[0] else 2
    if last and len(last[-1]) < length:
        last = last[:-1]
    return [*whole, last + ["_" * length] * (width - len(last))]


def _read_notch(place: str, notes: list[str]) -> str | None:
    if place == "180":
        return "down"
    if place:
        notes.append(
            f"FNLOC {place[:20]} is not applied: writers disagree whether it counts from the top "
            "or the bottom. If the map is not drawn with the notch down, say where it is with "
            "--notch."
        )
    return None


def _split(text: str) -> list[_Map]:
    """Take header fields and the tokens of the rows apart, map by map."""
    maps = [_Map()]
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.match(line.strip())
        if match is None:
            # Notes of all kinds may stand above the map, only blank lines in and below it.
            if maps[-1].tokens and line.strip():
                reason = f"{line.strip()[:20]!r} belongs to no RowData."
                raise Problem(reason, f"line {number}")
            continue
        name = match[1].upper()
        if name == "ROWDATA":
            maps[-1].tokens.append(match[2].split())
            continue
        if maps[-1].tokens and name in _FIRST_FIELDS:
            maps.append(_Map())
        maps[-1].header[name] = match[2].strip()
    if not maps[-1].tokens:
        where = f"wafer {maps[-1].header.get('WAFER', '')!r}" if len(maps) > 1 else ""
        raise Problem("it has no line 'RowData:'. Is it a SINF file, and complete?", where)
    for earlier, later in pairwise(maps):
        if not {"DEVICE", "LOT"} & later.header.keys():
            # The next wafer of the same lot. DIECT is the wafer's own.
            shared = {k: v for k, v in earlier.header.items() if k != "DIECT"}
            later.header = shared | later.header
    return maps


def _is_result(token: str) -> bool:
    """Whether there is a die that was inspected: ``__`` is not a die, ``@@`` one that was not."""
    return token[0] not in "_@"


def _find_notation(rows: list[list[str]], where: str) -> BinType:
    """Tell the notation by the length of the tokens, which must be the same all over the map."""
    lengths: dict[int, str] = {}
    for number, row in enumerate(rows):
        for token in filter(_is_result, row):
            lengths.setdefault(len(token), f"{token[:20]!r} in row {number}")
    if not lengths:
        raise Problem("it holds no die with a result.", where)
    if len(lengths) > 1 or not set(lengths) <= set(_KINDS):
        raise Problem(
            f"bins are of {sorted(lengths)} characters ({'; '.join(lengths.values())}), expected "
            "2 hexadecimal or 3 decimal digits throughout.",
            where,
        )
    return _KINDS[next(iter(lengths))]


def _names_bins(header: Mapping[str, str]) -> bool:
    return bool(header.get("BCEQU", "").replace(",", " ").strip())


def _read_pass_bins(
    header: Mapping[str, str],
    kind: BinType,
    bins: np.ndarray,
    where: str,
    options: ReadOptions,
    notes: list[str],
) -> list[int]:
    """Tell which bins pass: as the user says, else as BCEQU does, else bin 1."""
    if options.pass_bins is not None:
        return convert_bins(options.pass_bins, True, pd.Series(bins).value_counts(), where)
    if not _names_bins(header):
        notes.append(
            "BCEQU lists no bin. Bin 1 is taken as passing, as the format's description says; "
            "name others with --pass-bins (pass_bins=)."
        )
        return [DEFAULT]
    tokens = [token.zfill(kind.width) for token in header["BCEQU"].replace(",", " ").split()]
    return [int(code) for token in tokens for code in kind.parse_row(token, f"{where}, BCEQU")]


def _check_passes(table: pd.DataFrame, assumed: bool, options: ReadOptions) -> None:
    """Refuse a file without a good die, unless the user names the passing bins."""
    if options.pass_bins is not None or table["passed"].any():
        return
    counts = table["bin"].value_counts()
    if assumed:
        reason = f"BCEQU lists no bin, and no die has bin {DEFAULT}, which passes then"
    else:
        reason = "no die has a bin that BCEQU lists as passing"
    raise Problem(f"{reason}. Bins (dies): {list_bins(counts)}. {REMEDY} {NONE_PASSES}")


def write_sinf(
    path: str | os.PathLike,
    table: pd.DataFrame,
    *,
    digits: int = 2,
    header: Mapping[str, str] | None = None,
) -> None:
    """Write one wafer of a die table as a SINF map file, whole or not at all.

    Bins are written as they are. What a denoiser decided about them belongs into a file of its
    own: `pattern_overlay` makes the table for it.

    Parameters
    ----------
    path : path-like
        The file to write; an existing one is replaced only once the new one is complete.
    table : DataFrame
        With the columns lot, wafer, x, y, bin and passed, one row per die, coordinates from 0.
        Bins are whole numbers; BCEQU lists those that pass.
    digits : {2, 3}, default=2
        Write bins as two hexadecimal digits (up to 255) or three decimal ones (up to 999).
    header : mapping of str to str, or None, default=None
        Fields to write (DEVICE, FNLOC, REFPX, XDIES, ...). None: those of the file that the table
        was read from (``table.attrs["about"]``), if any. LOT, WAFER and BCEQU come from the
        table; the map has at least ROWCT rows and COLCT columns.

    Raises
    ------
    DieTableError
        For a die with several rows, a missing bin, or coordinates that do not count from 0.
    ValueError
        For several wafers, and bins that the format cannot express.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> from camdenoise.io import write_sinf
    >>> table = pd.DataFrame({"lot": "L", "wafer": "7", "x": [0, 2], "y": [0, 1],
    ...                       "bin": [1, 31], "passed": [True, False]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_sinf(pathlib.Path(folder, "w.sinf"), table, header={"FNLOC": "180"})
    ...     print(pathlib.Path(folder, "w.sinf").read_text())
    LOT:L
    WAFER:7
    FNLOC:180
    ROWCT:2
    COLCT:3
    BCEQU:01
    RowData:01 __ __
    RowData:__ __ 1F
    """
    if digits not in _KINDS:
        raise ValueError(f"digits must be 2 (hexadecimal) or 3 (decimal), got {digits!r}.")
    wafers = list(wafer_grids(table))
    if len(wafers) != 1:
        raise ValueError(f"a SINF file holds one wafer, the table has {len(wafers)}.")
    kind = choose_notation(wafers, (_KINDS[digits].name.lower(),))
    inherited = table.attrs.get("about", {}) if table.attrs.get("format") == "SINF" else {}
    text = _format_map(wafers[0], kind, dict(inherited if header is None else header))
    with atomic_write(path) as stream:
        stream.write(text.encode())


def _format_map(wafer: WaferGrid, kind: BinType, header: dict[str, str]) -> str:
    where = f"wafer {wafer.wafer!r}"
    sides = [read_count(str(header.get(name, "")), name, where) or 0 for name in ("ROWCT", "COLCT")]
    rows, columns = wafer.size(*sides)
    header |= {"LOT": wafer.lot, "WAFER": wafer.wafer, "ROWCT": str(rows), "COLCT": str(columns)}
    header["BCEQU"] = _format_bcequ(wafer, kind)
    comment = str(header.pop("COMMENT", "")).replace(_NONE_PASSES, "").rstrip("; ")
    if not any(wafer.passes.values()):
        comment = f"{comment}; {_NONE_PASSES}" if comment else _NONE_PASSES
    if comment:
        header["COMMENT"] = comment
    names = [name for name in FIELDS if name in header]
    names += [name for name in header if name not in FIELDS]
    tokens = wafer.tokens(kind, "_" * kind.width, (rows, columns))
    lines = [_format_header(name, str(header[name])) for name in names]
    return "\n".join([*lines, *("RowData:" + " ".join(row) for row in tokens)]) + "\n"


def _format_bcequ(wafer: WaferGrid, kind: BinType) -> str:
    """List the passing bins; where there is none, a bin that no die has, as blank means bin 1."""
    unsaid = [code for code, good in wafer.passes.items() if good is None]
    if unsaid:
        raise ValueError(
            f"whether bin {unsaid[0]} passes is not said, which a SINF file cannot express. Fill "
            "in column 'passed'."
        )
    passing = sorted(code for code, good in wafer.passes.items() if good)
    if not passing:
        passing = [code for code in range(1, kind.base**kind.width) if code not in wafer.passes][:1]
    return " ".join(kind.format(code) for code in passing)


def _format_header(name: str, value: str) -> str:
    line = f"{name}:{value}"
    if not line.isprintable() or _LINE.match(line) is None or name.upper() == "ROWDATA":
        raise ValueError(f"{name!r}: {value!r} is not a line of a SINF header. Change or drop it.")
    return line
