"""Writing files so that a reader sees the whole of one or none of it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_whole(file: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write beside the target and move into place once everything is on disk.

    Parameters
    ----------
    file : Path
        The target; an existing file is replaced, unless `write` fails.
    write : callable
        Is given a binary stream to write to.
    """
    part = file.with_name(f".{file.name}.{uuid.uuid4().hex}.part")
    try:
        with open(part, "xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
