"""What the forms of SEMI wafer maps share: G85 as XML, G85 as text, and E142.

Each gives its rows of bin codes and what it says of the bins; here they become dies. Nothing is
left out in silence: a quality that is not understood, and a total that the dies do not reach, end
the reading with what to do about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd

from camdenoise.io._bins import BinType, find_bin_type
from camdenoise.io._container import Content
from camdenoise.io._die_file import (
    DieFile,
    ReadOptions,
    WaferFacts,
    die_rows,
    join_rows,
    merge_facts,
    quality_meaning,
)
from camdenoise.io._problems import Problem, allow_lack, list_some
from camdenoise.io._xml import parse_xml

NAME_PASS_BINS = "Name the passing bins with pass_bins= (--pass-bins 1,2)"
# As many codes are compared one by one, which is faster than numpy's isin.
_FEW = 8
_REFERENCE = re.compile(r"\bref(erence)?[\s_-]*(die|device|chip)s?\b", re.IGNORECASE)
# Orientation of G85 and E142, FLAT_NOTCH, and FNLOC of SECS: degrees clockwise from the bottom.
_NOTCHES: dict[float, str] = {0: "down", 90: "left", 180: "up", 270: "right"}
_NOTCH_WORDS = {"down": 0, "bottom": 0, "left": 90, "up": 180, "top": 180, "right": 270}


# --- bins ---------------------------------------------------------------------------------------


@dataclass
class BinList:
    """What a file says of the bins of one wafer."""

    term: str = "BinQuality"  # How the format calls the quality of a bin, for messages
    null: list = field(default_factory=list)  # Codes of positions without a die
    #: For each bin the words that the file has for it; an empty list where it has none.
    quality: dict[Any, list[str]] = field(default_factory=dict)
    #: For each bin the largest number of dies that the file declares, where it does.
    count: dict[Any, int] = field(default_factory=dict)
    n_good: int | None = None  # The number of passing dies that the file declares

    def add(self, code: Any, quality: str, count: str, description: str) -> None:
        """Add what one definition says; a bin may have several."""
        words = self.quality.setdefault(code, [])
        word = quality.strip()
        if _REFERENCE.search(description) and quality_meaning(word) != "pass":
            # Files call them Fail, since they are not to be picked.
            word = "Reference"
        if word:
            words.append(word)
        number = whole_number(count)
        if number is not None:
            self.count[code] = max(number, self.count.get(code, 0))

    def meanings(self, options: ReadOptions, where: str) -> dict[Any, str | None]:
        """Tell for each bin that has a quality what it means; None where it is not understood."""
        found: dict[Any, str | None] = {}
        for code, words in self.quality.items():
            means = {quality_meaning(word): word for word in words}
            if len(means) == 1:
                found[code] = next(iter(means))
            elif means:
                found[code] = None
                if options.pass_bins is None:
                    first, second = list(means.values())[:2]
                    raise Problem(
                        f"bin {code} is defined as {first!r} and as {second!r}. {NAME_PASS_BINS}.",
                        where,
                    )
        return found


def whole_number(text: str | None) -> int | None:
    """Read a total; None where it is absent or not a number, for which no file is refused."""
    digits = (text or "").strip()
    return int(digits) if re.fullmatch(r"[0-9]{1,10}", digits) else None


def count_codes(codes: np.ndarray) -> dict[Any, int]:
    """Count the positions of each bin code."""
    if not codes.size:
        return {}
    if codes.dtype == np.dtype("<U1"):
        numbers, counts = _count_numbers(np.ascontiguousarray(codes).view(np.uint32))
        return {chr(number): count for number, count in zip(numbers, counts, strict=True)}
    if codes.dtype.kind == "U":
        found, n_each = np.unique(codes, return_counts=True)
        return dict(zip(found.tolist(), n_each.tolist(), strict=True))
    numbers, counts = _count_numbers(codes)
    return dict(zip(numbers, counts, strict=True))


def _count_numbers(codes: np.ndarray) -> tuple[list[int], list[int]]:
    counts = np.bincount(codes.ravel())
    numbers = np.flatnonzero(counts)
    return numbers.tolist(), counts[numbers].tolist()


def is_any(codes: np.ndarray, wanted: Sequence) -> np.ndarray:
    """Tell which codes are among some."""
    if len(wanted) <= _FEW:
        found = np.zeros(codes.shape, bool)
        for code in wanted:
            found |= codes == code
        return found
    # Not the dtype of the codes: text would be cut to their length and match what it is not.
    dtype = str if codes.dtype.kind == "U" else np.int32
    return np.isin(codes, np.array(list(wanted), dtype=dtype))


# --- one wafer ----------------------------------------------------------------------------------


@dataclass
class WaferPart:
    """The dies of one wafer of a file, and what else the file says of it."""

    table: pd.DataFrame
    facts: WaferFacts
    bins: BinList
    counts: dict[Any, int]
    notes: list[str] = field(default_factory=list)

    @property
    def n_may_pass(self) -> int:
        """Dies that pass or of which the file does not say."""
        return len(self.table) - int((~self.table["passed"]).sum())


def make_part(
    facts: WaferFacts,
    x: np.ndarray,
    y: np.ndarray,
    codes: np.ndarray,
    bins: BinList,
    options: ReadOptions,
) -> WaferPart:
    """List the dies of a wafer, and hold them to what the file says of its bins."""
    where = f"wafer {facts.wafer!r}"
    counts = count_codes(codes)
    meanings = bins.meanings(options, where)
    if options.pass_bins is None:
        _check_words(bins, meanings, counts, where)
    of: dict[str | None, list] = {"pass": [], "fail": [], "no die": [], None: []}
    for code, meaning in meanings.items():
        of[meaning].append(code)
    notes = _check_counts(bins, of["no die"], counts, facts, options, where)
    if any(counts.get(code) for code in of["no die"]):
        dies = ~is_any(codes, of["no die"])
        x, y, codes = x[dies], y[dies], codes[dies]
    good, bad = is_any(codes, of["pass"]), is_any(codes, of["fail"])
    passed = pd.arrays.BooleanArray(good, ~(good | bad))
    table = die_rows(facts.lot, facts.wafer, x, y, codes, passed)
    return WaferPart(table, facts, bins, counts, notes)


def _check_words(bins: BinList, meanings: Mapping, counts: Mapping, where: str) -> None:
    """Refuse words that are not understood, of bins that some die has."""
    strange: dict[str, list[str]] = {}
    for code, meaning in meanings.items():
        if meaning is None and counts.get(code):
            strange.setdefault(bins.quality[code][0], []).append(str(code))
    if not strange:
        return
    parts = [
        f"{bins.term} {word!r} of bin{'s' * (len(codes) > 1)} {list_some(codes)}"
        for word, codes in strange.items()
    ]
    raise Problem(
        f"{list_some(parts)} {'is' if len(parts) == 1 else 'are'} not understood. "
        f"{NAME_PASS_BINS}.",
        where,
    )


def _check_counts(
    bins: BinList,
    no_die: Sequence,
    counts: Mapping,
    facts: WaferFacts,
    options: ReadOptions,
    where: str,
) -> list[str]:
    """Compare the declared number of dies of each bin; more than declared is not a loss."""
    skipped = {*bins.null, *no_die}
    short = {
        code: (counts.get(code, 0), declared)
        for code, declared in bins.count.items()
        if code not in skipped and counts.get(code, 0) < declared
    }
    if not short:
        return []
    told = list_some(
        [f"bin {code} has {found} dies of {declared}" for code, (found, declared) in short.items()]
    )
    missing = f"dies are missing by the totals that it declares: {told}."
    notes: list[str] = []
    allow_lack(missing, where, options.incomplete, notes)
    # More exact than the positions that are missing in the map, which hold no dies too.
    facts.n_missing = sum(declared - found for found, declared in short.values())
    return notes


# --- the whole file -----------------------------------------------------------------------------


def join_wafers(
    format_: str, parts: Sequence[WaferPart], about: dict[str, Any], options: ReadOptions
) -> DieFile:
    """Join the wafers of a file."""
    table = join_rows([part.table for part in parts])
    if options.pass_bins is None:
        for part in parts:
            _check_good(part, options)
        _check_some_pass(table, parts)
    notes = list(dict.fromkeys(note for part in parts for note in part.notes))
    # A wafer without a die has no map.
    names = set(table[["lot", "wafer"]].drop_duplicates().itertuples(index=False, name=None))
    facts = merge_facts([p.facts for p in parts if (p.facts.lot, p.facts.wafer) in names], notes)
    return DieFile(format_, table, facts, about, notes)


def _check_good(part: WaferPart, options: ReadOptions) -> None:
    """Compare the declared number of passing dies; a bin without a quality may pass."""
    declared = part.bins.n_good
    if declared is None or part.n_may_pass >= declared:
        return
    where = f"wafer {part.facts.wafer!r}"
    missing = f"it declares {declared} passing dies and has {part.n_may_pass}."
    allow_lack(missing, where, options.incomplete, part.notes)
    part.facts.n_missing = max(part.facts.n_missing, declared - part.n_may_pass)


def _check_some_pass(table: pd.DataFrame, parts: Sequence[WaferPart]) -> None:
    """Refuse a file whose qualities let no die pass: rather a word is wrong than all dies bad."""
    passed = table["passed"]
    if passed.isna().any() or passed.any() or all(_declares_no_pass(part) for part in parts):
        return
    counts = table["bin"].value_counts()
    bins = list_some([f"bin {code} ({n} dies)" for code, n in counts.items()])
    raise Problem(
        f"no die passes; it has {bins}. {NAME_PASS_BINS}, or --pass-bins none (pass_bins=[]) if "
        "no die passes."
    )


def _declares_no_pass(part: WaferPart) -> bool:
    """Whether the file declares a total of no passing dies, so that no word can be wrong."""
    if part.bins.n_good == 0:
        return True
    passing = [
        part.bins.count.get(code)
        for code, words in part.bins.quality.items()
        if words and quality_meaning(words[0]) == "pass"
    ]
    return bool(passing) and all(count == 0 for count in passing)


# --- documents, layers and rows ------------------------------------------------------------------


#: Elements that hold wafer maps: of E142, and of G85.
_HOLDERS = ("MapData", "SubstrateMap", "Maps", "Map")


def read_document(
    content: Content, options: ReadOptions, document: Callable[[Element, str, ReadOptions], DieFile]
) -> DieFile:
    """Parse a file and read what it holds."""
    root, whole = parse_xml(content.read_bytes(), options.encoding, incomplete=options.incomplete)
    found = document(_unwrap(root), content.stem, options)
    if not whole:
        found.notes.append("the XML ends too early; what there is of it was read.")
    return found


def _unwrap(root: Element) -> Element:
    """Parse a map that a message holds as text, as web services send it."""
    if any(element.tag in _HOLDERS for element in root.iter()):
        return root
    for element in root.iter():
        text = (element.text or "").strip()
        if text.startswith("<") and any(holder in text for holder in _HOLDERS):
            return parse_xml(text.encode("utf-8", "replace"), "utf-8")[0]
    return root


def find_row_type(name: str, null: str | None, codes: Sequence[str], where: str) -> BinType:
    """Find the notation of a map's codes."""
    kind = find_bin_type(name, codes if null is None else [null], where)
    return find_letter_width(kind, null, codes, where) if kind.base == 0 else kind


