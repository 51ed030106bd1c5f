"""Results in parts: each part whole or absent, so that a run that was stopped goes on."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from camdenoise.io._atomic import atomic_write
from camdenoise.io._results import RUN_KEY, SUMMARY_KEY, list_parts, read_note
from camdenoise.wafers._verdict import VERDICTS

Batches: TypeAlias = Iterable[pa.RecordBatch]
Transform: TypeAlias = Callable[[Batches], Iterator[pa.RecordBatch]]
#: A part that is to be made, and one that is made: its number, its batches.
Part: TypeAlias = tuple[int, list[pa.RecordBatch]]
# What is added up, where there is such a column.
_ADDED = {
    **{name: name for name in ("abstained", "partial")},
    **{f"n_{name}": name for name in ("fails", "kept", "removed", "unplaced", "missing")},
}


class PartsError(ValueError):
    """A folder that cannot take the results; the message says what to do."""


@dataclass
class PartsSummary:
    """What was written.

    Attributes
    ----------
    wafers, errors : int
        Wafers in all; those that could not be read.
    parts, parts_before : int
        Files in all; those that an earlier run had written.
    abstained : int or None
        Wafers on which every fail was kept; None where nothing was decided about fails.
    verdicts : dict of str to int, or None
        Wafers of each verdict.
    partial : int or None
        Wafers of which less than most was tested.
    fails, kept, removed : int or None
        Failing dies; those that belong to a pattern, and that do not.
    unplaced, missing : int or None
        Dies without coordinates, which are on no map; records that files declare and lack. None
        where no file could say.
    """

    wafers: int = 0
    errors: int = 0
    parts: int = 0
    parts_before: int = 0
    abstained: int | None = None
    fails: int | None = None
    kept: int | None = None
    removed: int | None = None
    unplaced: int | None = None
    missing: int | None = None
    verdicts: dict[str, int] | None = None
    partial: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what was counted, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def count(self, table: pa.Table) -> None:
        """Add the wafers of a part."""
        self.parts += 1
        self.wafers += table.num_rows
        self.errors += table.num_rows - table["error"].null_count
        for column in set(_ADDED).intersection(table.column_names):
            name = _ADDED[column]
            setattr(self, name, (getattr(self, name) or 0) + (pc.sum(table[column]).as_py() or 0))
        if "verdict" in table.column_names:
            found = Counter(self.verdicts or {}) + Counter(table["verdict"].drop_null().to_pylist())
            self.verdicts = {name: found[name] for name in VERDICTS if found[name]}


def make_one_by_one(parts: Iterable[Part], transform: Transform) -> Iterator[Part]:
    """Make parts here, one after the other; how `write_parts` makes them if not told otherwise."""
    return ((number, list(transform(part))) for number, part in parts)


def write_parts(
    folder: str | os.PathLike,
    batches: Batches,
    transform: Transform,
    *,
    part_rows: int = 4096,
    about: dict[str, Any] | None = None,
    resume: bool = False,
    progress: Callable[[int], Any] = lambda n_wafers: None,
    make_parts: Callable[[Iterable[Part], Transform], Iterator[Part]] = make_one_by_one,
    notes: Sequence[str] = (),
) -> PartsSummary:
    """Transform record batches and write what comes out as Parquet files of equal length.

    Parameters
    ----------
    folder : path-like
        Made where it is not there. Gets ``part-00000.parquet`` and so on, and nothing else. Each
        says in its metadata what the run is; once all are there, the last one says what was
        counted. ``camdenoise info`` tells both.
    batches : iterable of pyarrow.RecordBatch
    transform : callable
        Takes an iterable of record batches and gives one for each, such as
        ``partial(denoise_batches, denoiser=denoiser)``.
    part_rows : int, default=4096
        Wafers per file. No more than these, and a batch, are held in memory.
    about : dict or None, default=None
        What the results depend on, of kinds that JSON holds. A run is resumed only where it is the
        same.
    resume : bool, default=False
        Leave the parts that are there already as they are. Else a folder with parts is refused.
    progress : callable
        Called with the number of wafers of each part that was written, or was there already.
    make_parts : callable
        Takes an iterable of parts (number, record batches) and `transform`, and gives the same
        parts transformed, in any order; `on_dask` for instance.
    notes : sequence of str, default=()
        What was assumed about the wafers, such as `WaferSource.notes`; kept with the counts. Read
        once all batches were gone through.

    Returns
    -------
    PartsSummary

    Raises
    ------
    PartsError
        For a folder with parts, without `resume`; with it, for parts of another run.
    """
    folder = Path(folder)
    run = {"part_rows": part_rows, "about": about or {}}
    _prepare(folder, run, resume)
    metadata = {RUN_KEY: json.dumps(run, ensure_ascii=False)}
    summary = PartsSummary()

    def count(table: pa.Table) -> None:
        summary.count(table)
        progress(table.num_rows)

    def missing() -> Iterator[Part]:
        for number, part in enumerate(_cut_parts(batches, part_rows)):
            file = _name_part(folder, number)
            if not file.exists():
                yield number, part
                continue
            count(_read_counts(file, sum(batch.num_rows for batch in part)))
            summary.parts_before += 1

    for number, made in make_parts(missing(), transform):
        table = pa.Table.from_batches(made)
        _write(table, metadata, _name_part(folder, number))
        count(table)
    if summary.parts:
        last = _name_part(folder, summary.parts - 1)
        counts = summary.as_dict() | ({"notes": [n.rstrip(".") for n in notes]} if notes else {})
        metadata[SUMMARY_KEY] = json.dumps(counts, ensure_ascii=False)
        _write(pq.read_table(last), metadata, last)
    return summary


def _write(table: pa.Table, metadata: dict[bytes, str], file: Path) -> None:
    known = table.schema.metadata or {}
    with atomic_write(file) as stream:
        pq.write_table(
            table.replace_schema_metadata({**known, **metadata}),
            stream,
            compression="zstd",
            write_page_checksum=True,
        )


def _name_part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.parquet"


def _prepare(folder: Path, run: dict[str, Any], resume: bool) -> None:
    """Make the folder and note what the run is, or see whether it is the one that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = list_parts(folder)
    # Without a part there is nothing to go on with, nor to be lost.
    if not parts:
        return
    if not resume:
        raise PartsError(
            f"{folder} holds results already. Resume that run, or choose another folder."
        )
    before = next((note for part in parts if (note := read_note(part, RUN_KEY)) is not None), None)
    if before is None:
        raise PartsError(f"no part in {folder} says what run it is of. Choose another folder.")
    now = json.loads(json.dumps(run))
    if before != now:
        raise PartsError(
            f"{folder} is of another run: {_compare(before, now)}. Choose another folder."
        )


