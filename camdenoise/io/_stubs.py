"""What a pickled DataFrame is rebuilt from instead of pandas and numpy: objects that do nothing.

Unpickling calls what the file names. The classes here are what it gets to call: each keeps
what the file says and computes nothing until it is asked, so that a claim of a huge array
allocates no array, and no version of pandas or numpy has to understand another one's pickles.
"""

from __future__ import annotations

import math
import re
from typing import Any, NoReturn

import numpy as np

_NUMBERS_OR_TEXT = re.compile(r"b1|[iu][1248]|f[248]|[SU]\d{1,5}")
_OBJECTS = re.compile(r"O[48]?")
_MOST_AXES = 4
_LONGEST_AXIS = 2**40
_LAST_CHARACTER = 0x10FFFF


class PickleError(ValueError):
    """A pickle that is refused or damaged; the message says why and what to do."""


def refuse(what: str) -> NoReturn:
    """Stop reading the pickle."""
    raise PickleError(what)


def _no_state(cls: type) -> NoReturn:
    refuse(f"it sets the state of a class ({cls.__name__}), which no data does.")


class _Inert(type):
    """A class that a pickle may call, but not change.

    The BUILD instruction gives an object a state by its ``__setstate__`` or by setting attributes.
    Applied to a class, the property below answers for the first and refuses; the second is
    never reached.
    """

    __setstate__ = property(_no_state)

    def __setattr__(cls, name: str, value: Any) -> NoReturn:
        refuse(f"it changes the class {cls.__name__}, which no data does.")


class Stub(metaclass=_Inert):
    """Base of all stubs: no attributes beyond its slots, no state unless it says so."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        refuse(f"it gives a state to {type(self).__name__}, which takes none.")


class Ignored(Stub):
    """Anything that is of no consequence for the data."""

    __slots__ = ()

    def __new__(cls, *args: Any, **options: Any) -> Ignored:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


class Dtype(Stub):
    """``numpy.dtype``: a type code such as ``u1``, ``U9`` or ``O8``, and a byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, align: bool = False, copy: bool = True):
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            refuse("it holds a numpy dtype of unknown form.")
        self.order = state[1]

    @property
    def holds_objects(self) -> bool:
        """Whether the array is a list of Python objects."""
        return _OBJECTS.fullmatch(self.code) is not None

    def numpy(self) -> np.dtype:
        """Return the real type, for numbers and text."""
        if not _NUMBERS_OR_TEXT.fullmatch(self.code):
            refuse("it holds an array of something else than numbers or text.")
        return np.dtype(self.order.replace("|", "=") + self.code)


class Array(Stub):
    """``numpy.ndarray`` as it was pickled: (version, shape, dtype, Fortran order, data).

    The tuple is kept as it is, since the unpickler keeps it anyway until it has finished.
    """

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    @property
    def parts(self) -> tuple[tuple[int, ...], Dtype, bool, Any]:
        """Shape, dtype, Fortran order and data."""
        state = getattr(self, "state", None)
        if type(state) is not tuple or len(state) != 5:
            refuse("it holds a numpy array without content.")
        _, shape, dtype, fortran, data = state
        good = type(shape) is tuple and len(shape) <= _MOST_AXES and type(dtype) is Dtype
        good = good and type(getattr(dtype, "code", None)) is str
        if not good or not all(type(side) is int and 0 <= side < _LONGEST_AXIS for side in shape):
            refuse("it holds a numpy array of unknown form.")
        return shape, dtype, bool(fortran), data

    def numpy(self) -> np.ndarray:
        """Return the array, for numbers and text; a read-only view of the pickled bytes."""
        shape, dtype, fortran, data = self.parts
        kind = dtype.numpy()
        content = as_bytes(data)
        claimed = math.prod(shape) * kind.itemsize
        if claimed != len(content):
            refuse(f"it holds an array of shape {shape} with {len(content)} bytes, not {claimed}.")
        if not claimed:
            return np.empty(0, kind)
        if kind.kind == "U":
            _check_characters(np.frombuffer(content, f"{kind.byteorder}u4"))
        return np.frombuffer(content, kind).reshape(shape, order="F" if fortran else "C")

    def objects(self) -> list[Any]:
        """Return the elements in C order: so numpy pickles objects, whatever the array's order."""
        shape, _, _, data = self.parts
        if type(data) is not list or math.prod(shape) != len(data):
            refuse(f"it holds an array of shape {shape} without as many elements.")
        return data


def _check_characters(codes: np.ndarray) -> None:
    """Refuse what numpy would make an impossible str of."""
    if codes.max() > _LAST_CHARACTER:
        refuse("it holds text that is not Unicode.")


def as_bytes(data: Any) -> bytes | bytearray:
    """Bytes of an array; Python 2 pickled them as a string, which is read as Latin-1."""
    if type(data) is str:
        try:
            return data.encode("latin-1")
        except UnicodeEncodeError:
            refuse("it holds an array whose bytes are text.")
    if type(data) not in (bytes, bytearray):
        refuse(f"it holds an array whose content is {type(data).__name__}, not bytes.")
    content: bytes | bytearray = data
    return content


class Reconstruct(Stub):
    """``numpy.core.multiarray._reconstruct``: an array that gets its content afterwards."""

    __slots__ = ()

    def __new__(cls, kind: Any, shape: Any, code: Any) -> Array:  # type: ignore[misc]
        return Array()


