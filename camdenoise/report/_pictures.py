"""Pictures inside a page: wafers as small PNGs, a pixel a die, and figures as SVG."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping

import numpy as np
from matplotlib import rc_context
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import FAIL, NO_DIE

_REMOVED = FAIL + 1


def wafer_png(grid: np.ndarray, explanation: Explanation | None, colors: Mapping[str, str]) -> str:
    """Return a wafer as a data URI, no-die cells transparent, a pixel for each die."""
    from PIL import Image

    codes = grid if explanation is None else np.where(explanation.random, _REMOVED, grid)
    image = Image.fromarray(codes.astype(np.uint8), "P")
    shown = ["#000000", colors["pass"], colors["fail"], colors["removed"]]
    image.putpalette([round(255 * part) for color in shown for part in to_rgb(color)])
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=NO_DIE, optimize=True)
    return _data_uri("image/png", stream.getvalue())


def figure_svg(figure: Figure) -> str:
    """Return a figure as a data URI; its text stays text, and it is the same every time."""
    stream = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "camdenoise"}):
        figure.savefig(stream, format="svg", metadata={"Date": None}, facecolor="white")
    return _data_uri("image/svg+xml", stream.getvalue())


def _data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"
