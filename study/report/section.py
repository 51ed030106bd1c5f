"""A part of the report: its text, its figures and its tables."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from study.figures.style import render


@dataclass
class Section:
    """A part of the page.

    Attributes
    ----------
    title : str
    texts : list of str
        Paragraphs.
    items : list of dict
        Figures and tables, in order.
    attached : dict of str to Path
        Further figures that lie next to the page: where `save_figure` has written them, by name.
    stage : str
        The stage of the study that it shows.
    """

    title: str
    texts: list[str] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    attached: dict[str, Path] = field(default_factory=dict)
    stage: str = ""

    def add_figure(self, name: str, figure: Figure, alt: str) -> None:
        """Put a picture into the page itself."""
        width = round(100 * figure.get_figwidth())
        self._add(name, *render(figure), alt, width)

    def add_saved_figure(self, name: str, stem: Path, alt: str, width: int) -> None:
        """Put a picture into the page that `save_figure` has written."""
        drawn = (stem.with_suffix(suffix).read_bytes() for suffix in (".png", ".svg"))
        self._add(name, *drawn, alt, width)

    def add_table(self, table: pd.DataFrame, caption: str = "") -> None:
        """Show a table, rates with three digits."""
        rows = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
        self.items.append({"columns": list(table.columns), "rows": rows, "caption": caption})

    def _add(self, name: str, png: bytes, svg: bytes, alt: str, width: int) -> None:
        shown = {"name": name, "png": base64.b64encode(png).decode(), "alt": alt, "width": width}
        self.items.append(shown | {"svg": svg})


#: A part of the report, where there is any, and its sentences for the top of the page.
Made: TypeAlias = tuple[Section | None, list[str]]


def with_interval(mean: float, low: float, high: float, sign: str = "") -> str:
    """Write a rate and its interval; with `sign` "+" as a difference."""
    text, *ends = (f"{value:{sign}.3f}" for value in (mean, low, high))
    return text if np.isnan(low) else f"{text} ({' to '.join(ends)})"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.3f}"
    return str(value)


def percent(row: dict | pd.Series) -> str:
    """Write a share and its interval in percent."""
    if row["low"] != row["low"]:
        return f"{row['mean']:.1%} (too few lots for an interval)"
    return f"{row['mean']:.1%} ({row['low']:.1%} to {row['high']:.1%})"


def points(row: dict) -> str:
    """Write a difference and its interval."""
    if row["low"] != row["low"]:
        return f"{row['mean']:+.3f} (too few lots for an interval)"
    return f"{row['mean']:+.3f} (95 % interval {row['low']:+.3f} to {row['high']:+.3f})"
