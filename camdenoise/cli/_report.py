"""``camdenoise report``: a lot on one page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from camdenoise.cli._memory import pause_garbage_collection
from camdenoise.cli._messages import UserError, echo_summary, report_user_errors
from camdenoise.cli._sources import add_source_options, open_wafers

if TYPE_CHECKING:
    import pandas as pd

# More are not a lot, and a page that no one scrolls through.
_MOST_WAFERS = 200
# What tells lots apart, the most usual first: people name a lot, not a chunk of it.
_LOTS = ("lot", "chunk")
# What tells the wafers of a lot apart, the most usual first.
_NAMES = ("slot", "wafer", "wafer_id", "name")


@click.command(
    short_help="Show a lot on one page of HTML.",
    epilog="\b\nExamples:\n"
    "  camdenoise report lot.stdf.gz -o lot.html\n"
    "  camdenoise report lot7/*.stdf -o lot7.html --pass-bins 1,2\n"
    "  camdenoise report history.parquet --lot A7 -o A7.html",
)
@click.option("-o", "--out", type=Path, required=True, help="HTML file.")
@click.option("--lot", help="Only the wafers of this lot.")
@click.option("--model", default="wm811k", show_default=True, help="Name, or file of save_model.")
@click.option(
    "--palette",
    type=click.Choice(["colorblind", "fab"]),
    default="colorblind",
    show_default=True,
    help="Red and blue on gray, or red and orange on green.",
)
@add_source_options
def report(sources: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Write a report on the lot in the files IN: one page of HTML that needs no network.

    IN is what denoise takes, of up to 200 wafers, or of one lot of larger files. An existing OUT
    is replaced once the new one is complete. The last line on standard output is a summary in JSON.
    """
    start = time.perf_counter()
    with report_user_errors(), pause_garbage_collection():
        if out.is_dir():
            raise UserError(f"{out} is a folder. Give the name of a file in it.")
        n_wafers, notes = _write(sources, out, options)
    seconds = round(time.perf_counter() - start, 2)
    echo_summary({"wafers": n_wafers, "seconds": seconds, "out": str(out)}, notes)


def _write(sources: Sequence[Path], out: Path, options: dict[str, Any]) -> tuple[int, list[str]]:
    from camdenoise.cli._models import load_denoiser
    from camdenoise.io._atomic import atomic_write
    from camdenoise.report import lot_report

    maps, keys, notes = _read_lot(sources, options)
    denoiser, _ = load_denoiser(options["model"], on_error="keep")
    lots = sorted(set(keys["lot"].astype(str)) - {""}) if "lot" in keys else []
    few = 0 < len(lots) <= 3
    title = f"Lot {', '.join(lots)}" if few else f"Wafers of {_name_sources(sources)}"
    page = lot_report(
        denoiser,
        maps,
        keys=keys,
        names=_name_wafers(keys, with_lot=len(lots) > 1),
        title=title,
        palette=options["palette"],
        notes=[note.rstrip(".") for note in notes],
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as stream:
        stream.write(page.encode())
    return len(maps), notes


def _name_sources(sources: Sequence[Path]) -> str:
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    return f"{sources[0].name or sources[0].resolve().name}{more}"


def _name_wafers(keys: pd.DataFrame, with_lot: bool) -> list[str] | None:
    """Name the wafers by what tells them apart; by their lot, too, where there are several."""
    names = next((keys[name].astype(str).tolist() for name in _NAMES if name in keys), None)
    if names is None or not with_lot:
        return names
    return [f"{lot} {name}" for lot, name in zip(keys["lot"].astype(str), names, strict=True)]


def _read_lot(sources: Sequence[Path], options: dict[str, Any]):
    """Read the wafers of a lot, and what else is known of them."""
    import numpy as np
    import pandas as pd

    from camdenoise.stream import wafers_of

    maps: list[Any] = []
    frames = []
    stream, _ = open_wafers(sources, options)
    source = _name_sources(sources)
    seen: set[str] = set()
    for batch in stream.batches:
        grids, _ = wafers_of(batch)
        keys = batch.drop_columns(["cells", "rows", "cols"]).to_pandas()
        chosen = np.ones(len(keys), bool)
        lot = next((name for name in _LOTS if name in keys), None)
        if lot is not None:
            seen |= set(keys[lot].astype(str))
        if options["lot"] is not None:
            if lot is None:
                raise UserError(f"{source} has no column {' or '.join(_LOTS)}, so --lot cannot be.")
            chosen = (keys[lot].astype(str) == options["lot"]).to_numpy()
        # What holds no map is shown as unreadable, too.
        nothing = np.zeros((0, 0), np.uint8)
        grids = [nothing if grid is None else grid for grid in grids]
        maps += [grids[row] for row in np.flatnonzero(chosen)]
        frames.append(keys[chosen])
        if len(maps) > _MOST_WAFERS:
            remedy = (
                f"Choose one by --lot, such as {', '.join(sorted(seen)[:3])}."
                if seen and options["lot"] is None
                else "Save those to look at in a file of their own, for example by "
                "camdenoise.io.read_maps and camdenoise.datasets.save_wafer_maps."
            )
            raise UserError(f"more than {_MOST_WAFERS} wafers in {source}. {remedy}")
    if not maps:
        lots = f" of lot {options['lot']}; lots: {', '.join(sorted(seen)[:10])}" if seen else ""
        raise UserError(f"no wafer in {source}{lots}.")
    return maps, pd.concat(frames, ignore_index=True), stream.notes
