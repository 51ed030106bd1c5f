"""Several die files as one: wafers that go on in another file, and which of all bins pass."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._die_file import DieFile, WaferFacts, join_rows, merge_tests
from camdenoise.io._pass_bins import (
    DEFAULT,
    REMEDY,
    convert_bins,
    explain_absent_bins,
    holds_numbers,
    list_bins,
)
from camdenoise.io._problems import Problem, list_some

# Formats that have no word for it whether a bin passes.
_BINS_ONLY = ("CSV", "Parquet")


def judge(files: Sequence[DieFile], pass_bins: Any = None) -> list[str]:
    """Settle for every test whether it passed, as the file states or as the user says."""
    if pass_bins is not None:
        _apply_pass_bins(files, pass_bins, assumed=False)
        return []
    silent = [f for f in files if f.format in _BINS_ONLY and f.table["passed"].isna().all()]
    if silent:
        _apply_pass_bins(silent, [DEFAULT], assumed=True)
    for file in files:
        unknown = file.table["passed"].isna()
        if unknown.any():
            counts = file.table["bin"][unknown].value_counts()
            raise Problem(
                f"whether a bin passes is not said. Bins (dies) of which it is not said: "
                f"{list_bins(counts)}. {REMEDY}",
                file.name,
            )
    return (
        [f"bin {DEFAULT} passes: nothing says which bins do, so it was assumed"] if silent else []
    )


def _apply_pass_bins(files: Sequence[DieFile], pass_bins: Any, assumed: bool) -> None:
    counts: pd.Series = pd.Series(dtype=int)
    named: list = []
    for file in files:
        bins = file.table["bin"]
        own = bins.value_counts()
        wanted = convert_bins(pass_bins, holds_numbers(bins), own, file.name)
        file.table["passed"] = pd.array(bins.isin(wanted), dtype="boolean")
        counts = counts.add(own, fill_value=0).astype(int)
        named += wanted
    if reason := explain_absent_bins(named, counts, assumed):
        raise Problem(reason)


def join_files(files: Sequence[DieFile], retest: bool = False) -> DieFile:
    """Make one die file of several; a wafer that is in several was tested several times."""
    if len(files) == 1:
        return replace(files[0], notes=gather_notes(files))
    homes: dict[tuple[str, str], list[tuple[int, WaferFacts]]] = {}
    for number, file in enumerate(files):
        for facts in file.wafers:
            homes.setdefault((facts.lot, facts.wafer), []).append((number, facts))
    again = {key: found for key, found in homes.items() if len(found) > 1}
    notes = gather_notes(files)
    if again:
        if not retest:
            _check_same_wafer(again, files)
        notes.append(_note_retests(again))
    order = {
        key: found
        if any(facts.time is None for _, facts in found)
        # The sort is stable: files of one time keep their order.
        else sorted(found, key=lambda entry: entry[1].time or 0)
        for key, found in homes.items()
    }
    rows = [
        file.table.groupby(["lot", "wafer"], sort=False, observed=True).indices for file in files
    ]
    parts = [file.table for file in files]
    if again:
        parts = [
            files[number].table.iloc[np.sort(rows[number][key])]
            for key, found in order.items()
            for number, _ in found
            if key in rows[number]
        ]
    table = join_rows(parts)
    formats = sorted({file.format for file in files})
    wafers = []
    for key, found in order.items():
        # A retest tests some dies again, so that counts of dies do not add up.
        combine = max if _are_retests(files, rows, key, found) else sum
        wafers.append(merge_tests([facts for _, facts in found], notes, combine))
    return DieFile(
        format=" and ".join(formats),
        table=table,
        wafers=wafers,
        notes=notes,
        name=f"{len(files)} files",
    )


def _check_same_wafer(again: dict, files: Sequence[DieFile]) -> None:
    for (lot, wafer), found in again.items():
        if not lot:
            first, second = (files[number].name for number, _ in found[:2])
            raise Problem(
                f"wafer {wafer!r} is in {first} and in {second}, and no lot is named. If both are "
                "tests of one wafer, say which counts with retest='last' (--retest last); else "
                "give them one by one."
            )


def _note_retests(again: dict) -> str:
    (lot, wafer), found = next(iter(again.items()))
    timed = all(facts.time is not None for each in again.values() for _, facts in each)
    more = f" and {len(again) - 1} more are" if len(again) > 1 else " is"
    order = "by the time of the test" if timed else "in the order of the files"
    named = f"wafer {wafer!r} of lot {lot!r}" if lot else f"wafer {wafer!r}"
    return f"{named}{more} in several files; what tests the same die is a retest, {order}"


def _are_retests(files: Sequence[DieFile], rows: list[dict], key: tuple, found: list) -> bool:
    """Tell whether some die of a wafer is in several files; else each has a part of the wafer."""
    dies = [files[n].table.iloc[rows[n][key]][["x", "y"]] for n, _ in found if key in rows[n]]
    if len(dies) < 2:
        return False
    each = [part.drop_duplicates() for part in dies]
    return bool(pd.concat(each).duplicated().any())


_OF_A_WAFER = re.compile(r"wafer ('.*?'): (.*)", re.DOTALL)


def gather_notes(files: Sequence[DieFile]) -> list[str]:
    """Say what is true of several wafers or files once, with their names."""
    wafers: dict[str, list[str]] = {}
    homes: dict[str, list[str]] = {}
    for file in files:
        for note in file.notes:
            note = note.rstrip(".")
            match = _OF_A_WAFER.fullmatch(note)
            text = match[2] if match else note
            if match:
                wafers.setdefault(text, []).append(match[1])
            homes.setdefault(text, []).append(file.name)
    notes = []
    for text, names in homes.items():
        if text in wafers:
            subject = f"wafer{'s' if len(wafers[text]) > 1 else ''} {list_some(wafers[text])}: "
        else:
            # What all files share need not name them.
            subject = (
                ""
                if len(set(names)) == len(files)
                else f"{list_some(list(dict.fromkeys(names)))}: "
            )
        notes.append(f"{subject}{text}")
    return notes
