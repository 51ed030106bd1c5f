"""What commands tell people: errors without a traceback, notes, and a summary in JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click


class UserError(click.ClickException):
    """An error that the user can correct; it has no traceback."""

    exit_code = 2


@contextmanager
def report_user_errors(if_stopped: str = "") -> Iterator[None]:
    """Report what a user can correct in one line; end with exit code 130 after Ctrl-C."""
    try:
        with _end_at_second_ctrl_c(), _show_warnings():
            yield
    except KeyboardInterrupt:
        click.echo(f"\nStopped. {if_stopped}".rstrip(), err=True)
        sys.exit(130)
    except (OSError, ValueError, ImportError) as error:
        # Some libraries break their messages into lines.
        raise UserError(" ".join(f"{error} {if_stopped}".split())) from error
    except MemoryError as error:
        raise UserError(f"not enough memory. {if_stopped}".rstrip()) from error


@contextmanager
def _show_warnings() -> Iterator[None]:
    """Show warnings to users as one line each, without a place in the code."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def tell(message, category, *place, **more):
            if issubclass(category, UserWarning):
                click.echo(f"Warning: {message}", err=True)
            else:
                show(message, category, *place, **more)

        warnings.showwarning = tell
        yield


@contextmanager
def _end_at_second_ctrl_c() -> Iterator[None]:
    """Let a second Ctrl-C end the process at once; files are whole or absent at any moment.

    As a second KeyboardInterrupt, while Python takes down its threads, it aborted the process.
    """
    ours = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not ours or before is not signal.default_int_handler:
        yield
        return

    def stop(number, frame):
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        # After a first Ctrl-C the process is about to end, and a second stays what it is.
        if signal.getsignal(signal.SIGINT) is stop:
            signal.signal(signal.SIGINT, before)


def echo_summary(facts: dict[str, Any], notes: Iterable[str] = (), quiet: bool = False) -> None:
    """Write a summary as one line of JSON; notes go into it, and to standard error."""
    notes = [note.rstrip(".") for note in notes]
    if not quiet:
        echo_notes(notes)
    more = {"notes": notes} if notes else {}
    click.echo(json.dumps(facts | more, ensure_ascii=False))


def echo_notes(notes: Iterable[str]) -> None:
    """Write notes to standard error, one a line."""
    for note in notes:
        click.echo(f"Note: {note.rstrip('.')}.", err=True)


def check_new(out: Path) -> None:
    """Refuse to replace a file."""
    if out.is_dir():
        raise UserError(f"{out} is a folder. Give the name of a file in it.")
    if out.exists():
        raise UserError(f"{out} is there already. Choose another name.")
