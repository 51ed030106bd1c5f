"""``camdenoise denoise``: a file of wafers in, a folder of decisions out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from camdenoise.cli._mistakes import Mistake, mistakes_told


@click.command(
    epilog="\b\nExamples:\n"
    "  camdenoise denoise lots.parquet decided\n"
    "  camdenoise denoise lot.stdf.gz decided --no-pattern remove\n"
    "  camdenoise denoise history.parquet decided --resume"
)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--model", default="wm811k", show_default=True, help="Name, or file of save_model.")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
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
@click.option("--pass-bins", help="Bins of good dies, such as 1,2; for files with a row per die.")
@click.option(
    "--retest",
    type=click.Choice(["last", "first", "best", "worst"]),
    default="last",
    show_default=True,
    help="Which test of a die counts; for files with a row per die.",
)
@click.option(
    "--part-rows",
    type=click.IntRange(1),
    default=4096,
    show_default=True,
    help="Wafers per file of results.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes on this machine; needs Dask.")
@click.option("--scheduler", help="Address of a Dask scheduler, such as tcp://HOST:8786.")
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="Threads here, with a batch each; as many as cores if not given.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def denoise(source: Path, out: Path, **options: Any) -> None:
    """Tell which fails of the wafers in file IN belong to a pattern; write folder OUT.

    IN: Parquet with a row per wafer (cells, rows, cols and any keys) or per die (lot, wafer, x, y,
    bin), CSV with a row per die, npz, STDF, SEMI G85 or E142, SINF, KLARF, told by its content.

    OUT gets Parquet files with a row per wafer: its keys, the class that is predicted and its
    probability, counts of fails, and marks (a byte per die: 0 no die, 1 pass, 2 a fail of the
    pattern, 3 a fail that is not part of it). A wafer that cannot be read has a row that says why
    (column error). The last line on standard output is a summary in JSON.
    """
    left = f"Parts that are in {out} stay; the same command with --resume goes on."
    with mistakes_told():
        if options["workers"] and options["scheduler"]:
            raise Mistake("--workers are processes here, --scheduler is elsewhere; give one.")
        stream, denoiser, about = _opened(source, options)
    with mistakes_told(left):
        summary = _run(stream, denoiser, out, about, options)
    click.echo(json.dumps(summary))


def _opened(source: Path, options: dict[str, Any]):
    from camdenoise.cli._models import load_denoiser
    from camdenoise.stream import open_source

    given = {name: options[name] for name in ("no_pattern", "false_alarm_rate")}
    params = {name: value for name, value in given.items() if value is not None}
    dies = {"pass_bins": _bins(options["pass_bins"]), "retest": options["retest"]}
    stream = open_source(source, **dies)
    denoiser, digest = load_denoiser(options["model"], **params)
    facts = source.stat()
    about = {"input": source.name, "bytes": facts.st_size, "modified": facts.st_mtime_ns}
    return stream, denoiser, about | {"model": digest} | params | dies


def _run(stream, denoiser, out: Path, about: dict[str, Any], options: dict[str, Any]) -> dict:
    from tqdm.auto import tqdm

    from camdenoise.stream import PartsError, denoise_batches, write_parts

    start = time.perf_counter()
    # On a terminal only, unless asked to be quiet there, too.
    hidden = True if options["quiet"] else None
    bar = tqdm(total=stream.n_wafers, unit="wafer", disable=hidden, smoothing=0.1)
    with bar, _making(options) as make_parts:
        try:
            summary = write_parts(
                out,
                stream.batches,
                partial(denoise_batches, denoiser=denoiser),
                part_rows=options["part_rows"],
                about=about,
                resume=options["resume"],
                progress=bar.update,
                make_parts=make_parts,
            )
        except PartsError as error:
            raise Mistake(str(error)) from error
    seconds = time.perf_counter() - start
    rate = summary.wafers / seconds if seconds else 0.0
    more = {"seconds": round(seconds, 2), "wafers_per_second": round(rate, 1), "out": str(out)}
    return asdict(summary) | more


@contextmanager
def _making(options: dict[str, Any]) -> Iterator[Any]:
    """Choose where parts are made: by threads here, by other processes here, or by a cluster."""
    from joblib import cpu_count

    from camdenoise.stream import in_threads, on_dask
    from camdenoise.stream._dask import connected

    if not options["scheduler"] and (options["workers"] or 1) == 1:
        yield in_threads(options["threads"] or cpu_count())
        return
    with connected(options["scheduler"], options["workers"]) as client:
        yield on_dask(client)


def _bins(text: str | None) -> list[int] | list[str] | None:
    """Read bins as numbers where all are, as they are in most testers, else as letters."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise Mistake(f"--pass-bins {text!r}: give bins with commas between them, such as 1,2.")
    return [int(name) for name in names] if all(n.isdecimal() for n in names) else names
