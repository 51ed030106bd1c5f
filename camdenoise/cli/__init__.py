"""The command line: ``camdenoise --help``."""

from __future__ import annotations

import click

from camdenoise._version import __version__
from camdenoise.cli._convert import convert
from camdenoise.cli._info import info
from camdenoise.cli._models import evaluate, train
from camdenoise.cli._parts import classify, denoise
from camdenoise.cli._report import report


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Find the fails of a wafer map that belong to a pattern.

    Exit codes: 0 done, 2 an error that the message names, 130 stopped by Ctrl-C.
    """


for command in (classify, convert, denoise, evaluate, info, report, train):
    main.add_command(command)
