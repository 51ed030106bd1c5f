"""A die table laid out as the rectangles of bins that map files hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io._bins import BIN_TYPES, BinType
from camdenoise.io._die_file import COLUMNS
from camdenoise.io._placement import check_columns, whole_numbers, wrong_row
from camdenoise.wafers._maps import MAX_SIDE


@dataclass(frozen=True)
class WaferGrid:
    """One wafer of a die table, ready to be written."""

    lot: str  # Its names
    wafer: str
    x: np.ndarray  # ndarray of int64, shape (n_dies,): Coordinates from 0
    y: np.ndarray
    bins: np.ndarray  # ndarray, shape (n_dies,): Bin codes
    passes: dict  # For each bin whether it passes; None where the table does not say

    def size(self, rows: int = 0, columns: int = 0) -> tuple[int, int]:
        """Rows and columns that hold all dies, at least those given."""
        return max(rows, int(self.y.max()) + 1), max(columns, int(self.x.max()) + 1)

    def tokens(self, kind: BinType, empty: str, shape: tuple[int, int]) -> np.ndarray:
        """Lay the dies out as text tokens; `empty` where there is none."""
        known, number = np.unique(self.bins, return_inverse=True)
        texts = np.array([kind.format(code) for code in known.tolist()], dtype=object)
        grid = np.full(shape, empty, dtype=object)
        grid[self.y, self.x] = texts[number]
        return grid


def wafer_grids(table: pd.DataFrame) -> Iterator[WaferGrid]:
    """Split a die table into its wafers, in the order of their first rows."""
    check_columns(table, COLUMNS)
    x, y = (_read_coordinate(table, name) for name in ("x", "y"))
    bins = _read_bins(table)
    _check_unique(table)
    groups = table.groupby(["lot", "wafer"], sort=False, observed=True, dropna=False).indices
    for (lot, wafer), rows in sorted(groups.items(), key=lambda item: item[1][0]):
        part = table.iloc[rows]
        passes = _find_passes(part, wafer)
        names = _check_name(lot), _check_name(wafer)
        if not names[1]:
            raise ValueError("a wafer has no name; a map file needs one. Fill in column 'wafer'.")
        yield WaferGrid(*names, x[rows], y[rows], bins[rows], passes)


def _read_coordinate(table: pd.DataFrame, name: str) -> np.ndarray:
    values = whole_numbers(table, name)
    wrong = (values < 0) | (values >= MAX_SIDE)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise wrong_row(
            table,
            row,
            f"{name} is {values[row]}; a map file counts from 0 to {MAX_SIDE - 1}. Shift the "
            f"coordinates: table.assign({name}=table[{name!r}] - table[{name!r}].min()).",
        )
    return values


def _check_name(name: Any) -> str:
    """Refuse a name that a line or an attribute cannot hold, or that would be read as another."""
    text = "" if pd.isna(name) else str(name)
    if not text.isprintable() or text != text.strip():
        raise ValueError(f"a map file cannot hold the name {text!r}. Rename the lot or wafer.")
    return text


def _read_bins(table: pd.DataFrame) -> np.ndarray:
    missing = table["bin"].isna().to_numpy()
    if missing.any():
        raise wrong_row(
            table,
            int(np.argmax(missing)),
            "bin is missing. Drop untested dies: table.dropna(subset='bin').",
        )
    numeric = pd.api.types.is_numeric_dtype(table["bin"])
    return whole_numbers(table, "bin") if numeric else table["bin"].to_numpy(dtype=object)


def _check_unique(table: pd.DataFrame) -> None:
    again = table.duplicated(["lot", "wafer", "x", "y"]).to_numpy()
    if again.any():
        raise wrong_row(
            table,
            int(np.argmax(again)),
            "its die has another row already, and a map file holds one bin per die. Choose one, "
            "for example table.drop_duplicates(['lot', 'wafer', 'x', 'y'], keep='last').",
        )


def _find_passes(part: pd.DataFrame, wafer: Any) -> dict:
    pairs = part[["bin", "passed"]].drop_duplicates()
    both = pairs["bin"][pairs["bin"].duplicated()]
    if len(both):
        raise ValueError(
            f"wafer {wafer!r}: dies of bin {both.tolist()[0]!r} differ in 'passed', which a map "
            "file cannot express. Set it from the bin: table.assign(passed=table['bin'].isin([1]))."
        )
    passed = pairs["passed"].astype("boolean")
    return {
        code: None if pd.isna(good) else bool(good)
        for code, good in zip(pairs["bin"].tolist(), passed, strict=True)
    }


def choose_notation(wafers: list[WaferGrid], kinds: tuple[str, ...]) -> BinType:
    """Choose the first notation that can express every bin of the wafers."""
    codes = {code for wafer in wafers for code in wafer.passes}
    for kind in (BIN_TYPES[name] for name in kinds):
        unfit = [code for code in codes if not kind.fits(code)]
        if not unfit:
            return kind
    raise ValueError(
        f"bin {unfit[0]!r} does not fit into this format ({kind.name} codes of {kind.width}). "
        "Map the bins to smaller numbers first, for example with table['bin'].map."
    )
