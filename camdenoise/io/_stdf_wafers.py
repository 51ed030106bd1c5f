"""Turn the records of a tester (STDF, ATDF) into dies and facts of each wafer.

The readers of the two forms give the same records. This module judges them: which wafer a part
belongs to, whether it passed, and whether the file holds as many parts as it declares.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._die_file import (
    DieFile,
    ReadOptions,
    WaferFacts,
    die_rows,
    find_common,
    join_rows,
    merge_facts,
)
from camdenoise.io._pass_bins import DEFAULT, convert_bins
from camdenoise.io._problems import FETCH_OR_INCOMPLETE, Problem, list_some

# By the specification, marks of a missing coordinate, bin and count.
NO_COORDINATE = -32768
NO_BIN = 65535
NO_COUNT = 4294967295
#: Head number of a record that sums over all heads and sites.
ALL_HEADS = 255
# Bits of PART_FLG: the part failed; there is no pass or fail indication.
FAILED, NOT_SAID = 0x08, 0x10

#: A record other than a part's: its fields by name.
Row = dict[str, Any]

#: Fields that are used of each record. Every record has a `sequence_number` too, which orders the
#: records of all kinds.
FIELDS = {
    "MIR": ("START_T", "LOT_ID", "PART_TYP"),
    "WCR": (
        *("WAFR_SIZ", "DIE_HT", "DIE_WID", "CENTER_X", "CENTER_Y"),
        *("WF_FLAT", "POS_X", "POS_Y"),
    ),
    "WIR": ("HEAD_NUM", "START_T", "WAFER_ID"),
    "WRR": ("HEAD_NUM", "PART_CNT", "WAFER_ID"),
    "PRR": ("HEAD_NUM", "PART_FLG", "HARD_BIN", "SOFT_BIN", "X_COORD", "Y_COORD", "PART_ID"),
    "PCR": ("HEAD_NUM", "SITE_NUM", "PART_CNT"),
    "HBR": ("HEAD_NUM", "SITE_NUM", "HBIN_NUM", "HBIN_CNT", "HBIN_PF"),
    "SBR": ("HEAD_NUM", "SITE_NUM", "SBIN_NUM", "SBIN_CNT", "SBIN_PF"),
    "MRR": (),
}
# Column of the part's record, record that describes the bins, and how its fields begin.
_BINS = {"hard": ("HARD_BIN", "HBR", "HBIN"), "soft": ("SOFT_BIN", "SBR", "SBIN")}
# Where the wafer's notch or flat is, and where x and y count to.
_WAY = ("WF_FLAT", "POS_X", "POS_Y")
# Of each record that counts parts: the count, the bin, and the part's column with that bin.
_COUNTS = {
    "PCR": ("PART_CNT", "", ""),
    "HBR": ("HBIN_CNT", "HBIN_NUM", "HARD_BIN"),
    "SBR": ("SBIN_CNT", "SBIN_NUM", "SOFT_BIN"),
}
_NOTCHES = {"U": "up", "D": "down", "L": "left", "R": "right"}
# A declared wafer may be this many times larger than the dies in both directions. A test that
# was broken off after 3 % of the rows still spans a third of the diameter in the other direction.
_MAX_GROWTH = 3
# The same for dies that lie around the declared center on all sides, as those of a whole wafer do.
_MAX_GROWTH_CENTERED = 2


@dataclass
class Piece:
    """The records from one FAR to the next: one file of a tester."""

    #: The records of each kind that occurs, but the parts, in their order.
    rows: dict[str, list[Row]]
    parts: pd.DataFrame  # The part results records (PRR), in their order. PART_FLG is a number
    name: str = ""  # How messages name it; "" where it is the only one in the file
    unit: str = "record"  # What `sequence_number` counts from 0: "record" or "line"

    def name_place(self, sequence: int) -> str:
        """Name the place of a record."""
        return ": ".join(part for part in (self.name, f"{self.unit} {sequence + 1}") if part)

    def list_records(self, kind: str) -> list[Row]:
        """List the records of a kind."""
        return self.rows.get(kind, [])

    @property
    def configuration(self) -> Row:
        """Give the wafer configuration (WCR), or nothing."""
        return next(iter(self.list_records("WCR")), {})


@dataclass
class _Wafer:
    """What the records of a piece say of one pass over a wafer."""

    start: int
    head: int
    name: str
    time: float = 0
    counts: list[int] = field(default_factory=list)  # PART_CNT of its WRR
    ended: bool = False


@dataclass
class _Lot:
    """The parts of a piece, and what it says of its wafers."""

    parts: pd.DataFrame  # One row per part: wafer (number in `facts`), x, y, bin, passed, part_id
    facts: list[WaferFacts]
    configuration: dict[str, Any] = field(default_factory=dict)
    #: Declared extent of the die grid, from the wafer's size.
    extent: tuple[int, int, int, int] | None = None


def check_bins(options: ReadOptions) -> None:
    """Refuse an unknown kind of bins before a file is opened."""
    if options.bins not in _BINS:
        raise ValueError(f"bins must be 'hard' or 'soft', got {options.bins!r}.")


def wafer_file(
    format: str, pieces: Iterable[Piece], options: ReadOptions, notes: Sequence[str] = ()
) -> DieFile:
    """Give the dies and the wafers of a tester's file."""
    own_notes: list[str] = []
    lots: list[_Lot] = []
    n_passes = 0
    empty = []
    for piece in pieces:
        if not len(piece.parts) or not (piece.list_records("WIR") or piece.list_records("WRR")):
            empty.append(piece)
            continue
        lots.append(_PieceReader(piece, options, own_notes, n_passes).read())
        n_passes += len(lots[-1].facts)
    for piece in empty:
        if not lots or len(piece.parts):
            raise Problem(
                "it holds no wafer (no WIR and PRR records). Is it of packaged parts?", piece.name
            )
        own_notes.append(f"{piece.name} holds no part and was skipped")
    parts, facts = _join_lots(lots, own_notes)
    placed = (parts["x"] != NO_COORDINATE) & (parts["y"] != NO_COORDINATE)
    if len(parts) and not placed.any():
        raise Problem(
            f"none of its {len(parts)} parts has coordinates (X_COORD, Y_COORD), so there is no "
            "wafer map. Export it again with die coordinates. Is it of packaged parts?"
        )
    # A part that is not placed may be left out too, so this number comes first.
    n_unplaced = int((~placed).sum())
    kept = _find_with_result(parts, options, own_notes)
    parts, placed = parts[kept], placed[kept]
    _count_unplaced(parts, placed.to_numpy(), facts, options, own_notes)
    kept_parts, numbers = parts[placed], parts["wafer"][placed]
    lot, wafer = np.array([(fact.lot, fact.wafer) for fact in facts], dtype=object)[numbers].T
    x, y, bins, passed = (kept_parts[name].array for name in ("x", "y", "bin", "passed"))
    table = join_rows([die_rows(lot, wafer, x, y, bins, passed)])
    _set_extents(numbers, kept_parts, lots, facts, own_notes)
    about = {
        "n_without_coordinates": n_unplaced,
        **find_common([lot.configuration for lot in lots]),
    }
    # A wafer of which no part has coordinates has no map, and counts all the same.
    placed_wafers = numbers.unique().tolist()
    others = [n for n in range(len(facts)) if n not in placed_wafers and facts[n].n_unplaced]
    wafers = [facts[number] for number in (*placed_wafers, *others)]
    return DieFile(format, table, wafers, about, [*notes, *own_notes])


