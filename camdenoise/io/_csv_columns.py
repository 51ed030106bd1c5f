"""Which column of a table of text is what, by the names that testers and scripts use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from camdenoise.io._die_file import ReadOptions
from camdenoise.io._problems import Problem, list_some

_HARD = (
    *("hbin", "hardbin", "hardwarebin", "hwbin", "hbinnumber", "hbinnum", "hbinno"),
    *("hardbinnumber", "hardbinnum", "hardbinno"),
)
_SOFT = (
    *("sbin", "softbin", "softwarebin", "swbin", "sbinnumber", "sbinnum", "sbinno"),
    *("softbinnumber", "softbinnum", "softbinno"),
)
_GENERIC = ("bin", "binnumber", "binnum", "binno", "binid", "bincode", "binvalue", "diebin")
# Names of a pass column. The words of a weak name must be understood, else it is not such a column.
_STRONG_PASS = ("passed", "pass", "passfail", "pf", "ispass", "passflag", "passfailflag")
WEAK_PASS = ("result", "testresult", "dieresult", "status", "diestatus")


def _axis(axis: str, line: str) -> tuple[str, ...]:
    """Names of a die coordinate; `line` is what a spreadsheet calls it."""
    words = ("coord", "coordinate", "coor", "index", "idx", "pos", "position", "loc", "location")
    return (
        axis,
        *(f"die{axis}", f"{axis}die", f"diecoord{axis}", f"die{axis}coord", f"dieindex{axis}"),
        *(f"{axis}{word}" for word in words),
        *(f"{word}{axis}" for word in words),
        *(f"{axis}address", f"{axis}addr", f"{axis}adr", f"wafer{axis}", f"{axis}wafer"),
        *(line, f"die{line}", f"{line}no", f"{line}index", f"{line}number"),
    )


#: Names of each column without case, blanks and punctuation; the first that a table has is taken.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "x": (*_axis("x", "col"), *("column", "diecolumn", "columnno", "columnindex")),
    "y": _axis("y", "row"),
    "bin": ("bin", *_HARD, *_GENERIC[1:], *_SOFT),
    "lot": ("lot", "lotid", "lotname", "lotno", "lotnum", "lotnumber", "lotcode"),
    "wafer": (
        *("wafer", "waferid", "wafername", "waferno", "wafernum", "wafernumber", "wafernr"),
        *("wafercode", "waferindex", "wfr", "wfrid", "slot", "slotid", "slotno", "slotnumber"),
    ),
    "passed": (*_STRONG_PASS, *WEAK_PASS),
}
NEEDED = ("x", "y", "bin")
KNOWN = {synonym: role for role, synonyms in SYNONYMS.items() for synonym in synonyms}
_REMEDY = (
    "Name the columns with --columns x=...,y=...,bin=...,lot=...,wafer=... "
    "(in Python columns={'x': ..., 'y': ..., 'bin': ...})."
)


def normalize_name(name: str) -> str:
    """Write a column name without case, blanks and punctuation."""
    return re.sub(r"[\W_]", "", name).lower()


def find_columns(names: Sequence[str], options: ReadOptions) -> tuple[dict[str, int], list[str]]:
    """Tell which column is what."""
    columns = _find_named(names, options.columns)
    given = set(columns)
    notes = []
    for role in SYNONYMS:
        if role in given or options.columns.get(role) == "":
            continue
        matches = _find_matches(names, role, options.bins, set(columns.values()))
        if matches:
            columns[role] = matches[0]
            notes += _describe_choice(names, role, matches)
    missing = [role for role in NEEDED if role not in columns]
    if missing:
        plural = "columns" if len(missing) > 1 else "column"
        raise Problem(
            f"the table has no {plural} {_join(missing)}. It needs x, y and bin, and may have lot, "
            f"wafer and passed. Its columns are {_show(names)}. {_REMEDY}"
        )
    return columns, ([f"Columns read: {'; '.join(notes)}."] if notes else [])


def note_unnamed(names: Sequence[str], columns: Mapping[str, int]) -> list[str]:
    """Say that lots or wafers are not told apart, and which columns were not read."""
    unnamed = [role for role in ("lot", "wafer") if role not in columns]
    if not unnamed:
        return []
    read = set(columns.values())
    others = [name for number, name in enumerate(names) if number not in read]
    more = f"; not read: {_show(others)}" if others else ""
    return [f"no column names the {' or the '.join(unnamed)}{more}"]


def _join(words: Sequence[str]) -> str:
    return " and ".join(", ".join(words).rsplit(", ", 1))


def _show(names: Sequence[str]) -> str:
    return list_some([name[:40] for name in names if name], most=40)


def _find_named(names: Sequence[str], given: Mapping[str, str]) -> dict[str, int]:
    columns = {}
    for role, wanted in given.items():
        found = [number for number, name in enumerate(names) if name == wanted.strip()]
        found = found or [n for n, name in enumerate(names) if name.lower() == wanted.lower()]
        if role not in SYNONYMS or (wanted and not found):
            raise Problem(
                f"--columns {role}={wanted}: {role!r} must be one of {_show(list(SYNONYMS))}, and "
                f"{wanted!r} one of the table's columns, {_show(names)}."
            )
        if len(found) > 1:
            raise Problem(f"the table has {len(found)} columns {wanted!r}. Rename all but one.")
        if found:
            columns[role] = found[0]
    return columns


def _find_matches(names: Sequence[str], role: str, bins: str, taken: set[int]) -> list[int]:
    """Columns that may be it, best first."""
    keys = SYNONYMS[role]
    if role == "bin" and bins == "soft":
        keys = (*_SOFT, *_GENERIC)
        if any(normalize_name(name) in _HARD for name in names) and not any(
            normalize_name(n) in keys for n in names
        ):
            raise Problem(f"the table has no column of soft bins. Its columns are {_show(names)}.")
    exact = [n for n, name in enumerate(names) if name == role and n not in taken]
    matches: list[int] = []
    for key in keys:
        same = [n for n, name in enumerate(names) if normalize_name(name) == key and n not in taken]
        if len(same) > 1 and not (key == role and exact) and not matches:
            raise Problem(
                f"the columns {_join([names[n] for n in same])} may each be {role}. Name one with "
                f"--columns {role}=... (columns=), or rename all but one."
            )
        if key == role and exact:
            if len(exact) > 1:
                raise Problem(f"the table has {len(exact)} columns {role!r}. Rename all but one.")
            same = exact
        matches += same[:1]
    return matches


def _describe_choice(names: Sequence[str], role: str, matches: list[int]) -> list[str]:
    """Say which column was taken, where there was a choice or another name."""
    name, others = names[matches[0]], [names[number] for number in matches[1:]]
    if role == "bin":
        kind = {**dict.fromkeys(_HARD, "hard bins"), **dict.fromkeys(_SOFT, "soft bins")}
        kind_name = kind.get(normalize_name(name))
        label = f"bin is {name} ({kind_name})" if kind_name else f"bin is {name}"
    else:
        label = f"{role} is {name}"
    if others:
        return [f"{label}, not {_join(others)}"]
    return [] if name.lower() == role else [label]
