"""The lot report: yield, what it is lost to, every wafer before and after, and where it fails."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jinja2 import Environment, StrictUndefined

from camdenoise.denoising._base import BaseDenoiser
from camdenoise.lots import lot_summary, pattern_loss, yield_loss
from camdenoise.plotting import PALETTES, FrequencyDisplay, ZoneProfileDisplay
from camdenoise.report._pictures import figure_svg, wafer_png
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._maps import WaferMaps, as_collection, check_wafer_map, map_items
from camdenoise.wafers._verdict import (
    EVERYWHERE,
    MIXED,
    NONE,
    PARTIAL,
    PATTERN,
    UNKNOWN,
    UNSURE,
)

# A wafer whose yield is further from the lot's median, in robust standard deviations, stands out.
_FAR = 3.0
_MAD_TO_DEVIATION = 1.4826
_NO_CLASS = "no class"
_FREQUENCY = (
    "How often each place fails, by class: all fails, those that belong to the pattern, and those "
    "that do not. Wafers of different sizes are laid over each other."
)
_ZONES = (
    "Fails by ring, from the center out, and by sector, clockwise from the top. What does not "
    "belong to a pattern should look flat."
)


def lot_report(
    denoiser: BaseDenoiser,
    X: WaferMaps,
    *,
    keys: pd.DataFrame | None = None,
    names: Sequence[str] | None = None,
    title: str = "Lot report",
    palette: str = "colorblind",
    notes: Sequence[str] = (),
) -> str:
    """Write a report on a lot: one page of HTML that needs no network.

    Parameters
    ----------
    denoiser : CamDenoiser or any denoiser with `explain`
        Fitted. With ``on_error="keep"`` a map that cannot be read costs its own place only.
    X : list, object array or Series of 2-D maps, or 3-D array
        Wafer maps of the lot.
    keys : DataFrame, default=None
        A row per wafer: lot, slot and so on, which come before all else in the table inside.
    names : sequence of str, default=None
        What to call each wafer; None: its row, from 0.
    title : str, default="Lot report"
        Heading of the page.
    palette : {"colorblind", "fab"}, default="colorblind"
        Gray, red and blue, or a tester's green, red and orange.

    notes : sequence of str, default=()
        What was assumed on reading the wafers, for the foot of the page.

    Returns
    -------
    str
        HTML. Text from the data is escaped.

    Raises
    ------
    WaferMapError
        For a map that cannot be read, with ``on_error="raise"``.
    ValueError
        For no readable map, an unknown palette, or another number of keys or names than of wafers.

    Examples
    --------
    >>> from camdenoise import CamDenoiser
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.report import lot_report
    >>> wafers = make_wafer_maps(4, classes=["Center", "none"], random_state=0)
    >>> page = lot_report(CamDenoiser.from_pretrained(), wafers.maps, title="Lot <7>")
    >>> "Lot &lt;7&gt;" in page, "http" in page
    (True, False)
    """
    if palette not in PALETTES:
        raise ValueError(f"palette must be one of {', '.join(PALETTES)}; got {palette!r}.")
    X = as_collection(X)
    explanations = denoiser.explain(X)
    table = lot_summary(denoiser, X, keys=keys, explanations=explanations)
    names = [str(row) for row in range(len(table))] if names is None else list(map(str, names))
    if len(names) != len(table):
        raise ValueError(f"names has {len(names)} entries for {len(table)} wafer maps.")
    table = table.assign(outlier=_find_outliers(table["yield"]))
    loss = yield_loss(table)
    items = map_items(X)
    wafers = [
        _describe_wafer(name, items[row], explanations[row], facts, PALETTES[palette])
        for row, (name, facts) in enumerate(zip(names, table.to_dict("records"), strict=True))
    ]
    readable = table["error"].isna()
    context = {
        "title": title,
        "colors": PALETTES[palette],
        "n_wafers": len(table),
        "n_unreadable": int((~readable).sum()),
        "lot_yield": 1 - float(loss.loc["all", "loss"]),
        "loss": [
            row
            for row in loss.reset_index(names="part").to_dict("records")
            if row["n_dies"] or row["part"] in ("systematic", "random", "all")
        ],
        "patterns": pattern_loss(table).reset_index(names="pattern").to_dict("records"),
        "pareto": _count_classes(
            [_name_class(explanation) for explanation in explanations if explanation.error is None]
        ),
        "wafers": wafers,
        "classes": sorted({wafer["class"] for wafer in wafers}),
        "outliers": [w for w in wafers if w["outlier"]],
        "figures": _draw_figures(X, explanations),
        "notes": list(notes),
        "csv": table.assign(name=names).to_csv(index=False),
    }
    text = (files("camdenoise.report") / "lot_report.html.j2").read_text("utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(text)
    return template.render(context)


def _find_outliers(yields: pd.Series) -> pd.Series:
    """Tell which wafers' yields are far from the median of the lot."""
    away = (yields - yields.median()).abs()
    deviation = _MAD_TO_DEVIATION * away.median()
    return (away > _FAR * deviation) & (deviation > 0)


