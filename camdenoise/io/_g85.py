"""SEMI G85 wafer maps, in XML and as text: ``WAFER_MAP = { ... MAP = { rows } }``.

Testers write the text under several names (G85 ASCII, E5-1296). A file may begin with lines of its
own, hold the summary of a lot, and hold several wafers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pandas as pd

from camdenoise.io._atomic import atomic_write
from camdenoise.io._bins import BinType, find_bin_type, read_count
from camdenoise.io._code_grid import RowReader, make_grid_part
from camdenoise.io._container import Content
from camdenoise.io._die_file import DieFile, ReadOptions, find_common, read_one
from camdenoise.io._problems import FETCH_OR_INCOMPLETE, Problem, allow_lack
from camdenoise.io._semi_map import (
    BinList,
    WaferPart,
    choose_layer,
    find_field,
    find_letter_width,
    find_row_type,
    join_wafers,
    read_bins,
    read_document,
    read_facts,
    split_rows,
    whole_number,
)
from camdenoise.io._wafer_grid import WaferGrid, choose_notation, wafer_grids
from camdenoise.io._xml import merge_attributes

# --- text -----------------------------------------------------------------------------------------


_START = re.compile(
    r"^[ \t]*(?:WAFER[ _]MAP|LOT_SUMMARY)[ \t]*=\s*\{", re.IGNORECASE | re.MULTILINE
)
_BIN = re.compile(r"BIN\d*", re.IGNORECASE)
_TOKEN = re.compile(r'"([^"]*)"|(\S+)')
#: Fields whose brace may stand on the next line.
_BLOCKS = ("WAFER_MAP", "WAFER MAP", "MAP", "LOT_SUMMARY")
# Fields are short; a longer line is something else, and not worth taking apart.
_LONGEST_FIELD = 1000


def looks_like_g85_text(head: str) -> bool:
    """Whether a text has the line that begins a wafer, or a lot's summary."""
    return _START.search(head) is not None


@dataclass
class _Block:
    """What stands between the braces of one wafer."""

    line: int
    header: dict[str, str] = field(default_factory=dict)
    bins: list[str] = field(default_factory=list)
    rows: list[str] | None = None
    closed: bool = False


def g85_text_file(content: Content, options: ReadOptions) -> DieFile:
    """Read a G85 file in its text form."""
    text, note = content.read_text(options.encoding)
    outer, blocks = _split(text)
    if not blocks:
        raise Problem("it has no 'WAFER_MAP = {'. Is it a G85 file?")
    headers = [outer | block.header for block in blocks]
    parts = []
    for number, (block, header) in enumerate(zip(blocks, headers, strict=True), start=1):
        name = content.stem if len(blocks) == 1 else f"{content.stem}-{number}"
        parts.append(_read_text_part(block, header, name, options))
    found = join_wafers("G85", parts, find_common(headers), options)
    if note:
        found.notes.append(note)
    return found


def _split(text: str) -> tuple[dict[str, str], list[_Block]]:
    """Take what stands before the first wafer, and each wafer, apart."""
    outer: dict[str, str] = {}
    blocks: list[_Block] = []
    block: _Block | None = None
    lines = iter(enumerate(text.split("\n"), start=1))
    for number, line in lines:
        name, value = _read_field(line, ":=" if block is None else "=")
        opens = value.startswith("{") or (not value and name in _BLOCKS)
        if opens and name.startswith("WAFER"):
            block = _Block(number)
            blocks.append(block)
        elif opens and name == "MAP" and block is not None:
            block.rows, block.closed = _read_map_rows(lines)
        elif opens:
            # A block of another kind, such as the summary of a lot.
            next((line for _, line in lines if line.strip() == "}"), None)
        elif line.strip() == "}":
            block = None
        elif name and block is None:
            outer.setdefault(name, _strip_quotes(value))
        elif name and _BIN.fullmatch(name):
            block.bins.append(value)  # type: ignore[union-attr]
        elif name:
            block.header[name] = _strip_quotes(value)  # type: ignore[union-attr]
    return outer, blocks