def _compare(before: Any, now: dict[str, Any]) -> str:
    flat = [_flatten(run) if isinstance(run, dict) else {} for run in (before, now)]
    names = [name for name in flat[0] | flat[1] if flat[0].get(name) != flat[1].get(name)]
    return ", ".join(f"{name} was {flat[0].get(name)}, is {flat[1].get(name)}" for name in names)


def _flatten(run: dict[str, Any]) -> dict[str, Any]:
    rest = run.get("about")
    return {k: v for k, v in run.items() if k != "about"} | (rest if isinstance(rest, dict) else {})


def _cut_parts(batches: Batches, part_rows: int) -> Iterator[list[pa.RecordBatch]]:
    """Cut batches so that every part but the last has so many rows."""
    part: list[pa.RecordBatch] = []
    room = part_rows
    for batch in batches:
        while batch.num_rows:
            taken = batch.slice(0, room)
            part.append(taken)
            room -= taken.num_rows
            batch = batch.slice(taken.num_rows)
            if room == 0:
                yield part
                part, room = [], part_rows
    if part:
        yield part


def _read_counts(file: Path, n_wafers: int) -> pa.Table:
    """Read what the summary counts of a part that is there, and see that it is the right one."""
    try:
        names = pq.read_schema(file).names
        table = pq.read_table(
            file, columns=[n for n in names if n in ("error", "verdict", *_ADDED)]
        )
    except (OSError, KeyError, pa.ArrowException) as error:
        raise PartsError(f"{file} cannot be read ({error}). Delete it and resume again.") from error
    if table.num_rows != n_wafers or "error" not in names:
        raise PartsError(
            f"{file} has {table.num_rows} wafers where the input has {n_wafers}. Delete it and "
            "resume again."
        )
    return table
