"""Whatever a file holds, a reader gives a die table or says what is wrong, soon and in little room.

Longer runs:
``CAMDENOISE_FUZZ_SECONDS=300 python -m pytest -m slow -s tests/robustness/test_io_fuzz.py``.
"""

import bz2
import gzip
import io
import itertools
import lzma
import os
import resource
import time
import zipfile
from functools import partial

import hypothesis
import map_files
import one_wafer
import pyarrow as pa
import pytest
from hypothesis import strategies as st

from camdenoise.io import (
    WaferFileError,
    from_die_table,
    read_atdf,
    read_die_csv,
    read_e142,
    read_g85,
    read_klarf,
    read_maps,
    read_sinf,
    read_stdf,
    read_wafers,
)

READERS = {
    "g85": read_g85,
    "g85 text": read_g85,
    "e142": read_e142,
    "sinf": read_sinf,
    "klarf12": read_klarf,
    "klarf18": read_klarf,
    "stdf": read_stdf,
    "atdf": read_atdf,
    "csv": read_die_csv,
}
SAMPLES = map_files.SAMPLES | {
    "g85 text": one_wafer.g85_text(),
    "atdf": one_wafer.atdf(),
    "csv": one_wafer.die_frame().head(12).to_csv(index=False).encode(),
}
# A reader that hangs; far above what any file takes, whatever else the machine does.
SECONDS_PER_FILE = 10
# What a parser may stumble over.
PIECES = [
    *(b"999999999", b"-1", b"2147483648", b"1e9", b"0", b"\0", b"\xff", b"\xfe\xff", b"\n", b" "),
    *(
        b"<",
        b">",
        b"&x;",
        b"<!DOCTYPE a>",
        b"]]>",
        b"<Row>",
        b"</Map>",
        b"xmlns:a='b' ",
        b"'",
        b'"',
    ),
    *(b"{", b"}", b";", b",", b":", b"__", b"@@", b"FF", b"007", b"RowData:", b"Data 9", b"List "),
    *("\u00b2".encode(), "\u0661".encode(), b"\x02\x00\x05\x14", b"\x00\x80", b"\x1f\x8b", b"nan"),
]


def mutate(content, position, length, piece, operation):
    """Change a file at a place given as a share of its length."""
    start = int(position * len(content))
    end = min(len(content), start + length)
    if operation == "repeat":
        return content[:end] + content[start:end] * 3 + content[end:]
    if operation == "cut":
        return content[:start]
    return content[:start] + (piece if operation == "replace" else b"") + content[end:]