def _read_field(line: str, separators: str) -> tuple[str, str]:
    """Give name, in upper case, and value of a line; empty where it is none."""
    if len(line) > _LONGEST_FIELD:
        return "", ""
    line = _drop_comment(line)
    places = [place for place in map(line.find, separators) if place > 0]
    if not places:
        return "", ""
    return line[: min(places)].strip().upper(), line[min(places) + 1 :].strip()


def _drop_comment(line: str) -> str:
    start = line.find("//")
    while start >= 0 and line.count('"', 0, start) % 2:
        start = line.find("//", start + 2)
    return line if start < 0 else line[:start]


def _strip_quotes(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


def _read_map_rows(lines: Iterator[tuple[int, str]]) -> tuple[list[str], bool]:
    """Take the rows up to the brace that ends the map; whether there is one."""
    rows: list[str] = []
    for _, line in lines:
        row = line.rstrip("\r\t")
        if row.strip() == "}":
            return rows, True
        if row and (rows or row.strip() != "{"):
            rows.append(row)
    return rows, False


def _read_text_part(
    block: _Block, header: Mapping[str, str], name: str, options: ReadOptions
) -> WaferPart:
    wafer = find_field(header, "WAFER_ID", "WAFER_OCR") or name
    where = f"wafer {wafer!r}"
    if block.rows is None:
        raise Problem(
            f"there is no 'MAP = {{' of this wafer. {FETCH_OR_INCOMPLETE}",
            f"line {block.line}, {where}",
        )
    if not block.closed and not options.incomplete:
        raise Problem(f"the file ends within 'MAP = {{'. {FETCH_OR_INCOMPLETE}", where)
    null = header.get("NULL_BIN")
    null = " " if null is not None and not null.strip() else null
    definitions = [_read_definition(line) for line in block.bins]
    codes = [definition[0] for definition in definitions]
    kind = find_bin_type(header.get("MAP_TYPE") or "Ascii", [], where)
    if kind.base == 0:
        kind = find_letter_width(kind, null, codes, where)
    bins = BinList("BIN quality")
    for code, *said in definitions:
        bins.add(kind.parse(code, where), *said)
    # Without a code of its own, a position without a die is a blank.
    blanks = kind.base == 0 and (null is None or null == " ")
    grid = RowReader(kind, null, blanks, options.incomplete, where).grid(
        block.rows,
        read_count(header.get("ROWS"), "ROWS", where),
        read_count(header.get("COLUMNS"), "COLUMNS", where),
    )
    facts, notes = read_facts(header, wafer)
    part = make_grid_part(facts, grid, bins, options)
    part.notes.extend(notes)
    # All dies, some of which may not be products.
    declared, found = whole_number(header.get("DIES")) or 0, sum(part.counts.values())
    if found < declared:
        lack = f"it declares {declared} dies and has {found}."
        allow_lack(lack, where, options.incomplete, part.notes)
        part.facts.n_missing = max(part.facts.n_missing, declared - found)
    return part


def _read_definition(text: str) -> tuple[str, str, str, str]:
    """Read a line such as ``"1" 873 90.8% "Pass" "Normal"``: code, quality, count, description."""
    tokens = [(match[1] is not None, match[1] or match[2] or "") for match in _TOKEN.finditer(text)]
    code = tokens.pop(0)[1] if tokens else ""
    count = tokens.pop(0)[1] if tokens and not tokens[0][0] else ""
    # The share of the dies, with or without a blank before its sign.
    while tokens and not tokens[0][0] and tokens[0][1].strip("0123456789.") in ("%", ""):
        tokens.pop(0)
    quality = tokens.pop(0)[1] if tokens else ""
    return code, quality, count, " ".join(token for _, token in tokens)


# --- XML ------------------------------------------------------------------------------------------


def read_g85(
    path: str | os.PathLike,
    *,
    pass_bins: Sequence[Any] | None = None,
    incomplete: bool = False,
    encoding: str | None = None,
    map_name: str | None = None,
) -> pd.DataFrame:
    """Read the wafers of a SEMI G85 map file, in XML or as text.

    Parameters
    ----------
    path : path-like
        The file, plain or compressed: XML with the element ``Map`` or ``Maps``, or text with
        ``WAFER_MAP = {``.
    pass_bins, incomplete, encoding
        As in `read_wafers`. With `pass_bins`, a quality may be any word. ``n_missing`` counts
        by the totals of the bins (BinCount), else by the positions of the map.
    map_name : str or None, default=None
        MapName of the ``Data`` to read where a wafer has several.

    Returns
    -------
    DataFrame
        The die table, as `read_wafers` gives it. x counts the columns of the file's map and y its
        rows, from 0 at the top left: the map is drawn as the wafer is seen, and OriginLocation is
        not used. A die passed where BinQuality of its bin says so; a bin without a quality is
        missing in `passed`. Bins of qualities such as Null, Skip, Reference and Edge are not
        product dies and have no row.

    Raises
    ------
    WaferFileError
        For a file that is damaged, contradicts itself, declares a document type, has a quality
        that is not understood, holds fewer dies than it declares, or no die that passes.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> text = '''<Map WaferId="W1"><Device LotId="L" BinType="Decimal" NullBin="255">
    ... <Bin BinCode="1" BinQuality="Pass"/><Bin BinCode="7" BinQuality="Fail"/>
    ... <Data><Row>255 001</Row><Row>007 001</Row></Data></Device></Map>'''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "w1.xml")
    ...     _ = file.write_text(text)
    ...     read_g85(file)
      lot wafer  x  y  bin  passed
    0   L    W1  1  0    1    True
    1   L    W1  0  1    7   False
    2   L    W1  1  1    1    True
    """
    options = ReadOptions(
        pass_bins=pass_bins, incomplete=incomplete, encoding=encoding, map_name=map_name
    )
    return read_one(path, g85_file, options).to_table()


def g85_file(content: Content, options: ReadOptions) -> DieFile:
    """Read a G85 file of either form."""
    head = content.head().decode("latin-1").replace("\0", "")
    if looks_like_g85_text(head):
        return g85_text_file(content, options)
    return read_document(content, options, g85_document)


def g85_document(root: Element, name: str, options: ReadOptions) -> DieFile:
    """Read a parsed G85 document; `name` is for wafers that have none."""
    # Also within the message of a host.
    pairs = [(w, device) for w in root.iter("Map") for device in w.findall("Device")]
    if not pairs and root.tag not in ("Map", "Maps"):
        raise Problem(f"the root element is {root.tag!r}, expected 'Map' or 'Maps' of SEMI G85.")
    headers = [merge_attributes(wafer, device) for wafer, device in pairs]
    parts = [
        _read_part(device, header, name, options)
        for (_, device), header in zip(pairs, headers, strict=True)
    ]
    return join_wafers("G85", parts, find_common(headers), options)


def _read_part(
    device: Element, header: Mapping[str, str], name: str, options: ReadOptions
) -> WaferPart:
    wafer = find_field(header, "WaferId", "SubstrateId") or name
    where = f"wafer {wafer!r}"
    layers = device.findall("Data")
    names = [layer.get("MapName", "") for layer in layers]
    layer = layers[choose_layer(names, options.map_name, "map_name", where)]
    null = device.get("NullBin")
    definitions = layer.findall("Bin") or device.findall("Bin")
    codes = [definition.get("BinCode", "") for definition in definitions]
    kind = find_row_type(header.get("BinType", ""), null, codes, where)
    n_columns = read_count(header.get("Columns"), "Columns", where)
    grid = RowReader(kind, null, null == " ", options.incomplete, where).grid(
        split_rows(layer.findall("Row"), kind, n_columns),
        read_count(header.get("Rows"), "Rows", where),
        n_columns,
    )
    # Bins of the device do not say which of several maps their totals are of.
    totals = len(layers) == 1 or bool(layer.findall("Bin"))
    bins = read_bins(definitions, kind, where, totals=totals)
    facts, notes = read_facts({"CREATE_DATE": layer.get("CreateDate", ""), **header}, wafer)
    part = make_grid_part(facts, grid, bins, options)
    part.notes.extend(notes)
    return part


def write_g85(
    path: str | os.PathLike, table: pd.DataFrame, *, descriptions: Mapping[Any, str] | None = None
) -> None:
    """Write the wafers of a die table as one SEMI G85 map file, whole or not at all.

    Bins are written as they are. What a denoiser decided about them belongs into a file of its
    own: `pattern_overlay` makes the table for it.

    Parameters
    ----------
    path : path-like
        The file to write; an existing one is replaced only once the new one is complete.
    table : DataFrame
        With the columns lot, wafer, x, y, bin and passed, one row per die, coordinates from 0.
        Bins are whole numbers up to 65,535, or single characters.
    descriptions : mapping of bin to str, or None, default=None
        Text for BinDescription.

    Raises
    ------
    DieTableError
        For a die with several rows, a missing bin, or coordinates that do not count from 0.
    ValueError
        For bins that the format cannot express.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import pandas as pd
    >>> from camdenoise.io import read_g85, write_g85
    >>> table = pd.DataFrame({"lot": "L", "wafer": "7", "x": [0, 2], "y": [0, 1],
    ...                       "bin": [1, 31], "passed": [True, False]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_g85(pathlib.Path(folder, "w.xml"), table)
    ...     read_g85(pathlib.Path(folder, "w.xml"))
      lot wafer  x  y  bin  passed
    0   L     7  0  0    1    True
    1   L     7  2  1   31   False
    """
    wafers = list(wafer_grids(table))
    used = {code for wafer in wafers for code in wafer.passes}
    # One code for "no die" and one for a bin that no die has must be left.
    small = () if len(used) > 254 else ("hexadecimal",)
    kind = choose_notation(wafers, (*small, "integer2", "ascii"))
    null, spare = _choose_codes(kind, used)
    with atomic_write(path) as stream:
        stream.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<Maps>\n')
        for wafer in wafers:
            stream.write(_format_map(wafer, kind, null, spare, descriptions or {}).encode())
        stream.write(b"</Maps>\n")


def _choose_codes(kind: BinType, used: set) -> tuple[str, str]:
    """Choose a code for "no die", and one for a passing bin, that no bin has."""
    if kind.base:
        codes: Iterable[Any] = range(kind.base**kind.width - 1, -1, -1)
    else:
        codes = (char for char in ".-_" + "".join(map(chr, range(33, 0x2000))) if kind.fits(char))
    free = (kind.format(code) for code in codes if code not in used)
    return next(free), next(free)


def _format_map(
    wafer: WaferGrid, kind: BinType, null: str, spare: str, descriptions: Mapping
) -> str:
    rows, columns = wafer.size()
    device = {
        "LotId": wafer.lot,
        "Rows": rows,
        "Columns": columns,
        "BinType": kind.name,
        "NullBin": null,
        "OriginLocation": 2,  # upper left
    }
    lines = [
        f'  <Map WaferId={quoteattr(wafer.wafer)} FormatRevision="SEMI G85-1101">',
        f"    <Device {_format_attributes(device)}>",
        *_format_bins(wafer, kind, spare, descriptions),
        "      <Data>",
        *(
            f"        <Row>{escape(kind.separator.join(row))}</Row>"
            for row in wafer.tokens(kind, null, (rows, columns))
        ),
        "      </Data>\n    </Device>\n  </Map>\n",
    ]
    return "\n".join(lines)


def _format_attributes(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={quoteattr(str(value))}" for name, value in values.items())


def _format_bins(wafer: WaferGrid, kind: BinType, spare: str, descriptions: Mapping) -> list[str]:
    elements = []
    if not any(good is None or good for good in wafer.passes.values()):
        # Says that no die passes, so that a reader need not doubt its words.
        about = {"BinCode": spare, "BinCount": 0, "BinQuality": "Pass"}
        elements.append(f"      <Bin {_format_attributes(about)}/>")
    for code, good in sorted(wafer.passes.items()):
        about = {"BinCode": kind.format(code), "BinCount": int(np.sum(wafer.bins == code))}
        if good is not None:
            about["BinQuality"] = "Pass" if good else "Fail"  # type: ignore[assignment]
        if code in descriptions:
            about["BinDescription"] = descriptions[code]
        elements.append(f"      <Bin {_format_attributes(about)}/>")
    return elements
