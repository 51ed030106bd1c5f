"""KLARF 1.1 and 1.2: statements ``Keyword values;``, in which the order matters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

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

VERSIONS = ("1 1", "1 2")
#: Most statements of a file; a wafer has some thirty.
MAX_STATEMENTS = 100_000
# Lists whose rows some tools end with a semicolon each, so that they look like statements.
_LISTS = ("SampleTestPlan", "DefectList", "SummaryList", "ClassLookup")
# Columns that tell of pictures; their list follows on the defect's line or on lines of its own.
_PICTURES = {"IMAGECOUNT", "IMAGELIST"}
# Names of pictures, on lines of their own among the defects.
_PICTURE_FILES = ("FILENAME", "IMAGEFILENAME", "TIFFFILENAME")
_STRING_OR_END = re.compile(r'"[^"\n]*"|;')


def split_statements(text: str, incomplete: bool = False) -> Iterator[tuple[str, str, int]]:
    """Split a file at the semicolons outside of strings."""
    start, line = 0, 1
    for match in _STRING_OR_END.finditer(text):
        if match[0] == ";":
            statement = text[start : match.start()]
            yield _split_statement(statement, line)
            line += statement.count("\n")
            start = match.end()
    rest = text[start:]
    if not rest.strip():
        return
    if incomplete:
        yield _split_statement(rest[: rest.rfind("\n") + 1], line)
        return
    line += rest.count("\n", 0, len(rest) - len(rest.lstrip()))
    raise Problem(f"the last statement has no end. {FETCH_OR_INCOMPLETE}", f"line {line}")


def _split_statement(statement: str, line: int) -> tuple[str, str, int]:
    indent = len(statement) - len(statement.lstrip())
    keyword = statement.split(None, 1)[0] if statement.strip() else ""
    return keyword, statement[indent + len(keyword) :], line + statement.count("\n", 0, indent)


def _join_lists(found: Iterable[tuple[str, str, int]]) -> Iterator[tuple[str, str, int]]:
    """Join rows that end with a semicolon each to the list that they belong to."""
    name, parts, line, end = "", [""], 1, 1
    for keyword, values, here in found:
        if name in _LISTS and keyword[:1] in tuple("+-.0123456789"):
            parts += ["\n" * (here - end) or " ", keyword, values]
            end = here + values.count("\n")
            continue
        yield name, "".join(parts), line
        name, parts, line, end = keyword, [values], here, here + values.count("\n")
    yield name, "".join(parts), line


class _Reader:
    """Follows the statements: what the lot, the wafer and the columns of defects are just now."""

    def __init__(self, incomplete: bool):
        self.incomplete = incomplete
        self.wafers: list[InspectedWafer] = []
        self.fields: dict[str, str] = {}
        self.lot = ""
        self.columns: list[str] = []
        self.summary: list[str] = []
        self.inspected: list[tuple[int, int]] = []  # of a plan before the first wafer: of all
        self.n_missing = 0
        self.ended = False

    def take(self, keyword: str, values: str, line: int) -> None:
        """Take one statement."""
        where = f"line {line}, {keyword}"
        if keyword == "FileVersion":
            if " ".join(values.split()) not in VERSIONS:
                version = values.strip()[:20]
                raise Problem(f"version {version!r} is not read; 1.1, 1.2 and 1.8 are.", where)
        elif keyword == "LotID":
            self.lot = strip_quotes(values)
        elif keyword == "WaferID":
            self.wafers.append(
                InspectedWafer(
                    self.lot,
                    strip_quotes(values),
                    inspected=list(self.inspected),
                    fields=dict(self.fields),
                    n_missing=self.n_missing,
                )
            )
        elif keyword == "SampleTestPlan":
            plan = self.wafers[-1].inspected if self.wafers else self.inspected
            plan.extend(self._read_test_plan(values, where))
        elif keyword == "DefectRecordSpec":
            count, *names = values.split() or ["0"]
            count_lacking(count, len(names), where, incomplete=False)
            self.columns = [name.upper() for name in names]
        elif keyword == "DefectList":
            if not self.wafers:
                raise Problem("there is no WaferID before it.", where)
            _add_defects(self.wafers[-1], values, self.columns, line)
        elif keyword == "SummarySpec":
            self.summary = [name.upper() for name in values.split()[1:]]
        elif keyword == "SummaryList" and self.wafers:
            words, n = values.split(), len(self.summary)
            # The values of each test may stand on lines of their own or not.
            if n and len(words) % n == 0:
                rows = [words[start : start + n] for start in range(0, len(words), n)]
                self.wafers[-1].summarize(self.summary, rows)
        elif keyword == "EndOfFile":
            self.ended = True
        elif keyword in FIELDS:
            self.fields[keyword] = strip_quotes(values)

    def _read_test_plan(self, values: str, where: str) -> list[tuple[int, int]]:
        count, *numbers = values.split() or ["0"]
        lacking = count_lacking(count, len(numbers) // 2, where, self.incomplete)
        if self.wafers:
            self.wafers[-1].n_missing += lacking
        else:
            self.n_missing += lacking
        if len(numbers) % 2:
            raise Problem("the last die has one index, expected two.", where)
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return [(parse_index(x, where), parse_index(y, where)) for x, y in pairs]


def _add_defects(wafer: InspectedWafer, values: str, columns: list[str], line: int) -> None:
    """Read the die of each defect; a defect has a line of its own."""
    if not values.strip():
        # A clean wafer may have other columns: there is nothing to place.
        return
    x, y = find_index_columns(columns, f"line {line}, DefectList")
    n_fields = len(columns) - (columns[-1] == "IMAGELIST")
    pictures = not _PICTURES.isdisjoint(columns)
    n_before = len(wafer.defects)
    for number, text in enumerate(values.splitlines(), start=line):
        fields = text.split()
        if len(fields) == n_fields or (pictures and len(fields) > n_fields):
            here = f"line {number}, DefectList"
            wafer.defects.append((parse_index(fields[x], here), parse_index(fields[y], here)))
        elif not fields or fields[0].upper() in _PICTURE_FILES:
            continue
        elif not (pictures and len(wafer.defects) > n_before and len(fields) < n_fields):
            raise Problem(
                f"the defect has {len(fields)} fields, DefectRecordSpec {len(columns)}.",
                f"line {number}, DefectList",
            )


def read_statements(
    text: str, incomplete: bool = False
) -> tuple[list[InspectedWafer], dict[str, str], bool]:
    """Read the text of a KLARF file of version 1.1 or 1.2."""
    reader = _Reader(incomplete)
    found = _join_lists(split_statements(text, incomplete))
    for number, (keyword, values, line) in enumerate(found):
        if number > MAX_STATEMENTS:
            raise Problem(f"it has more than {MAX_STATEMENTS} statements.", f"line {line}")
        reader.take(keyword, values, line)
    if not (reader.ended or incomplete):
        raise Problem(f"there is no EndOfFile. {FETCH_OR_INCOMPLETE}")
    for wafer in reader.wafers:
        # What is said only after the wafer is said of it too.
        wafer.fields = reader.fields | dict(wafer.fields)
    about = {name: reader.fields[name] for name in NOTES if name in reader.fields}
    return reader.wafers, about, reader.ended
