"""Tables of text with one row per die: as testers, Excel and scripts write them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._container import Content
from camdenoise.io._csv_columns import NEEDED, WEAK_PASS, find_columns, normalize_name, note_unnamed
from camdenoise.io._csv_rows import (
    HEADER_LINES,
    LINE_END,
    NUMBER,
    TableRows,
    TableText,
    Words,
    find_header,
    read_header,
)
from camdenoise.io._die_file import DieFile, ReadOptions, WaferFacts, read_one
from camdenoise.io._pass_bins import DEFAULT, convert_bins
from camdenoise.io._problems import Problem

# What other tools write into an empty cell of numbers.
_MISSING = frozenset(("", "na", "n/a", "#n/a", "nan", "null", "none", "<na>"))
# STDF's value of a coordinate that is not known; converters write it out.
_UNKNOWN_COORDINATE = -32768
_INT32 = np.iinfo(np.int32)
_TRUTHS: dict[str, bool | None] = {
    **dict.fromkeys(
        ("true", "t", "1", "1.0", "p", "pass", "passed", "y", "yes", "good", "ok"), True
    ),
    **dict.fromkeys(("false", "f", "0", "0.0", "fail", "failed", "n", "no", "bad", "ng"), False),
    **dict.fromkeys(_MISSING),
}


def read_die_csv(
    path: str | os.PathLike,
    *,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    bins: str = "hard",
    pass_bins: Any = None,
) -> pd.DataFrame:
    """Read a table of text with one row per die (CSV, TSV, as Excel exports it).

    Delimiter (comma, tab, semicolon, bar), decimal comma and the columns are told by themselves.
    Lines that begin with ``#`` and lines above the header are skipped.

    Parameters
    ----------
    path : path-like
        The text file, plain or compressed; UTF-8, or UTF-16 with a byte order mark.
    columns : mapping of str to str, or None, default=None
        Which column is ``x``, ``y``, ``bin``, ``lot``, ``wafer`` or ``passed``. Others are found by
        their usual names, such as X_COORD, DIE_X, HBIN, LOT_ID, in any case.
    encoding : str or None, default=None
        Of a file in another encoding, such as "cp949", "gb18030", "shift_jis" or "latin-1".
    bins : {"hard", "soft"}, default="hard"
        Which bin to read where a table has both.
    pass_bins : bin, sequence of bins, or None, default=None
        Bins of good dies. None: as the table's column ``passed`` says.

    Returns
    -------
    DataFrame
        The die table, as `read_wafers` gives it. Names are text as written. ``passed`` is missing
        where neither a column nor `pass_bins` says it. Rows without a bin and dies without
        coordinates have no row; ``attrs["notes"]`` counts them.

    Raises
    ------
    WaferFileError
        For a table that lacks a column, text in an unknown encoding, and a value that is not
        understood; the message names the line.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from camdenoise.io import read_die_csv
    >>> text = '''LOT_ID;WAFER_ID;X_COORD;Y_COORD;HBIN
    ... NA;01;5,0;-2;1
    ... NA;01;6,0;-2;7'''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "dies.csv")
    ...     _ = file.write_text(text)
    ...     read_die_csv(file)
      lot wafer  x  y  bin  passed
    0  NA    01  5 -2    1    <NA>
    1  NA    01  6 -2    7    <NA>
    """
    if bins not in ("hard", "soft"):
        raise ValueError(f"bins must be 'hard' or 'soft', got {bins!r}.")
    options = ReadOptions(
        pass_bins=pass_bins, encoding=encoding, bins=bins, columns=dict(columns or {})
    )
    return read_one(path, die_csv_file, options).to_table()


def looks_like_die_csv(head: str) -> bool:
    """Whether a text begins with a table of dies, perhaps one that lacks a column."""
    lines = [(number, line) for number, line in enumerate(LINE_END.split(head))]
    header = find_header(lines[:HEADER_LINES]) if not head.lstrip().startswith("<") else None
    if header is None or any(not name.isprintable() for name in header.names):
        return False
    return len([name for name in header.names if name]) > 1 and header.n_known > 0


def die_csv_file(content: Content, options: ReadOptions) -> DieFile:
    """Read a table of text with one row per die."""
    text = TableText(content, options.encoding)
    header, n_columns = read_header(text)
    columns, notes = find_columns(header.names, options)
    notes += note_unnamed(header.names, columns)
    table = TableRows(text, header, n_columns, columns)
    if header.n_above:
        plural = "lines" if header.n_above > 1 else "line"
        notes.append(f"{header.n_above} {plural} above the header line are skipped.")
    words = table.read()
    return _Interpreted(table, words, content.stem, options, notes).file()


def whole_number(word: str, decimal_comma: bool) -> int | None:
    """Read a whole number, such as 5, 5.0 or 5,0; None for anything else."""
    text = word.strip()
    if decimal_comma:
        text = text.replace(",", ".", 1)
    if not NUMBER.fullmatch(text):
        return None
    value = float(text)
    return int(value) if value == np.floor(value) and abs(value) <= _INT32.max else None


class _Interpreted:
    """The die table that the words of the columns make."""

    def __init__(
        self,
        table: TableRows,
        words: dict[str, Words],
        stem: str,
        options: ReadOptions,
        notes: list[str],
    ):
        self.table = table
        self.words = words
        self.options = options
        self.notes = notes
        self.comma = table.header.delimiter != ","
        numbers = [word for role in NEEDED for word in words[role][0]]
        # Blanks around numbers or headers are the writer's style; else they belong to the names.
        self.padded = table.header.padded or any(word != word.strip() for word in numbers)
        self.n_rows = len(words["x"][1])
        self.lot = self._read_names("lot", "")
        self.wafer = self._read_names("wafer", stem)

    def _read_names(self, role: str, instead: str) -> Words:
        if role not in self.words:
            return [instead], np.zeros(self.n_rows, np.int32)
        names, codes = self.words[role]
        if not self.padded:
            return names, codes
        number, distinct = pd.factorize(np.array([name.strip() for name in names], dtype=object))
        return list(distinct), number[codes]

    def file(self) -> DieFile:
        """Put the table and the facts together."""
        x, no_x = self._read_coordinates("x")
        y, no_y = self._read_coordinates("y")
        bins, no_bin = self._read_bins()
        passed = self._find_passed(bins, no_bin)
        unplaced = (no_x | no_y) & ~no_bin
        kept = ~(no_bin | unplaced)
        self._note_count(no_bin & ~(no_x & no_y), "row", "has no bin and is left out")
        if not kept.any():
            raise Problem("no row has both a bin and coordinates. Is another column meant?")
        rows: Any = slice(None) if kept.all() else kept
        lots, wafers = self.lot[1], self.wafer[1]
        table = pd.DataFrame(
            {
                "lot": _take(self.lot[0], lots[rows]),
                "wafer": _take(self.wafer[0], wafers[rows]),
                "x": x[rows],
                "y": y[rows],
                "bin": bins[rows],
                "passed": passed[rows],
            },
            copy=False,
        )
        facts = self._list_facts(rows, unplaced, bins, passed)
        unnamed = [role for role in ("lot", "wafer") if role not in self.words]
        return DieFile("CSV", table, facts, {"unnamed": unnamed}, self.notes)

    def _note_count(self, rows: np.ndarray, noun: str, rest: str) -> None:
        """Note how many rows `rest` is true of, if any."""
        n = int(rows.sum())
        if n > 1:
            noun, rest = f"{noun}s", rest.replace("has", "have", 1).replace(" is ", " are ", 1)
        if n:
            self.notes.append(f"{n} {noun} {rest}.")

    def _read_coordinates(self, role: str) -> tuple[np.ndarray, np.ndarray]:
        words, codes = self.words[role]
        values = [whole_number(word, self.comma) for word in words]
        missing = np.array([word.strip().lower() in _MISSING for word in words], bool)
        wrong = np.array([value is None for value in values], bool) & ~missing
        if wrong.any():
            row = int(np.argmax(wrong[codes]))
            raise Problem(
                f"column {self.table.name(role)!r} holds {words[codes[row]][:40]!r}, expected the "
                "whole number of a die. Correct it, or name another column with --columns "
                f"{role}=... (columns=). Positions in millimeters are not die coordinates.",
                self.table.find_line(row),
            )
        missing |= np.array([value == _UNKNOWN_COORDINATE for value in values], bool)
        del self.words[role]
        return np.array([value or 0 for value in values], np.int32)[codes], missing[codes]

    def _read_bins(self) -> tuple[Any, np.ndarray]:
        words, codes = self.words["bin"]
        values = [whole_number(word, self.comma) for word in words]
        missing = [word.strip().lower() in _MISSING for word in words]
        if all(value is not None or lacks for value, lacks in zip(values, missing, strict=True)):
            bins = np.array([value or 0 for value in values], np.int32)[codes]
            return bins, np.array(missing, bool)[codes]
        missing = [not word.strip() for word in words]
        return _take([word.strip() for word in words], codes), np.array(missing, bool)[codes]

    def _find_passed(self, bins: Any, no_bin: np.ndarray) -> pd.arrays.BooleanArray:
        if self.options.pass_bins is not None:
            numbered = isinstance(bins, np.ndarray)
            kept = pd.Series(bins)[~no_bin]
            passing = convert_bins(self.options.pass_bins, numbered, kept.value_counts())
            good = pd.Series(bins).isin(passing).to_numpy(bool)
            return pd.arrays.BooleanArray(good, np.zeros(self.n_rows, bool))
        if "passed" not in self.words:
            return pd.arrays.BooleanArray(np.zeros(self.n_rows, bool), np.ones(self.n_rows, bool))
        return self._read_truths()

    def _read_truths(self) -> pd.arrays.BooleanArray:
        words, codes = self.words["passed"]
        unknown = [word.strip().lower() not in _TRUTHS for word in words]
        truths = [_TRUTHS.get(word.strip().lower()) for word in words]
        if any(unknown):
            name = self.table.name("passed")
            guessed = "passed" not in self.options.columns and normalize_name(name) in WEAK_PASS
            if not guessed or any(truth is not None for truth in truths):
                raise self._make_truth_problem(name, np.array(unknown))
            self.notes.append(
                f"Column {name} is not read as pass or fail: it holds {words[0][:20]!r}."
            )
            truths = [None] * len(words)
        good = np.array([truth is True for truth in truths], bool)
        unsaid = np.array([truth is None for truth in truths], bool)
        return pd.arrays.BooleanArray(good[codes], unsaid[codes])

    def _make_truth_problem(self, name: str, unknown: np.ndarray) -> Problem:
        words, codes = self.words["passed"]
        row = int(np.argmax(unknown[codes]))
        known = [word for word, truth in _TRUTHS.items() if truth is not None]
        return Problem(
            f"column {name!r} says {words[codes[row]][:40]!r}, which is understood neither as pass "
            f"nor as fail; known are {', '.join(known)}. Name another column with --columns "
            "passed=... (columns=), or the passing bins with --pass-bins 1,2 (pass_bins=).",
            self.table.find_line(row),
        )

    def _list_facts(
        self, rows: Any, unplaced: np.ndarray, bins: Any, passed: pd.arrays.BooleanArray
    ) -> list[WaferFacts]:
        """List the wafers of the table, with their dies without coordinates."""
        n_wafers = len(self.wafer[0])
        small = len(self.lot[0]) * n_wafers < _INT32.max
        codes: Any = self.lot[1].astype(np.int32 if small else np.int64)
        codes *= n_wafers
        codes += self.wafer[1]
        facts = {}
        for code in pd.unique(codes[rows]).tolist():
            lot, wafer = divmod(code, n_wafers)
            facts[code] = WaferFacts(self.lot[0][lot], self.wafer[0][wafer])
        fails = self._find_fails(unplaced, bins, passed)
        lost = codes[unplaced]
        for code, n in zip(*np.unique(lost, return_counts=True), strict=True):
            # A wafer of which no die has coordinates has no map, and counts all the same.
            lot, wafer = divmod(int(code), n_wafers)
            known = facts.setdefault(code, WaferFacts(self.lot[0][lot], self.wafer[0][wafer]))
            known.n_unplaced = int(n)
            known.n_unplaced_fails = int(fails[lost == code].sum())
        n_fails = int(fails.sum())
        self._note_count(unplaced, "die", f"has no coordinates and is on no map ({n_fails} fail)")
        return list(facts.values())

    def _find_fails(
        self, rows: np.ndarray, bins: Any, passed: pd.arrays.BooleanArray
    ) -> np.ndarray:
        """Tell which of some dies fail; where nothing says so, bin 1 passes."""
        stated = pd.Series(passed[rows])
        default = convert_bins(DEFAULT, isinstance(bins, np.ndarray), pd.Series(dtype=int))
        assumed = pd.Series(bins[rows]).isin(default)
        return ~np.asarray(stated.fillna(assumed), bool)


def _take(words: list[str], codes: np.ndarray) -> Any:
    return pd.Series(words, dtype=str).array.take(codes)
