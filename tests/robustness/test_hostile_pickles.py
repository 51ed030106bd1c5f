"""Pickles that mean harm: none of their code runs, none gets the memory or time it asks for."""

import copyreg
import io
import os
import pickle
import pickletools
import random
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lswmd_pickles import Writer, load_bytes, pickled, some_wafers, write_kaggle, write_mir

from camdenoise.io._lswmd_pickle import ALLOWED, read_columns
from camdenoise.io._lswmd_rows import row_batches
from camdenoise.io._stubs import PickleError


def calls(module, name, *arguments, protocol=0):
    """A pickle that calls a function with texts."""
    texts = b"".join(b"X" + struct.pack("<I", len(a)) + a.encode() for a in arguments)
    if protocol < 4:
        return b"c%b\n%b\n(" % (module.encode(), name.encode()) + texts + b"tR."
    names = b"".join(b"\x8c%c" % len(n) + n.encode() for n in (module, name))
    return b"\x80\x04" + names + b"\x93(" + texts + b"tR."


class Evil:
    """An object that touches a file when it is unpickled without care."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


def hostile(canary):
    """What must be refused, and the name that the message must have."""
    touch, code = f"touch {canary}", f"open({str(canary)!r}, 'w')"
    evil = Evil(canary)
    frame = pd.DataFrame({"waferMap": pd.Series([np.ones((2, 2), np.uint8), evil], dtype=object)})
    named = pd.DataFrame({"a": [1]})
    named.attrs["note"] = evil
    for protocol in range(6):
        yield f"reduce {protocol}", pickle.dumps(evil, protocol), f"{os.name}.system"
        yield f"in a cell {protocol}", pickle.dumps(frame, protocol), f"{os.name}.system"
    for name, value in (("key", {0: {1: evil}}), ("list", [[[evil]]]), ("attrs", named)):
        yield f"nested {name}", pickle.dumps(value), f"{os.name}.system"
    for protocol in (0, 4):
        for module, name, argument in (
            ("os", "system", touch), ("posix", "system", touch), ("nt", "system", touch),
            ("builtins", "eval", code), ("builtins", "exec", code), ("__builtin__", "eval", code),
            ("builtins", "__import__", "os"), ("builtins", "open", str(canary)),
            ("builtins", "getattr", "a"), ("subprocess", "check_output", touch),
            ("pty", "spawn", "/bin/sh"), ("runpy", "run_path", str(canary)),
            ("importlib", "import_module", "antigravity"), ("numpy", "load", str(canary)),
            ("numpy", "fromfile", str(canary)), ("numpy", "memmap", str(canary)),
            ("numpy.testing", "measure", code), ("numpy.core.multiarray", "fromfile", "a"),
            ("pandas", "read_pickle", str(canary)), ("pandas", "eval", code),
            ("pandas.core.frame", "DataFrame.to_csv", str(canary)),
            ("pandas", "DataFrame.query", code), ("numpy", "dtype.__class__", "a"),
            ("numpy", "ndarray.tofile", str(canary)), ("pandas.core", "frame.DataFrame", "a"),
            ("copyreg", "__newobj__", "a"), ("camdenoise.io._stubs", "Frame", "a"),
            ("_codecs", "decode", "a"), ("codecs", "encode", "a"), ("pickle", "loads", "a"),
            ("numpy ", "dtype", "u1"), ("Numpy", "dtype", "u1"), ("numpy", "dtype ", "u1"),
            ("antigravity", "fly", "a"),
        ):  # fmt: skip
            yield (
                f"{module}.{name} {protocol}",
                calls(module, name, argument, protocol=protocol),
                (f"{module}.{name}"),
            )
    text = b"X" + struct.pack("<I", len(touch)) + touch.encode()
    yield "inst", b"(" + text + b"ios\nsystem\n.", "os.system"
    yield "obj", b"(cos\nsystem\n" + text + b"o.", "os.system"
    yield "newobj", b"cos\nsystem\n" + text + b"\x85\x81.", "os.system"
    yield "newobj_ex", b"\x80\x04cos\nsystem\n" + text + b"\x85}\x92.", "os.system"
    yield "never called", b"cos\nsystem\n0N.", "os.system"


HOSTILE = [(name, data, wanted) for name, data, wanted in hostile("CANARY")]


@pytest.mark.parametrize(
    ("data", "wanted"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE]
)
def test_name_outside_the_allow_list_is_refused(data, wanted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = set(sys.modules)
    with pytest.raises(PickleError) as caught:
        read_columns(io.BytesIO(data))
    assert f"it asks for {wanted!r}" in str(caught.value)
    assert "Nothing was executed" in str(caught.value)
    assert set(sys.modules) == known and list(tmp_path.iterdir()) == []


def test_canary_detects_code_execution(tmp_path):
    """The hostile files do what they are feared for where nobody refuses."""
    canary = tmp_path / "canary"
    for wanted in ("reduce 2", "in a cell 4", "builtins.eval 4", "inst"):
        data = next(data for name, data, _ in hostile(canary) if name == wanted)
        run = f"import pickle; pickle.loads({data!r})"
        subprocess.run([sys.executable, "-c", run], check=True)
        canary.unlink()


@pytest.mark.parametrize("where", ["alone", "in a cell", "in the frame's attributes"])
def test_hostile_pickle_is_refused_and_leaves_nothing(where, tmp_path):
    canary = tmp_path / "canary"
    wanted = {"alone": "reduce 5", "in a cell": "in a cell 4"}.get(where, "nested attrs")
    data = next(data for name, data, _ in hostile(canary) if name == wanted)
    with pytest.raises(ValueError, match=r"file\.pkl cannot be used: it asks for 'posix\.system'"):
        load_bytes(tmp_path, data)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.pkl"]


def test_hostile_module_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "innocent.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"it asks for 'innocent\.table'"):
        load_bytes(tmp_path, calls("innocent", "table"))
    assert not (tmp_path / "canary").exists() and "innocent" not in sys.modules


def test_long_name_is_cut_in_the_message():
    with pytest.raises(PickleError) as caught:
        read_columns(io.BytesIO(calls("m" * 10_000, "n", protocol=0)))
    assert len(str(caught.value)) < 600


def test_extension_registry_is_refused(tmp_path):
    copyreg.add_extension("os", "system", 77)
    try:
        data = b"\x80\x02\x82M(X\x05\x00\x00\x00touchtR."
        with pytest.raises(PickleError, match=r"it asks for 'os\.system'"):
            read_columns(io.BytesIO(data))
    finally:
        copyreg.remove_extension("os", "system", 77)


def claim(shape, data, code="u1"):
    """A DataFrame of one column whose only element is an array that claims a shape."""
    stream = io.BytesIO()
    w = Writer(stream)
    w.new("pandas.core.frame", "DataFrame")
    with w.state(), w.dict():
        w.text("_mgr")
        with w.call("pandas.core.internals.managers", "BlockManager"):
            with w.tuple(), w.call("pandas._libs.internals", "_unpickle_block"):
                with w.array(shape, code):
                    w.bytes(data)
                w.slice("builtins", 0, 1, 1)
                w.number(2)
            with w.list():
                w.names("pandas.core.indexes.base", ["waferMap"])
                w.range("pandas.core.indexes", 1)
    w.write(b".")
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"Pid\n.",  # a persistent id
        b"\x80\x05\x97.",  # an out-of-band buffer
        b"cnumpy\nndarray\n}X\x01\x00\x00\x00aK\x01sb.",  # a state for a function or class
        b"cnumpy\ndtype\nN}X\x01\x00\x00\x00aK\x01s\x86b.",  # attributes for a class
        b"cpandas.core.frame\nDataFrame\nN}X\x07\x00\x00\x00__new__K\x01s\x86b.",
        b"cnumpy\ndtype\n(X\x02\x00\x00\x00u1tRN}X\x04\x00\x00\x00codeK\x01s\x86b.",
        b"ccopy_reg\n_reconstructor\n(cnumpy\ndtype\nc__builtin__\nobject\nNtR.",
        b"c__builtin__\nslice\n}b.",
        # Found by the fuzzer: a dtype that was made but not initialized.
        claim((1, 1), b"a").replace(b"\x94R(K\x03", b"\x94\x81(K\x03", 1),
        b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00rot13tR.",
    ],
)
def test_odd_instructions_change_no_stand_in(data):
    before = {key: dict(vars(value)) for key, value in ALLOWED.items() if value is not None}
    with pytest.raises(PickleError):
        read_columns(io.BytesIO(data))
    after = {key: dict(vars(value)) for key, value in ALLOWED.items() if value is not None}
    assert before == after


GREEDY = {
    "bytes of 10 GB": b"\x80\x04\x8e" + struct.pack("<Q", 10**10) + b"a",
    "bytes of 2**63": b"\x80\x04\x8e" + struct.pack("<Q", 2**63 - 1) + b"a",
    "bytes of 4 GB": b"B" + struct.pack("<I", 2**32 - 1) + b"a",
    "bytearray of 10 GB": b"\x80\x05\x96" + struct.pack("<Q", 10**10) + b"a",
    "text of 10 GB": b"\x80\x04\x8d" + struct.pack("<Q", 10**10) + b"a",
    "string of 2 GB": b"T" + struct.pack("<i", 2**31 - 1) + b"a",
    "string of less than nothing": b"T" + struct.pack("<i", -5) + b"a",
    "integer of 2 GB": b"\x8b" + struct.pack("<i", 2**31 - 1) + b"a",
    "integer of many digits": b"L" + b"9" * 10**6 + b"L\n.",
    "frame of 2**62": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"a",
    "memo entry 4 billion": b"Nr" + struct.pack("<I", 2**32 - 1) + b".",
    "memo entry 500 million": b"Nr" + struct.pack("<I", 5 * 10**8) + b".",
    "bytes(10 GB)": b"cbuiltins\nbytes\n(\x8a\x05" + (10**10).to_bytes(5, "little") + b"tR.",
    "a million lists": b"]" * 10**6 + b"a" * (10**6 - 1) + b".",
    "a million marks": b"(" * 10**6 + b".",
    "a million tuples as a key": b"})" + b"\x85" * 10**6 + b"Ns.",
    "a text doubled 60 times": b"X\x02\x00\x00\x00ab" + b"2\x86" * 60 + b".",
}


@pytest.mark.parametrize("name", GREEDY)
def test_greedy_pickle_is_refused_in_little_memory(name, tmp_path):
    started = time.monotonic()
    with pytest.raises(ValueError, match=r"file\.pkl cannot be used: (it|the process that)"):
        load_bytes(tmp_path, GREEDY[name])
    assert time.monotonic() - started < 60
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.pkl"]


@pytest.mark.parametrize(
    ("shape", "data", "code", "message"),
    [
        ((1, 2**31 - 1), b"abc", "u1", r"it holds an array of shape \(1, 2147483647\) with 3 byt"),
        ((1, 2**31 - 1), b"", "f8", "with 0 bytes, not 17179869176"),
        ((1, 3), b"abcd", "u1", "with 4 bytes, not 3"),
        ((1, 3), b"abc", "O8", "without as many elements"),
        ((1, 3), b"abc", "V3", "something else than numbers or text"),
        ((1, 3), b"abc", "M8", "something else than numbers or text"),
        ((1, 1), b"abcd", "U99999", "with 4 bytes, not 399996"),
        ((2, 1), b"ab", "u1", r"has shape \(2, 1\) for 1 columns"),
        ((1,) * 9, b"a", "u1", "a numpy array of unknown form"),
        # Found by the fuzzer: numpy makes a str of this that no str method can stand.
        ((1, 1), b"\xff\xff\xff\x7f", "U1", "text that is not Unicode"),
    ],
)
def test_oversized_array_claim_is_refused(shape, data, code, message):
    with pytest.raises(PickleError, match=message):
        read_columns(io.BytesIO(claim(shape, data, code)))


def test_error_quotes_are_short():
    """A name of a column that is a list of a list of ... would take for ever to print."""
    nested = b"]" + b"".join(b"]q%c(h%ch%ce" % (i + 1, i, i) for i in range(60))
    data = b"]q\x00" + nested + b"cpandas\nIndex\n0."
    with pytest.raises(PickleError) as caught:
        read_columns(io.BytesIO(data))
    assert len(str(caught.value)) < 300


# Fuzzing


@pytest.fixture(scope="module")
def little_memory():
    """Room for 300 MB more: the unpickler allocates a memo as long as its highest number."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 3 * 10**8, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


