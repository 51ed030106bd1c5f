"""``camdenoise report``: a lot on one page."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from camdenoise.cli._memory import without_garbage_collection
from camdenoise.cli._mistakes import Mistake, mistakes_told
from camdenoise.cli._sources import open_wafers, with_source_options

# More are no lot, and a page that no one scrolls through.
_MOST_WAFERS = 200
# What tells the wafers of a lot apart, the most usual first.
_NAMES = ("slot", "wafer", "wafer_id", "name")


@click.command(
    epilog="\b\nExamples:\n"
    "  camdenoise report lot.parquet -o lot.html\n"
    "  camdenoise report lot.stdf.gz -o lot.html --pass-bins 1,2\n"
    "  camdenoise report history.parquet --lot A7 -o A7.html"
)
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="HTML file.")
@click.option("--lot", help="Only the wafers of this lot, by the column lot.")
@click.option("--model", default="wm811k", show_default=True, help="Name, or file of save_model.")
@click.option(
    "--palette",
    type=click.Choice(["colorblind", "fab"]),
    default="colorblind",
    show_default=True,
    help="Red and blue on grey, or red and orange on green.",
)
@with_source_options
def report(source: Path, out: Path, **options: Any) -> None:
    """Write a report on the lot in file IN: one page of HTML that needs no network.

    IN is what denoise takes, of up to 200 wafers, or of one lot of a larger file. An existing OUT
    is replaced once the new one is complete. The last line on standard output is a summary in JSON.
    """
    start = time.perf_counter()
    with mistakes_told(), without_garbage_collection():
        n_wafers = _write(source, out, options)
    seconds = round(time.perf_counter() - start, 2)
    click.echo(json.dumps({"wafers": n_wafers, "seconds": seconds, "out": str(out)}))


def _write(source: Path, out: Path, options: dict[str, Any]) -> int:
    from camdenoise._files import write_whole
    from camdenoise.cli._models import load_denoiser
    from camdenoise.report import lot_report

    maps, keys = _lot(source, options)
    denoiser, _ = load_denoiser(options["model"], on_error="keep")
    lots = sorted(set(keys["lot"].astype(str))) if "lot" in keys else []
    page = lot_report(
        denoiser,
        maps,
        keys=keys,
        names=next((keys[name].astype(str) for name in _NAMES if name in keys), None),
        title=f"Lot {', '.join(lots)}" if 0 < len(lots) <= 3 else f"Wafers of {source.name}",
        palette=options["palette"],
    )
    with write_whole(out) as stream:
        stream.write(page.encode())
    return len(maps)


def _lot(source: Path, options: dict[str, Any]):
    """Read the wafers of a lot, and what else is known of them."""
    import numpy as np
    import pandas as pd

    from camdenoise.stream import wafers_of

    maps: list[Any] = []
    frames = []
    stream, _ = open_wafers(source, options)
    for batch in stream.batches:
        grids, _ = wafers_of(batch)
        keys = batch.drop_columns(["cells", "rows", "cols"]).to_pandas()
        chosen = np.ones(len(keys), bool)
        if options["lot"] is not None:
            if "lot" not in keys:
                raise Mistake(f"{source} has no column lot.")
            chosen = (keys["lot"].astype(str) == options["lot"]).to_numpy()
        # What holds no map is shown as unreadable, too.
        nothing = np.zeros((0, 0), np.uint8)
        grids = [nothing if grid is None else grid for grid in grids]
        maps += [grids[row] for row in np.flatnonzero(chosen)]
        frames.append(keys[chosen])
        if len(maps) > _MOST_WAFERS:
            raise Mistake(f"more than {_MOST_WAFERS} wafers in {source}. Choose one lot by --lot.")
    if not maps:
        raise Mistake(f"no wafer{' of that lot' if options['lot'] else ''} in {source}.")
    return maps, pd.concat(frames, ignore_index=True)
