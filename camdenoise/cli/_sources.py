"""Files of wafers, as commands take them: told by their content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camdenoise.cli._messages import UserError

if TYPE_CHECKING:
    import numpy as np

    from camdenoise.io._wafer_source import WaferSource

# Columns that tell lots apart, the most usual first.
LOTS = ("chunk", "lot")
_NAMES = ("x", "y", "bin", "lot", "wafer", "passed")
_OPTIONS = (
    click.option(
        "--pass-bins",
        help="Bins of good dies, such as 1,2; 'none' if no die passes. For files with a row per "
        "die, like all options down to --encoding.",
    ),
    click.option(
        "--retest",
        type=click.Choice(["last", "first", "best", "worst"]),
        help="Which test of a die counts; the last if not given.",
    ),
    click.option(
        "--frame",
        default="lot",
        show_default=True,
        help="What a map shows: the product's frame (lot), only the wafer's own dies (wafer), or "
        "X0,Y0,ROWS,COLS.",
    ),
    click.option(
        "--notch",
        type=click.Choice(["down", "left", "up", "right"]),
        help="Where the notch is, if the file does not say or is wrong. Maps show it below.",
    ),
    click.option("--mirror", type=click.Choice(["left-right", "up-down"]), help="Mirror the maps."),
    click.option(
        "--rotate",
        type=click.Choice(["0", "90", "180", "270"]),
        default="0",
        help="Turn the maps clockwise.",
    ),
    click.option(
        "--incomplete",
        is_flag=True,
        help="Read files that hold less than they declare; column n_missing counts it.",
    ),
    click.option(
        "--columns",
        help="Columns of a table with a row per die, such as "
        "x=DIE_X,y=DIE_Y,bin=HB,lot=LOT,wafer=WID.",
    ),
    click.option(
        "--bins",
        type=click.Choice(["hard", "soft"]),
        default="hard",
        show_default=True,
        help="Which bins to read from files with both.",
    ),
    click.option("--map-name", help="Which map of a wafer to read from SEMI G85 or E142."),
    click.option(
        "--inspected",
        type=Path,
        help="File of a wafer with all inspected dies, for KLARF files that do not list theirs.",
    ),
    click.option("--encoding", help="Encoding of text that is not UTF-8, such as cp949."),
)


def add_source_options(command: Callable) -> Callable:
    """Add the argument IN, and the options that say how the files are read."""
    for option in reversed(_OPTIONS):
        command = option(command)
    argument = click.argument("sources", metavar="IN...", nargs=-1, required=True, type=Path)
    return argument(command)


def open_wafers(
    sources: Sequence[Path], options: dict[str, Any]
) -> tuple[WaferSource, dict[str, Any]]:
    """Open files, and tell what their wafers depend on: the files and how their dies are read."""
    from camdenoise.io._wafer_source import open_source

    reading = {
        "pass_bins": _parse_bins(options["pass_bins"]),
        "retest": options["retest"],
        "frame": _parse_frame(options["frame"]),
        "notch": options["notch"],
        "mirror": options["mirror"],
        "rotate": int(options["rotate"]),
        "incomplete": options["incomplete"],
        "columns": _parse_columns(options["columns"]),
        "bins": options["bins"],
        "map_name": options["map_name"],
        "encoding": options["encoding"],
        "inspected": None if options["inspected"] is None else str(options["inspected"]),
    }
    source = open_source(list(sources), **reading)
    # What was not asked for need not be told.
    asked = {name: value for name, value in reading.items() if value}
    return source, {"input": [_describe_file(file) for file in source.files]} | asked


def _describe_file(file: Path) -> str:
    facts = file.stat()
    return f"{file.name} ({facts.st_size} bytes, modified {facts.st_mtime_ns})"


def _parse_bins(text: str | None) -> list[str] | None:
    """Read bins as they are written; the file tells whether they are numbers or characters."""
    if text is None:
        return None
    if text.strip().lower() == "none":
        return []
    names = [name.strip().strip("'\"") for name in text.split(",")]
    if not all(names):
        raise UserError(f"--pass-bins {text!r}: give bins with commas between them, such as 1,2.")
    return names


def _parse_frame(text: str) -> str | list[int]:
    if text in ("lot", "wafer"):
        return text
    try:
        return [int(side) for side in text.split(",")]
    except ValueError as error:
        raise UserError(
            f"--frame {text!r}: give lot, wafer, or four whole numbers X0,Y0,ROWS,COLS."
        ) from error


def _parse_columns(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    pairs = [pair.partition("=") for pair in text.split(",")]
    columns = {name.strip(): column.strip() for name, _, column in pairs}
    if not all(columns.values()) or set(columns) - set(_NAMES):
        raise UserError(
            f"--columns {text!r}: give pairs such as x=DIE_X,y=DIE_Y, of {', '.join(_NAMES)}."
        )
    return columns


def read_labeled_wafers(
    sources: Sequence[Path], options: dict[str, Any]
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray | None, list[str]]:
    """Read the wafers that have a label and can be read: maps, labels, lots if known, notes."""
    import numpy as np

    from camdenoise.io._wafer_table import collect_wafers
    from camdenoise.metrics._class_report import few_wafers_warning
    from camdenoise.wafers._maps import read_readable_maps

    stream, _ = open_wafers(sources, options)
    source = ", ".join(map(str, sources))
    maps, _, keys = collect_wafers(stream.batches)
    if maps and "label" not in keys:
        raise UserError(
            f"{source} has no column label with the class of each wafer. Make a table with a row "
            "per wafer by camdenoise convert, and add the column to it, for example with pandas."
        )
    labels = keys["label"].fillna("").astype(str).to_numpy(str) if maps else np.empty(0, str)
    rows = [row for row, grid in enumerate(maps) if grid is not None and labels[row]]
    if not rows:
        raise UserError(f"no wafer of {source} has a label.")
    read, errors = read_readable_maps([maps[row] for row in rows])
    rows = [row for row, error in zip(rows, errors, strict=True) if error is None]
    lots = next((keys[name].to_numpy()[rows] for name in LOTS if name in keys), None)
    target = labels[rows]
    few = few_wafers_warning(target)
    return read, target, lots, [*stream.notes, *([few] if few else [])]
