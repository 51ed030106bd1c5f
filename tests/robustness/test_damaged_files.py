"""Damaged files, files of another kind or made to do harm: a clear error, soon, in little room."""

import gzip
import pickle
import sys
import time
import tracemalloc

import map_files
import pytest
from map_files import message_of

from camdenoise.io import (
    WaferFileError,
    read_e142,
    read_g85,
    read_klarf,
    read_sinf,
    read_wafers,
)
from camdenoise.io._container import Content


@pytest.mark.parametrize("content", [b"", b" \n\n", gzip.compress(b"", mtime=0)])
def test_empty_file_is_named(wafer_file, content):
    assert message_of(wafer_file(content)) == "the file is empty. Fetch it again."


def test_every_shorter_file_is_refused(wafer_file, file_kind):
    content = map_files.SAMPLES[file_kind]
    last = len(content.rstrip())
    if file_kind.startswith("klarf"):
        last = content.rindex(b"EndOfFile")
    # The rows of a SINF file may end anywhere; only the header tells how many there must be.
    for length in range(0, last, 7 if file_kind != "stdf" else 1):
        if file_kind == "sinf" and content[length - 1 : length] == b"0":
            continue
        message_of(wafer_file(content[:length]))


def test_damaged_gzip_file_is_named(wafer_file, file_kind):
    packed = bytearray(gzip.compress(map_files.SAMPLES[file_kind]))
    cut = bytes(packed[:-12])
    assert "gzip data is damaged or cut short" in message_of(wafer_file(cut))
    packed[-6] ^= 0xFF
    assert "gzip data is damaged or cut short" in message_of(wafer_file(bytes(packed)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1....", "this is a Parquet file. Read it with camdenoise.io.read_maps"),
        (b"PK\x03\x04....", "the zip data is damaged or cut short"),
        (pickle.dumps({"a": 1}), "this is a pickle. Read LSWMD.pkl"),
        (b"lot,yield\nA,1\n", "the table has no columns x, y and bin"),
        (b"some notes\n", "Its first line is 'some notes'"),
        (b"<html><body/></html>", "this is a web page. Fetch the file itself"),
        (b"<chart/>", "the root element is 'chart', expected 'Map' or 'Maps'"),
        (b"\x00\x01\x02\x03", "the content is none of STDF"),
    ],
)
def test_another_kind_of_file_is_named(wafer_file, content, message):
    assert message in message_of(wafer_file(content))


def test_missing_file_is_an_os_error(tmp_path):
    for read in (read_wafers, read_g85, read_e142, read_sinf, read_klarf):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "no.xml")


def test_file_error_survives_pickling():
    error = WaferFileError("a.xml", "it is wrong.", "line 3")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "a.xml: line 3: it is wrong."


# --- files that mean harm -------------------------------------------------------------------------

LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
BOMBS = {
    "billion laughs": f'<!DOCTYPE Map [<!ENTITY l0 "ha">{LAUGHS}]><Map>&l9;</Map>',
    "external entity": '<!DOCTYPE Map [<!ENTITY x SYSTEM "file:///etc/hostname">]><Map>&x;</Map>',
    "external subset": '<!DOCTYPE Map SYSTEM "http://localhost/x.dtd"><Map/>',
    "parameter entity": '<!DOCTYPE Map [<!ENTITY % p SYSTEM "file:///etc/hostname"> %p;]><Map/>',
    "plain document type": "<!DOCTYPE Map><Map/>",
}


@pytest.mark.parametrize("bomb", BOMBS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_document_types_and_entities_are_refused(wafer_file, bomb, encoding):
    message = message_of(wafer_file(BOMBS[bomb].encode(encoding)))
    assert "declares a document type or entities" in message and "Delete the <!DOCTYPE" in message


def test_undeclared_entity_is_refused(wafer_file):
    assert "line 1: it is not well-formed XML (undefined entity" in message_of(
        wafer_file("<Map>&x;</Map>")
    )


def test_deep_nesting_is_refused(wafer_file):
    assert "nested more than 50 deep" in message_of(wafer_file("<Map>" * 100_000))


CLAIMS = {
    "G85": (map_files.G85.replace('Rows="2"', 'Rows="999999999"'), "claims 999999999 rows"),
    "G85 columns": (map_files.G85.replace('"3" Or', '"4294967296" Or'), "expected 4294967296"),
    "E142": (map_files.E142.replace('Y="2"', 'Y="999999999"'), "claims 999999999 rows"),
    "SINF": (map_files.SINF.replace("ROWCT:2", "ROWCT:999999999"), "claims 999999999 rows"),
    "SINF columns": (
        map_files.SINF.replace("COLCT:3", "COLCT:2147483648"),
        "claims 2147483648 columns",
    ),
    "SINF digits": (map_files.SINF.replace("ROWCT:2", "ROWCT:" + "9" * 5000), "expected a whole"),
    "KLARF plan": (map_files.KLARF_12.replace("Plan 4", "Plan 999999999"), "claims 999999999"),
    "KLARF rows": (map_files.KLARF_18.replace("Data 3", "Data 999999999"), "claims 999999999 rows"),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_oversized_claim_allocates_nothing(wafer_file, claim):
    content, message = CLAIMS[claim]
    path = wafer_file(content)
    tracemalloc.start()
    start = time.process_time()
    assert message in message_of(path)
    assert time.process_time() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_endless_statements_are_refused(wafer_file):
    path = wafer_file("FileVersion 1 2" + ";" * 200_000)
    assert "line 1: it has more than 100000 statements" in message_of(path)


def test_decompression_bomb_is_refused(wafer_file):
    packed = gzip.compress(map_files.SINF.encode() + b" " * (64 << 20))
    assert "grows more than 250-fold" in message_of(wafer_file(packed))


def test_file_beyond_the_largest_map_is_refused(wafer_file, monkeypatch):
    monkeypatch.setattr(sys.modules["camdenoise.io._container"], "_CHUNK", 1 << 10)
    path = wafer_file(map_files.SINF.encode() * 500)
    with pytest.raises(WaferFileError, match="holds more than 0 MiB, which no wafer map takes"):
        b"".join(Content(path).chunks(50_000))


def test_map_beyond_4096_dies_per_side_is_refused(wafer_file):
    wide = "LOT:L\nRowData:" + " 01" * 4097
    high = "LOT:L\n" + "RowData:01\n" * 4097
    assert "it has 4097 columns; 1 to 4096 are allowed" in message_of(wafer_file(wide))
    assert "it has 4097 rows of dies; 1 to 4096 are allowed" in message_of(wafer_file(high))
