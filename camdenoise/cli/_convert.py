"""``camdenoise convert``: any file of wafers to one with a row per wafer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camdenoise.cli._messages import UserError, check_new, echo_summary, report_user_errors
from camdenoise.cli._sources import add_source_options, open_wafers

if TYPE_CHECKING:
    from camdenoise.io._container import Content
    from camdenoise.io._wafer_source import WaferSource


# Endings by which people ask for something else than Parquet.
_OTHERS = (".csv", ".tsv", ".txt", ".json", ".xlsx", ".xls", ".xml", ".html", ".pkl", ".stdf")


@click.command(
    short_help="Write wafers as one table.",
    epilog="\b\nExamples:\n"
    "  camdenoise convert lot.stdf.gz lot.parquet\n"
    "  camdenoise convert LSWMD.pkl wm811k.parquet\n"
    "  camdenoise convert dies.csv wafers.npz --pass-bins 1,2",
)
@add_source_options
@click.argument("out", metavar="OUT", type=Path)
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def convert(sources: tuple[Path, ...], out: Path, quiet: bool, **options: Any) -> None:
    """Write the wafers in the files IN to file OUT, whole or not at all.

    IN is what denoise takes. OUT is Parquet with a row per wafer (cells, rows, cols and its keys),
    or npz where its name ends so; it must not be there. The last line on standard output is a
    summary in JSON.
    """
    with report_user_errors():
        check_new(out)
        if out.suffix.lower() in _OTHERS:
            raise UserError(f"{out}: convert writes Parquet or npz. End the name in one of them.")
        stream, _ = open_wafers(sources, options)
        out.parent.mkdir(parents=True, exist_ok=True)
        if stream.pickle is not None and out.suffix != ".npz":
            n_wafers = _convert_pickle(stream.pickle, out, quiet)
        else:
            n_wafers = _write(stream, out, quiet)
    echo_summary({"wafers": n_wafers, "out": str(out)}, stream.notes, quiet)


def _convert_pickle(pickle: Content, out: Path, quiet: bool) -> int:
    """Convert one of WM-811K's pickles to the table that `load_wm811k` makes, too."""
    import pyarrow.parquet as pq

    from camdenoise.io._lswmd_convert import convert_safely

    with pickle.on_disk() as path:
        convert_safely(path, out, {"name": pickle.path.name}, progress=not quiet)
    return pq.read_metadata(out).num_rows


def _write(stream: WaferSource, out: Path, quiet: bool) -> int:
    from tqdm.auto import tqdm

    bar = tqdm(total=stream.n_wafers, unit="wafer", disable=True if quiet else None)
    with bar:
        batches = _add_partial(stream.batches, bar)
        if out.suffix == ".npz":
            return _write_npz(batches, out)
        return _write_parquet(batches, out, stream.notes)


def _add_partial(batches: Iterable, bar) -> Iterator:
    import pyarrow as pa

    from camdenoise.stream import wafers_of
    from camdenoise.wafers._coverage import is_partial

    for batch in batches:
        # A row that is not a wafer may stay; columns that hold none may not.
        maps, _ = wafers_of(batch)
        partial = [None if grid is None else is_partial(grid) for grid in maps]
        yield batch.append_column("partial", pa.array(partial, pa.bool_()))
        bar.update(batch.num_rows)


def _write_parquet(batches: Iterator, out: Path, notes: list[str]) -> int:
    from itertools import chain

    import pyarrow as pa
    import pyarrow.parquet as pq

    from camdenoise.io._atomic import atomic_write
    from camdenoise.io._results import NOTES_KEY

    first = next(batches, None)
    if first is None:
        raise UserError("there is no wafer in it.")
    n_wafers = 0
    options = {"compression": "zstd", "write_page_checksum": True}
    with atomic_write(out) as stream, pq.ParquetWriter(stream, first.schema, **options) as writer:
        for batch in chain([first], batches):
            # What a lot leaves empty has another type there.
            writer.write_table(pa.Table.from_batches([batch]).cast(first.schema))
            n_wafers += batch.num_rows
        writer.add_key_value_metadata({NOTES_KEY: json.dumps(notes, ensure_ascii=False)})
    return n_wafers


def _write_npz(batches: Iterator, out: Path) -> int:
    from camdenoise.datasets import save_wafer_maps
    from camdenoise.io._wafer_table import collect_wafers

    maps, errors, keys = collect_wafers(batches)
    for row, error in enumerate(errors):
        if error is not None:
            raise UserError(f"wafer {row} cannot be read: {error}. Parquet would keep its row.")
    target = keys.pop("label").fillna("").astype(str) if "label" in keys else [""] * len(maps)
    columns = {
        name: values.astype(str).to_numpy(str) if values.dtype.kind not in "biuf" else values
        for name, values in keys.items()
    }
    save_wafer_maps(out, maps, list(target), **columns)
    return len(maps)
