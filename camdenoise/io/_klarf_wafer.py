"""What a KLARF file of any version says about one wafer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from camdenoise.io._problems import FETCH_OR_INCOMPLETE, Problem

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

    #: Names.
    lot: str
    wafer: str
    #: list of tuple of int: Dies of the sample test plans; empty where the file has none.
    inspected: list[tuple[int, int]] = field(default_factory=list)
    #: list of tuple of int: The die of each defect.
    defects: list[tuple[int, int]] = field(default_factory=list)
    #: Whether gaps in DEFECTID show that defects were left out on purpose.
    is_selection: bool = False
    #: What the file says in `FIELDS`.
    fields: Mapping[str, str] = field(default_factory=dict)
    #: Sum of NDEFECT over the tests; None where the file has no summary.
    n_defects: int | None = None
    #: Largest NDIE of a test. Tests may inspect the same dies, so that they do not add up.
    n_dies: int | None = None
    #: Rows that its lists announce and do not have.
    n_missing: int = 0

    def summarize(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Take the totals of a summary list; what is no number is not given."""
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
        raise Problem(f"{text[:20]!r} is no die index.", where)
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