class _PieceReader:
    """Finds the wafers of a piece, and the parts of each, by the piece's own records."""

    def __init__(self, piece: Piece, options: ReadOptions, notes: list[str], n_passes: int):
        self.piece, self.options, self.notes = piece, options, notes
        self.heads = piece.parts["HEAD_NUM"].to_numpy()
        self.places = piece.parts["sequence_number"].to_numpy()
        self.wafers = self._find_wafers(n_passes)

    def read(self) -> _Lot:
        """Give the parts and the facts of each wafer."""
        piece = self.piece
        if not piece.list_records("MRR"):
            end = "it ends without a master results record (MRR)"
            self._allow(
                f"{end}: it was cut short, or the test was broken off. {FETCH_OR_INCOMPLETE}",
                f"{end}, so it may lack more parts than are counted as missing",
            )
        row = self._find_wafer_of_part()
        facts = self._read_facts()
        self._check_totals(row, facts)
        column, kind, prefix = _BINS[self.options.bins]
        other_column = _BINS["soft" if self.options.bins == "hard" else "hard"][0]
        parts = piece.parts
        code = parts[column].to_numpy()
        found = pd.DataFrame(
            {
                "wafer": row,
                "x": parts["X_COORD"].to_numpy(),
                "y": parts["Y_COORD"].to_numpy(),
                "bin": code,
                "other_bin": parts[other_column].to_numpy(),
                "passed": _find_passed(
                    parts["PART_FLG"].to_numpy(), code, piece.list_records(kind), prefix
                ),
                "part_id": parts["PART_ID"].to_numpy(),
            }
        )
        if (row < 0).any():
            found = found[row >= 0]
        way = {name: piece.configuration[name] for name in _WAY if piece.configuration}
        return _Lot(found, facts, way, _find_extent(piece.configuration))

    def _note(self, text: str) -> None:
        self.notes.append(f"{self.piece.name}: {text}" if self.piece.name else text)

    def _allow(self, reason: str, note: str, where: str = "") -> None:
        """Refuse what is missing, or note it where the user accepts incomplete files."""
        if not self.options.incomplete:
            raise Problem(reason, where or self.piece.name)
        self._note(note)

    def _find_wafers(self, n_passes: int) -> list[_Wafer]:
        """List the passes over wafers in the order of their records.

        A pass begins with a WIR. A WRR without one ends a pass of its own where parts of its head
        come before it.
        """
        wafers: list[_Wafer] = []
        current: dict[int, _Wafer] = {}
        last: dict[int, int] = {}
        events = [*self.piece.list_records("WIR"), *self.piece.list_records("WRR")]
        for record in sorted(events, key=lambda row: row["sequence_number"]):
            place, head, name = record["sequence_number"], record["HEAD_NUM"], record["WAFER_ID"]
            wafer = current.get(head)
            if "START_T" in record:
                wafer = _Wafer(place, head, name, record["START_T"])
                wafers.append(wafer)
            else:
                since = last.get(head, -1)
                if wafer is None or (wafer.ended and name not in ("", wafer.name)):
                    between = (self.places > since) & (self.places < place)
                    if not (between & (self.heads == head)).any():
                        continue
                    wafer = _Wafer(since, head, name)
                    wafers.append(wafer)
                wafer.name = wafer.name or name
                wafer.counts.append(record["PART_CNT"])
                wafer.ended = True
            current[head] = wafer
            last[head] = place
        for number, wafer in enumerate(wafers, n_passes + 1):
            wafer.name = wafer.name or f"wafer {number}"
        return wafers

    def _find_wafer_of_part(self) -> np.ndarray:
        """Find each part's wafer: the last that its test head began. Heads work side by side."""
        row = np.full(len(self.heads), -1)
        for head in np.unique(self.heads):
            own = self.heads == head
            numbers = [n for n, wafer in enumerate(self.wafers) if wafer.head == head]
            starts = np.array([self.wafers[n].start for n in numbers], dtype=np.int64)
            # The last entry is for the parts without a wafer, whose place is -1.
            row[own] = np.array([*numbers, -1])[np.searchsorted(starts, self.places[own]) - 1]
        lost = row < 0
        if not lost.any():
            return row
        if len({wafer.name for wafer in self.wafers}) == 1:
            row[lost] = 0
            self._note(
                f"{_count(lost.sum())} taken as of {_name_wafer(self.wafers[0].name)}, the only "
                "one, though the wafer information record (WIR) of the test head does not come "
                "before"
            )
        else:
            self._allow(
                "the part belongs to no wafer: no WIR of its test head comes before it. Read the "
                "file without such parts by incomplete=True (--incomplete).",
                f"{_count(lost.sum())} left out: no WIR of the test head comes before",
                self.piece.name_place(int(self.places[lost][0])),
            )
        return row

    def _read_facts(self) -> list[WaferFacts]:
        """Read of each pass what its lot's MIR and the piece's WCR say."""
        headers = self.piece.list_records("MIR") or [
            {"sequence_number": 0, "LOT_ID": "", "PART_TYP": "", "START_T": 0}
        ]
        begins = np.array([header["sequence_number"] for header in headers])
        starts = np.array([wafer.start for wafer in self.wafers])
        # A wafer that is known by its WRR alone may start before the MIR.
        rows = np.maximum(np.searchsorted(begins, starts) - 1, 0)
        way = self.piece.configuration or dict.fromkeys(_WAY, "")
        return [
            WaferFacts(
                header["LOT_ID"],
                wafer.name,
                product=header["PART_TYP"],
                time=float(wafer.time or header["START_T"]) or None,
                x_right={"R": True, "L": False}.get(way["POS_X"].upper()),
                y_down={"D": True, "U": False}.get(way["POS_Y"].upper()),
                notch=_NOTCHES.get(way["WF_FLAT"].upper()),
            )
            for wafer, header in zip(self.wafers, (headers[row] for row in rows), strict=True)
        ]

    def _check_totals(self, row: np.ndarray, facts: list[WaferFacts]) -> None:
        """Compare the number of part records with the totals that the piece declares.

        A retested part may be counted once or each time. So only fewer records than declared are a
        fault.
        """
        held: dict[tuple[str, str], int] = {}
        first: dict[tuple[str, str], WaferFacts] = {}
        for number, wafer in enumerate(self.wafers):
            key = (facts[number].lot, wafer.name)
            fact = first.setdefault(key, facts[number])
            # Some testers count the passes over a wafer together, some each by itself.
            held[key] = held.get(key, 0) + int(np.count_nonzero(row == number))
            declared = max([n for n in wafer.counts if _is_count(n)], default=0)
            if declared > held[key] + fact.n_missing:
                fact.n_missing = declared - held[key]
                text = _describe_difference(
                    _name_wafer(wafer.name), held[key], f"its WRR counts {declared}"
                )
                self._allow(f"{text}. {FETCH_OR_INCOMPLETE}", text)
        known = sum(fact.n_missing for fact in first.values())
        for kind in _COUNTS:
            counts = _read_declared(self.piece.list_records(kind), kind)
            declared = sum(counts.values())
            if declared <= len(row):
                self._note_bin_counts(kind, counts)
            elif declared > len(row) + known:
                known = declared - len(row)
                text = _describe_difference("it", len(row), f"its {kind} records count {declared}")
                self._allow(f"{text}. {FETCH_OR_INCOMPLETE}", text)
                if len(first) == 1:
                    facts[0].n_missing = known

    def _note_bin_counts(self, kind: str, declared: dict[int, int]) -> None:
        """Note where a bin has fewer parts than declared; bins may change after the test."""
        column = _COUNTS[kind][2]
        if not column or not declared:
            return
        codes, counts = np.unique(self.piece.parts[column].to_numpy(), return_counts=True)
        held = dict(zip(codes.tolist(), counts.tolist(), strict=True))
        for number, count in declared.items():
            if count > held.get(number, 0):
                has = f"bin {number} has {held.get(number, 0)} parts"
                self._note(f"{has}, but its {kind} record counts {count}")


