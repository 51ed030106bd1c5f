"""Wafers of any files as record batches, each kind told by what the file begins with."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow.parquet import ParquetFile

from camdenoise.io._container import Content, is_zip, list_contents
from camdenoise.io._csv_columns import find_columns, note_unnamed
from camdenoise.io._die_file import DieFile, ReadOptions, WaferFacts, read_one
from camdenoise.io._die_table import from_die_table
from camdenoise.io._join import join_files, judge
from camdenoise.io._lots import iter_lots
from camdenoise.io._npz import load_wafer_maps
from camdenoise.io._pass_bins import DEFAULT, convert_bins, explain_absent_bins, holds_numbers
from camdenoise.io._problems import Problem, WaferFileError, list_some, name_file
from camdenoise.io._read import find_reader, holds_wafers, wafer_contents
from camdenoise.io._results import NOTES_KEY, RUN_KEY, SUMMARY_KEY, list_parts, read_note
from camdenoise.io._wafer_table import (
    CELLS,
    FACTS,
    MARKS,
    drop_results,
    find_results,
    open_to_stream,
    wafer_batch,
)

Paths = str | os.PathLike | Sequence[str | os.PathLike]
_PARQUET = b"PAR1"
_PICKLE = b"\x80"
# Share of rows that test a die again, above which a table holds wafers that nothing tells apart.
_MOST_AGAIN = 0.4


@dataclass
class WaferSource:
    """Wafers of files, as they are read.

    Attributes
    ----------
    kind : str
        What the files are.
    batches : iterable of pyarrow.RecordBatch
        With the columns of `wafer_batch` and the wafers' keys. To be gone through once.
    n_wafers : int or None
        How many there are, where the files say so before they are read.
    files : list of Path
        The files, in the order in which they are read.
    notes : list of str
        What was assumed, skipped or left out. Complete once the batches were gone through.
    pickle : Content or None
        The only file, where it is one of WM-811K's pickles.
    """

    kind: str
    batches: Iterable[pa.RecordBatch]
    n_wafers: int | None
    files: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pickle: Content | None = None


@dataclass(frozen=True)
class _Dies:
    """What a user says about files with a row per die."""

    read: ReadOptions
    retest: str | None
    lay: dict[str, Any]

    @property
    def table_options(self) -> dict[str, Any]:
        return {"retest": self.retest or "last", **self.lay}

    def list_given(self) -> list[str]:
        """Name the options that only make sense for such files."""
        options = {
            "pass_bins": self.read.pass_bins is not None,
            "columns": bool(self.read.columns),
            "retest": self.retest is not None,
            "incomplete": self.read.incomplete,
            "bins": self.read.bins != "hard",
            "map_name": self.read.map_name is not None,
            "inspected": self.read.inspected is not None,
            "encoding": self.read.encoding is not None,
            **{name: value not in (None, 0, "lot") for name, value in self.lay.items()},
        }
        return [name for name, is_given in options.items() if is_given]


def open_source(
    paths: Paths,
    *,
    batch_rows: int = 2048,
    pass_bins: Any = None,
    retest: str | None = None,
    frame: str | Sequence[int] = "lot",
    notch: str | None = None,
    mirror: str | None = None,
    rotate: int = 0,
    incomplete: bool = False,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    bins: str = "hard",
    map_name: str | None = None,
    inspected: Any = None,
) -> WaferSource:
    """Open files of wafers of any known kind.

    Parameters
    ----------
    paths : path-like or sequence of path-like
        Files, patterns such as ``"lot7/*.stdf.gz"``, and folders, of which all files are taken
        that hold wafers. Known are Parquet with a row per wafer (``cells``, ``rows``, ``cols`` and
        any keys) or per die; text tables with a row per die; results of an earlier run; npz of
        `datasets.save_wafer_maps`; WM-811K's pickles; STDF, ATDF, SEMI G85 and E142, SINF, KLARF;
        each plain or packed by gzip, bzip2, xz, zstd or zip. Names of files do not matter. Parquet
        is read as it goes, other files at once.
    batch_rows : int, default=2048
        Wafers per record batch at most.
    pass_bins, retest, frame, notch, mirror, rotate
        For files with a row per die: see `io.from_die_table`. Bins may be written as text; an
        empty list says that no die passes. Where `retest` is None, the last test counts.
    incomplete, encoding
        As in `io.read_wafers`.
    columns : mapping of str to str or None, default=None
        Which columns of a table with a row per die are x, y, bin, lot, wafer and passed.
    bins : {"hard", "soft"}, default="hard"
        Which bins to read from files with both.
    map_name : str or None, default=None
        Which map to read where a wafer of SEMI G85 or E142 has several.
    inspected : path-like, array-like of int of shape (n_dies, 2), or None, default=None
        Inspected dies of KLARF files that do not list them: their coordinates, or a file of a
        wafer of the product that has them all.

    Returns
    -------
    WaferSource

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    WaferFileError, ValueError
        For a file that is of none of these kinds, damaged, or not understood; of Parquet perhaps
        only while its batches are read.
    """
    dies = _Dies(
        ReadOptions(
            pass_bins=_list_bins(pass_bins),
            incomplete=incomplete,
            encoding=encoding,
            map_name=map_name,
            bins=bins,
            columns=dict(columns or {}),
            inspected=_read_inspected(inspected),
        ),
        retest,
        {"frame": frame, "notch": notch, "mirror": mirror, "rotate": rotate},
    )
    notes: list[str] = []
    found, skipped = _find(paths)
    if skipped:
        notes.append(f"skipped, since they hold no wafers: {list_some(skipped)}")
    tables, others = [], []
    for content, head in found:
        if _is_wafer_table(content, head):
            tables.append((content, head))
        else:
            others.append(content)
    if tables and others:
        raise ValueError(
            f"{tables[0][0].name} has a row per wafer and {others[0].name} a row per die. Convert "
            "the others to a table with a row per wafer first, then give the tables together."
        )
    if tables and (given := dies.list_given()):
        asked = ", ".join(f"{name}= (--{name.replace('_', '-')})" for name in given)
        raise ValueError(
            f"{tables[0][0].name} has a row per wafer; only files with a row per die take {asked}."
        )
    if tables:
        source = _open_wafer_tables(tables, batch_rows, notes)
    elif len(others) == 1 and others[0].head(4) == _PARQUET:
        source = _open_die_parquet(others[0], batch_rows, dies, notes)
    else:
        source = _open_die_files(others, batch_rows, dies, notes)
    if len(found) == 1 and found[0][1].startswith(_PICKLE):
        source.pickle = found[0][0]
    source.files = list(dict.fromkeys(content.path for content, _ in found))
    return source


def _read_inspected(inspected: Any) -> Any:
    """Take the dies of a file, where a file is given."""
    if not isinstance(inspected, str | os.PathLike):
        return inspected
    dies = [
        read_one(content, find_reader(content), ReadOptions(pass_bins=[])).table[["x", "y"]]
        for content in list_contents(inspected)
    ]
    return pd.concat(dies).drop_duplicates().to_numpy()


def _list_bins(pass_bins: Any) -> list | None:
    if pass_bins is None or isinstance(pass_bins, list):
        return pass_bins
    return [pass_bins] if np.ndim(pass_bins) == 0 else list(pass_bins)


# --- which files ----------------------------------------------------------------------------------


def _find(paths: Paths) -> tuple[list[tuple[Content, bytes]], list[str]]:
    """List what is to be read, with what each begins with; also the names of files skipped."""
    found: list[tuple[Content, bytes]] = []
    skipped: list[str] = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else list(paths):
        path = Path(path)
        if path.is_dir():
            _find_in_folder(path, found, skipped)
        else:
            files = [path] if path.exists() else sorted(_find_matches(path))
            if not files:
                raise FileNotFoundError(f"no file or folder {path}.")
            for file in files:
                known, others = wafer_contents(file)
                found += [(content, content.head()) for content in known]
                skipped += others
    # A file that several patterns match is read once.
    found = list({(c.path.resolve(), c.member): (c, head) for c, head in found}.values())
    if not found:
        places = [paths] if isinstance(paths, str | os.PathLike) else paths
        more = f" Not read: {list_some(skipped)}." if skipped else ""
        raise ValueError(
            f"no file of wafers in {', '.join(map(str, places))}.{more} Of a folder, files are "
            "read and not its folders; for those give a pattern such as 'lots/*/*.stdf'."
        )
    return found, skipped


def _find_matches(pattern: Path) -> list[Path]:
    """Find the files of a pattern; shells of Windows leave that to the program."""
    if not any(sign in str(pattern) for sign in "*?["):
        return []
    base = Path(pattern.anchor) if pattern.anchor else Path()
    return [f for f in base.glob(str(pattern.relative_to(base))) if f.is_file()]


def _find_in_folder(folder: Path, found: list, skipped: list[str]) -> None:
    """Take all files of a folder that hold wafers; the parts, of a folder of results."""
    parts = list_parts(folder)
    if parts and read_note(parts[0], RUN_KEY) is not None:
        found += [(content, _PARQUET) for part in parts for content in list_contents(part)]
        return
    files = sorted(f for f in folder.iterdir() if f.is_file() and f.name[0] not in "._")
    for file in files:
        for content in list_contents(file):
            if holds_wafers(content):
                found.append((content, content.head()))
            else:
                skipped.append(content.name)


def _is_wafer_table(content: Content, head: bytes) -> bool:
    """Whether a file has a row per wafer."""
    if head.startswith(_PARQUET):
        with content.on_disk() as path, _open_parquet(content, path) as file:
            return bool({CELLS, MARKS} & set(file.schema_arrow.names))
    return head.startswith(_PICKLE) or is_zip(head)


# --- a row per wafer ------------------------------------------------------------------------------


def _open_wafer_tables(
    tables: Sequence[tuple[Content, bytes]], batch_rows: int, notes: list[str]
) -> WaferSource:
    opened = [_open_wafer_table(content, head, batch_rows) for content, head in tables]
    schemas = [schema for _, schema in opened if schema is not None]
    left_out = find_results(dict.fromkeys(name for s in schemas for name in s.names))
    left_out = [name for name in left_out if name not in (MARKS, "error")]
    if left_out:
        notes.append(f"results are made anew; left out of the input: {', '.join(left_out)}")
    for content, _ in tables:
        notes += [note for note in _read_notes(content) if note not in notes]
    schema = None
    if len(opened) > 1 and len(schemas) == len(opened):
        try:
            schema = pa.unify_schemas([_read_schema(s) for s in schemas])
        except pa.ArrowException as error:
            raise ValueError(f"the tables differ in the type of a column ({error}).") from error
    known = [source.n_wafers for source, _ in opened if source.n_wafers is not None]
    return WaferSource(
        kind=" and ".join(dict.fromkeys(source.kind for source, _ in opened)),
        batches=(_apply_schema(batch, schema) for source, _ in opened for batch in source.batches),
        n_wafers=sum(known) if len(known) == len(opened) else None,
        notes=notes,
    )


def _read_notes(content: Content) -> list[str]:
    """Read what was assumed when a table was made, from its metadata."""
    if content.member is not None or content.head(4) != _PARQUET:
        return []
    notes = read_note(content.path, NOTES_KEY) or (read_note(content.path, SUMMARY_KEY) or {}).get(
        "notes", []
    )
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []


def _open_wafer_table(
    content: Content, head: bytes, batch_rows: int
) -> tuple[WaferSource, pa.Schema | None]:
    """Open a file with a row per wafer; also tell its columns, where they are known."""
    if head.startswith(_PICKLE):
        return WaferSource("WM-811K's pickle", _read_pickle(content, batch_rows), None), None
    if head.startswith(_PARQUET):
        with content.on_disk() as path, _open_parquet(content, path) as file:
            schema, n_wafers = file.schema_arrow, file.metadata.num_rows
        kind = "results" if MARKS in schema.names else "Parquet, a row per wafer"
        return WaferSource(kind, _read_parquet(content, batch_rows), n_wafers), schema
    with content.on_disk() as path:
        wafers = load_wafer_maps(path)
    keys = wafers.frame.drop(columns=["height", "width"])
    if "label" in keys and not (keys["label"].astype(str) != "").any():
        keys = keys.drop(columns="label")
    batches = map(drop_results, _cut_batches(wafers.maps, keys, batch_rows))
    return WaferSource("npz", batches, len(wafers.maps)), wafer_batch([], keys.iloc[:0]).schema


def _open_parquet(content: Content, path: Path) -> ParquetFile:
    try:
        return open_to_stream(path)
    except (OSError, pa.ArrowException) as error:
        raise WaferFileError(
            content.name, f"this Parquet file cannot be read ({error})."
        ) from error


def _read_parquet(content: Content, batch_rows: int) -> Iterator[pa.RecordBatch]:
    try:
        with content.on_disk() as path, _open_parquet(content, path) as file:
            for batch in file.iter_batches(batch_rows):
                yield drop_results(batch)
    except (OSError, pa.ArrowException) as error:
        raise WaferFileError(content.name, f"this Parquet file is damaged ({error}).") from error


def _read_pickle(content: Content, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Read WM-811K's pickle by a reader that runs no code, by way of a Parquet file."""
    from camdenoise.io._lswmd_convert import convert_safely

    with tempfile.TemporaryDirectory(prefix="camdenoise-") as folder:
        table = Path(folder, "wafers.parquet")
        with content.on_disk() as path:
            convert_safely(path, table, {"name": content.path.name}, progress=False)
        yield from _read_parquet(Content(table), batch_rows)


