"""Columns out of a pickled DataFrame (``LSWMD.pkl``, ``WM811K.pkl``) without running its code.

A pickle is a program: it names functions and has them called. Here a name is looked up in a fixed
list, and what is found is a stub that only keeps its arguments; nothing is ever imported
because a file says so. Any other name ends the reading. The list holds exactly what pandas 0.15
to 3, numpy 1 and 2, Python 2 and 3 write into a DataFrame of arrays, numbers and text.

That stops code, not size: a small file can still ask for much memory. `camdenoise.io._sandbox` runs
the reading in a process that may not have it.
"""

from __future__ import annotations

import pickle
from typing import Any, BinaryIO

import numpy as np

from camdenoise.io import _stubs as stubs
from camdenoise.io._stubs import PickleError, as_bytes, refuse

#: A column: numbers as an array, anything else as a list.
Column = np.ndarray | list

_MOST_COLUMNS = 100
_LONGEST_NAME = 200

#: Every (module, name) that a pickle may use, and what it gets.
ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): stubs.Dtype,
    ("numpy", "ndarray"): stubs.Ignored,
    ("numpy.core.multiarray", "_reconstruct"): stubs.Reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): stubs.Reconstruct,
    ("numpy.core.multiarray", "scalar"): stubs.Scalar,
    ("numpy._core.multiarray", "scalar"): stubs.Scalar,
    ("numpy.core.numeric", "_frombuffer"): stubs.FromBuffer,
    ("numpy._core.numeric", "_frombuffer"): stubs.FromBuffer,
    # Python 2 and 3.
    ("__builtin__", "slice"): stubs.Slice,
    ("builtins", "slice"): stubs.Slice,
    ("__builtin__", "object"): stubs.Ignored,
    ("builtins", "object"): stubs.Ignored,
    ("__builtin__", "bytes"): stubs.Bytes,
    ("builtins", "bytes"): stubs.Bytes,
    ("__builtin__", "bytearray"): stubs.Bytes,
    ("builtins", "bytearray"): stubs.Bytes,
    ("copy_reg", "_reconstructor"): stubs.Reconstructor,
    ("copyreg", "_reconstructor"): stubs.Reconstructor,
    ("_codecs", "encode"): stubs.Encode,
    # DataFrame: pandas 0.15 to 2, pandas 3.
    ("pandas.core.frame", "DataFrame"): stubs.Frame,
    ("pandas", "DataFrame"): stubs.Frame,
    ("pandas.core.internals", "BlockManager"): stubs.Manager,
    ("pandas.core.internals.managers", "BlockManager"): stubs.Manager,
    ("pandas._libs.internals", "_unpickle_block"): stubs.Block,
    ("pandas.core.internals.blocks", "_unpickle_block"): stubs.Block,
    ("pandas.core.internals.blocks", "new_block"): stubs.Block,
    # stubs.Index: pandas 0.15 to 0.17, 0.18 and 0.19, 0.20 to 2, 3.
    ("pandas.core.index", "_new_Index"): stubs.NewIndex,
    ("pandas.core.index", "Index"): stubs.Index,
    ("pandas.core.index", "Int64Index"): stubs.Index,
    ("pandas.indexes.base", "_new_Index"): stubs.NewIndex,
    ("pandas.indexes.base", "Index"): stubs.Index,
    ("pandas.indexes.numeric", "Int64Index"): stubs.Index,
    ("pandas.indexes.range", "RangeIndex"): stubs.Index,
    ("pandas.core.indexes.base", "_new_Index"): stubs.NewIndex,
    ("pandas.core.indexes.base", "Index"): stubs.Index,
    ("pandas.core.indexes.numeric", "Int64Index"): stubs.Index,
    ("pandas.core.indexes.range", "RangeIndex"): stubs.Index,
    ("pandas", "Index"): stubs.Index,
    ("pandas", "RangeIndex"): stubs.Index,
    # Columns of pandas' own types.
    ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"): stubs.NewBacked,
    ("pandas.core.arrays.categorical", "Categorical"): stubs.Backed,
    ("pandas", "Categorical"): stubs.Backed,
    ("pandas.core.dtypes.dtypes", "CategoricalDtype"): stubs.CategoricalDtype,
    ("pandas", "CategoricalDtype"): stubs.CategoricalDtype,
    ("pandas.core.arrays.string_", "StringArray"): stubs.Backed,
    ("pandas.arrays", "StringArray"): stubs.Backed,
    ("pandas.core.arrays.string_", "StringDtype"): stubs.Ignored,
    ("pandas", "StringDtype"): stubs.Ignored,
    ("pandas.arrays", "ArrowStringArray"): stubs.ArrowText,
    ("pandas.core.arrays.string_arrow", "ArrowStringArray"): stubs.ArrowText,
    ("pandas._libs.missing", "NA"): None,
    ("pandas", "NA"): None,
    ("pyarrow.lib", "_restore_array"): stubs.ArrowContent,
    ("pyarrow.lib", "py_buffer"): stubs.ArrowBuffer,
    ("pyarrow.lib", "type_for_alias"): stubs.ArrowType,
}


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler whose every name is looked up in `ALLOWED` and nowhere else."""

    def __init__(self, stream: BinaryIO):
        # Python 2's strings hold bytes of arrays as well as text; Latin-1 keeps both.
        super().__init__(stream, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        """Return a stub, or refuse the name."""
        try:
            return ALLOWED[module, name]
        except KeyError:
            wanted = f"{module}.{name}"[:_LONGEST_NAME]
            refuse(
                f"it asks for {wanted!r}, which a table of wafers has no use for. Nothing was "
                "executed. If you trust whoever made the file, read it with pandas and save the "
                "maps with save_wafer_maps."
            )


def read_columns(stream: BinaryIO) -> dict[str, Column]:
    """Read the columns of a pickled DataFrame."""
    try:
        return _columns(RestrictedUnpickler(stream).load())
    except (PickleError, MemoryError):
        raise
    except EOFError as error:
        raise PickleError("it ends too early; fetch it again.") from error
    except Exception as error:
        # What a damaged pickle makes the unpickler raise is anybody's guess. Of other errors than
        # its own only the name is shown: they may quote what is in the file, at any length.
        own = isinstance(error, pickle.UnpicklingError)
        reason = str(error) if own else type(error).__name__
        raise PickleError(f"it is damaged or no pickle of a DataFrame ({reason}).") from error


def _columns(frame: Any) -> dict[str, Column]:
    if type(frame) is not stubs.Frame or type(frame.manager) is not stubs.Manager:
        refuse(f"it holds no DataFrame but {_kind(frame)}.")
    axes, blocks = frame.manager.axes, frame.manager.blocks
    names = _names(axes[0])
    columns: dict[str, Column] = {}
    for block in blocks:
        if type(block) is not stubs.Block:
            refuse("it holds a DataFrame of unknown form.")
        positions = _positions(block.placement, len(names))
        for position, column in zip(positions, _split(block.values, len(positions)), strict=True):
            columns[names[position]] = column
    if len({len(column) for column in columns.values()}) > 1:
        refuse("its columns are not equally long.")
    return columns


def _kind(value: Any) -> str:
    return "a DataFrame without content" if type(value) is stubs.Frame else type(value).__name__


def _names(index: Any) -> list[str]:
    """Column names; those that are not text get one by their place, since nobody asks for them."""
    if type(index) is not stubs.Index or type(index.parts) is not dict:
        refuse("its columns have no names.")
    data = index.parts.get("data")
    given = list(_values(data)) if data is not None else []
    names = [name if type(name) is str else f"column {i}" for i, name in enumerate(given)]
    if not 0 < len(names) <= _MOST_COLUMNS or len(set(names)) < len(names):
        refuse(f"it has {len(names)} columns; expected 1 to {_MOST_COLUMNS} of different names.")
    return names


def _positions(placement: Any, n_columns: int) -> list[int]:
    """Which columns a block holds."""
    if type(placement) is stubs.Slice:
        if not all(end is None or type(end) is int for end in placement.ends):
            refuse("a block of the DataFrame is placed nowhere.")
        return list(range(n_columns)[slice(*placement.ends)])
    positions: list[int] = placement.numpy().tolist()
    if not all(type(n) is int and 0 <= n < n_columns for n in positions):
        refuse("a block of the DataFrame is placed outside of it.")
    return positions


def _split(values: Any, n_columns: int) -> list[Column]:
    """Take the columns of a block apart."""
    if type(values) is not stubs.Array or len(values.parts[0]) == 1:
        return [_values(values)]
    shape, dtype, _, _ = values.parts
    if len(shape) != 2 or shape[0] != n_columns:
        refuse(f"a block of the DataFrame has shape {shape} for {n_columns} columns.")
    if not dtype.holds_objects:
        return list(values.numpy().reshape(shape))
    elements, n_rows = values.objects(), shape[1]
    return [elements[i * n_rows : (i + 1) * n_rows] for i in range(n_columns)]


def _values(values: Any) -> Column:
    """One column."""
    if type(values) is stubs.Array:
        return values.objects() if values.parts[1].holds_objects else values.numpy()
    if type(values) is stubs.Backed:
        return _backed(values)
    if type(values) is stubs.ArrowText:
        return _arrow_text(values.content)
    refuse(f"it holds a column of an unknown kind ({type(values).__name__}).")


def _backed(values: stubs.Backed) -> Column:
    """Look the values of a categorical column up; a string column has them itself."""
    if values.dtype is None:
        return _values(values.array)
    # One more for the code -1 of a missing value.
    categories = [*_values(values.dtype.categories.parts["data"]), None]
    codes = _values(values.array)
    if any(code < -1 for code in codes):
        refuse("it holds a categorical column that contradicts itself.")
    return [categories[code] for code in codes]


def _arrow_text(content: Any) -> list[str | None]:
    """Text that lies end to end in one buffer, with the places where it begins in another."""
    kind, n, _, first, buffers, _, _ = content.parts
    validity, places, text = buffers
    width = {"string": "<i4", "large_string": "<i8"}[kind.name]
    at = np.frombuffer(as_bytes(places), width)[first : first + n + 1].tolist()
    text = as_bytes(text) if text is not None else b""
    if len(at) != n + 1 or any(b < a for a, b in zip(at, at[1:], strict=False)):
        refuse("it holds a text column that contradicts itself.")
    words = [text[a:b].decode() for a, b in zip(at, at[1:], strict=False)]
    if validity is None:
        return words  # type: ignore[return-value]
    bits = np.unpackbits(np.frombuffer(as_bytes(validity), np.uint8), bitorder="little")
    valid = bits[first : first + n].tolist()
    return [word if good else None for word, good in zip(words, valid, strict=True)]