def _count(number: int) -> str:
    return f"{number} part{' is' if number == 1 else 's are'}"


def _name_wafer(name: str) -> str:
    """Call a wafer by its name, or by its number in the file where it has none."""
    return name if name.startswith("wafer ") else f"wafer {name}"


def _describe_difference(what: str, held: int, declared: str) -> str:
    return f"{what} has {held} part record{'s' * (held != 1)} (PRR), but {declared} parts"


def _is_count(number: int) -> bool:
    """Whether a count is given."""
    return 0 < number and number not in (NO_COUNT, NO_BIN)


def _read_declared(rows: list[Row], kind: str) -> dict[int, int]:
    """Find the declared number of parts of each bin; all as of bin 0 where there are no bins.

    Records that sum over all heads and sites are used where there are any. Of several that
    describe the same, the largest counts: some testers write them after each wafer.
    """
    count, number, _ = _COUNTS[kind]
    rows = [row for row in rows if _is_count(row[count])]
    overall = [row for row in rows if row["HEAD_NUM"] == ALL_HEADS]
    largest: dict[tuple, int] = {}
    for row in overall or rows:
        site = () if overall else (row["HEAD_NUM"], row["SITE_NUM"])
        key = (row.get(number, 0), *site)
        largest[key] = max(largest.get(key, 0), row[count])
    declared: dict[int, int] = {}
    for key, parts in largest.items():
        declared[key[0]] = declared.get(key[0], 0) + parts
    return declared


