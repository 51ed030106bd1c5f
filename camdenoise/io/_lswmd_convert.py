"""LSWMD.pkl or WM811K.pkl once into a Parquet file: safely, whole or not at all."""

from __future__ import annotations

import gc
import io
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from camdenoise.io._file_kinds import detect_kind
from camdenoise.io._lswmd_pickle import read_columns
from camdenoise.io._lswmd_rows import row_batches
from camdenoise.io._sandbox import SandboxError, run_in_sandbox
from camdenoise.io._wafer_table import write_wafers

Report = Callable[[str, int, int], None]

_READ_AT_ONCE = 2**22
# Measured at full size: docs/wm811k.md.
_MEMORY = 2**30
_MEMORY_PER_BYTE = 2.25
_SECONDS = 120
_SECONDS_PER_BYTE = 1e-6
_UNITS = {"read": "B", "write": "wafer"}


class _Watched(io.RawIOBase):
    """A file that reports how far it has been read."""

    def __init__(self, file: Any, size: int, on_progress: Report):
        self._file, self._size, self._on_progress = file, size, on_progress
        self._done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n: int = self._file.readinto(buffer)
        self._done += n
        self._on_progress("read", self._done, self._size)
        return n


def convert(source: str, target: str, origin: dict, on_progress: Report) -> int:
    """Read a pickle and write a Parquet file; to be called in a process with a cap.

    Parameters
    ----------
    source, target : str
        File to read, and file to write, which must not exist.
    origin : dict
        Kept in the Parquet file's metadata.
    on_progress : callable
        Called with ``"read"`` or ``"write"``, done, and of how much.

    Returns
    -------
    int
        Number of wafers.
    """
    # Millions of tuples are made and none is garbage.
    gc.disable()
    with open(source, "rb", buffering=0) as file:
        watched = _Watched(file, os.path.getsize(source), on_progress)
        columns = read_columns(io.BufferedReader(watched, _READ_AT_ONCE))
    batches = row_batches(columns, lambda done, of: on_progress("write", done, of))
    try:
        return write_wafers(Path(target), batches, origin)
    except BaseException:
        # Whoever asked may be gone.
        Path(target).unlink(missing_ok=True)
        raise


def refuse_other_kinds(source: Path) -> None:
    """Say what a file is when its first bytes tell that it is not a pickle."""
    if not source.stat().st_size:
        raise ValueError(f"{source} is empty. Fetch it again.")
    kind = detect_kind(source)
    # Pickles of the first protocols are text.
    if kind is None or kind.what in ("a pickle", "a text file"):
        return
    remedy = kind.remedy
    if kind.is_packed:
        remedy = "Unpack it first, if LSWMD.pkl or WM811K.pkl is in it."
    elif kind.what == "a MATLAB file":
        remedy = "Take WM811K.pkl from the folder Python next to it."
    raise ValueError(f"{source} is not a pickle but {kind.what}. {remedy}")


class _Bars:
    """A progress bar for each stage; none where the output is not a terminal."""

    def __init__(self, name: str, shown: bool):
        self._name, self._off = name, None if shown else True
        self._bars: dict[str, tqdm] = {}

    def __call__(self, stage: str, done: int, of: int) -> None:
        if stage not in self._bars:
            self._bars[stage] = tqdm(
                total=of, desc=f"{stage} {self._name}", unit=_UNITS[stage], unit_scale=True,
                disable=self._off,
            )  # fmt: skip
        self._bars[stage].update(done - self._bars[stage].n)

    def close(self) -> None:
        for bar in self._bars.values():
            bar.close()


def convert_safely(source: Path, target: Path, origin: dict, *, progress: bool) -> None:
    """Convert in a process with limits; move the result into place when it is complete."""
    size = source.stat().st_size
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    bars = _Bars(source.name, progress)
    try:
        run_in_sandbox(
            convert, str(source), str(part), origin,
            memory=int(_MEMORY + _MEMORY_PER_BYTE * size),
            seconds=_SECONDS + _SECONDS_PER_BYTE * size,
            on_progress=bars,
        )  # fmt: skip
        os.replace(part, target)
    except SandboxError as error:
        raise ValueError(f"{source} cannot be used: {error}") from error
    finally:
        bars.close()
        part.unlink(missing_ok=True)
