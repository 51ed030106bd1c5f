"""What the commands share that go through a file of wafers and write a folder of parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from camdenoise.cli._memory import keep_freed_memory
from camdenoise.cli._mistakes import Mistake, mistakes_told
from camdenoise.cli._output import echo_summary
from camdenoise.cli._sources import open_wafers, with_sources

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


def into_parts(command: Callable) -> Callable:
    """Give a command the arguments IN and OUT and the options that all of these have."""
    for option in reversed(_OPTIONS):
        command = option(command)
    command = click.argument("out", metavar="OUT", type=Path)(command)
    return with_sources(command)


def run_into_parts(sources: Sequence[Path], out: Path, load: Load, options: dict[str, Any]) -> None:
    """Transform what is in files, write it, and print a summary in JSON as the last line."""
    left = f"Parts that are in {out} stay; the same command with --resume goes on."
    with mistakes_told():
        if options["workers"] and options["scheduler"]:
            raise Mistake("--workers are processes here, --scheduler is elsewhere; give one.")
        if out.is_file():
            raise Mistake(f"{out} is a file; OUT is a folder. Choose another name.")
        stream, about_source = open_wafers(sources, options)
        transform, about_model = load()
    with mistakes_told(left):
        summary = _run(stream, transform, out, about_source | about_model, options)
    echo_summary(summary, stream.notes, options["quiet"])


def _run(stream, transform, out: Path, about: dict[str, Any], options: dict[str, Any]) -> dict:
    from tqdm.auto import tqdm

    from camdenoise.stream import PartsError, write_parts

    start = time.perf_counter()
    # On a terminal only, unless asked to be quiet there, too.
    hidden = True if options["quiet"] else None
    bar = tqdm(total=stream.n_wafers, unit="wafer", disable=hidden, smoothing=0.1)
    with bar, _making(options) as make_parts:
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
            raise Mistake(str(error)) from error
    seconds = time.perf_counter() - start
    rate = summary.wafers / seconds if seconds else 0.0
    more = {"seconds": round(seconds, 2), "wafers_per_second": round(rate, 1), "out": str(out)}
    return summary.as_dict() | more


@contextmanager
def _making(options: dict[str, Any]) -> Iterator[Any]:
    """Choose where parts are made: by threads here, by other processes here, or by a cluster."""
    from joblib import cpu_count

    from camdenoise.stream import in_threads, on_dask
    from camdenoise.stream._dask import connected

    if not options["scheduler"] and (options["workers"] or 1) == 1:
        keep_freed_memory()
        yield in_threads(options["threads"] or cpu_count())
        return
    with connected(options["scheduler"], options["workers"]) as client:
        yield on_dask(client)