def _describe_wafer(
    name: str, item: Any, explanation: Explanation, facts: dict[str, Any], colors: dict[str, str]
) -> dict[str, Any]:
    about = {"name": name, "error": explanation.error, "outlier": facts["outlier"]}
    if explanation.error is not None:
        return about | {"class": "unreadable"}
    grid = check_wafer_map(item)
    return about | {
        "class": _name_class(explanation),
        "said": _say(explanation),
        "probability": _probability(explanation),
        "yield": facts["yield"],
        "partial": facts["partial"],
        "shape": grid.shape,
        "before": wafer_png(grid, None, colors),
        "after": wafer_png(grid, explanation, colors),
    }


def _name_class(explanation: Explanation) -> str:
    """Name what a wafer is counted as: its class, its patterns, or its verdict."""
    if explanation.verdict == MIXED:
        return " + ".join(sorted(explanation.patterns))
    if explanation.verdict in (UNKNOWN, UNSURE, PARTIAL):
        return explanation.verdict
    return _NO_CLASS if explanation.label is None else str(explanation.label)


def _probability(explanation: Explanation) -> float | None:
    """Return the probability of what is named, where it has one."""
    p = explanation.probability
    if explanation.verdict in (MIXED, UNKNOWN, UNSURE, PARTIAL):
        p = explanation.verdict_probability
    return None if np.isnan(p) else p


def _say(explanation: Explanation) -> str:
    """Say in words where the fails of a wafer belong."""
    n_kept, n_removed = int(explanation.kept.sum()), int(explanation.removed.sum())
    label, n_fails = explanation.label, n_kept + n_removed
    nearest = " + ".join(explanation.patterns)
    said = {
        PATTERN: f"{n_kept} fails of the pattern, {n_removed} random",
        MIXED: ", ".join(f"{m.sum()} {name} fails" for name, m in explanation.patterns.items())
        + f", {n_removed} random",
        UNKNOWN: f"{n_kept} fails of a pattern unlike the known ones, nearest {nearest}; "
        f"{n_removed} random",
        EVERYWHERE: f"{n_fails} fails all over the wafer",
        NONE: f"{n_fails} random fails",
        UNSURE: f"{n_fails} fails, perhaps {label}",
        PARTIAL: f"{n_fails} fails; not enough of the wafer was tested",
    }
    if explanation.verdict is None:
        return f"{n_kept} fails of the pattern, {n_removed} random"
    return said[explanation.verdict]


def _count_classes(classes: list[str]) -> list[dict[str, Any]]:
    counts = pd.Series(classes, dtype=object).value_counts()
    shares = counts.cumsum() / counts.sum()
    return [
        {"class": name, "n": int(n), "bar": n / counts.iloc[0], "cumulated": float(share)}
        for (name, n), share in zip(counts.items(), shares, strict=True)
    ]


def _draw_figures(X: WaferMaps, explanations: list[Explanation]) -> list[dict[str, str]]:
    """Draw what is seen on many wafers at once."""
    readable = [row for row, explanation in enumerate(explanations) if explanation.error is None]
    items = map_items(X)
    maps = [items[row] for row in readable]
    decided = [explanations[row] for row in readable]
    named = [_name_class(e) for e in decided]
    drawn: dict[str, Any] = {
        _FREQUENCY: FrequencyDisplay.from_predictions(maps, decided, target=named)
    }
    # In a lot without a pattern there is nothing to compare by zones.
    if any(e.claims_pattern for e in decided):
        drawn[_ZONES] = ZoneProfileDisplay.from_predictions(maps, decided, random_state=0)
    made = [{"caption": text, "svg": figure_svg(d.figure_)} for text, d in drawn.items()]
    for display in drawn.values():
        plt.close(display.figure_)
    return made
