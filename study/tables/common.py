"""Read the results of many tasks into one table; means and their intervals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from camdenoise.metrics import bootstrap_interval
from study.denoisers import BY_NAME
from study.files import read_table

#: Part of a task's name.
FOLD_AND_SEED = r"(?P<fold>\d+)-(?P<seed>\d+)"
_NAMES = tuple(BY_NAME)


def find(folders: dict[str, Path], pattern: str) -> Iterator[tuple[dict[str, int], Path]]:
    """Find tasks by a pattern of their whole names; give its named numbers and the folder."""
    for name, folder in folders.items():
        match = re.fullmatch(pattern, name)
        if match:
            yield {key: int(value) for key, value in match.groupdict().items()}, folder


def gather(folders: dict[str, Path], pattern: str, file: str) -> pd.DataFrame:
    """Read one table of all tasks that have it, with the numbers in their names as columns."""
    tables = [
        read_table(folder / file).assign(**key)
        for key, folder in find(folders, pattern)
        if (folder / file).exists()
    ]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def interval(wafers: pd.DataFrame, column: str, strata: str | None = None) -> dict[str, float]:
    """Average over wafers, then over strata, with a 95 % bootstrap interval over their groups."""
    values = wafers[column].astype(float)
    of_strata = None if strata is None else wafers[strata]
    mean = values.mean() if strata is None else values.groupby(of_strata).mean().mean()
    low, high = bootstrap_interval(values, groups=wafers["group"], strata=of_strata, random_state=0)
    return {"mean": float(mean), "low": low, "high": high}


def interval_of(values: pd.Series) -> dict[str, float]:
    """Average values whose index has the level "group", see `interval`."""
    return interval(values.rename("value").reset_index(), "value")


def means(wafers: pd.DataFrame, column: str, by: Sequence[str]) -> pd.DataFrame:
    """Average a score over wafers, then over classes, with 95 % intervals over groups.

    Parameters
    ----------
    wafers : DataFrame
        One row per wafer and denoiser.
    column : str
        The score; wafers without it are left out.
    by : sequence of str
        One row comes out for each combination of these columns.
    """
    rows = []
    for key, part in wafers.dropna(subset=column).groupby(list(by), sort=False):
        cell = dict(zip(by, key, strict=True)) | {"wafers": len(part)}
        rows.append(cell | interval(part, column, strata="label"))
    return in_order(pd.DataFrame(rows))


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by their denoiser, as the registry has them."""
    return table.sort_values(
        "denoiser", key=lambda names: names.map(_NAMES.index), kind="stable"
    ).reset_index(drop=True)
