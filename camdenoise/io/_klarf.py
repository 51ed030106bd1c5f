"""KLARF inspection results: a die is good where it was inspected and has no defect."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._container import Content
from camdenoise.io._die_file import (
    DieFile,
    ReadOptions,
    WaferFacts,
    die_rows,
    join_rows,
    merge_facts,
    read_one,
)
from camdenoise.io._klarf_text import InspectedWafer, parse_time, read_records, read_statements
from camdenoise.io._placement import NOTCHES
from camdenoise.io._problems import Problem, allow_lack
from camdenoise.wafers._maps import MAX_SIDE

#: What the text of a file begins with.
STARTS = ("FileVersion", "Record FileRecord")


def read_klarf(
    path: str | os.PathLike,
    *,
    inspected: Sequence[Sequence[int]] | None = None,
    incomplete: bool = False,
    encoding: str | None = None,
) -> pd.DataFrame:
    """Read the inspected dies of the wafers in a KLARF file of version 1.1, 1.2 or 1.8.

    KLARF lists defects, not dies. The dies without a defect are known only where the file lists
    those that were inspected (SampleTestPlan). For a wafer without such a list those of another
    wafer of the file are taken, else the dies nearest to the center, as many as its summary counts
    (NDIE); ``attrs["notes"]`` says so. Where the file says neither, it is an error.

    Parameters
    ----------
    path : path-like
        The text file, plain or compressed.
    inspected : array-like of int, shape (n_dies, 2), or None, default=None
        XINDEX and YINDEX of the dies that were inspected, for wafers whose file does not list
        them; for example the x and y of another file of the same product.
    incomplete, encoding
        As in `read_wafers`. An incomplete file ends early, or lists fewer defects or inspected
        dies than its summary counts.

    Returns
    -------
    DataFrame
        The die table, as `read_wafers` gives it, one row per die. x and y are XINDEX and YINDEX;
        ``bin`` is the number of defects on the die, and a die passed where that is 0. A die with a
        defect counts as inspected, whether the list has it or not.

    Raises
    ------
    WaferFileError
        For a file that is damaged or cut short, one that lists fewer defects or inspected dies
        than its summary counts, and a wafer whose inspected dies are not listed.

    Notes
    -----
    The summary's NDEFECT is summed over the tests; of NDIE the largest counts. Defect lists of
    version 1.8 may hold a selection, whose DEFECTID has gaps, while the summary counts all
    defects. Such a list is read, with a note.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> text = '''FileVersion 1 2;
    ... LotID "L";
    ... WaferID "7";
    ... SampleTestPlan 3
    ...  -1 0 0 0 1 0;
    ... DefectRecordSpec 3 DEFECTID XINDEX YINDEX ;
    ... DefectList
    ...  1 0 0
    ...  2 0 0;
    ... EndOfFile;'''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "w7.000")
    ...     _ = file.write_text(text)
    ...     read_klarf(file)
      lot wafer  x  y  bin  passed
    0   L     7 -1  0    0    True
    1   L     7  0  0    2   False
    2   L     7  1  0    0    True
    """
    given = None if inspected is None else np.asarray(inspected)
    if given is not None:
        if given.ndim != 2 or given.shape[1] != 2 or given.dtype.kind not in "iu" or not len(given):
            got = f"{given.dtype} {given.shape}"
            raise ValueError(f"inspected must be whole numbers of shape (n_dies, 2), got {got}.")
        given = given.astype(np.int64)
    options = ReadOptions(inspected=given, incomplete=incomplete, encoding=encoding)
    return read_one(path, klarf_file, options).to_table()


def klarf_file(content: Content, options: ReadOptions) -> DieFile:
    """Read a KLARF file."""
    text, note = content.read_text(options.encoding)
    text = text.lstrip()
    selections = not text.startswith("FileVersion")
    read = read_records if selections else read_statements
    wafers, about, ended = read(text, options.incomplete)
    if not wafers:
        raise Problem("it holds no wafer (no WaferID or WaferRecord).")
    notes = [note] if note else []
    if not ended:
        notes.append("The file ends before its EndOfFile. What it holds was read.")
        if not wafers[-1].defects:
            raise Problem(
                "the file ends before any defect of the wafer, so that no die is known to be good. "
                "Fetch the file again.",
                f"wafer {(wafers[-1].wafer or content.stem)!r}",
            )
    parts: list[pd.DataFrame] = []
    facts: list[WaferFacts] = []
    for wafer in wafers:
        wafer.wafer = wafer.wafer or content.stem
        dies, note = _choose_inspected(wafer, wafers, options.inspected)
        notes += [note] if note else []
        parts.append(_count_defects(wafer, dies))
        notes += _compare_totals(wafer, options.incomplete, selections)
        facts.append(_read_facts(wafer, notes))
    merged = merge_facts(facts, notes)
    # A note that is true of all wafers is given once.
    notes = list(dict.fromkeys(notes))
    return DieFile("KLARF", join_rows(parts), merged, about, notes)


def _choose_inspected(
    wafer: InspectedWafer, wafers: Sequence[InspectedWafer], given: Any
) -> tuple[Any, str | None]:
    """Choose the inspected dies of a wafer, and say where they come from if not from its list."""
    if wafer.inspected:
        return wafer.inspected, None
    where = f"wafer {wafer.wafer!r}"
    if given is not None:
        return given, None
    lists = [other for other in wafers if other.inspected]
    if lists:
        return lists[0].inspected, (
            f"{where}: the file does not list its inspected dies; those of wafer "
            f"{lists[0].wafer!r} are taken"
        )
    dies = _find_nearest_dies(wafer)
    if dies is not None:
        return dies, (
            f"{where}: the file does not list its inspected dies; the {len(dies)} dies nearest to "
            "the center are taken, as many as its summary counts. If you have a file with the "
            "list, give it with inspected= (--inspected)"
        )
    raise Problem(
        "the file does not list the inspected dies (SampleTestPlan), so that the dies without a "
        "defect are not known. Give them with inspected= (--inspected FILE), for example those of "
        "another wafer of the product.",
        where,
    )


def _find_nearest_dies(wafer: InspectedWafer) -> np.ndarray | None:
    """List the dies nearest to the wafer's center, as many as its summary counts.

    A die (i, j) reaches from (i, j) to (i + 1, j + 1) times DiePitch; SampleCenterLocation is in
    the same unit. What counts is the corner that is furthest from the center.
    """
    pitch, center = (
        _parse_numbers(wafer.fields.get(name, "")) for name in ("DiePitch", "SampleCenterLocation")
    )
    if not wafer.n_dies or len(pitch) != 2 or len(center) != 2 or min(pitch) <= 0:
        return None
    # The dies would fill a disk of this radius; 3 more for those that its edge cuts.
    radius = np.sqrt(wafer.n_dies * pitch[0] * pitch[1] / np.pi)
    sides = []
    for size, middle in zip(pitch, center, strict=True):
        first, last = np.floor(((middle - radius) / size, (middle + radius) / size))
        if last - first > MAX_SIDE:
            return None
        index = np.arange(first - 3, last + 4)
        sides.append(
            (index, np.maximum(abs(index * size - middle), abs((index + 1) * size - middle)))
        )
    (x, far_x), (y, far_y) = sides
    distance = np.hypot(far_x[np.newaxis], far_y[:, np.newaxis])
    nearest = np.argsort(distance, axis=None, kind="stable")[: wafer.n_dies]
    rows, columns = np.unravel_index(nearest, distance.shape)
    return np.column_stack([x[columns], y[rows]]).astype(np.int64)


def _parse_numbers(text: str) -> list[float]:
    try:
        return [number for word in text.split() if np.isfinite(number := float(word))]
    except ValueError:
        return []


def _count_defects(wafer: InspectedWafer, inspected: Any) -> pd.DataFrame:
    listed = np.array(inspected, np.int64).reshape(-1, 2)
    defects = np.array(wafer.defects, np.int64).reshape(-1, 2)
    dies, index = np.unique(np.concatenate([listed, defects]), axis=0, return_inverse=True)
    counts = np.bincount(index.ravel()[len(listed) :], minlength=len(dies))
    order = np.lexsort((dies[:, 0], dies[:, 1]))
    x, y = dies[order].T
    return die_rows(wafer.lot, wafer.wafer, x, y, counts[order], counts[order] == 0)


def _compare_totals(wafer: InspectedWafer, incomplete: bool, selections: bool) -> list[str]:
    """Hold the lists of a wafer to its summary, which may count less but not more."""
    where = f"wafer {wafer.wafer!r}"
    notes = []
    if wafer.n_missing:
        notes.append(f"{where}: {wafer.n_missing} rows that its lists announce are missing.")
    # Dies that the user gives are not the file's to count.
    lists = {"defects": (len(wafer.defects), wafer.n_defects)}
    if wafer.inspected:
        lists["inspected dies"] = len(set(wafer.inspected)), wafer.n_dies
    for what, (n_listed, n_counted) in lists.items():
        if n_counted is None or n_counted <= n_listed:
            continue
        if what == "defects" and selections and wafer.is_selection:
            notes.append(
                f"{where}: the file lists {n_listed} of {n_counted} defects, a selection by its "
                "DEFECTID. A die whose defects were all left out counts as good."
            )
            continue
        lack = f"the file lists {n_listed} {what}, its summary counts {n_counted}."
        allow_lack(lack, where, incomplete, notes)
        # The lists may have announced the missing rows too.
        wafer.n_missing = max(wafer.n_missing, n_counted - n_listed)
    return notes


def _read_facts(wafer: InspectedWafer, notes: list[str]) -> WaferFacts:
    fields = wafer.fields
    mirrored = fields.get("CoordinatesMirrored", "").upper().startswith("Y")
    if mirrored:
        notes.append(
            "CoordinatesMirrored is not applied: it does not say in which view. If the map is "
            "mirrored, turn it over with --mirror left-right."
        )
    time = parse_time(fields.get("ResultTimestamp", ""))
    return WaferFacts(
        wafer.lot,
        wafer.wafer,
        product=fields.get("DeviceID", ""),
        time=parse_time(fields.get("FileTimestamp", "")) if time is None else time,
        x_right=None if mirrored else True,
        y_down=False,
        notch=_read_notch(fields.get("OrientationMarkLocation", ""), notes),
        n_missing=wafer.n_missing,
    )


def _read_notch(place: str, notes: list[str]) -> str | None:
    """Tell where the notch is; version 1.8 gives it in degrees."""
    if place.lower() in NOTCHES:
        return place.lower()
    if place == "0":
        # All files of version 1.8 that were found have 0, and one of them InspectionOrientation
        # DOWN too (btrapp/jklarfreader, klarfWithImagelist.klarf).
        notes.append(
            "OrientationMarkLocation 0 is taken as down. Say where else the notch is with --notch."
        )
        return "down"
    if place:
        notes.append(
            f"OrientationMarkLocation {place[:20]} is not applied: from where its degrees count is "
            "not documented. Say where the notch is with --notch."
        )
    return None
