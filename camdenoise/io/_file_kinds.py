"""What a file is, told by its first bytes, and the function that reads it."""

from __future__ import annotations

import os
import zipfile
from typing import NamedTuple

_HEAD_BYTES = 4096
# Pickles of protocol 0 and 1 are text; these are the first letters of a tuple, a list or a class.
_TEXT_PICKLES = (b"(", b"c", b"]", b"}")
_DELIMITERS = (b",", b";", b"\t")

_MAPS = "Read it with camdenoise.io.read_maps."
_WAFERS = "Read its maps with camdenoise.io.read_maps, or its dies with camdenoise.io.read_wafers."
_PICKLE = (
    "Read LSWMD.pkl or WM811K.pkl with camdenoise.datasets.load_wm811k; any other can run code."
)
_NPZ = "Read it with camdenoise.datasets.load_wafer_maps."
_MIXED = "Read it with camdenoise.datasets.load_mixed_wm38."
_ARRAYS = "Open it with numpy.load, and pass the maps themselves or save them with save_wafer_maps."
_MODEL = "Read it with camdenoise.load_model."
_ELSE = "Open it with its own program, and save its maps with camdenoise.datasets.save_wafer_maps."


class FileKind(NamedTuple):
    """What a file is."""

    what: str  # With its article, such as "a Parquet file"
    remedy: str  # A sentence that names the function that reads it
    is_packed: bool = False  # Whether it is a compressed file or an archive around another


_BY_MAGIC = {
    b"PAR1": FileKind("a Parquet file", _MAPS),
    b"\x80": FileKind("a pickle", _PICKLE),
    b"\x93NUMPY": FileKind("a numpy file of one bare array", _ARRAYS),
    b"\x1f\x8b": FileKind("a gzip file", _MAPS, True),
    b"BZh": FileKind("a bzip2 file", _MAPS, True),
    b"\xfd7zXZ": FileKind("an xz file", _MAPS, True),
    b"\x28\xb5\x2f\xfd": FileKind("a zstd file", _MAPS, True),
    b"\x89HDF": FileKind("an HDF5 file", _ELSE),
    b"MATLAB": FileKind("a MATLAB file", _ELSE),
    b"\x02\x00\x00\x0a": FileKind("an STDF file", _WAFERS),
    b"\x00\x02\x00\x0a": FileKind("an STDF file", _WAFERS),
    b"\x89PNG": FileKind("a PNG image", _ELSE),
    b"\xff\xd8\xff": FileKind("a JPEG image", _ELSE),
    b"%PDF": FileKind("a PDF document", _ELSE),
}


def detect_kind(path: str | os.PathLike) -> FileKind | None:
    """Tell what a file is by its first bytes; its name does not matter.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "lot.dat")
    ...     _ = file.write_text("x,y,bin")
    ...     detect_kind(file).what
    'a text file of columns'
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"PK"):
        return _detect_zip(path)
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 2**32:
        return FileKind("a safetensors file", _MODEL)
    for magic, kind in _BY_MAGIC.items():
        if head.startswith(magic):
            return kind
    return _detect_text(head)


def _detect_zip(path: str | os.PathLike) -> FileKind | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:
        # zipfile trusts what the file says of itself, and may raise anything.
        return FileKind("a damaged zip archive", "Fetch it again.")
    if "cells.npy" in names:
        return FileKind("an npz file of wafer maps", _NPZ)
    if names and all(name.endswith(".npy") for name in names):
        mixed = {"arr_0.npy", "arr_1.npy"} <= set(names)
        return FileKind("an npz file of arrays", _MIXED if mixed else _ARRAYS)
    if "[Content_Types].xml" in names:
        return FileKind("an Excel workbook", "Save its sheet as CSV.")
    if any(name.endswith("/data.pkl") for name in names):
        return FileKind("a PyTorch checkpoint", "camdenoise reads models that save_model wrote.")
    return FileKind("a zip archive", _MAPS, True)


def _detect_text(head: bytes) -> FileKind | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return FileKind("a text file in UTF-16", _WAFERS)
    # The last character may be cut.
    text = head.decode("utf-8", "ignore").lstrip("\ufeff \r\n\t")
    if not text or b"\x00" in head or len(text.encode()) < 0.9 * len(head.strip()):
        return None
    first_line = head.split(b"\n", 1)[0]
    if head.startswith(_TEXT_PICKLES) and not any(sign in first_line for sign in _DELIMITERS):
        return FileKind("a pickle", _PICKLE)
    if text[:14].lower().startswith(("<!doctype html", "<html")):
        return FileKind("a web page", "Fetch the file itself; the link may need a login.")
    if text.startswith("<"):
        return FileKind("an XML file", _WAFERS)
    of_columns = any(sign in first_line for sign in _DELIMITERS)
    return FileKind("a text file of columns" if of_columns else "a text file", _WAFERS)
