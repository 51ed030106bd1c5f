"""KLARF 1.8: records within records, with fields and lists of typed columns."""

from __future__ import annotations

import re
from collections.abc import Iterator

from camdenoise.io._klarf_wafer import (
    FIELDS,
    NOTES,
    InspectedWafer,
    count_lacking,
    find_index_columns,
    parse_index,
    strip_quotes,
)
from camdenoise.io._problems import FETCH_OR_INCOMPLETE, Problem

_TOKEN = re.compile(r'"[^"\n]*"|[{};,]|[^\s{};,"]+|"')


class _CutShort(Problem):
    """The file ends before its last record does."""


class _Tokens:
    """The tokens of a file, one after the other, each with its line."""

    def __init__(self, text: str):
        self.text = text
        self.position = 0
        self.line = 1
        self.matches: Iterator[re.Match[str]] = _TOKEN.finditer(text)

    def next(self) -> str:
        """Take the next token; there must be one."""
        match = next(self.matches, None)
        if match is None:
            raise _CutShort(f"the file ends within a record. {FETCH_OR_INCOMPLETE}", self.where())
        self.line += self.text.count("\n", self.position, match.start())
        self.position = match.start()
        return match[0]

    def expect(self, wanted: str) -> None:
        """Take the next token, which must be this one."""
        token = self.next()
        if token != wanted:
            raise Problem(f"{token[:20]!r} stands where {wanted!r} must.", self.where())

    def until(self, end: str) -> Iterator[str]:
        """Take tokens up to and with `end`, without the commas."""
        while (token := self.next()) != end:
            if token != ",":
                yield token

    def where(self) -> str:
        """Tell the line of the last token."""
        return f"line {self.line}"


class _Reader:
    """Follows the records: which are open just now, and what was read of the wafers."""

    def __init__(self, text: str, incomplete: bool):
        self.tokens = _Tokens(text)
        self.incomplete = incomplete
        self.wafers: list[InspectedWafer] = []
        self.about: dict[str, str] = {}
        self.lot = ""
        # The open records: their names, and what their fields say.
        self.open: list[str] = []
        self.fields: list[dict[str, str]] = []
        # For each wafer the fields of the records around it, which may follow it.
        self.around: list[list[dict[str, str]]] = []
        self.ended = True

    def read(self) -> None:
        """Read up to EndOfFile."""
        try:
            self._read()
        except _CutShort:
            if not self.incomplete:
                raise
            self.ended = False
        for wafer, records in zip(self.wafers, self.around, strict=True):
            wafer.fields = {name: text for fields in records for name, text in fields.items()}

    def _read(self) -> None:
        while (token := self.tokens.next()) != "EndOfFile":
            if token == "Record":
                self._read_record()
            elif token == "Field":
                self._read_field()
            elif token == "List":
                self._read_list()
            elif token == "}" and self.open:
                self.open.pop()
                self.fields.pop()
            else:
                raise Problem(f"{token[:20]!r} is out of place.", self.tokens.where())
        if self.open:
            raise _CutShort(
                f"{self.open[-1][:40]} has no end. {FETCH_OR_INCOMPLETE}", self.tokens.where()
            )

    def _read_record(self) -> None:
        name, identifier = self.tokens.next(), ""
        if (token := self.tokens.next()) != "{":
            identifier = strip_quotes(token)
            self.tokens.expect("{")
        self.open.append(name)
        self.fields.append({})
        if name == "FileRecord" and identifier != "1.8":
            raise Problem(f"version {identifier[:20]!r} is not read; 1.1, 1.2 and 1.8 are.")
        if name == "LotRecord":
            self.lot = identifier
        elif name == "WaferRecord":
            self.wafers.append(InspectedWafer(self.lot, identifier))
            self.around.append(list(self.fields))

    def _read_field(self) -> None:
        name, _ = self.tokens.next(), self.tokens.next()
        self.tokens.expect("{")
        text = " ".join(strip_quotes(value) for value in self.tokens.until("}"))
        if name in FIELDS and self.fields:
            self.fields[-1][name] = text
        if name in NOTES:
            self.about[name] = text

    def _read_list(self) -> None:
        name, where = self.tokens.next(), self.tokens.where()
        self.tokens.expect("{")
        columns = self._read_columns()
        wafer = self.wafers[-1] if "WaferRecord" in self.open else None
        rows = self._read_rows(len(columns), wafer)
        if wafer is not None and name in ("DefectList", "SampleTestPlanList"):
            self._take_dies(wafer, name, columns, rows, f"{where}, {name}")
        elif wafer is not None and name == "TestSummaryList":
            wafer.summarize(columns, [row for _, row in rows])
        else:
            list(rows)

    def _take_dies(
        self,
        wafer: InspectedWafer,
        name: str,
        columns: list[str],
        rows: Iterator[tuple[str, list[str]]],
        where: str,
    ) -> None:
        """Take the die of each row, as they come."""
        dies = wafer.defects if name == "DefectList" else wafer.inspected
        numbered = columns.index("DEFECTID") if "DEFECTID" in columns else None
        place = None
        for line, row in rows:
            # An empty list may have other columns: there is nothing to place.
            x, y = place = place or find_index_columns(columns, where)
            dies.append((parse_index(row[x], line), parse_index(row[y], line)))
            if numbered is not None and dies is wafer.defects:
                wafer.is_selection |= row[numbered] != str(len(dies))

    def _read_columns(self) -> list[str]:
        """Read ``Columns n { type NAME, ... }``, in which files in the wild get n wrong."""
        self.tokens.expect("Columns")
        self.tokens.next()
        self.tokens.expect("{")
        return [word.upper() for word in list(self.tokens.until("}"))[1::2]]

    def _read_rows(
        self, n_columns: int, wafer: InspectedWafer | None
    ) -> Iterator[tuple[str, list[str]]]:
        """Read ``Data n { ... ; ... ; } }``: rows, each with its line, as they come.

        Rows before the end of a file that is cut short are given.
        """
        self.tokens.expect("Data")
        count, where = self.tokens.next(), self.tokens.where()
        self.tokens.expect("{")
        n_rows = 0
        row: list[str] = []
        while (token := self.tokens.next()) != "}":
            if token == "{":
                self._skip_pictures(row)
            elif token == ";":
                if len(row) != n_columns:
                    reason = f"the row has {len(row)} values, the list {n_columns} columns."
                    raise Problem(reason, self.tokens.where())
                yield self.tokens.where(), row
                n_rows += 1
                row = []
            elif token != ",":
                row.append(token)
        self.tokens.expect("}")
        if row:
            raise Problem("its last row has no end.", where)
        lacking = count_lacking(count, n_rows, where, self.incomplete, "rows")
        if wafer is not None:
            wafer.n_missing += lacking

    def _skip_pictures(self, row: list[str]) -> None:
        """Take ``Images n { ... }``, one value of a defect, as one."""
        if len(row) < 2:
            raise Problem("'{' is out of place.", self.tokens.where())
        del row[-1]
        depth = 1
        while depth:
            depth += {"{": 1, "}": -1}.get(self.tokens.next(), 0)


def read_records(
    text: str, incomplete: bool = False
) -> tuple[list[InspectedWafer], dict[str, str], bool]:
    """Read the text of a KLARF file of version 1.8."""
    reader = _Reader(text, incomplete)
    reader.read()
    return reader.wafers, reader.about, reader.ended