def _find_passed(flags: np.ndarray, code: np.ndarray, bin_rows: list[Row], prefix: str) -> Any:
    """Say whether parts passed: by their flags, else by their bins' records."""
    unsaid = flags & NOT_SAID != 0
    passed = pd.array(flags & FAILED == 0, dtype="boolean")
    if unsaid.any():
        passed[unsaid] = _judge_by_bin(code[unsaid], bin_rows, prefix)
    return passed


def _judge_by_bin(code: np.ndarray, bin_rows: list[Row], prefix: str) -> Any:
    """Say whether parts passed by their bins; missing where the bins' records differ."""
    marks_of: dict[int, set[str]] = {}
    for row in bin_rows:
        marks_of.setdefault(row[f"{prefix}_NUM"], set()).add(row[f"{prefix}_PF"])
    good = [number for number, marks in marks_of.items() if marks & {"P", "F"} == {"P"}]
    bad = [number for number, marks in marks_of.items() if marks & {"P", "F"} == {"F"}]
    passed = np.isin(code, good)
    return pd.arrays.BooleanArray(passed, ~(passed | np.isin(code, bad)))


def _join_lots(lots: list[_Lot], notes: list[str]) -> tuple[pd.DataFrame, list[WaferFacts]]:
    """Join the pieces; number the wafers by lot and name in the order of the file."""
    numbers: dict[tuple[str, str], int] = {}
    parts = []
    for lot in lots:
        codes = np.array(
            [numbers.setdefault((fact.lot, fact.wafer), len(numbers)) for fact in lot.facts]
        )
        parts.append(lot.parts.assign(wafer=codes[lot.parts["wafer"].to_numpy()]))
    joined = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    return joined, merge_facts([fact for lot in lots for fact in lot.facts], notes)


