"""KLARF 1.8: records within records, with fields and lists of typed columns."""

from __future__ import annotations

import re
from collections.abc import Iterator

from camdenoise.io._klarf_wafer import InspectedWafer, index, index_columns, unquoted
from camdenoise.io._problems import Problem

#: Fields that are kept as notes.
NOTES = ("DeviceID", "StepID", "DiePitch", "SampleOrientationMarkType", "OrientationMarkLocation")
_TOKEN = re.compile(r'"[^"\n]*"|[{};,]|[^\s{};,"]+|"')


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
            raise Problem("the file ends within a record. Is it cut short?", self.where())
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

    def __init__(self, text: str):
        self.tokens = _Tokens(text)
        self.wafers: list[InspectedWafer] = []
        self.notes: dict[str, str] = {}
        self.lot = ""
        self.open: list[str] = []

    def read(self) -> None:
        """Read up to EndOfFile."""
        while (token := self.tokens.next()) != "EndOfFile":
            if token == "Record":
                self._record()
            elif token == "Field":
                self._field()
            elif token == "List":
                self._list()
            elif token == "}" and self.open:
                self.open.pop()
            else:
                raise Problem(f"{token[:20]!r} is out of place.", self.tokens.where())
        if self.open:
            raise Problem(f"{self.open[-1][:40]} has no end. Is it cut short?", self.tokens.where())

    def _record(self) -> None:
        name, identifier = self.tokens.next(), ""
        if (token := self.tokens.next()) != "{":
            identifier = unquoted(token)
            self.tokens.expect("{")
        self.open.append(name)
        if name == "FileRecord" and identifier != "1.8":
            raise Problem(f"version {identifier[:20]!r} is not read; 1.1, 1.2 and 1.8 are.")
        if name == "LotRecord":
            self.lot = identifier
        elif name == "WaferRecord":
            self.wafers.append(InspectedWafer(self.lot, identifier))

    def _field(self) -> None:
        name, _ = self.tokens.next(), self.tokens.next()
        self.tokens.expect("{")
        values = [unquoted(value) for value in self.tokens.until("}")]
        if name in NOTES:
            self.notes[name] = " ".join(values)

    def _list(self) -> None:
        name, where = self.tokens.next(), self.tokens.where()
        self.tokens.expect("{")
        columns = self._columns()
        rows = self._rows(len(columns))
        if "WaferRecord" in self.open and name in ("DefectList", "SampleTestPlanList"):
            x, y = index_columns(columns, f"{where}, {name}")
            wafer = self.wafers[-1]
            dies = wafer.defects if name == "DefectList" else wafer.inspected
            dies.extend((index(row[x], line), index(row[y], line)) for line, row in rows)

    def _columns(self) -> list[str]:
        """Read ``Columns n { type NAME, ... }``, in which files in the wild get n wrong."""
        self.tokens.expect("Columns")
        self.tokens.next()
        self.tokens.expect("{")
        return [word.upper() for word in list(self.tokens.until("}"))[1::2]]

    def _rows(self, n_columns: int) -> list[tuple[str, list[str]]]:
        """Read ``Data n { ... ; ... ; } }``: rows, each with its line."""
        self.tokens.expect("Data")
        count, where = self.tokens.next(), self.tokens.where()
        self.tokens.expect("{")
        rows: list[tuple[str, list[str]]] = []
        row: list[str] = []
        while (token := self.tokens.next()) != "}":
            if token == "{":
                self._skip_pictures(row)
            elif token == ";":
                rows.append((self.tokens.where(), self._checked(row, n_columns)))
                row = []
            elif token != ",":
                row.append(token)
        self.tokens.expect("}")
        if row or count != str(len(rows)):
            raise Problem(f"it claims {count[:20]} rows and has {len(rows)}.", where)
        return rows

    def _checked(self, row: list[str], n_columns: int) -> list[str]:
        if len(row) != n_columns:
            raise Problem(
                f"the row has {len(row)} values, the list {n_columns} columns.", self.tokens.where()
            )
        return row

    def _skip_pictures(self, row: list[str]) -> None:
        """Take ``Images n { ... }``, one value of a defect, as one."""
        if len(row) < 2:
            raise Problem("'{' is out of place.", self.tokens.where())
        del row[-1]
        depth = 1
        while depth:
            depth += {"{": 1, "}": -1}.get(self.tokens.next(), 0)


def read_records(text: str) -> tuple[list[InspectedWafer], dict[str, str]]:
    """Read the text of a KLARF file of version 1.8.

    Parameters
    ----------
    text : str
        The whole file.

    Returns
    -------
    wafers : list of InspectedWafer
        In the order of the file.
    notes : dict of str to str
        The fields `NOTES`.

    Raises
    ------
    Problem
        For a file that is damaged or cut short.
    """
    reader = _Reader(text)
    reader.read()
    return reader.wafers, reader.notes