def find_letter_width(kind: BinType, null: str | None, codes: Sequence[str], where: str) -> BinType:
    """Tell how many characters each code of a map of letters has; mostly one."""
    widths = {len(code.strip()) for code in codes} - {0}
    if null is not None:
        width = len(null.strip()) or 1
        if widths and width not in widths:
            code = next(code.strip() for code in codes if code.strip())
            raise Problem(
                f"bin {code!r} and the code of no die, {null!r}, have different lengths. Correct "
                "NullBin.",
                where,
            )
    else:
        width = widths.pop() if len(widths) == 1 else 1
    return replace(kind, width=width)


def read_bins(
    definitions: Iterable[Element], kind: BinType, where: str, *, totals: bool = True
) -> BinList:
    """Read what Bin (G85) or BinDefinition (E142) elements say."""
    bins = BinList()
    for definition in definitions:
        bins.add(
            kind.parse(definition.get("BinCode", ""), where),
            definition.get("BinQuality", ""),
            definition.get("BinCount", "") if totals else "",
            definition.get("BinDescription", ""),
        )
    return bins


def split_rows(elements: Iterable[Element], kind: BinType, n_columns: int | None) -> list[str]:
    """List the lines of bin codes; one element may hold one row or, in lines, all of them.

    Blanks around a row of letters are kept, since they may be positions.
    """
    rows = []
    for element in elements:
        lines = (element.text or "").splitlines()
        for line in lines:
            row = line.strip("\r\n\t") if kind.base == 0 else line.strip()
            # A line of blanks alone is layout, unless it is a whole row of no dies.
            if row.strip() or (len(lines) == 1 and row and len(row) == n_columns):
                rows.append(row)
    return rows


