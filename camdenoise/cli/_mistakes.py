"""No traceback for a user's mistake."""

from __future__ import annotations

import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click


class Mistake(click.ClickException):
    """What to tell a user, who can mend it."""

    exit_code = 2


@contextmanager
def mistakes_told(if_stopped: str = "") -> Iterator[None]:
    """Turn what a user can mend into one line, and Ctrl-C into exit code 130."""
    try:
        with _ended_by_a_second_ctrl_c(), _warnings_told():
            yield
    except KeyboardInterrupt:
        click.echo(f"\nStopped. {if_stopped}".rstrip(), err=True)
        sys.exit(130)
    except (OSError, ValueError, ImportError) as error:
        # Some libraries break their messages into lines.
        raise Mistake(" ".join(f"{error} {if_stopped}".split())) from error
    except MemoryError as error:
        raise Mistake(f"not enough memory. {if_stopped}".rstrip()) from error


@contextmanager
def _warnings_told() -> Iterator[None]:
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
def _ended_by_a_second_ctrl_c() -> Iterator[None]:
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
