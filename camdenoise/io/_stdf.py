"""STDF V4, the testers' binary format, by way of the package stdf-convert."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._container import Content
from camdenoise.io._die_file import DieFile, ReadOptions, read_one
from camdenoise.io._problems import Problem
from camdenoise.io._table import die_rows, facts_of, join_rows

#: File attributes record of either byte order: length 2, type 0, subtype 10.
MAGICS = (b"\x02\x00\x00\x0a", b"\x00\x02\x00\x0a")
# By the specification a missing coordinate is -32768 and a missing soft bin 65535.
NO_COORDINATE = -32768
NO_BIN = 65535
# Bits of PART_FLG: the part failed; there is no pass or fail indication.
_FAILED, _NOT_SAID = 0x08, 0x10
_RECORDS = ("FAR", "MIR", "WCR", "WIR", "WRR", "PRR", "HBR", "SBR", "MRR")
# Column of the part's record, record that describes the bins, and how its fields begin.
_BINS = {"hard": ("HARD_BIN", "HBR", "HBIN"), "soft": ("SOFT_BIN", "SBR", "SBIN")}


def _load_package() -> Any:
    try:
        import stdf_convert
    except ImportError as error:
        raise ImportError(
            "reading STDF needs the package stdf-convert: pip install 'camdenoise[stdf]'."
        ) from error
    return stdf_convert


def _records(content: Content) -> dict[str, pd.DataFrame]:
    package = _load_package()
    with content.on_disk() as plain:
        _check_magic(plain)
        try:
            tables = package.tables(plain, _RECORDS)
        except package.StdfError as error:
            reason = str(error).removeprefix(f"{plain}: ")
            raise Problem(
                f"it is damaged or cut short ({reason}). Fetch the file again."
            ) from error
    return {name: table.to_pandas() for name, table in tables.items()}


def _check_magic(path: Path) -> None:
    with open(path, "rb") as stream:
        head = stream.read(6)
    if head[:4] not in MAGICS:
        raise Problem("it does not begin with a file attributes record (FAR). Is it STDF?")
    if head[5:6] != b"\x04":
        raise Problem(f"it is STDF of version {head[5:].hex() or 'none'}; version 4 is read.")


def read_stdf(
    path: str | os.PathLike, *, bins: str = "hard", incomplete: bool = False
) -> pd.DataFrame:
    """Read the dies of the wafers in an STDF V4 file.

    Parameters
    ----------
    path : path-like
        The file, plain or gzip-compressed, whatever its name ends in.
    bins : {"hard", "soft"}, default="hard"
        Which bin number to give.
    incomplete : bool, default=False
        Also read a file without a master results record (MRR), which testers write last: one that
        was cut short between two records, or whose test was broken off.

    Returns
    -------
    DataFrame
        The die table: lot, wafer, x, y, bin, passed (see `camdenoise.io.read_wafers`), one row per
        part results record (PRR) in their order, so that a retested die has several rows. lot is
        MIR.LOT_ID; wafer is WIR.WAFER_ID, else WRR.WAFER_ID. A die passed where PART_FLG says
        so, else where the bin's record (HBR, SBR) does; where that is blank too, `passed` is
        missing. Parts without coordinates (-32768) are on no map and have no row; their number is
        in ``attrs["about"]["n_without_coordinates"]``, beside the wafer configuration (WCR).

    Raises
    ------
    ImportError
        Without the package stdf-convert, with the command that installs it.
    WaferFileError
        For a file that is damaged, is cut short, or holds no wafer (packaged parts).
    OSError
        Where the file cannot be opened.

    Examples
    --------
    >>> from camdenoise.io import from_die_table, read_stdf
    >>> table = read_stdf("lot2.stdf.gz")                            # doctest: +SKIP
    >>> wafers = from_die_table(table, retest="last")                # doctest: +SKIP
    """
    if bins not in _BINS:
        raise ValueError(f"bins must be 'hard' or 'soft', got {bins!r}.")
    options = ReadOptions(bins=bins, incomplete=incomplete)
    return read_one(path, stdf_file, options).as_table()


def stdf_file(content: Content, options: ReadOptions) -> DieFile:
    """Read an STDF file."""
    records = _records(content)
    if "MRR" not in records and not options.incomplete:
        raise Problem(
            "it ends without a master results record (MRR): it was cut short, or the test was "
            "broken off. Fetch it again, or read what there is with incomplete=True."
        )
    return _stdf_table(records, *_BINS[options.bins])


def _stdf_table(
    records: dict[str, pd.DataFrame], column: str, bin_record: str, prefix: str
) -> DieFile:
    if "WIR" not in records or "PRR" not in records:
        raise Problem("it holds no wafer (no WIR and PRR records). Is it of packaged parts?")
    parts, wafers = records["PRR"], _wafers(records)
    row = _wafer_of_part(parts, wafers)
    code = parts[column].to_numpy()
    passed = _passed(parts, code, records.get(bin_record), prefix)
    placed = ~((parts["X_COORD"] == NO_COORDINATE) | (parts["Y_COORD"] == NO_COORDINATE)).to_numpy()
    if (code[placed] == NO_BIN).any():
        sequence = parts["sequence_number"][placed & (code == NO_BIN)].iloc[0]
        raise Problem(f"the part has no {prefix}. Use bins='hard'.", f"record {int(sequence) + 1}")
    table = die_rows(
        wafers["lot"].to_numpy()[row[placed]],
        wafers["wafer"].to_numpy()[row[placed]],
        parts["X_COORD"][placed],
        parts["Y_COORD"][placed],
        code[placed],
        passed[placed],
    )
    about = {"n_without_coordinates": int((~placed).sum()), **_configuration(records.get("WCR"))}
    return DieFile("STDF", join_rows([table]), facts_of(table), about)


def _latest(earlier: pd.DataFrame, sequence: np.ndarray) -> np.ndarray:
    """Find for each place in the file the row of `earlier` that came last before it, else -1."""
    return np.searchsorted(earlier["sequence_number"].to_numpy(), sequence) - 1


def _wafers(records: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """List the wafers in the order of their WIR, with their names and their lots'."""
    wafers = records["WIR"][["sequence_number", "HEAD_NUM", "WAFER_ID"]].copy()
    names = wafers.pop("WAFER_ID").str.strip()
    wafers["wafer"] = names.where(names != "", _final_names(wafers, records))
    lots = records.get("MIR", pd.DataFrame({"sequence_number": [], "LOT_ID": []}))
    lot_names = np.array(["", *(name.strip() for name in lots["LOT_ID"])], dtype=object)
    return wafers.assign(lot=lot_names[_latest(lots, wafers["sequence_number"].to_numpy()) + 1])


