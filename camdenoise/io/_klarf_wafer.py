"""What a KLARF file of any version says about one wafer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from camdenoise.io._problems import Problem


@dataclass
class InspectedWafer:
    """Inspected dies and defects of one wafer, as (XINDEX, YINDEX).

    Attributes
    ----------
    lot, wafer : str
        Names.
    inspected : list of tuple of int
        Dies of the sample test plans; empty where the file has none.
    defects : list of tuple of int
        The die of each defect.
    """

    lot: str
    wafer: str
    inspected: list[tuple[int, int]] = field(default_factory=list)
    defects: list[tuple[int, int]] = field(default_factory=list)


def index(text: str, where: str) -> int:
    """Read a die index."""
    digits = text.removeprefix("-").removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise Problem(f"{text[:20]!r} is no die index.", where)
    return int(text)


def index_columns(names: Sequence[str], where: str) -> tuple[int, int]:
    """Find the columns of the die indices in a list's header."""
    missing = [name for name in ("XINDEX", "YINDEX") if name not in names]
    if missing:
        raise Problem(f"the list has no column {missing}.", where)
    return names.index("XINDEX"), names.index("YINDEX")


def unquoted(text: str) -> str:
    """Take the quotes off a string."""
    return text.strip().strip('"').strip()