def choose_layer(names: list[str], wanted: str | None, option: str, where: str) -> int:
    """Pick the map that is wanted where a wafer has several; refuse to guess."""
    if wanted is None and len(names) == 1:
        return 0
    if wanted is not None and names.count(wanted) == 1:
        return names.index(wanted)
    if not names:
        raise Problem("it has no map of bin codes.", where)
    raise Problem(
        f"it has the maps {names}. Name one of them with {option}= (--{option.replace('_', '-')}).",
        where,
    )


# --- what a file says of a wafer ----------------------------------------------------------------


def find_field(header: Mapping[str, str], *names: str) -> str:
    """Give the first of some fields that a header has; letter case does not matter."""
    folded = {name.lower(): value.strip() for name, value in header.items()}
    return next((folded[name.lower()] for name in names if folded.get(name.lower())), "")


def read_facts(header: Mapping[str, str], wafer: str) -> tuple[WaferFacts, list[str]]:
    """Read what a header says of a wafer, by the names of G85, its text form and E142."""
    notch, notes = notch_side(find_field(header, "Orientation", "FLAT_NOTCH"), f"wafer {wafer!r}")
    facts = WaferFacts(
        find_field(header, "LotId", "LOT_ID"),
        wafer,
        product=find_field(header, "ProductId", "DEVICE", "DEVICE_NAME", "DEVICE_ID", "PRODUCT_ID"),
        time=seconds_since_1970(
            find_field(header, "CreateDate", "TestDate", "PROBE_DATE", "TEST_DATE", "CREATE_DATE")
        ),
        notch=notch,
    )
    return facts, notes


