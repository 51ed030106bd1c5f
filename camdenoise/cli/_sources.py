"""Files of wafers, as commands take them: told by their content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camdenoise.cli._mistakes import Mistake

if TYPE_CHECKING:
    from camdenoise.stream import WaferSource

_OPTIONS = (
    click.option(
        "--pass-bins", help="Bins of good dies, such as 1,2; for files with a row per die."
    ),
    click.option(
        "--retest",
        type=click.Choice(["last", "first", "best", "worst"]),
        default="last",
        show_default=True,
        help="Which test of a die counts; for files with a row per die.",
    ),
)


def with_source_options(command: Callable) -> Callable:
    """Give a command the options that say how dies are read where a file has a row for each."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def open_wafers(source: Path, options: dict[str, Any]) -> tuple[WaferSource, dict[str, Any]]:
    """Open a file, and tell what its wafers depend on: the file and how its dies are read."""
    from camdenoise.stream import open_source

    dies = {"pass_bins": _bins(options["pass_bins"]), "retest": options["retest"]}
    stream = open_source(source, **dies)
    facts = source.stat()
    about = {"input": source.name, "bytes": facts.st_size, "modified": facts.st_mtime_ns}
    return stream, about | dies


def _bins(text: str | None) -> list[int] | list[str] | None:
    """Read bins as numbers where all are, as they are in most testers, else as letters."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise Mistake(f"--pass-bins {text!r}: give bins with commas between them, such as 1,2.")
    return [int(name) for name in names] if all(n.isdecimal() for n in names) else names
