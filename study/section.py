"""A part of the report: what it says, its figures and its tables."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

_DPI = 130


@dataclass
class Section:
    """A part of the page."""

    title: str
    texts: list[str] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)

    def add_figure(self, name: str, figure: Figure, alt: str) -> None:
        """Put a picture into the page itself."""
        stream = io.BytesIO()
        figure.savefig(stream, dpi=_DPI, format="png")
        width = round(100 * figure.get_figwidth())
        plt.close(figure)
        png = base64.b64encode(stream.getvalue()).decode()
        self.items.append({"name": name, "png": png, "alt": alt, "width": width})

    def add_table(self, table: pd.DataFrame, caption: str = "") -> None:
        """Show a table, rates with three digits."""
        rows = [[_cell(value) for value in row] for row in table.itertuples(index=False)]
        self.items.append({"columns": list(table.columns), "rows": rows, "caption": caption})


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.3f}"
    return str(value)
