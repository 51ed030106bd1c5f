"""The rows of a table of text, read as dictionaries: distinct words, and a number per row.

Only distinct words are interpreted then, so that names are never taken for numbers or missing
values, and a wrong word can be named with its line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from camdenoise.io._container import Content
from camdenoise.io._csv_columns import KNOWN, NEEDED, normalize_name
from camdenoise.io._problems import Problem

_DELIMITERS = ",\t;|"
LINE_END = re.compile(r"\r\n|\n|\r")
_EXCEL_DELIMITER = re.compile(r'"?sep=(.)', re.IGNORECASE)
_COMMENT = re.compile(r"^#[^\r\n]*(?:\r\n|[\r\n])?", re.MULTILINE)
# Lines in which the header is looked for: exports begin with some lines on lot and program.
HEADER_LINES = 50
# Characters of a line; a table with a thousand tests per die takes some ten thousand.
_MAX_LINE = 1 << 20

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")


@dataclass
class TableText:
    """The text of a file, piece by piece, as often as it is asked for."""

    content: Content
    encoding: str | None

    def pieces(self) -> Iterator[str]:
        """Decode the file."""
        decoder = None
        for piece in self.content.chunks():
            if decoder is None:
                decoder = self._make_decoder(piece)
            yield self._decode(decoder, piece)
        if decoder is not None:
            yield self._decode(decoder, b"", final=True)

    def _make_decoder(self, head: bytes) -> codecs.IncrementalDecoder:
        marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        name = self.encoding or ("utf-16" if marked else "utf-8")
        # The signature of UTF-8 is none of the text.
        name = {"utf-8": "utf-8-sig", "utf8": "utf-8-sig"}.get(name.lower(), name)
        try:
            return codecs.getincrementaldecoder(name)()
        except LookupError as error:
            raise Problem(f"the encoding {name!r} is unknown. Give another one.") from error

    def _decode(self, decoder: codecs.IncrementalDecoder, piece: bytes, final: bool = False) -> str:
        try:
            text = decoder.decode(piece, final)
        except UnicodeError as error:
            raise Problem(self._explain_not_text(error)) from error
        if "\0" in text:
            raise Problem(
                "it has zero bytes, as no table of text has. Save it anew as UTF-8, or give its "
                "encoding, for example --encoding utf-16-le (encoding=)."
            )
        return text

    def _explain_not_text(self, error: UnicodeError) -> str:
        if self.encoding:
            return f"it is not text in {self.encoding} ({error}). Give another encoding."
        if isinstance(error, UnicodeDecodeError) and error.encoding.startswith("utf-16"):
            return f"its UTF-16 text is damaged or cut short ({error}). Fetch it again."
        return (
            "it is not UTF-8 text. Give its encoding with --encoding (encoding=), for example "
            "cp949, gb18030, shift_jis or latin-1."
        )

    def iter_whole_lines(self) -> Iterator[str]:
        """Give the text in pieces that end where a line ends."""
        rest = ""
        for piece in self.pieces():
            text = rest + piece
            # A last "\r" may be half of a line end.
            end = max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1
            if len(text) - end > _MAX_LINE:
                raise Problem(f"a line has more than {_MAX_LINE} characters. Is it a table?")
            rest = text[end:]
            if end:
                yield text[:end]
        if rest:
            yield rest

    def lines(self) -> Iterator[tuple[int, str]]:
        """Give each line with its number, from 1 on."""
        number = 0
        for piece in self.iter_whole_lines():
            lines = LINE_END.split(piece)
            if not lines[-1]:
                lines.pop()
            for line in lines:
                number += 1
                yield number, line


@dataclass
class Header:
    """The header line of a table."""

    line: int  # Its number
    delimiter: str
    names: list[str]  # Of the columns, without blanks around
    padded: bool  # Whether there were blanks around some name
    n_above: int = 0  # Lines above it that are neither blank nor comments

    @property
    def n_known(self) -> int:
        """Roles for which there is a column."""
        return len(
            {KNOWN[normalize_name(name)] for name in self.names if normalize_name(name) in KNOWN}
        )


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def find_header(lines: Sequence[tuple[int, str]]) -> Header | None:
    """Find the header: the first line that names x, y and bin, else the first line."""
    texts = [(n, line) for n, line in lines if line.strip() and not line.startswith("#")]
    delimiters = _DELIMITERS
    if texts and (excel := _EXCEL_DELIMITER.match(texts[0][1])):
        delimiters = excel[1]
        texts = texts[1:]
    found = [_parse_header(n, line, delimiters, above) for above, (n, line) in enumerate(texts)]
    for header in found:
        if {KNOWN.get(normalize_name(name)) for name in header.names}.issuperset(NEEDED):
            return header
    return found[0] if found else None


def _parse_header(number: int, line: str, delimiters: str, n_above: int) -> Header:
    headers = []
    for delimiter in delimiters:
        raw = _split(line, delimiter)
        names = [name.strip() for name in raw]
        while len(names) > 1 and not names[-1]:
            names.pop()
        headers.append(Header(number, delimiter, names, raw[: len(names)] != names, n_above))
    return max(headers, key=lambda header: (header.n_known, len(header.names)))


def read_header(text: TableText) -> tuple[Header, int]:
    """Find the header, and how many fields the first row has."""
    lines = []
    for number, line in text.lines():
        lines.append((number, line))
        if len(lines) == HEADER_LINES:
            break
    header = find_header(lines)
    if header is None:
        raise Problem("the file is empty. Fetch it again.")
    n_columns = len(header.names)
    for number, line in lines:
        if number > header.line and line.strip() and not line.startswith("#"):
            fields = _split(line, header.delimiter)
            # Rows that end with a delimiter (pandas issue 14124).
            if not "".join(fields[n_columns:]).strip():
                n_columns = max(n_columns, len(fields))
            break
    return header, n_columns


#: The words of a column, each once, and for each row the number of its word.
Words = tuple[list[str], np.ndarray]


class TableRows:
    """The rows below a header."""

    def __init__(self, text: TableText, header: Header, n_columns: int, columns: dict[str, int]):
        self.text = text
        self.header = header
        self.n_columns = n_columns
        self.columns = columns

    def name(self, role: str) -> str:
        """Name of a column, as in the file."""
        return self.header.names[self.columns[role]]

    def read(self) -> dict[str, Words]:
        """Read the columns that are needed."""
        uneven: list[Any] = []

        def note_uneven(row: Any) -> str:
            uneven.append(row)
            return "error"

        try:
            return self._parse(self._read_below(), self.columns, self.n_columns, note_uneven)
        except pa.ArrowInvalid as error:
            if not uneven:
                raise Problem(f"this table cannot be read ({error}).") from error
        order = {role: number for number, role in enumerate(self.columns)}
        return self._parse(self._write_even(), order, len(order), None)

    def _parse(
        self,
        pieces: Iterator[str],
        columns: Mapping[str, int],
        n_columns: int,
        invalid_row_handler: Callable | None,
    ) -> dict[str, Words]:
        first = next(pieces, None)
        if first is None:
            raise Problem("the table has a header line and no rows. Fetch the file again.")
        used = [str(number) for number in columns.values()]
        delimiter = "," if invalid_row_handler is None else self.header.delimiter
        stream = pa.PythonFile(_Stream(chain([first], pieces)), "r")
        table = arrow_csv.read_csv(
            stream,
            arrow_csv.ReadOptions(
                use_threads=False, column_names=[str(n) for n in range(n_columns)]
            ),
            arrow_csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                invalid_row_handler=invalid_row_handler,
            ),
            arrow_csv.ConvertOptions(
                include_columns=used,
                column_types=dict.fromkeys(used, pa.dictionary(pa.int32(), pa.string())),
                strings_can_be_null=False,
            ),
        )
        if not table.num_rows:
            raise Problem("the table has a header line and no rows. Fetch the file again.")
        # One column after the other, so that only one is held twice.
        chunked = {role: table.column(str(number)) for role, number in columns.items()}
        del table
        words = {}
        for role in columns:
            chunks = chunked.pop(role).unify_dictionaries().chunks
            codes = [chunk.indices.to_numpy(zero_copy_only=False) for chunk in chunks]
            words[role] = chunks[0].dictionary.to_pylist(), np.concatenate(codes)
        return words

    def _read_below(self) -> Iterator[str]:
        """Give the text below the header without comment lines."""
        to_skip = self.header.line
        for piece in self.text.iter_whole_lines():
            start = 0
            while to_skip and (end := LINE_END.search(piece, start)):
                start, to_skip = end.end(), to_skip - 1
            if to_skip:
                # The header has no line end: nothing follows.
                return
            piece = piece[start:] if start else piece
            # The search for one character is ten times as fast as that for two.
            if "#" in piece and (piece.startswith("#") or "\n#" in piece):
                piece = _COMMENT.sub(lambda m: m[0] if self._is_row(m[0]) else "", piece)
            if piece and not piece.isspace():
                yield piece

    def _is_row(self, line: str) -> bool:
        """Whether a line that begins with ``#`` is a die whose name does, not a comment."""
        fields = _split(line.rstrip("\r\n"), self.header.delimiter)
        if len(fields) != self.n_columns:
            return False
        indices = [fields[self.columns[axis]].strip() for axis in ("x", "y")]
        return all(NUMBER.fullmatch(index.replace(",", ".")) for index in indices)

    def _iter_rows(self) -> Iterator[tuple[int, list[str]]]:
        """Give the rows one by one with the line that they end in: slowly, after a fault."""
        line = 0

        def numbered() -> Iterator[str]:
            nonlocal line
            for line, text in self.text.lines():
                if line > self.header.line and not (
                    text.startswith("#") and not self._is_row(text)
                ):
                    yield text + "\n"

        reader = csv.reader(numbered(), delimiter=self.header.delimiter)
        try:
            for row in reader:
                if row:
                    yield line, row
        except csv.Error as error:
            raise Problem(f"this table cannot be read ({error}).", f"line {line}") from error

    def _write_even(self) -> Iterator[str]:
        """Write the columns that are needed anew, of rows with different numbers of fields."""
        used = list(self.columns.values())
        names = self.header.names
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        for line, row in self._iter_rows():
            if len(row) <= max(used):
                lacking = names[max(used)]
                raise Problem(
                    f"the row has {len(row)} fields, and column {lacking!r} is field "
                    f"{max(used) + 1}. Is it cut short? Complete the row or drop it.",
                    f"line {line}",
                )
            if "".join(row[len(names) :]).strip():
                raise Problem(
                    f"the row has {len(row)} fields, the header {len(names)}. A value with the "
                    "delimiter in it must stand in quotes.",
                    f"line {line}",
                )
            writer.writerow([row[number] for number in used])
            if buffer.tell() > 1 << 18:
                yield buffer.getvalue()
                buffer.seek(0)
                buffer.truncate()
        if buffer.tell():
            yield buffer.getvalue()

    def find_line(self, row: int) -> str:
        """Find the line of a row of the table."""
        for number, (line, _) in enumerate(self._iter_rows()):
            if number == row:
                return f"line {line}"
        return f"row {row + 1}"


class _Stream(io.RawIOBase):
    """Pieces of text as the file of bytes that pyarrow wants."""

    def __init__(self, pieces: Iterator[str]):
        self.pieces = pieces
        self.rest = b""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Give up to `size` bytes."""
        if not self.rest:
            self.rest = next(self.pieces, "").encode()
        piece = self.rest if size < 0 else self.rest[:size]
        self.rest = self.rest[len(piece) :]
        return piece