def reads_or_refuses(data):
    """The only acceptable ends; a MemoryError is what the process with a cap is for."""
    try:
        list(row_batches(read_columns(io.BytesIO(data)), lambda done, of: None))
    except MemoryError:
        return False
    except PickleError as error:
        assert len(str(error)) < 2000
        return False
    return True


SEEDS = [pickled(write, some_wafers(n)) for write in (write_kaggle, write_mir) for n in (1, 3)]
for _protocol in (2, 5):
    SEEDS.append(
        pickle.dumps(
            pd.DataFrame(
                {
                    "waferMap": pd.Series(some_wafers(2).maps, dtype=object),
                    "dieSize": [1.0, 2.0],
                    "lotName": ["a", "b"],
                    "waferIndex": [1, 2],
                    "trainTestLabel": pd.Categorical(["Test", "Training"]),
                    "failureType": ["Loc", "none"],
                }
            ),
            _protocol,
        )
    )
OPCODES = [op.code.encode("latin-1") for op in pickletools.opcodes]


@st.composite
def mutated(draw):
    """A valid pickle with a few bytes changed, cut, repeated, or opcodes put in."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data) - 1))
        kind = draw(st.integers(0, 5))
        if kind == 0:
            data[at] = draw(st.integers(0, 255))
        elif kind == 1:
            data[at:at] = draw(st.sampled_from(OPCODES))
        elif kind == 2:
            del data[at : at + draw(st.integers(1, 40))]
        elif kind == 3:
            other = draw(st.sampled_from(SEEDS))
            start = draw(st.integers(0, len(other) - 1))
            data[at:at] = other[start : start + draw(st.integers(1, 60))]
        elif kind == 4:
            data[at : at + 1] = draw(st.sampled_from(OPCODES))
        else:
            data[at : at + 4] = struct.pack("<i", draw(st.integers(-(2**31), 2**31 - 1)))
        data = data or bytearray(b".")
    return bytes(data)


def test_seeds_of_the_fuzzer_are_valid():
    assert all(map(reads_or_refuses, SEEDS))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(mutated())
def test_mutated_pickle_is_read_or_refused(little_memory, data):
    reads_or_refuses(data)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(OPCODES) | st.binary(max_size=4), max_size=60).map(b"".join))
def test_too_many_instructions_are_refused(little_memory, data):
    reads_or_refuses(data + b".")


@pytest.mark.slow
def test_mutated_pickles_are_read_or_refused_for_long(little_memory):
    """Mutations by a plain random generator, which makes many more of them than hypothesis."""
    seed = int(os.environ.get("CAMDENOISE_FUZZ_SEED", time.time_ns() % 2**32))
    seconds = float(os.environ.get("CAMDENOISE_FUZZ_SECONDS", 300))
    rng, ends = random.Random(seed), Counter()
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        data = scrambled(rng)
        began = time.monotonic()
        try:
            ends[reads_or_refuses(data)] += 1
        except BaseException:
            print(f"seed {seed}, after {ends}: {data!r}")
            raise
        assert time.monotonic() - began < 5, data
    print(f"seed {seed}: {ends[True]} read, {ends[False]} refused")
    assert ends[False] > 0


def scrambled(rng):
    """A valid pickle with some bytes changed, cut, moved, repeated, or instructions put in."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8, 20))):
        at, length = rng.randrange(len(data)), rng.randint(1, 40)
        kind = rng.randrange(7)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            data[at:at] = rng.choice(OPCODES)
        elif kind == 2:
            data[at : at + 1] = rng.choice(OPCODES)
        elif kind == 3 and len(data) > 60:
            del data[at : at + length]
        elif kind == 4:
            other = rng.choice(SEEDS)
            start = rng.randrange(len(other))
            data[at:at] = other[start : start + length]
        elif kind == 5:
            number = rng.choice((-1, 0, 1, 2**31 - 1, -(2**31), length))
            data[at : at + 4] = struct.pack("<i", number)
        else:
            data[at:at] = b"h" + bytes([rng.randrange(140)])
    return bytes(data)
