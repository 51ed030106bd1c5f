"""SEMI G85 wafer maps as text: ``WAFER_MAP = { ... MAP = { rows } }``.

Testers write it under several names (G85 ASCII, E5-1296). A file may begin with lines of its own,
hold the summary of a lot, and hold several wafers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from camdenoise.io._bins import find_bin_type, read_count
from camdenoise.io._code_grid import RowReader, make_grid_part
from camdenoise.io._container import Content
from camdenoise.io._die_file import DieFile, ReadOptions
from camdenoise.io._problems import FETCH_OR_INCOMPLETE, Problem, allow_lack
from camdenoise.io._semi_map import (
    BinList,
    WaferPart,
    find_field,
    find_letter_width,
    join_wafers,
    read_facts,
    whole_number,
)
from camdenoise.io._table import find_common

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
        parts.append(_read_part(block, header, name, options))
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


def _read_part(
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