def _find_with_result(parts: pd.DataFrame, options: ReadOptions, notes: list[str]) -> np.ndarray:
    """Find the parts that have a bin, or a flag that says whether they passed."""
    column, _, prefix = _BINS[options.bins]
    no_bin = np.asarray(parts["bin"] == NO_BIN)
    if not no_bin.any():
        return ~no_bin
    if no_bin.all() and (parts["other_bin"] != NO_BIN).any():
        other = "soft" if options.bins == "hard" else "hard"
        raise Problem(f"no part has a {prefix} ({column}). Read it with bins={other!r}.")
    lost = no_bin & np.asarray(parts["passed"].isna())
    if lost.all():
        raise Problem("it holds no die with a result: no part has a bin or a pass/fail flag.")
    if lost.any():
        notes.append(
            f"{_count(lost.sum())} left out: {column} is {NO_BIN} (missing), and PART_FLG does "
            "not say whether the part passed"
        )
    n_kept = int((no_bin & ~lost).sum())
    if n_kept:
        notes.append(
            f"{_count(n_kept)} without {column}; the bin is given as {NO_BIN}, and PART_FLG says "
            "whether the part passed"
        )
    return np.asarray(~lost)


def _count_unplaced(
    parts: pd.DataFrame,
    placed: np.ndarray,
    facts: list[WaferFacts],
    options: ReadOptions,
    notes: list[str],
) -> None:
    """Count the dies of each wafer that have a result and no coordinates."""
    if placed.all():
        return
    counts = {}
    for number, rows in parts[~placed].groupby("wafer", sort=False):
        on_map = parts[placed & (parts["wafer"] == number).to_numpy()]
        if _are_ids_unique(on_map):
            named = rows["part_id"].str.strip() != ""
            rows = rows[~(named & rows["part_id"].duplicated(keep="last"))]
        failed = ~rows["passed"].fillna(rows["bin"].isin([DEFAULT]))
        if options.pass_bins is not None:
            good = convert_bins(options.pass_bins, True, parts["bin"].value_counts())
            failed = ~rows["bin"].isin(good)
        fact = facts[int(number)]  # type: ignore[call-overload]
        fact.n_unplaced, fact.n_unplaced_fails = len(rows), int(failed.sum())
        counts[fact.wafer] = len(rows)
    total = sum(counts.values())
    listed = _name_wafer(next(iter(counts)))
    if len(counts) > 1:
        each = list_some([f"{name}: {count}" for name, count in counts.items()])
        listed = f"{len(counts)} wafers ({each})"
    notes.append(
        f"{total} part{'s' * (total != 1)} of {listed} ha{'s' if total == 1 else 've'} no "
        "coordinates; they count in the yield and are on no map"
    )


def _are_ids_unique(placed: pd.DataFrame) -> bool:
    """Whether PART_ID tells the dies of a wafer apart: none is at two places.

    Some testers write the same text for all parts, or count from 1 again when they retest.
    """
    places = placed[["part_id", "x", "y"]].drop_duplicates()
    return not places["part_id"][places["part_id"].str.strip() != ""].duplicated().any()


