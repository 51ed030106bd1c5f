"""The texts of KLARF files: statements (1.1 and 1.2), or records within records (1.8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from camdenoise.io._problems import FETCH_OR_INCOMPLETE, Problem

# --- what all versions say of a wafer -------------------------------------------------------------


#: What is said of a wafer, a lot or a file, and kept.
FIELDS = (
    *("DeviceID", "StepID", "DiePitch", "SampleOrientationMarkType", "OrientationMarkLocation"),
    *("CoordinatesMirrored", "ResultTimestamp", "FileTimestamp", "SampleCenterLocation"),
)
#: Those that are given as notes on the file.
NOTES = FIELDS[:5]
_DATES = ("%m-%d-%y", "%m-%d-%Y", "%Y-%m-%d")
_TIMES = (" %H:%M:%S", "T%H:%M:%S", " %H:%M", "")


@dataclass
class InspectedWafer:
    """Inspected dies and defects of one wafer, as (XINDEX, YINDEX)."""

    lot: str  # Names
    wafer: str
    #: list of tuple of int: Dies of the sample test plans; empty where the file has none.
    inspected: list[tuple[int, int]] = field(default_factory=list)
    defects: list[tuple[int, int]] = field(default_factory=list)  # The die of each defect
    #: Whether gaps in DEFECTID show that defects were left out on purpose.
    is_selection: bool = False
    fields: Mapping[str, str] = field(default_factory=dict)  # What the file says in `FIELDS`
    #: Sum of NDEFECT over the tests; None where the file has no summary.
    n_defects: int | None = None
    #: Largest NDIE of a test. Tests may inspect the same dies, so that they do not add up.
    n_dies: int | None = None
    n_missing: int = 0  # Rows that its lists announce and do not have

    def summarize(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Take the totals of a summary list; what is not a number is not given."""
        defects = _read_counts("NDEFECT", columns, rows)
        dies = _read_counts("NDIE", columns, rows)
        if defects:
            self.n_defects = (self.n_defects or 0) + sum(defects)
        if dies:
            self.n_dies = max(self.n_dies or 0, *dies)


def count_lacking(
    count: str, n_items: int, where: str, incomplete: bool, what: str = "items"
) -> int:
    """Compare the length that a list announces with what it has; return how many it lacks."""
    claimed = int(count) if count.isascii() and count.isdigit() and len(count) < 10 else -1
    if claimed == n_items or (incomplete and claimed > n_items):
        return claimed - n_items
    raise Problem(f"it claims {count[:20]} {what} and has {n_items}. {FETCH_OR_INCOMPLETE}", where)


def _read_counts(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    if name not in columns:
        return []
    texts = [row[columns.index(name)] for row in rows]
    return [int(text) for text in texts if text.isascii() and text.isdigit() and len(text) < 10]


def parse_time(text: str) -> float | None:
    """Read a time such as "01-31-20 23:59:59", in seconds since 1970; None for anything else."""
    text = " ".join(text.split())
    for form in (date + time for date in _DATES for time in _TIMES):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    return None


def parse_index(text: str, where: str) -> int:
    """Read a die index."""
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise Problem(f"{text[:20]!r} is not a die index.", where)
    return int(text)


def find_index_columns(names: Sequence[str], where: str) -> tuple[int, int]:
    """Find the columns of the die indices in a list's header."""
    missing = [name for name in ("XINDEX", "YINDEX") if name not in names]
    if missing:
        raise Problem(f"the list has no column {missing}.", where)
    return names.index("XINDEX"), names.index("YINDEX")


def strip_quotes(text: str) -> str:
    """Take the quotes off a string."""
    return text.strip().strip('"').strip()


# --- versions 1.1 and 1.2: statements ``Keyword values;`` -----------------------------------------


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


class _StatementReader:
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
    reader = _StatementReader(incomplete)
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


# --- version 1.8: records with fields and lists of typed columns ----------------------------------


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


class _RecordReader:
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
    reader = _RecordReader(text, incomplete)
    reader.read()
    return reader.wafers, reader.about, reader.ended
