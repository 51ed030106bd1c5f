"""How the figures look, and how they are written."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from study.files import write

INK = "#27313b"
STYLE = {
    "font.size": 9,
    "axes.edgecolor": "#9aa5b1",
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
#: Color of the grid behind the values.
GRID = "#e3e7eb"
# Dots per inch of a PNG in the report.
_DPI = 130
# The same figure is the same file, and its text stays text.
_SVG = {"svg.hashsalt": "camdenoise", "svg.fonttype": "none"}


def render(figure: Figure) -> tuple[bytes, bytes]:
    """Return a figure as PNG and as SVG, and close it."""
    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, dpi=_DPI, format="png")
    with matplotlib.rc_context(_SVG):
        figure.savefig(svg, format="svg", metadata={"Date": None})
    plt.close(figure)
    return png.getvalue(), svg.getvalue()


def save_figure(figure: Figure, stem: Path) -> None:
    """Write a figure as PNG and as SVG, and close it."""
    for suffix, content in zip((".png", ".svg"), render(figure), strict=True):
        write(stem.with_suffix(suffix), content)


def save_picture(figure: Figure, file: Path) -> None:
    """Write a figure as a small PNG for a document, and close it."""
    png = io.BytesIO()
    figure.savefig(png, dpi=90, format="png", pil_kwargs={"optimize": True})
    plt.close(figure)
    write(file, png.getvalue())