def _read_schema(schema: pa.Schema) -> pa.Schema:
    """Tell the columns that `drop_results` leaves, which only a batch can."""
    empty = pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema=schema)
    return drop_results(empty).schema.remove_metadata()


def _apply_schema(batch: pa.RecordBatch, schema: pa.Schema | None) -> pa.RecordBatch:
    if schema is None or batch.schema.equals(schema):
        return batch
    columns = [
        batch.column(each.name).cast(each.type)
        if each.name in batch.schema.names
        else pa.nulls(batch.num_rows, each.type)
        for each in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


# --- a row per die --------------------------------------------------------------------------------


def _open_die_files(
    found: Sequence[Content], batch_rows: int, dies: _Dies, notes: list[str]
) -> WaferSource:
    files = [_read_die_file(content, dies.read) for content in found]
    name = str(found[0].name) if len(found) == 1 else ""
    try:
        notes += judge(files, dies.read.pass_bins)
        joined = join_files(files, retest=dies.retest is not None)
    except Problem as problem:
        raise WaferFileError(problem.where or name, problem.reason) from problem
    for file in files:
        _check_named(file.name, file.table, file.about.get("unnamed", []), dies)
    notes += joined.notes
    notes += _note_direction(joined.wafers, dies.lay)
    table = joined.to_table()
    batches = list(_make_maps(name or joined.name, [table], batch_rows, dies))
    kind = joined.format + (", a row per die" if joined.format in ("CSV", "Parquet") else "")
    return WaferSource(kind, batches, sum(batch.num_rows for batch in batches), notes=notes)


def _read_die_file(content: Content, options: ReadOptions) -> DieFile:
    if content.head(4) != _PARQUET:
        return read_one(content, find_reader(content, options), options)
    names, notes = _find_die_columns(content, options)
    (table,) = _read_pieces(content, names, by_lot=False)
    # What passes is judged of all files together; of dies without coordinates it is settled here.
    passing = [DEFAULT] if options.pass_bins is None else options.pass_bins
    numbered, counts = holds_numbers(table["bin"]), table["bin"].value_counts()
    with name_file(content.name):
        by_bin = table["bin"].isin(convert_bins(passing, numbered, counts))
    stated = options.pass_bins is None and table["passed"].notna().all()
    table, wafers = _split_unplaced(table, table["passed"] if stated else by_bin)
    return DieFile("Parquet", table, wafers, {"unnamed": _find_unnamed(names)}, notes, content.name)


def _find_die_columns(content: Content, options: ReadOptions) -> tuple[dict[str, str], list[str]]:
    """Find the columns of a die table; refuse a Parquet file of something else."""
    with content.on_disk() as path, _open_parquet(content, path) as file:
        names = file.schema_arrow.names
    with name_file(content.name):
        try:
            found, notes = find_columns(names, options)
        except Problem as problem:
            reason = f"{problem.reason} A table with a row per wafer has cells, rows and cols."
            raise Problem(reason, problem.where) from problem
    notes += note_unnamed(names, found)
    return {role: names[number] for role, number in found.items()}, notes


def _find_unnamed(names: Mapping[str, str]) -> list[str]:
    return [role for role in ("lot", "wafer") if role not in names]


def _read_pieces(
    content: Content, names: Mapping[str, str], *, by_lot: bool
) -> Iterator[pd.DataFrame]:
    """Read a Parquet file with a row per die: some lots at a time, or all at once."""
    columns = list(names.values())
    with content.on_disk() as path:
        if by_lot and "lot" in names:
            pieces: Iterable[pd.DataFrame] = iter_lots(path, lot=names["lot"], columns=columns)
        else:
            with _open_parquet(content, path) as file:
                pieces = [file.read(columns).to_pandas()]
        for piece in pieces:
            yield _rename_columns(piece, names, content)


def _rename_columns(
    table: pd.DataFrame, names: Mapping[str, str], content: Content
) -> pd.DataFrame:
    """Give a die table its usual columns; names of lots and wafers become text."""
    table = table.rename(columns={found: name for name, found in names.items()})
    # What another program noted with the table may not be of it.
    table.attrs = {}
    for name, missing in (("lot", ""), ("wafer", content.stem)):
        if name not in table:
            table[name] = missing
        elif not isinstance(table[name].dtype, pd.CategoricalDtype):
            table[name] = table[name].astype("string").fillna(missing).astype(str)
    if "passed" not in table:
        table["passed"] = pd.array([pd.NA] * len(table), dtype="boolean")
    return table[["lot", "wafer", "x", "y", "bin", "passed"]]


def _open_die_parquet(
    content: Content, batch_rows: int, dies: _Dies, notes: list[str]
) -> WaferSource:
    """Read a Parquet file with a row per die lot by lot, however long it is."""
    names, found = _find_die_columns(content, dies.read)
    notes += found
    passing = None
    if "passed" not in names or dies.read.pass_bins is not None:
        passing = _find_passing(content, names["bin"], dies.read.pass_bins)
        if dies.read.pass_bins is None:
            notes.append(f"bin {DEFAULT} passes: nothing says which bins do, so it was assumed")
    notes += _note_direction([WaferFacts("", "")], dies.lay)
    lots = _read_lots(content, names, passing, dies, notes)
    batches = _make_maps(content.name, lots, batch_rows, dies)
    return WaferSource("Parquet, a row per die", batches, None, notes=notes)


def _read_lots(
    content: Content, names: Mapping[str, str], passing: list | None, dies: _Dies, notes: list[str]
) -> Iterator[pd.DataFrame]:
    n_unplaced = n_fails = 0
    for table in _read_pieces(content, names, by_lot=True):
        if passing is not None:
            table["passed"] = table["bin"].isin(passing)
        table, facts = _split_unplaced(table, table["passed"])
        _check_named(content.name, table, _find_unnamed(names), dies)
        n_unplaced += sum(each.n_unplaced for each in facts)
        n_fails += sum(each.n_unplaced_fails for each in facts)
        table.attrs = {"wafers": [asdict(each) for each in facts]}
        yield table
    if n_unplaced:
        notes.append(f"{n_unplaced} dies have no coordinates and are on no map ({n_fails} fail)")


def _split_unplaced(table: pd.DataFrame, good: pd.Series) -> tuple[pd.DataFrame, list[WaferFacts]]:
    """Take out the dies without coordinates, and count them and their fails wafer by wafer."""
    lost = (table["x"].isna() | table["y"].isna()) & table["bin"].notna()
    unplaced = table[lost].assign(good=good[lost].fillna(False).astype(bool))
    keys = ["lot", "wafer"]
    facts = [
        WaferFacts(str(lot), str(wafer))
        for lot, wafer in table[keys].drop_duplicates().itertuples(index=False)
    ]
    if len(unplaced):
        counts = unplaced.groupby(keys, observed=True)["good"].agg(["size", "sum"])
        for each in facts:
            if (each.lot, each.wafer) in counts.index:
                n, n_pass = counts.loc[(each.lot, each.wafer)]
                each.n_unplaced, each.n_unplaced_fails = int(n), int(n - n_pass)
    kept = table["x"].notna() & table["y"].notna()
    return table if kept.all() else table[kept].reset_index(drop=True), facts


def _check_named(name: str, table: pd.DataFrame, unnamed: list[str], dies: _Dies) -> None:
    """Refuse several wafers that nothing tells apart: they would be retests of one."""
    if not unnamed or dies.retest is not None or len(table) == 0:
        return
    if table.duplicated(["lot", "wafer", "x", "y"]).mean() > _MOST_AGAIN:
        raise WaferFileError(
            name,
            f"most dies have several rows, and no column names the {' or the '.join(unnamed)}. "
            f"Name it, with --columns {unnamed[0]}=... (columns=); if the rows are tests of the "
            "same dies, say which counts, with --retest last (retest=).",
        )


def _find_passing(content: Content, column: str, pass_bins: Sequence[Any] | None) -> list:
    """Settle which bins pass before the first lot is read; the column of bins is read twice."""
    counts = pd.Series(dtype=int)
    with content.on_disk() as path, _open_parquet(content, path) as file:
        for batch in file.iter_batches(1 << 20, columns=[column]):
            more = batch.column(0).to_pandas().value_counts()
            counts = counts.add(more, fill_value=0).astype(int)
    assumed = pass_bins is None
    numbered = holds_numbers(counts.index.to_series())
    with name_file(content.name):
        passing = convert_bins([DEFAULT] if assumed else pass_bins, numbered, counts)
        if reason := explain_absent_bins(passing, counts, assumed):
            raise Problem(reason)
    return passing


def _note_direction(wafers: Sequence[WaferFacts], lay: Mapping[str, Any]) -> list[str]:
    """Say where directions were assumed."""
    assumed = []
    if lay["mirror"] is None and any(f.y_down is None or f.x_right is None for f in wafers):
        assumed.append("x counts to the right and y downwards (if not: --mirror)")
    if lay["notch"] is None and any(f.notch is None for f in wafers):
        assumed.append("the notch is at the bottom (if not: --notch)")
    return [f"the files do not say, so it was assumed: {'; '.join(assumed)}"] if assumed else []


def _make_maps(
    name: str, tables: Iterable[pd.DataFrame], batch_rows: int, dies: _Dies
) -> Iterator[pa.RecordBatch]:
    for table in tables:
        try:
            wafers = from_die_table(table, **dies.table_options)
        except ValueError as error:
            raise WaferFileError(name, str(error)) from error
        names = [n for n in wafers.frame if n in ("lot", "wafer", *FACTS)]
        maps, keys = _add_unplaced(wafers.maps, wafers.frame[names], table.attrs.get("wafers", ()))
        yield from _cut_batches(maps, keys, batch_rows)


def _add_unplaced(
    maps: list[np.ndarray], keys: pd.DataFrame, facts: Sequence[Mapping[str, Any]]
) -> tuple[list[np.ndarray], pd.DataFrame]:
    """Add a row for each wafer of which no die has coordinates: without a map, with its counts."""
    placed = set(zip(keys["lot"], keys["wafer"], strict=True)) if facts else set()
    others = [each for each in facts if (each["lot"], each["wafer"]) not in placed]
    if not others:
        return maps, keys
    nothing = {"x0": 0, "y0": 0, "axes": "", "n_rows": 0, "n_retests": 0}
    rows = [nothing | {n: each[n] for n in keys.columns if n in each} for each in others]
    added = pd.DataFrame(rows).reindex(columns=keys.columns)
    added["notch"] = pd.array([None] * len(added), dtype="string")
    return (
        [*maps, *[np.zeros((0, 0), np.uint8)] * len(added)],
        pd.concat([keys, added.astype(keys.dtypes.to_dict())], ignore_index=True),
    )


def _cut_batches(
    maps: Sequence[np.ndarray], keys: pd.DataFrame, batch_rows: int
) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(maps), batch_rows):
        rows = slice(start, start + batch_rows)
        yield wafer_batch(maps[rows], keys.iloc[rows])
