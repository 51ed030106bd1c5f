"""No traceback for a user's mistake."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click


class Mistake(click.ClickException):
    """What to tell a user, who can mend it."""

    exit_code = 2


@contextmanager
def mistakes_told(if_stopped: str = "") -> Iterator[None]:
    """Turn what a user can mend into one line, and Ctrl-C into exit code 130.

    Parameters
    ----------
    if_stopped : str, default=""
        What is left of the work when it ends early, and how to go on.
    """
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\nStopped. {if_stopped}".rstrip(), err=True)
        sys.exit(130)
    except (OSError, ValueError) as error:
        # Some libraries break their messages into lines.
        raise Mistake(" ".join(f"{error} {if_stopped}".split())) from error
    except MemoryError as error:
        raise Mistake(f"not enough memory. {if_stopped}".rstrip()) from error
