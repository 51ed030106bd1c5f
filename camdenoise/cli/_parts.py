"""``camdenoise denoise`` and ``classify``: files of wafers in, a folder of results in parts out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from camdenoise.cli._memory import keep_freed_memory
from camdenoise.cli._messages import UserError, echo_summary, report_user_errors
from camdenoise.cli._sources import add_source_options, open_wafers

_OPTIONS = (
    click.option(
        "--model", default="wm811k", show_default=True, help="Name, or file of save_model."
    ),
    click.option("--resume", is_flag=True, help="Go on with a run that was stopped."),
    click.option(
        "--part-rows",
        type=click.IntRange(1),
        default=4096,
        show_default=True,
        help="Wafers per file of results.",
    ),
    click.option(
        "--workers", type=click.IntRange(1), help="Processes on this machine; needs Dask."
    ),
    click.option("--scheduler", help="Address of a Dask scheduler, such as tcp://HOST:8786."),
    click.option(
        "--threads",
        type=click.IntRange(1),
        help="Threads here, with a batch each; as many as cores if not given.",
    ),
    click.option(
        "-q", "--quiet", is_flag=True, help="No progress bar, no notes but in the summary."
    ),
)
#: Gives the transformation of batches, and what it depends on.
Load = Callable[[], tuple[Any, dict[str, Any]]]


def _add_options(command: Callable) -> Callable:
    """Add the arguments IN and OUT, and the options of both commands."""
    for option in reversed(_OPTIONS):
        command = option(command)
    command = click.argument("out", metavar="OUT", type=Path)(command)
    return add_source_options(command)


def _write_folder(sources: Sequence[Path], out: Path, load: Load, options: dict[str, Any]) -> None:
    """Transform what is in files, write it, and print a summary in JSON as the last line."""
    left = f"Parts that are in {out} stay; the same command with --resume goes on."
    with report_user_errors():
        if options["workers"] and options["scheduler"]:
            raise UserError("--workers are processes here, --scheduler is elsewhere; give one.")
        if out.is_file():
            raise UserError(f"{out} is a file; OUT is a folder. Choose another name.")
        stream, about_source = open_wafers(sources, options)
        transform, about_model = load()
    with report_user_errors(left):
        summary = _run(stream, transform, out, about_source | about_model, options)
    echo_summary(summary, stream.notes, options["quiet"])


def _run(stream, transform, out: Path, about: dict[str, Any], options: dict[str, Any]) -> dict:
    from tqdm.auto import tqdm

    from camdenoise.stream import PartsError, write_parts

    start = time.perf_counter()
    # On a terminal only, unless asked to be quiet there, too.
    hidden = True if options["quiet"] else None
    bar = tqdm(total=stream.n_wafers, unit="wafer", disable=hidden, smoothing=0.1)
    with bar, _choose_workers(options) as make_parts:
        try:
            summary = write_parts(
                out,
                stream.batches,
                transform,
                part_rows=options["part_rows"],
                about=about,
                resume=options["resume"],
                progress=bar.update,
                make_parts=make_parts,
                notes=stream.notes,
            )
        except PartsError as error:
            raise UserError(str(error)) from error
    seconds = time.perf_counter() - start
    rate = summary.wafers / seconds if seconds else 0.0
    more = {"seconds": round(seconds, 2), "wafers_per_second": round(rate, 1), "out": str(out)}
    return summary.as_dict() | more


@contextmanager
def _choose_workers(options: dict[str, Any]) -> Iterator[Any]:
    """Choose where parts are made: by threads here, by other processes here, or by a cluster."""
    from joblib import cpu_count

    from camdenoise.stream import in_threads, on_dask
    from camdenoise.stream._dask import connect

    if not options["scheduler"] and (options["workers"] or 1) == 1:
        keep_freed_memory()
        yield in_threads(options["threads"] or cpu_count())
        return
    with connect(options["scheduler"], options["workers"]) as client:
        yield on_dask(client)


# Options that are parameters of the denoiser.
_DENOISER_OPTIONS = ("no_pattern", "false_alarm_rate", "novelty_rate")


@click.command(
    short_help="Tell which fails belong to a pattern.",
    epilog="\b\nExamples:\n"
    "  camdenoise denoise lot.stdf.gz decided\n"
    "  camdenoise denoise lot7/*.csv decided --pass-bins 1,2\n"
    "  camdenoise denoise history.parquet decided --resume",
)
@_add_options
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

    OUT gets Parquet files with a row per wafer: its keys, the verdict (pattern, mixed, unknown
    pattern, everywhere, none, unsure, partial, error), the class and how probable both are, counts
    of fails, also of each pattern, whether every fail was kept (abstained), whether the wafer was
    tested in part only (partial), and marks (a byte per die: 0 no die, 1 pass, 2 a fail that was
    kept, 3 a fail that is not part of the pattern). A wafer that cannot be read has a row that says
    why (column error). The last line on standard output is a summary in JSON; its notes say what
    was assumed.
    """

    def load() -> tuple[Any, dict[str, Any]]:
        from camdenoise.cli._models import load_denoiser
        from camdenoise.stream import denoise_batches

        given = {name: options[name] for name in _DENOISER_OPTIONS}
        params = {name: value for name, value in given.items() if value is not None}
        denoiser, digest = load_denoiser(options["model"], **params)
        return partial(denoise_batches, denoiser=denoiser), {"model": digest} | params

    _write_folder(sources, out, load, options)


@click.command(
    short_help="Name the pattern of each wafer.",
    epilog="\b\nExamples:\n"
    "  camdenoise classify lots.parquet classes\n"
    "  camdenoise classify lot7/*.stdf.gz classes --model mine.safetensors",
)
@_add_options
def classify(sources: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Name the pattern of each wafer in the files IN; write folder OUT.

    IN is what denoise takes. OUT gets Parquet files with a row per wafer: its keys and map, the
    verdict and the class as denoise gives them (a model that is a classifier alone has no verdict),
    the probability of every class, whether the wafer was tested in part only (partial), and why a
    wafer could not be read (column error). The last line on standard output is a summary in JSON.
    """

    def load() -> tuple[Any, dict[str, Any]]:
        from camdenoise.cli._models import load
        from camdenoise.stream import classify_batches

        model, digest = load(options["model"])
        transform = partial(classify_batches, model=model)
        return transform, {"command": "classify", "model": digest}

    _write_folder(sources, out, load, options)
