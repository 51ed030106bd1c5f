"""Pickles of WM-811K's two eras, written instruction by instruction.

No pandas of today writes what Kaggle's file holds (Python 2, pandas 0.18, nested labels), and a
test of an unpickler should not depend on what the installed pandas writes. So this writes the
instructions themselves, with the memo entries that the real picklers make for everything.
"""

import io
import struct
from contextlib import contextmanager
from functools import partial

import numpy as np
import pandas as pd

from camdenoise.datasets import CLASSES, load_wm811k


class Writer:
    """Pickle instructions of protocol 2 as Python 2 wrote them, or of protocol 4."""

    def __init__(self, stream, protocol=4):
        self.write = stream.write
        self.old = protocol == 2
        self.write(b"\x80" + bytes([protocol]))
        self.n_memo = 0
        self.known = {}

    def put(self):
        """Remember the topmost object; return its number."""
        n = self.n_memo
        self.n_memo += 1
        if not self.old:
            self.write(b"\x94")
        else:
            self.write(b"q%c" % n if n < 256 else b"r" + struct.pack("<I", n))
        return n

    def get(self, n):
        self.write(b"h%c" % n if n < 256 else b"j" + struct.pack("<I", n))

    def once(self, key, make, *arguments):
        """Write an object, or fetch it where it was written before."""
        if key in self.known:
            self.get(self.known[key])
        else:
            make(*arguments)
            self.known[key] = self.put()

    def name(self, module, name):
        self.once(("name", module, name), self._name, module, name)

    def _name(self, module, name):
        if self.old:
            self.write(f"c{module}\n{name}\n".encode())
        else:
            self.text(module)
            self.text(name)
            self.write(b"\x93")

    def text(self, text):
        self.once(("text", text), self._text, text)

    def new_text(self, text):
        """Write a text anew, as picklers do with equal texts that are not one object."""
        self._text(text)
        self.put()

    def _text(self, text):
        if self.old:
            self.bytes(text.encode("latin-1"))
        else:
            data = text.encode()
            self.write(b"X" + struct.pack("<I", len(data)) + data)

    def bytes(self, data):
        short, long = (b"U", b"T") if self.old else (b"C", b"B")
        if len(data) < 256:
            self.write(short + bytes([len(data)]) + data)
        else:
            self.write(long + struct.pack("<I", len(data)) + data)

    def number(self, n):
        self.write(b"K%c" % n if 0 <= n < 256 else b"J" + struct.pack("<i", n))

    def none(self):
        self.write(b"N")

    @contextmanager
    def tuple(self):
        self.write(b"(")
        yield
        self.write(b"t")
        self.put()

    @contextmanager
    def list(self):
        self.write(b"]")
        self.put()
        self.write(b"(")
        yield
        self.write(b"e")

    @contextmanager
    def dict(self):
        self.write(b"}")
        self.put()
        self.write(b"(")
        yield
        self.write(b"u")

    @contextmanager
    def call(self, module, name):
        """Call a function with what is written inside."""
        self.name(module, name)
        with self.tuple():
            yield
        self.write(b"R")
        self.put()

    @contextmanager
    def state(self):
        """Give the topmost object the state that is written inside."""
        yield
        self.write(b"b")

    def new(self, module, name):
        self.name(module, name)
        self.write(b")\x81")
        self.put()

    def dtype(self, code):
        # numpy has one object for each type of number, but a new one for each text type.
        if code[0] in "US":
            self._dtype(code)
            self.put()
        else:
            self.once(("dtype", code), self._dtype, code)

    def _dtype(self, code):
        self.name("numpy", "dtype")
        with self.tuple():
            self.text(code)
            self.number(0)
            self.number(1)
        self.write(b"R")
        with self.state(), self.tuple():
            self.number(3)
            self.text("|" if code in ("u1", "O8") else "<")
            for _ in range(3):
                self.none()
            sizes = (4 * int(code[1:]), 4) if code[0] == "U" else (-1, -1)
            for n in (*sizes, 63 if code == "O8" else 0):
                self.number(n)

    @contextmanager
    def array(self, shape, code, fortran=False):
        """Write an array whose content is written inside; gives its number in the memo."""
        with self.call("numpy.core.multiarray", "_reconstruct"):
            self.name("numpy", "ndarray")
            with self.tuple():
                self.number(0)
            self.text("b") if self.old else self.bytes(b"b")
        number = self.n_memo - 1
        with self.state(), self.tuple():
            self.number(1)
            with self.tuple():
                for side in shape:
                    self.number(side)
            self.dtype(code)
            self.write(b"\x88" if fortran else b"\x89")
            yield number

    def numbers(self, values):
        with self.array(values.shape, values.dtype.str[1:]) as number:
            self.bytes(values.tobytes())
            self.put()
        return number

    def objects(self, shape, columns):
        """Write an array of objects: pairs of values and what writes each."""
        with self.array(shape, "O8") as number, self.list():
            for values, write in columns:
                for count, value in enumerate(values):
                    # Real picklers append a thousand at a time.
                    if count and count % 1000 == 0:
                        self.write(b"e(")
                    write(value)
        return number

    def nested(self, label):
        """Write a label as MATLAB's files have it: a 1 x 1 array of text, or an empty one."""
        self.numbers(np.array([[label]]) if label else np.zeros((0, 0)))

    def plain(self, label):
        self.text(label) if label else self.number(0)

    def index(self, home, kind, parts, home_of_kind=None):
        """Write an Index; gives its number in the memo."""
        with self.call(home, "_new_Index"):
            self.name(home_of_kind or home, kind)
            with self.dict():
                for key, write in parts.items():
                    self.text(key)
                    write()
                self.text("name")
                self.none()
        return self.n_memo - 1

    def names(self, home, names):
        data = {"data": lambda: self.objects((len(names),), [(names, self.text)])}
        return self.index(home, "Index", data)

    def range(self, home, n_rows):
        parts = {"start": 0, "stop": n_rows, "step": 1}
        parts = {key: partial(self.number, n) for key, n in parts.items()}
        return self.index(f"{home}.base", "RangeIndex", parts, f"{home}.range")

    def slice(self, builtins, *ends):
        with self.call(builtins, "slice"):
            for n in ends:
                self.number(n)

    def list_of(self, *numbers):
        with self.list():
            for number in numbers:
                self.get(number)


