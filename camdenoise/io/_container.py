"""Files from strangers: opened in any packing, with a cap on their size.

A container (gzip, bzip2, xz, zstd, zip) is told by the first bytes of the content, never by the
name, and once: every reader gets a `Content`, which gives the bytes inside.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from camdenoise.io._problems import WaferFileError

#: Largest text or XML file that is read; a map of 4096 x 4096 dies takes half of it.
MAX_TEXT_BYTES = 64 << 20
#: Largest binary file that is read.
MAX_BINARY_BYTES = 4 << 30
# Wafer files shrink to a fifth or a fiftieth; what shrinks 250-fold was made to fill the memory.
_MAX_RATIO = 250
_RATIO_FLOOR = 16 << 20
_CHUNK = 1 << 20
_HEAD_BYTES = 4096
# An archive of a year of lots has some thousand files.
_MAX_MEMBERS = 10_000

_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
#: Name of each kind of compression, by what its data begins with.
_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")


def _compression(head: bytes) -> str | None:
    return next((kind for magic, kind in _COMPRESSIONS.items() if head.startswith(magic)), None)


def _decompress(stream: BinaryIO, kind: str) -> BinaryIO:
    if kind == "gzip":
        return gzip.GzipFile(fileobj=stream, mode="rb")  # type: ignore[return-value]
    if kind == "bzip2":
        return bz2.BZ2File(stream, "rb")  # type: ignore[return-value]
    if kind == "xz":
        return lzma.LZMAFile(stream, "rb")  # type: ignore[return-value]
    import pyarrow as pa

    unpacked: BinaryIO = pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")
    return unpacked


def _open_member(file: BinaryIO, member: str) -> tuple[BinaryIO, int, str]:
    """Open a file of a zip archive, which may be compressed itself."""
    try:
        archive = zipfile.ZipFile(file)
        packed = archive.getinfo(member).compress_size
        # The archive's stream cannot be rewound cheaply.
        with archive.open(member) as begin:
            inner = _compression(begin.read(8))
        stream: BinaryIO = archive.open(member)  # type: ignore[assignment]
    except (OSError, ValueError, OverflowError, zlib.error, lzma.LZMAError) as error:
        # Offsets that lead out of the file.
        raise zipfile.BadZipFile(str(error)) from error
    return (_decompress(stream, inner), packed, inner) if inner else (stream, packed, "zip")


def _members(file: BinaryIO) -> list[str]:
    """List the files of a zip archive."""
    try:
        items = zipfile.ZipFile(file).infolist()
    except (OSError, ValueError, OverflowError) as error:
        raise zipfile.BadZipFile(str(error)) from error
    return [item.filename for item in items if not item.is_dir()]


@dataclass(frozen=True)
class Content:
    """The bytes of one file, taken out of what they are packed in."""

    path: Path  # The file on the disk
    member: str | None = None  # The file's name inside of a zip archive

    @property
    def name(self) -> str:
        """How messages name it."""
        return str(self.path) if self.member is None else f"{self.path}: {self.member}"

    @property
    def stem(self) -> str:
        """The file's own name without endings, for a wafer whose file does not name it."""
        name = Path(self.member or self.path).name
        for suffix in _SUFFIXES:
            name = name.removesuffix(suffix)
        return name.rsplit(".", 1)[0] or name

    @contextmanager
    def _open(self) -> Iterator[tuple[BinaryIO, int, str]]:
        """Open the data; also give the number of its packed bytes, and what it is packed in."""
        with open(self.path, "rb") as file:
            stream: BinaryIO = file
            packed = os.fstat(file.fileno()).st_size
            kind = ""
            if self.member is not None:
                stream, packed, kind = _open_member(file, self.member)
            else:
                head = file.read(8)
                file.seek(0)
                if outer := _compression(head):
                    stream = _decompress(file, outer)
                    kind = outer
            yield stream, packed, kind

    def chunks(self, limit: int = MAX_BINARY_BYTES) -> Iterator[bytes]:
        """Read the data piece by piece."""
        n_bytes = 0
        with _report_damage(self.name), self._open() as (stream, packed, kind):
            while piece := _next_chunk(self.name, stream, kind):
                n_bytes += len(piece)
                self._check_size(n_bytes, packed, limit)
                yield piece

    def _check_size(self, n_bytes: int, packed: int, limit: int) -> None:
        if n_bytes > limit:
            raise WaferFileError(
                self.name,
                f"holds more than {limit >> 20} MiB, which no wafer map takes. Is it one?",
            )
        if n_bytes > max(_RATIO_FLOOR, _MAX_RATIO * packed):
            raise WaferFileError(
                self.name,
                f"grows more than {_MAX_RATIO}-fold when decompressed, as no wafer file does. If "
                "you trust it, decompress it yourself.",
            )

    def read_bytes(self, limit: int = MAX_TEXT_BYTES) -> bytes:
        """Read all of at most `limit` bytes."""
        content = b"".join(self.chunks(limit))
        if not content.strip():
            raise WaferFileError(self.name, "the file is empty. Fetch it again.")
        return content

    @cached_property
    def _head(self) -> bytes:
        head = b""
        for piece in self.chunks():
            head += piece
            if len(head) >= _HEAD_BYTES:
                break
        return head[:_HEAD_BYTES]

    def head(self, n_bytes: int = 4096) -> bytes:
        """Read the first bytes, 4,096 at most, to see what kind of file it is."""
        return self._head[:n_bytes]

    def text_head(self) -> str:
        """Read the first characters of a text in any encoding."""
        head = self.head()
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return head.decode("utf-16", "replace").lstrip()
        return head.decode("utf-8-sig", "replace").lstrip()

    def read_text(self, encoding: str | None = None) -> tuple[str, str | None]:
        """Read all as text."""
        content = self.read_bytes()
        text = decode(content, encoding, self.name)
        if text is not None:
            return text, None
        return content.decode("latin-1"), (
            "the text is not UTF-8 and was read as Latin-1; if names look wrong, give its encoding "
            "(--encoding, for example cp949, gb18030 or shift_jis)"
        )

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """Give the decompressed data as a file, for readers that need one.

        The file itself where nothing packs it and its name does not claim that something does.
        """
        with _report_damage(self.name), self._open() as (_, _, kind):
            plain = not kind and self.path.suffix.lower() not in _SUFFIXES
        if plain:
            yield self.path
            return
        with tempfile.TemporaryDirectory(prefix="camdenoise-") as folder:
            file = Path(folder, "content")
            with open(file, "wb") as stream:
                stream.writelines(self.chunks())
            yield file


