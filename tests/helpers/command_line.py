"""Run the commands of `camdenoise` as a user would, within the process of the test."""

from click.testing import CliRunner

from camdenoise.cli import main


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])
