import gzip

import map_files
import pandas as pd
import pytest
from format_samples import DIES_BY_FORMAT, TABLE_COLUMNS
from map_files import rows

from camdenoise.io import (
    WaferFileError,
    from_die_table,
    read_wafers,
)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_format_gives_the_same_table(wafer_file, file_kind, pack):
    table = read_wafers(wafer_file(pack(map_files.SAMPLES[file_kind])))
    assert rows(table) == DIES_BY_FORMAT[file_kind]
    assert table.columns.tolist() == TABLE_COLUMNS
    assert table.dtypes[["x", "y", "bin", "passed"]].astype(str).tolist() == [
        *("int32", "int32", "int32", "boolean")
    ]
    assert pd.api.types.is_string_dtype(table["lot"])
    assert table.attrs["format"].lower() == file_kind.rstrip("0123456789") or file_kind in (
        "g85",
        "e142",
    )


def test_file_names_do_not_decide_the_format(wafer_file, file_kind):
    content = map_files.SAMPLES[file_kind]
    for name in ("a.stdf", "a.xml", "a.gz", "a.stdf.gz", "a.zip", "a"):
        assert rows(read_wafers(wafer_file(content, name))) == DIES_BY_FORMAT[file_kind]
        assert (
            rows(read_wafers(wafer_file(gzip.compress(content), name))) == DIES_BY_FORMAT[file_kind]
        )


def test_windows_line_ends_are_read(wafer_file):
    for kind in ("g85", "e142", "sinf", "klarf12", "klarf18"):
        content = map_files.SAMPLES[kind].replace(b"\n", b"\r\n")
        assert rows(read_wafers(wafer_file(content))) == DIES_BY_FORMAT[kind]


# --- several wafers -------------------------------------------------------------------------------


def test_files_of_a_lot_are_read_together(wafer_file):
    other = wafer_file(map_files.SINF.replace("WAFER:W1", "WAFER:W2"), "b")
    table = read_wafers([wafer_file(map_files.SINF, "a"), other])
    assert table["wafer"].unique().tolist() == ["W1", "W2"] and len(table) == 8
    assert table.index.tolist() == list(range(8))


def test_wafer_in_two_files_is_refused_unless_retest(wafer_file):
    paths = [wafer_file(map_files.SINF, "a"), wafer_file(map_files.SINF.replace("1F", "01"), "b")]
    with pytest.raises(ValueError, match="wafer 'W1' of lot 'L' is in .*a and in .*b. If"):
        read_wafers(paths)
    wafers = from_die_table(read_wafers(paths, repeated="retest"))
    assert wafers.frame[["n_dies", "n_retests"]].to_numpy().tolist() == [[4, 4]]
    assert wafers.maps[0].tolist() == [[0, 1, 1], [1, 0, 2]]


def test_wafer_listed_twice_in_a_file_is_a_retest(wafer_file):
    start, end = map_files.G85.index("  <Map "), map_files.G85.index("</Maps>")
    wafer = map_files.G85[start:end]
    text = map_files.G85[:end] + wafer.replace("001 007", "001 001") + "</Maps>"
    frame = from_die_table(read_wafers(wafer_file(text)), pass_bins=1).frame
    assert frame[["n_dies", "n_retests", "n_fails"]].to_numpy().tolist() == [[4, 4, 1]]


def test_read_wafers_without_files_is_an_error():
    with pytest.raises(ValueError, match="no file to read"):
        read_wafers([])
    with pytest.raises(ValueError, match="repeated must be"):
        read_wafers([], repeated="keep")


def test_lettered_and_numbered_bins_do_not_mix(wafer_file):
    letters = '<Map><Device BinType="Ascii"><Data><Row>1X</Row></Data></Device></Map>'
    with pytest.raises(WaferFileError, match="it mixes numbered and lettered bins"):
        read_wafers([wafer_file(map_files.SINF, "a"), wafer_file(letters, "b")])
