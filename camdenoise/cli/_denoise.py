"""``camdenoise denoise``: a file of wafers in, a folder of decisions out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from camdenoise.cli._into_parts import into_parts, run_into_parts

_OF_THE_DENOISER = ("no_pattern", "false_alarm_rate", "novelty_rate")


@click.command(
    short_help="Tell which fails belong to a pattern.",
    epilog="\b\nExamples:\n"
    "  camdenoise denoise lot.stdf.gz decided\n"
    "  camdenoise denoise lot7/*.csv decided --pass-bins 1,2\n"
    "  camdenoise denoise history.parquet decided --resume",
)
@into_parts
@click.option(
    "--no-pattern",
    type=click.Choice(["abstain", "remove"]),
    help="What to do with a wafer that has no pattern; as the model has it if not given.",
)
@click.option(
    "--false-alarm-rate",
    type=click.FloatRange(0, 1),
    help="Share of wafers without a pattern on which one may be claimed.",
)
@click.option(
    "--novelty-rate",
    type=click.FloatRange(0, 1),
    help="Share of wafers with known patterns that may be taken for unlike all known ones.",
)
def denoise(sources: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Tell which fails of the wafers in the files IN belong to a pattern; write folder OUT.

    IN: files, patterns such as 'lot7/*.stdf.gz', or folders. Known are STDF, ATDF, SEMI G85 and
    E142, SINF, KLARF, text tables and Parquet with a row per die (x, y, bin, lot, wafer), Parquet
    with a row per wafer (cells, rows, cols and any keys), npz, WM-811K's pickle and earlier
    results; plain or packed by gzip, bzip2, xz, zstd or zip. The content tells which, not the name.

    OUT gets Parquet files with a row per wafer: its keys, the class that is predicted and its
    probability, counts of fails, whether nothing was decided (abstained), because the wafer is
    unlike all known ones (novel) or was tested in part only (partial), and marks (a byte per die:
    0 no die, 1 pass, 2 a fail of the pattern, 3 a fail that is not part of it). A wafer that
    cannot be read has a row that says why (column error). The last line on standard output is a
    summary in JSON; its notes say what was assumed.
    """

    def load() -> tuple[Any, dict[str, Any]]:
        from camdenoise.cli._models import load_denoiser
        from camdenoise.stream import denoise_batches

        given = {name: options[name] for name in _OF_THE_DENOISER}
        params = {name: value for name, value in given.items() if value is not None}
        denoiser, digest = load_denoiser(options["model"], **params)
        return partial(denoise_batches, denoiser=denoiser), {"model": digest} | params

    run_into_parts(sources, out, load, options)
