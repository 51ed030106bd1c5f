"""Colors of dies, and of lines that are compared."""

from __future__ import annotations

from collections.abc import Mapping

#: Colors of a passing die, a failing one, and a fail that is not part of the pattern.
PALETTES = {
    "colorblind": {"pass": "#dfe3e8", "fail": "#b3364b", "removed": "#5fa2d4"},
    "fab": {"pass": "#00cc00", "fail": "#cc0000", "removed": "#ff9900"},
}
#: Color scale of saliency and fail frequency.
SCALE = "magma_r"

# Told apart by their color (Okabe & Ito 2008) and, in gray print, by their dashes.
LINES = [
    ("#0072b2", "-"),
    ("#d55e00", "--"),
    ("#009e73", "-."),
    ("#cc79a7", ":"),
    ("#e69f00", (0, (5, 1, 1, 1, 1, 1))),
    ("#56b4e9", (0, (8, 2))),
]
BASELINE = ("#b5bac0", "-")


def die_colors(palette: str | Mapping[str, str]) -> dict[str, str]:
    """Give the colors of dies that pass, fail, and fail without being part of the pattern."""
    kinds = list(PALETTES["colorblind"])
    if isinstance(palette, Mapping):
        if set(palette) != set(kinds):
            raise ValueError(
                f"A palette of your own needs a color for each of {', '.join(kinds)}, "
                f"and no others; got {', '.join(map(str, palette)) or 'none'}."
            )
        return {kind: palette[kind] for kind in kinds}
    if palette not in PALETTES:
        raise ValueError(f"Unknown palette {palette!r}; choose one of {', '.join(PALETTES)}.")
    return PALETTES[palette]
