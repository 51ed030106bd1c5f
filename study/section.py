"""A part of the report: what it says, its figures and its tables."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

_DPI = 130
# The same figure is the same file, and its text stays text.
_SVG = {"svg.hashsalt": "camdenoise", "svg.fonttype": "none"}


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
        Further figures that lie beside the page: where `save_figure` has written them, by name.
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
        self._add(name, *_drawn(figure), alt, width)

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


#: What makes a part of the report gives: the part, where there is any, and its sentences.
Made: TypeAlias = tuple[Section | None, list[str]]


def save_figure(figure: Figure, stem: Path) -> None:
    """Write a figure as PNG and as SVG, and close it."""
    png, svg = _drawn(figure)
    stem.with_suffix(".png").write_bytes(png)
    stem.with_suffix(".svg").write_bytes(svg)


def _drawn(figure: Figure) -> tuple[bytes, bytes]:
    """Return a figure as PNG and as SVG, and close it."""
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, dpi=_DPI, format="png")
    with matplotlib.rc_context(_SVG):
        figure.savefig(svg, format="svg", metadata={"Date": None})
    plt.close(figure)
    return png.getvalue(), svg.getvalue()


def with_interval(mean: float, low: float, high: float, sign: str = "") -> str:
    """Write a rate and its interval; with `sign` "+" as a difference."""
    said, *ends = (f"{value:{sign}.3f}" for value in (mean, low, high))
    return said if np.isnan(low) else f"{said} ({' to '.join(ends)})"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.3f}"
    return str(value)
