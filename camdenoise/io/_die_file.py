"""What a reader finds in one file: the die table, and facts of each wafer.

The die table has one row per test of a die:

========  ========================  ======================================================
column    dtype                     meaning
========  ========================  ======================================================
lot       str                       as the file names it; "" where it does not
wafer     str                       as the file names it; else the file's name
x, y      int32                     die coordinates; a map's column and row follow them
bin       int32; str for ASCII maps the tester's bin
passed    boolean (nullable)        True: a good die; missing: the file does not say
========  ========================  ======================================================

A position without a die or without a result has no row. A die that was tested several times has
several rows, in the order of the tests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._container import Content, get_content
from camdenoise.io._problems import Problem, name_file


@dataclass(frozen=True)
class ReadOptions:
    """What a user says about the files to read; each reader takes what its format needs."""

    #: sequence of bins or None: Bins of good dies. A reader then accepts words that it does not
    #: understand, since they no longer decide anything.
    pass_bins: Sequence[Any] | None = None
    incomplete: bool = False  # Read files that hold less than they declare
    encoding: str | None = None  # Of text; None: as the file says
    map_name: str | None = None  # Which map to read where a wafer has several (SEMI G85, E142)
    bins: str = "hard"  # Which bin number to give (STDF, ATDF)
    #: Columns of a table: x, y, bin, lot, wafer, passed.
    columns: Mapping[str, str] = field(default_factory=dict)
    inspected: Any = None  # Inspected dies of a KLARF file that does not list them


@dataclass
class WaferFacts:
    """What a file says of one wafer, apart from its dies."""

    lot: str  # As in the die table
    wafer: str
    product: str = ""  # Device or part type; "" where the file does not say
    #: When the wafer was tested, in seconds since 1970 (any fixed zone); None where the file does
    #: not say. It orders several tests of one wafer.
    time: float | None = None
    #: tuple of int (x0, y0, rows, cols) or None: The rectangle of the die grid that the file
    #: declares, in its own coordinates: smallest x, smallest y, number of y, number of x. None
    #: where the file does not say.
    extent: tuple[int, int, int, int] | None = None
    #: Whether x counts to the right, and y downwards, as the wafer is seen with its notch at
    #: `notch`; None where the file does not say.
    x_right: bool | None = None
    y_down: bool | None = None
    #: {"down", "left", "up", "right"} or None: Where notch or flat is in that view; None where
    #: the file does not say.
    notch: str | None = None
    n_unplaced: int = 0  # Dies with a result and without coordinates, and those of them that fail
    n_unplaced_fails: int = 0
    #: Records that the file declares and does not hold; only with `ReadOptions.incomplete`.
    n_missing: int = 0


# Facts on which all tests of a wafer must agree, and counts that are combined.
_AGREED = ("product", "x_right", "y_down", "notch")
_COUNTS = ("n_unplaced", "n_unplaced_fails", "n_missing")


def merge_tests(
    tests: Sequence[WaferFacts], notes: list[str], combine: Callable[[Iterable[int]], int] = sum
) -> WaferFacts:
    """Merge what is stated of one wafer: a fact on which its tests differ is not given.

    The latest time counts, the extent is the rectangle around all.

    Examples
    --------
    >>> first = WaferFacts("A", "1", "CHIP", 9.0, (0, 0, 4, 4), notch="down", n_missing=2)
    >>> second = WaferFacts("A", "1", "", 5.0, (0, -1, 2, 6), notch="left", n_missing=1)
    >>> notes = []
    >>> merged = merge_tests([first, second], notes)
    >>> merged.product, merged.time, merged.extent, merged.notch, merged.n_missing
    ('CHIP', 9.0, (0, -1, 5, 6), None, 3)
    >>> notes
    ["wafer '1': its tests differ in notch, which is taken as not given"]
    """
    first = tests[0]
    if len(tests) == 1:
        return first
    stated = {name: {getattr(test, name) for test in tests} - {None, ""} for name in _AGREED}
    if differing := [name for name, values in stated.items() if len(values) > 1]:
        notes.append(
            f"wafer {first.wafer!r}: its tests differ in {', '.join(differing)}, which is taken as "
            "not given"
        )
    agreed: dict[str, Any] = {
        name: values.pop() if len(values) == 1 else "" if name == "product" else None
        for name, values in stated.items()
    }
    counts: dict[str, Any] = {
        name: combine(getattr(test, name) for test in tests) for name in _COUNTS
    }
    times = [test.time for test in tests if test.time is not None]
    extents = [test.extent for test in tests if test.extent is not None]
    extent = _merge_extents(extents) if extents else None
    return replace(first, **agreed, **counts, time=max(times, default=None), extent=extent)


def _merge_extents(extents: Sequence[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    x0, y0 = min(x for x, *_ in extents), min(y for _, y, *_ in extents)
    rows = max(y + rows for _, y, rows, _ in extents) - y0
    return x0, y0, rows, max(x + cols for x, _, _, cols in extents) - x0


def merge_facts(facts: Iterable[WaferFacts], notes: list[str]) -> list[WaferFacts]:
    """Give one entry for each wafer, in the order in which they come first."""
    tests: dict[tuple[str, str], list[WaferFacts]] = {}
    for fact in facts:
        tests.setdefault((fact.lot, fact.wafer), []).append(fact)
    return [merge_tests(each, notes) for each in tests.values()]


@dataclass
class DieFile:
    """The dies of a file, and what else it says."""

    format: str  # As users call it: "STDF", "G85", "E142", "SINF", "KLARF", "ATDF", "CSV"
    table: pd.DataFrame  # The die table (see `camdenoise.io._die_file`)
    #: One for each lot and wafer of the table, in the order of their first row.
    wafers: list[WaferFacts]
    about: dict[str, Any] = field(default_factory=dict)  # Header of the file
    #: What was assumed, skipped or replaced: whole sentences for the user.
    notes: list[str] = field(default_factory=list)
    name: str = ""  # How messages name the file

    def to_table(self) -> pd.DataFrame:
        """Give the die table with all else in its ``attrs``."""
        table = self.table.copy(deep=False)
        table.attrs = {
            "format": self.format,
            "about": self.about,
            "wafers": [asdict(wafer) for wafer in self.wafers],
            "notes": list(self.notes),
        }
        return table


#: Reads one content.
Reader = Callable[[Content, ReadOptions], DieFile]


def read_one(path: str | os.PathLike | Content, reader: Reader, options: ReadOptions) -> DieFile:
    """Read a file by the reader for its format; errors name the file."""
    content = get_content(path)
    with name_file(content.name):
        file = reader(content, options)
    file.name = content.name
    return file


COLUMNS = ("lot", "wafer", "x", "y", "bin", "passed")

# What files write of a bin's quality, in lower case, without blanks and without a final "die".
# Only words that mean one thing everywhere: any other is for the user to decide.
_WORDS = {
    "pass": "pass passed passes passing good ok okay p g accept accepted",
    "fail": "fail failed fails failing failure bad f reject rejected ng nogood notgood nok notok",
    "no die": (
        "null nodie no empty blank skip skipped reference ref edge edgeskip mirror dummy teg pcm "
        "alignment align alignmentmark teststructure testdevice untested nottested notest unused "
        "notused"
    ),
}
_MEANINGS = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}
_LAST_WORD = re.compile(r"(die|device|chip)s?$")


def quality_meaning(word: str) -> str | None:
    """Tell what a file means by the quality of a bin, such as BinQuality of SEMI G85.

    Examples
    --------
    >>> [quality_meaning(word) for word in ("GOOD", "Reference Die", "Not_Used", "BIN1")]
    ['pass', 'no die', 'no die', None]
    """
    text = re.sub(r"[\W_]+", "", word.lower())
    return _MEANINGS.get(text) or _MEANINGS.get(_LAST_WORD.sub("", text))


def die_rows(lot: Any, wafer: Any, x: Any, y: Any, bins: Any, passed: Any) -> pd.DataFrame:
    """Put the tests of some dies into the common columns and dtypes."""
    bins = np.asarray(bins)
    n = len(bins)
    return pd.DataFrame(
        {
            "lot": _names(lot, n),
            "wafer": _names(wafer, n),
            "x": np.asarray(x).astype(np.int32),
            "y": np.asarray(y).astype(np.int32),
            "bin": bins.astype(object if bins.dtype.kind == "U" else np.int32),
            "passed": pd.array(passed, dtype="boolean"),
        }
    ).astype({"bin": str} if bins.dtype.kind == "U" else {})


def _names(names: Any, n: int) -> pd.Series:
    values = [names] * n if isinstance(names, str) else list(names)
    return pd.Series(values, dtype=str if n else object)


def join_rows(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the rows of several wafers."""
    filled = [part for part in parts if len(part)]
    if not filled:
        raise Problem("it holds no die with a result.")
    if len({part["bin"].dtype.kind for part in filled}) > 1:
        raise Problem("it mixes numbered and lettered bins. Split it into one file each.")
    return pd.concat(filled, ignore_index=True)


def find_common(headers: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Keep the header fields on which all wafers of a file agree."""
    return {
        name: value
        for name, value in (headers[0] if headers else {}).items()
        if all(header.get(name) == value for header in headers)
    }