def _find_extent(configuration: dict[str, Any]) -> tuple[int, int, int, int] | None:
    """Find which dies fit the wafer around the center die.

    All sizes are in the unit WF_UNITS, so their ratio does not depend on it.
    """
    if not configuration:
        return None
    size, height, width = (configuration[name] for name in ("WAFR_SIZ", "DIE_HT", "DIE_WID"))
    x, y = configuration["CENTER_X"], configuration["CENTER_Y"]
    if NO_COORDINATE in (x, y) or not all(np.isfinite(n) and n > 0 for n in (size, height, width)):
        return None
    # Sizes are stored in 32 bits; a part in 10000 is less than any scribe line.
    n_x, n_y = (int((size / side - 1) / 2 + 1e-4) for side in (width, height))
    return int(x) - n_x, int(y) - n_y, 2 * n_y + 1, 2 * n_x + 1


def _set_extents(
    numbers: pd.Series,
    parts: pd.DataFrame,
    lots: list[_Lot],
    facts: list[WaferFacts],
    notes: list[str],
) -> None:
    """Give each wafer the extent that its piece declares, where it fits the dies."""
    declared: dict[tuple[int, int, int, int], set[int]] = {}
    number_of = {(fact.lot, fact.wafer): number for number, fact in enumerate(facts)}
    for lot in lots:
        if lot.extent is not None:
            own = {number_of[fact.lot, fact.wafer] for fact in lot.facts}
            declared.setdefault(lot.extent, set()).update(own)
    if not declared:
        return
    boxes = parts.groupby(numbers)[["x", "y"]].agg(["min", "max"])
    given: dict[int, set[tuple[int, int, int, int]]] = {}
    for extent, wafers in declared.items():
        of_wafers = boxes[boxes.index.isin(list(wafers))]
        fitting = of_wafers[_fits_extent(extent, of_wafers)]
        grown = _widen_extent(extent, fitting)
        for number in fitting.index if grown is not None else []:
            given.setdefault(number, set()).add(grown)  # type: ignore[arg-type]
    for number, found in given.items():
        if len(found) == 1:
            facts[number].extent = found.pop()
    doubtful = {n for wafers in declared.values() for n in wafers if n in boxes.index}
    names = [facts[n].wafer for n in sorted(doubtful) if facts[n].extent is None]
    if names:
        notes.append(
            "the wafer size in the wafer configuration record (WCR) does not fit the dies of "
            f"{list_some([_name_wafer(name) for name in names])} and is not used"
        )


def _fits_extent(extent: tuple[int, int, int, int], boxes: pd.DataFrame) -> pd.Series:
    """Whether the dies of wafers lie within an extent, or one die outside of it.

    A street may run through the wafer's center; then a row more fits on one side. Testers may also
    probe the dies that the edge cuts.
    """
    x0, y0, rows, cols = extent
    return (
        (boxes["x", "min"] >= x0 - 1)
        & (boxes["x", "max"] <= x0 + cols)
        & (boxes["y", "min"] >= y0 - 1)
        & (boxes["y", "max"] <= y0 + rows)
    )


def _widen_extent(
    extent: tuple[int, int, int, int], boxes: pd.DataFrame
) -> tuple[int, int, int, int] | None:
    """Widen an extent to all the dies, unless it is much larger than they are."""
    if not len(boxes):
        return None
    x0, y0, rows, cols = extent
    low_x, high_x = int(boxes["x", "min"].min()), int(boxes["x", "max"].max())
    low_y, high_y = int(boxes["y", "min"].min()), int(boxes["y", "max"].max())
    growth = min(cols / (high_x - low_x + 1), rows / (high_y - low_y + 1))
    off_center = (
        abs((low_x + high_x) / 2 - (x0 + (cols - 1) / 2)) / (high_x - low_x + 1),
        abs((low_y + high_y) / 2 - (y0 + (rows - 1) / 2)) / (high_y - low_y + 1),
    )
    # A tenth of the dies' own width: the dies lie around the declared center.
    centered = max(off_center) <= 0.1
    if growth > (_MAX_GROWTH_CENTERED if centered else _MAX_GROWTH):
        return None
    left, top = min(x0, low_x), min(y0, low_y)
    return left, top, max(y0 + rows, high_y + 1) - top, max(x0 + cols, high_x + 1) - left
