"""Write and read results: every file appears whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camdenoise.io import atomic_write


def write(file: Path, content: bytes) -> Path:
    """Write bytes into a file, whose folder is made; return the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as stream:
        stream.write(content)
    return file


def write_table(file: Path, table: pd.DataFrame, *, index: bool = False) -> Path:
    """Write a table as CSV."""
    return write(file, table.to_csv(index=index).encode())


def read_table(file: Path) -> pd.DataFrame:
    """Read a table in which `none` is a class and an empty cell is missing."""
    return pd.read_csv(file, keep_default_na=False, na_values=[""])


def write_json(file: Path, value: Any) -> Path:
    """Write a value as JSON."""
    return write(file, json.dumps(value, indent=1, allow_nan=False).encode())


def read_json(file: Path) -> Any:
    """Read what `write_json` wrote."""
    return json.loads(file.read_text())


def write_arrays(file: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays by name."""
    with atomic_write(file) as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """Read what `write_arrays` wrote."""
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _cell(value: Any, digits: int) -> str:
    if not isinstance(value, float):
        return str(value)
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def to_markdown(table: pd.DataFrame, digits: int) -> str:
    """Format a table of numbers for a document."""
    text = table.map(lambda value: _cell(value, digits))
    rows: list[Sequence] = [["", *text.columns], ["---"] * (text.shape[1] + 1)]
    rows += [[name, *values] for name, values in zip(text.index, text.to_numpy(), strict=True)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)