class FromBuffer(Stub):
    """``numpy.core.numeric._frombuffer``: an array in a pickle of protocol 5."""

    __slots__ = ()

    def __new__(  # type: ignore[misc]
        cls, data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None
    ) -> Array:
        if order not in ("C", "F"):
            refuse("it holds a numpy array in an order of axes that is unknown here.")
        array = Array()
        array.state = (1, shape, dtype, order == "F", data)
        return array


class Scalar(Stub):
    """``numpy.core.multiarray.scalar``: one number or text, which becomes Python's own."""

    __slots__ = ()

    def __new__(cls, dtype: Any, data: Any = b"") -> Any:  # type: ignore[misc]
        array = Array()
        array.state = (1, (1,), dtype, False, data)
        values = array.numpy()
        return values[0].item() if values.size else ""


class Encode(Stub):
    """``_codecs.encode``: bytes, in pickles of protocol 2 that Python 3 wrote."""

    __slots__ = ()

    def __new__(cls, text: Any, encoding: Any = "latin1") -> bytes:  # type: ignore[misc]
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            refuse("it encodes text as something else than bytes.")
        return bytes(as_bytes(text))


class Bytes(Stub):
    """``builtins.bytes`` and ``bytearray``, which would allocate as many as a number says."""

    __slots__ = ()

    def __new__(cls, content: Any = b"", encoding: Any = "latin1") -> bytes:  # type: ignore[misc]
        return bytes(as_bytes(content))


class Reconstructor(Stub):
    """``copy_reg._reconstructor``: an object without content, in pickles of protocol 0 and 1."""

    __slots__ = ()

    def __new__(cls, kind: Any, base: Any, state: Any) -> Any:  # type: ignore[misc]
        if kind not in (Frame, Manager):
            refuse("it builds an object that is not part of a DataFrame.")
        return kind()


class Slice(Stub):
    """``builtins.slice``: which columns a block holds."""

    __slots__ = ("ends",)

    def __init__(self, *ends: Any):
        self.ends = ends


class Index(Stub):
    """Names of the columns or rows, as a dict of what it was made of."""

    __slots__ = ("parts",)

    def __init__(self, parts: Any = None):
        self.parts = parts


class NewIndex(Stub):
    """``pandas.core.indexes.base._new_Index``."""

    __slots__ = ()

    def __new__(cls, kind: Any, parts: Any) -> Index:  # type: ignore[misc]
        return Index(parts)


class Block(Stub):
    """Columns of one type, and where in the frame they stand."""

    __slots__ = ("values", "placement")

    def __init__(self, values: Any, placement: Any, ndim: Any = None):
        self.values, self.placement = values, placement


class Manager(Stub):
    """``BlockManager``: blocks and axes, given at once (pandas 1.3 up) or as a state (before)."""

    __slots__ = ("blocks", "axes")

    def __init__(self, blocks: Any = (), axes: Any = ()):
        self.blocks, self.axes = blocks, axes

    def __setstate__(self, state: Any) -> None:
        try:
            parts = state[3]["0.14.1"]
            self.axes = parts["axes"]
            self.blocks = [Block(part["values"], part["mgr_locs"]) for part in parts["blocks"]]
        except (TypeError, LookupError):
            refuse("it holds a DataFrame of unknown form; pandas 0.15 to 3 are understood.")


class Frame(Stub):
    """``DataFrame``."""

    __slots__ = ("manager",)

    def __setstate__(self, state: Any) -> None:
        if type(state) is not dict:
            refuse("it holds a DataFrame of unknown form.")
        self.manager = state.get("_mgr", state.get("_data"))


class CategoricalDtype(Stub):
    """The categories of a categorical column."""

    __slots__ = ("categories",)

    def __setstate__(self, state: Any) -> None:
        self.categories = state.get("categories") if type(state) is dict else None


class Backed(Stub):
    """``Categorical`` or ``StringArray``: a numpy array with a dtype of pandas' own."""

    __slots__ = ("array", "dtype")
    array: Any
    dtype: Any

    def __new__(cls, *args: Any) -> Backed:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        if type(state) is dict:
            state = (state.get("_codes"), state.get("_dtype"))
        if type(state) is not tuple:
            refuse("it holds a column of unknown form.")
        self.array = next((part for part in state if type(part) is Array), None)
        self.dtype = next((part for part in state if type(part) is CategoricalDtype), None)


class NewBacked(Stub):
    """``pandas._libs.arrays.__pyx_unpickle_NDArrayBacked``."""

    __slots__ = ()

    def __new__(cls, kind: Any, checksum: Any, state: Any) -> Backed:  # type: ignore[misc]
        made = Backed()
        if state is not None:
            made.__setstate__(state)
        return made


class ArrowText(Stub):
    """``ArrowStringArray``: text in the memory layout of Arrow, pandas 3's default."""

    __slots__ = ("content",)

    def __setstate__(self, state: Any) -> None:
        self.content = state.get("_pa_array") if type(state) is dict else None


class ArrowBuffer(Stub):
    """``pyarrow.lib.py_buffer``."""

    __slots__ = ()

    def __new__(cls, data: Any) -> bytes | bytearray:  # type: ignore[misc]
        return as_bytes(data)


class ArrowType(Stub):
    """``pyarrow.lib.type_for_alias``."""

    __slots__ = ("name",)

    def __init__(self, name: Any):
        self.name = name


class ArrowContent(Stub):
    """``pyarrow.lib._restore_array``: type, length, nulls, offset, buffers and more."""

    __slots__ = ("parts",)

    def __init__(self, parts: Any):
        self.parts = parts