class Wafers:
    """The columns of a few wafers; "" is no label."""

    def __init__(self, maps, lot, wafer, die_size, split, label):
        self.maps, self.lot, self.wafer, self.die_size = maps, lot, wafer, die_size
        self.split, self.label = split, label


def write_kaggle(stream, wafers):
    """LSWMD.pkl: Python 2, pandas 0.18, nested labels, ``trianTestLabel``."""
    w, n = Writer(stream, 2), len(wafers.maps)
    home = "pandas.indexes"
    names = ["waferMap", "dieSize", "lotName", "waferIndex", "trianTestLabel", "failureType"]
    objects = [
        (wafers.maps, w.numbers), (wafers.lot, w.new_text),
        (wafers.split, w.nested), (wafers.label, w.nested),
    ]  # fmt: skip
    w.new("pandas.core.frame", "DataFrame")
    with w.state(), w.dict():
        w.text("_metadata")
        w.write(b"]")
        w.text("_typ")
        w.text("dataframe")
        w.text("_data")
        w.new("pandas.core.internals", "BlockManager")
        with w.state(), w.tuple():
            with w.list():
                axes = w.names(f"{home}.base", names), w.range(home, n)
            with w.list():
                floats = w.numbers(np.array([wafers.die_size, wafers.wafer], float))
                mixed = w.objects((4, n), objects)
            with w.list():
                w.names(f"{home}.base", names[1:4:2])
                w.names(f"{home}.base", [names[i] for i in (0, 2, 4, 5)])
            with w.dict():
                w.text("0.14.1")
                with w.dict():
                    w.text("axes")
                    w.list_of(*axes)
                    w.text("blocks")
                    with w.list():
                        _old_block(w, floats, lambda: w.slice("__builtin__", 1, 5, 2))
                        _old_block(w, mixed, lambda: w.numbers(np.array([0, 2, 4, 5])))
    w.write(b".")


def _old_block(w, values, place):
    with w.dict():
        w.text("mgr_locs")
        place()
        w.text("values")
        w.get(values)


def write_mir(stream, wafers):
    """WM811K.pkl: Python 3, pandas 1.3 to 2, plain labels, 0 where there is none."""
    w, n = Writer(stream, 4), len(wafers.maps)
    home = "pandas.core.indexes"
    names = ["dieSize", "failureType", "lotName", "trainTestLabel", "waferIndex", "waferMap"]
    objects = [
        (wafers.label, w.plain), (wafers.lot, w.new_text), (wafers.split, w.plain),
        (wafers.maps, w.numbers),
    ]  # fmt: skip
    w.new("pandas.core.frame", "DataFrame")
    with w.state(), w.dict():
        w.text("_mgr")
        with w.call("pandas.core.internals.managers", "BlockManager"):
            with w.tuple():
                with w.call("pandas._libs.internals", "_unpickle_block"):
                    w.numbers(np.array([wafers.die_size, wafers.wafer], np.int64))
                    w.slice("builtins", 0, 8, 4)
                    w.number(2)
                with w.call("pandas._libs.internals", "_unpickle_block"):
                    w.objects((4, n), objects)
                    w.numbers(np.array([1, 2, 3, 5]))
                    w.number(2)
            with w.list():
                w.names(f"{home}.base", names)
                w.range(home, n)
        for key, value in (("_typ", "dataframe"), ("_metadata", None), ("attrs", None)):
            w.text(key)
            w.text(value) if value else w.write(b"]" if key == "_metadata" else b"}")
    w.write(b".")


def some_wafers(n=12, seed=0):
    rng = np.random.default_rng(seed)
    label = [(*CLASSES, "", "")[i % 11] for i in range(n)]
    return Wafers(
        maps=[rng.integers(0, 3, (4 + i % 3, 20 + 3 * i)).astype(np.uint8) for i in range(n)],
        lot=[f"lot{i // 5 + 1}" for i in range(n)],
        wafer=[i % 5 + 1 for i in range(n)],
        die_size=[int(60 + i) for i in range(n)],
        split=[("Training", "Test")[i % 2] if label[i] else "" for i in range(n)],
        label=label,
    )


def pickled(write, wafers=None):
    stream = io.BytesIO()
    write(stream, wafers or some_wafers())
    return stream.getvalue()


def saved_again(wafers, **changes):
    """LSWMD as people save it from their notebooks; None for a column takes it out."""
    columns = {
        "waferMap": pd.Series(wafers.maps, dtype=object),
        "dieSize": wafers.die_size,
        "lotName": wafers.lot,
        "waferIndex": wafers.wafer,
        "trianTestLabel": [
            np.array([[split]]) if split else np.zeros((0, 0)) for split in wafers.split
        ],
        "failureType": [
            np.array([[label]]) if label else np.zeros((0, 0)) for label in wafers.label
        ],
    }
    columns |= changes
    return pd.DataFrame({name: values for name, values in columns.items() if values is not None})


def load_bytes(folder, data, **options):
    (folder / "file.pkl").write_bytes(data)
    return load_wm811k(folder / "file.pkl", **options)