def notch_side(text: str, where: str) -> tuple[str | None, list[str]]:
    """Tell where the notch is from degrees clockwise from the bottom, as SECS counts FNLOC."""
    if not text.strip():
        return None, []
    word = text.strip().lower()
    try:
        degrees = _NOTCH_WORDS[word] if word in _NOTCH_WORDS else float(word) % 360
    except ValueError:
        degrees = -1
    if degrees in _NOTCHES:
        return _NOTCHES[degrees], []
    return None, [f"{where}: the side of the notch, {text.strip()[:20]!r}, is not understood."]


_TIME = re.compile(
    r"(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})"
    r"(?:[T\s]*(\d{2})[:.]?(\d{2})(?:[:.]?(\d{2})(?:[.,]?\d{1,9})?)?)?"
    r"\s*(Z|[+-]\d{2}:?\d{2})?"
)


def seconds_since_1970(text: str) -> float | None:
    """Read a time, such as 20061019084620 or 2006-10-19T08:46:20; None where not understood.

    Examples
    --------
    >>> seconds_since_1970("20061019084620") == seconds_since_1970("2006-10-19T08:46:20")
    True
    """
    match = _TIME.fullmatch(text.strip()) if text.isascii() else None
    if match is None:
        return None
    *numbers, zone = match.groups()
    year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    digits = (zone or "Z")[1:].replace(":", "")
    offset = int(digits[:2]) * 3600 + int(digits[2:]) * 60 if digits else 0
    return moment.timestamp() + (offset if zone and zone[0] == "-" else -offset)
