"""What commands tell: a summary in JSON as the last line, notes for people before it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from camdenoise.cli._mistakes import Mistake


def echo_summary(facts: dict[str, Any], notes: Iterable[str] = (), quiet: bool = False) -> None:
    """Write a summary as one line of JSON; notes go into it, and to standard error."""
    notes = [note.rstrip(".") for note in notes]
    if not quiet:
        for note in notes:
            click.echo(f"Note: {note}.", err=True)
    more = {"notes": notes} if notes else {}
    click.echo(json.dumps(facts | more, ensure_ascii=False))


def check_new(out: Path) -> None:
    """Refuse to replace a file."""
    if out.is_dir():
        raise Mistake(f"{out} is a folder. Give the name of a file in it.")
    if out.exists():
        raise Mistake(f"{out} is there already. Choose another name.")


def make_folder_of(out: Path) -> None:
    """Make the folder that a file will be in, once there is something to write."""
    out.parent.mkdir(parents=True, exist_ok=True)
