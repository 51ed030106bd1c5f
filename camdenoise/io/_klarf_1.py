"""KLARF 1.1 and 1.2: statements ``Keyword values;``, in which the order matters."""

from __future__ import annotations

import re
from collections.abc import Iterator

from camdenoise.io._klarf_wafer import InspectedWafer, index, index_columns, unquoted
from camdenoise.io._problems import Problem

VERSIONS = ("1 1", "1 2")
#: Most statements of a file; a wafer has some thirty.
MAX_STATEMENTS = 100_000
#: Statements that are kept as notes.
NOTES = ("DeviceID", "StepID", "DiePitch", "SampleOrientationMarkType", "OrientationMarkLocation")
# Columns that tell of pictures; their list follows on the defect's line or on lines of its own.
_PICTURES = {"IMAGECOUNT", "IMAGELIST"}
_STRING_OR_END = re.compile(r'"[^"\n]*"|;')


def statements(text: str) -> Iterator[tuple[str, str, int]]:
    """Split a file at the semicolons outside of strings.

    Yields
    ------
    keyword, values : str
        The first word and what follows it.
    line : int
        The line of the keyword.
    """
    start, line = 0, 1
    for match in _STRING_OR_END.finditer(text):
        if match[0] == ";":
            statement = text[start : match.start()]
            indent = len(statement) - len(statement.lstrip())
            keyword = statement.split(None, 1)[0] if statement.strip() else ""
            values = statement[indent + len(keyword) :]
            yield keyword, values, line + statement.count("\n", 0, indent)
            line += statement.count("\n")
            start = match.end()
    rest = text[start:]
    if rest.strip():
        line += rest.count("\n", 0, len(rest) - len(rest.lstrip()))
        raise Problem("the last statement has no end. Is it cut short?", f"line {line}")


class _Reader:
    """Follows the statements: what the lot, the wafer and the columns of defects are just now."""

    def __init__(self):
        self.wafers: list[InspectedWafer] = []
        self.notes: dict[str, str] = {}
        self.lot = ""
        self.columns: list[str] = []
        self.inspected: list[tuple[int, int]] = []  # of a plan before the first wafer: of all
        self.ended = False

    def take(self, keyword: str, values: str, line: int) -> None:
        where = f"line {line}, {keyword}"
        if keyword == "FileVersion":
            _check_version(values, where)
        elif keyword == "LotID":
            self.lot = unquoted(values)
        elif keyword == "WaferID":
            wafer = InspectedWafer(self.lot, unquoted(values), inspected=list(self.inspected))
            self.wafers.append(wafer)
        elif keyword == "SampleTestPlan":
            plan = self.wafers[-1].inspected if self.wafers else self.inspected
            plan.extend(_test_plan(values, where))
        elif keyword == "DefectRecordSpec":
            self.columns = _columns(values, where)
        elif keyword == "DefectList":
            self._wafer(where).defects.extend(_defects(values, self.columns, line))
        elif keyword == "EndOfFile":
            self.ended = True
        elif keyword in NOTES:
            self.notes[keyword] = unquoted(values)

    def _wafer(self, where: str) -> InspectedWafer:
        if not self.wafers:
            raise Problem("there is no WaferID before it.", where)
        return self.wafers[-1]


def _check_version(values: str, where: str) -> None:
    if " ".join(values.split()) not in VERSIONS:
        raise Problem(f"version {values.strip()[:20]!r} is not read; 1.1, 1.2 and 1.8 are.", where)


def _check_count(count: str, n_items: int, where: str) -> None:
    if count != str(n_items):
        raise Problem(f"it claims {count[:20]} items and has {n_items}. Is it cut short?", where)


def _test_plan(values: str, where: str) -> list[tuple[int, int]]:
    count, *numbers = values.split() or ["0"]
    _check_count(count, len(numbers) // 2, where)
    if len(numbers) % 2:
        raise Problem("the last die has one index, expected two.", where)
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return [(index(x, where), index(y, where)) for x, y in pairs]


def _columns(values: str, where: str) -> list[str]:
    count, *names = values.split() or ["0"]
    _check_count(count, len(names), where)
    return [name.upper() for name in names]


def _defects(values: str, columns: list[str], line: int) -> list[tuple[int, int]]:
    """Read the die of each defect; a defect has a line of its own."""
    x, y = index_columns(columns, f"line {line}, DefectList")
    n_fields = len(columns) - (columns[-1] == "IMAGELIST")
    pictures = not _PICTURES.isdisjoint(columns)
    defects: list[tuple[int, int]] = []
    for number, text in enumerate(values.splitlines(), start=line):
        fields = text.split()
        if len(fields) == n_fields or (pictures and len(fields) > n_fields):
            here = f"line {number}, DefectList"
            defects.append((index(fields[x], here), index(fields[y], here)))
        elif fields and not (pictures and defects and len(fields) < n_fields):
            raise Problem(
                f"the defect has {len(fields)} fields, DefectRecordSpec {len(columns)}.",
                f"line {number}, DefectList",
            )
    return defects


def read_statements(text: str) -> tuple[list[InspectedWafer], dict[str, str]]:
    """Read the text of a KLARF file of version 1.1 or 1.2.

    Parameters
    ----------
    text : str
        The whole file.

    Returns
    -------
    wafers : list of InspectedWafer
        In the order of the file.
    notes : dict of str to str
        The statements `NOTES`.

    Raises
    ------
    Problem
        For a file that is damaged or cut short.
    """
    reader = _Reader()
    for number, (keyword, values, line) in enumerate(statements(text)):
        if number == MAX_STATEMENTS:
            raise Problem(f"it has more than {MAX_STATEMENTS} statements.", f"line {line}")
        reader.take(keyword, values, line)
    if not reader.ended:
        raise Problem("there is no EndOfFile. Is it cut short?")
    return reader.wafers, reader.notes
