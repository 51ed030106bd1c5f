"""Writing files whole or not at all."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(file: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a binary stream next to `file` that takes its place once the block has succeeded.

    Nobody sees a half-written file: an existing one stays as it was until the new one is complete
    and on the disk, and where the block raises nothing is left behind.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic_write(Path(folder, "note.txt")) as stream:
    ...         _ = stream.write(b"whole")
    ...     Path(folder, "note.txt").read_text()
    'whole'
    """
    file = Path(file)
    part = file.with_name(f".{file.name}.{uuid.uuid4().hex}.part")
    try:
        with _open_part(part, file) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def _open_part(part: Path, file: Path) -> BinaryIO:
    """Open the part; an error names the file that was asked for."""
    try:
        return open(part, "xb")
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"cannot write {file}: there is no folder {file.parent}. Make it first."
        ) from error
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(file)) from error


def sha256(file: str | os.PathLike) -> str:
    """Hash a file's content by SHA-256."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
