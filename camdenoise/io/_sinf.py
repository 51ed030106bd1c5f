"""SINF wafer maps: a header of ``KEY:value`` lines, then one ``RowData:`` line per row of dies.

The format is described at artwork.com (wafer map formats, "SINF"); files in the wild write bins as
two hexadecimal or as three decimal digits.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from camdenoise._files import write_whole
from camdenoise.io._bins import BIN_TYPES, BinType, claimed, parse_grid
from camdenoise.io._container import Content
from camdenoise.io._die_file import DieFile, ReadOptions, read_one
from camdenoise.io._problems import Problem
from camdenoise.io._table import die_rows, facts_of, join_rows
from camdenoise.io._wafer_grid import WaferGrid, notation, wafer_grids

#: Fields of the header in the order in which they are written.
FIELDS: tuple[str, ...] = (
    *("DEVICE", "LOT", "WAFER", "FNLOC", "ROWCT", "COLCT", "BCEQU"),
    *("REFPX", "REFPY", "DUTMS", "XDIES", "YDIES"),
)
_KINDS = {2: BIN_TYPES["hexadecimal"], 3: BIN_TYPES["decimal"]}
_LINE = re.compile(r"([A-Za-z][\w#]*)\s*:(.*)")


def looks_like_sinf(head: str) -> bool:
    """Whether a text begins with a line of the header."""
    first = _LINE.match(head.lstrip())
    return first is not None and first[1].upper() in (*FIELDS, "DIECT", "COMMENT", "ROWDATA")


def read_sinf(path: str | os.PathLike) -> pd.DataFrame:
    """Read the wafer of a SINF map file.

    Parameters
    ----------
    path : path-like
        The text file, plain or gzip-compressed.

    Returns
    -------
    DataFrame
        The die table: lot, wafer, x, y, bin, passed (see `camdenoise.io.read_wafers`). x counts
        the columns of the file's map and y its rows, from 0 at the top left. Positions without a
        die (``__``) or an inspection (``@@``) have no row. The bins that BCEQU lists passed, all
        others failed; where it lists none, bin 1 passed. The header is left in
        ``attrs["about"]``.

    Raises
    ------
    WaferFileError
        For a file that is damaged or contradicts its own header.
    OSError
        Where the file cannot be opened.

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
    return read_one(path, sinf_file, ReadOptions()).as_table()


def sinf_file(content: Content, options: ReadOptions) -> DieFile:
    """Read a SINF file."""
    text, note = content.read_text(options.encoding)
    header, rows = _split(text)
    wafer = header.get("WAFER") or content.stem
    where = f"wafer {wafer!r}"
    kind = _kind_of(rows, where)
    codes = parse_grid(
        [" ".join(_filled(row, kind)) for row in rows],
        kind,
        n_rows=claimed(header.get("ROWCT"), "ROWCT", where),
        n_columns=claimed(header.get("COLCT"), "COLCT", where),
        where=where,
    )
    y, x = np.nonzero([[_is_result(token) for token in row] for row in rows])
    bins = codes[y, x]
    passed = np.isin(bins, _pass_bins(header.get("BCEQU", ""), kind, where))
    table = join_rows([die_rows(header.get("LOT", ""), wafer, x, y, bins, passed)])
    return DieFile("SINF", table, facts_of(table), header, [note] if note else [])


def _split(text: str) -> tuple[dict[str, str], list[list[str]]]:
    """Take header fields and the tokens of the rows apart."""
    header: dict[str, str] = {}
    rows: list[list[str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.match(line.strip())
        if match is None:
            _check_stray(line, number, rows)
        elif match[1].upper() == "ROWDATA":
            rows.append(match[2].split())
        else:
            header[match[1].upper()] = match[2].strip()
    if not rows:
        raise Problem("it has no line 'RowData:'. Is it a SINF file?")
    return header, rows


def _check_stray(line: str, number: int, rows: list) -> None:
    """Allow notes of all kinds above the map, nothing but blank lines in and below it."""
    if rows and line.strip():
        raise Problem(f"{line.strip()[:20]!r} belongs to no RowData.", f"line {number}")


def _is_result(token: str) -> bool:
    """Whether there is a die that was inspected: ``__`` is no die, ``@@`` one that was not."""
    return token[0] not in "_@"


def _filled(row: list[str], kind: BinType) -> list[str]:
    return [token if _is_result(token) else "0" * kind.width for token in row]


def _kind_of(rows: list[list[str]], where: str) -> BinType:
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


def _pass_bins(text: str, kind: BinType, where: str) -> list[int]:
    where = f"{where}, BCEQU"
    tokens = [token.zfill(kind.width) for token in text.replace(",", " ").split()]
    return [int(code) for token in tokens for code in kind.parse_row(token, where)] or [1]


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
    kind = notation(wafers, (_KINDS[digits].name.lower(),))
    inherited = table.attrs.get("about", {}) if table.attrs.get("format") == "SINF" else {}
    text = _text(wafers[0], kind, dict(inherited if header is None else header))
    with write_whole(path) as stream:
        stream.write(text.encode())


def _text(wafer: WaferGrid, kind: BinType, header: dict[str, str]) -> str:
    where = f"wafer {wafer.wafer!r}"
    sides = [claimed(str(header.get(name, "")), name, where) or 0 for name in ("ROWCT", "COLCT")]
    rows, columns = wafer.size(*sides)
    header |= {"LOT": wafer.lot, "WAFER": wafer.wafer, "ROWCT": str(rows), "COLCT": str(columns)}
    header["BCEQU"] = _bcequ(wafer, kind)
    names = [name for name in FIELDS if name in header]
    names += [name for name in header if name not in FIELDS]
    tokens = wafer.tokens(kind, "_" * kind.width, (rows, columns))
    lines = [_header_line(name, str(header[name])) for name in names]
    return "\n".join([*lines, *("RowData:" + " ".join(row) for row in tokens)]) + "\n"


def _bcequ(wafer: WaferGrid, kind: BinType) -> str:
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


def _header_line(name: str, value: str) -> str:
    line = f"{name}:{value}"
    if not line.isprintable() or _LINE.match(line) is None or name.upper() == "ROWDATA":
        raise ValueError(f"{name!r}: {value!r} is no line of a SINF header. Change or drop it.")
    return line