def zipped(*members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, member in enumerate(members):
            archive.writestr(zipfile.ZipInfo(f"member {number}"), member)
    return stream.getvalue()


PACKERS = {
    "gzip": lambda content: gzip.compress(content, 1, mtime=0),
    "bzip2": bz2.compress,
    "xz": lambda content: lzma.compress(content, preset=0),
    "zstd": lambda content: pa.compress(content, "zstd", asbytes=True),
    "zip": zipped,
    "zip of two": lambda content: zipped(content, content),
    "zip of gzip": lambda content: zipped(gzip.compress(content, 1, mtime=0)),
}


def pack(content, packer):
    return PACKERS[packer](content)


@st.composite
def damaged_files(draw, kind):
    """A sound file with a few changes, or its beginning and then anything; some are packed."""
    content = SAMPLES[kind]
    if draw(st.integers(0, 9)) == 0:
        content = content[: draw(st.integers(0, 200))] + draw(st.binary(max_size=300))
    changes = st.tuples(
        st.floats(0, 1),
        st.sampled_from([0, 0, 1, 2, 4, 17, 100]),
        st.one_of(st.sampled_from(PIECES), st.binary(max_size=6)),
        st.sampled_from(["replace", "replace", "delete", "repeat", "cut"]),
    )
    for change in draw(st.lists(changes, max_size=5)):
        content = mutate(content, *change)
    if draw(st.integers(0, 9)) == 0:
        packed = pack(content, draw(st.sampled_from(sorted(PACKERS))))
        if draw(st.booleans()):
            packed = mutate(packed, *draw(changes))
        content = packed
    return content


def check_table(table):
    assert table.columns.tolist() == ["lot", "wafer", "x", "y", "bin", "passed"]
    assert table.dtypes[["x", "y", "passed"]].astype(str).tolist() == ["int32", "int32", "boolean"]
    assert len(table) and not table.drop(columns="passed").isna().any(axis=None)
    known = table.assign(passed=table["passed"].fillna(False))
    try:
        wafers = from_die_table(known)
    except ValueError as error:  # coordinates, or a declared size, may be too large for a map
        assert any(text in str(error) for text in ("far from the other", "iter_lots", "declares"))
        return
    assert wafers.frame["n_rows"].sum() == len(table)


def check_reader(read, path, content):
    """Read a file; return whether it was readable."""
    path.write_bytes(content)
    start = time.process_time()
    try:
        table = read(path)
    except WaferFileError as error:
        assert str(error).startswith(f"{path}: ") and len(str(error)) < 2000
        return False
    finally:
        assert time.process_time() - start < SECONDS_PER_FILE
    check_table(table)
    return True


def check_maps(path):
    """Read a file as the commands do; what is wrong with it is told in a line."""
    start = time.process_time()
    try:
        wafers = read_maps(path)
    except ValueError as error:
        assert len(str(error)) < 2500
    else:
        assert all(grid.dtype == "uint8" and grid.max() <= 2 for grid in wafers.maps)
    assert time.process_time() - start < SECONDS_PER_FILE


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "wafer.dat"


def fuzz(kind, path, *, examples, seed=None):
    """Read damaged files; return how many, and how many of them were readable."""
    counts = {"files": 0, "readable": 0}

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        derandomize=seed is None,
    )
    @hypothesis.given(damaged_files(kind))
    def read_damaged(content):
        counts["files"] += 1
        counts["readable"] += check_reader(READERS[kind], path, content)
        check_reader(partial(read_wafers, repeated="retest"), path, content)
        check_maps(path)

    (read_damaged if seed is None else hypothesis.seed(seed)(read_damaged))()
    return counts


@pytest.mark.parametrize("kind", SAMPLES)
def test_damaged_files_are_read_or_named(kind, path):
    fuzz(kind, path, examples=60)


@pytest.mark.parametrize("packer", PACKERS)
def test_decompression_bomb_is_refused(packer, path):
    path.write_bytes(pack(SAMPLES["sinf"] + b" " * (64 << 20), packer))
    with pytest.raises(WaferFileError, match="grows more than 250-fold|holds more than 64 MiB"):
        read_maps(path)


@hypothesis.settings(max_examples=100, deadline=None, derandomize=True)
@hypothesis.given(content=st.binary(max_size=400))
def test_random_bytes_are_named(path, content):
    for read in (*READERS.values(), read_wafers):
        check_reader(read, path, content)


def run_for(kind, path, seconds):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    total = {"files": 0, "readable": 0}
    for seed in itertools.count(int(os.environ.get("CAMDENOISE_FUZZ_SEED", "0"))):
        counts = fuzz(kind, path, examples=500, seed=seed)
        total = {name: total[name] + counts[name] for name in total}
        if time.monotonic() - start > seconds:
            break
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    print(
        f"\n{kind}: {total['files']} files, {total['readable']} readable, {seconds:.0f} s, "
        f"{grown} MiB more memory"
    )
    return grown


@pytest.mark.slow
@pytest.mark.parametrize("kind", SAMPLES)
def test_damaged_files_are_read_or_named_for_long(kind, path):
    if "CAMDENOISE_FUZZ_SECONDS" not in os.environ:
        pytest.skip("set CAMDENOISE_FUZZ_SECONDS, for example to 300")
    assert run_for(kind, path, float(os.environ["CAMDENOISE_FUZZ_SECONDS"])) < 500