def _final_names(wafers: pd.DataFrame, records: dict[str, pd.DataFrame]) -> np.ndarray:
    """Find the names that the WRR give, else the numbers of the wafers in the file."""
    names = np.array([f"wafer {number}" for number in range(1, len(wafers) + 1)], dtype=object)
    if "WRR" in records:
        results = records["WRR"]
        for wafer, (sequence, head) in enumerate(
            zip(wafers["sequence_number"], wafers["HEAD_NUM"], strict=True)
        ):
            later = results[(results["sequence_number"] > sequence) & (results["HEAD_NUM"] == head)]
            if len(later) and later["WAFER_ID"].iloc[0].strip():
                names[wafer] = later["WAFER_ID"].iloc[0].strip()
    return names


def _wafer_of_part(parts: pd.DataFrame, wafers: pd.DataFrame) -> np.ndarray:
    """Find each part's wafer: the last one that its test head began. Heads work side by side."""
    row = np.full(len(parts), -1)
    for head in parts["HEAD_NUM"].unique():
        own = (parts["HEAD_NUM"] == head).to_numpy()
        of_head = np.flatnonzero(wafers["HEAD_NUM"] == head)
        sequence = parts["sequence_number"].to_numpy()[own]
        found = _latest(wafers.iloc[of_head], sequence)
        if (found < 0).any():
            raise Problem(
                "the part belongs to no wafer: no WIR of its test head comes before it.",
                f"record {int(sequence[np.argmin(found)]) + 1}",
            )
        row[own] = of_head[found]
    return row


def _passed(
    parts: pd.DataFrame, code: np.ndarray, bin_records: pd.DataFrame | None, prefix: str
) -> Any:
    flags = np.frombuffer(b"".join(flag[:1].ljust(1, b"\x10") for flag in parts["PART_FLG"]), "u1")
    passed = pd.array(flags & _FAILED == 0, dtype="boolean")
    unsaid = flags & _NOT_SAID != 0
    if unsaid.any():
        passed[unsaid] = _by_bin(code[unsaid], bin_records, prefix)
    return passed


def _by_bin(code: np.ndarray, bin_records: pd.DataFrame | None, prefix: str) -> Any:
    if bin_records is None:
        return pd.array([pd.NA] * len(code), dtype="boolean")
    said = bin_records[bin_records[f"{prefix}_PF"].isin(["P", "F"])]
    said = said.drop_duplicates(f"{prefix}_NUM").set_index(f"{prefix}_NUM")[f"{prefix}_PF"]
    quality = said.reindex(code)
    return pd.arrays.BooleanArray((quality == "P").to_numpy(bool), quality.isna().to_numpy())


def _configuration(record: pd.DataFrame | None) -> dict[str, Any]:
    """Keep what tells how the wafer lay: notch or flat, and where x and y count to."""
    if record is None:
        return {}
    first = record.iloc[0]
    return {name: first[name] for name in ("WF_FLAT", "POS_X", "POS_Y")}