def decode(content: bytes, encoding: str | None, name: str) -> str | None:
    """Decode text of a known encoding, else by its byte order mark, else as UTF-8."""
    if encoding is not None:
        try:
            return content.decode(encoding).removeprefix("\ufeff")
        except (UnicodeError, LookupError) as error:
            raise WaferFileError(
                name, f"it is not text in {encoding} ({error}). Give another encoding."
            ) from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return content.decode("utf-16")
        except UnicodeError as error:
            raise WaferFileError(
                name, f"its UTF-16 text is damaged or cut short ({error}). Fetch it again."
            ) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


@contextmanager
def _report_damage(name: str) -> Iterator[None]:
    """Turn a damaged archive into an error that names the file."""
    try:
        yield
    except (zipfile.BadZipFile, KeyError, struct.error, EOFError) as error:
        raise WaferFileError(
            name, f"the zip data is damaged or cut short ({error}). Fetch the file again."
        ) from error
    except (RuntimeError, NotImplementedError) as error:
        # What zipfile raises for an encrypted member, or a compression that it does not know.
        raise WaferFileError(
            name, f"this member of the zip archive cannot be read ({error}). Unpack it yourself."
        ) from error


def _next_chunk(name: str, stream: BinaryIO, kind: str) -> bytes:
    try:
        return stream.read(_CHUNK)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise _make_damage_error(name, kind, error) from error
    except (OSError, ValueError) as error:
        # bzip2 and zstd say so of damaged data; a plain file only of the disk.
        if not kind:
            raise
        raise _make_damage_error(name, kind, error) from error


def _make_damage_error(name: str, kind: str, error: Exception) -> WaferFileError:
    return WaferFileError(
        name, f"the {kind} data is damaged or cut short ({error}). Fetch the file again."
    )


def is_zip(head: bytes) -> bool:
    """Whether a file is a zip archive, by what it begins with."""
    return head.startswith((_ZIP, _EMPTY_ZIP))


def list_contents(path: str | os.PathLike) -> list[Content]:
    """List what a file holds: itself, or the members of a zip archive.

    An archive of arrays (npz) or a workbook (xlsx), which are zip archives too, is one content.
    """
    path = Path(path)
    with open(path, "rb") as file:
        if not is_zip(file.read(4)):
            return [Content(path)]
        with _report_damage(str(path)):
            names = _members(file)
    is_npz = bool(names) and all(name.endswith(".npy") for name in names)
    if is_npz or "[Content_Types].xml" in names:
        return [Content(path)]
    # What a Mac adds to each member, and files that are hidden.
    names = [n for n in names if not n.startswith("__MACOSX/") and not Path(n).name.startswith(".")]
    if not names:
        raise WaferFileError(path, "the zip archive holds no file.")
    if len(names) > _MAX_MEMBERS:
        raise WaferFileError(
            path, f"the zip archive holds more than {_MAX_MEMBERS} files. Unpack it yourself."
        )
    return [Content(path, name) for name in names]


def get_content(path: str | os.PathLike | Content) -> Content:
    """Give the only content of a file, or refuse an archive of several."""
    if isinstance(path, Content):
        return path
    found = list_contents(path)
    if len(found) > 1:
        raise WaferFileError(
            path,
            f"the zip archive holds {len(found)} files. Read it with camdenoise.io.read_wafers, "
            "which reads all of them.",
        )
    return found[0]


def read_head(path: str | os.PathLike, n_bytes: int = 4096) -> bytes:
    """Read the first bytes of a file's first content, to see what kind of file it is."""
    return list_contents(path)[0].head(n_bytes)
