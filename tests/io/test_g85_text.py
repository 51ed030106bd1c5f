import pytest
from map_files import message_of, rows

from camdenoise.io import read_g85
from camdenoise.io._g85 import looks_like_g85_text
from camdenoise.io._semi_map import seconds_since_1970

# After the sample in galaxysemi's importer (find_string id 20942357020).
WAFER = """WAFER_MAP = {
WAFER_ID = "B83541.1-01-D6"
MAP_TYPE = "ASCII"
NULL_BIN = "."
ROWS = 2
COLUMNS = 4
FLAT_NOTCH = 0
LOT_ID = "B83541.1" // of the foundry
DEVICE = "AD//1"
PROBE_DATE = 20061019084620
REF_DIE = 36 -2
DIES = 6
BINS = 3
BIN = "1" 4   "Pass" ""
BIN = "H" 1  16.7% "Fail" "leakage"
BIN = "Z" 1   "Fail" "Reference Die"
MAP = {
.11.
1HZ1
}
}
"""


def test_g85_text_wafer_is_read(wafer_file):
    lot, wafer = "B83541.1", "B83541.1-01-D6"
    assert rows(read_g85(wafer_file(WAFER))) == [
        (lot, wafer, 1, 0, "1", True),
        (lot, wafer, 2, 0, "1", True),
        (lot, wafer, 0, 1, "1", True),
        (lot, wafer, 1, 1, "H", False),
        (lot, wafer, 3, 1, "1", True),
    ]


def test_g85_text_metadata_comes_from_the_header(wafer_file):
    (facts,) = read_g85(wafer_file(WAFER)).attrs["wafers"]
    assert facts["product"] == "AD//1" and facts["notch"] == "down"
    assert facts["time"] == seconds_since_1970("2006-10-19T08:46:20")
    assert facts["extent"] == (0, 0, 2, 4) and facts["x_right"] and facts["y_down"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n", "\r\n"),
        ("WAFER_MAP = {", "WAFER MAP={"),
        ("WAFER_MAP = {", "WAFER_MAP        =  {"),
        ("WAFER_MAP = {", "Wafer_Map =\n{"),
        ("MAP = {\n.", "MAP =\n{\n."),
        ("BIN = ", "bin ="),
        ('BIN = "H"', 'BIN17 =  "H"'),
        ('"H" 1  16.7%', '"H" 1  16.7 %'),
        ('"H" 1  16.7%', "H 1"),
        ('"Pass" ""', "Pass"),
        ('"H" 1  16.7% "Fail"', '"H" "Fail"'),
        (" // of the foundry", ""),
        ("ROWS = 2\nCOLUMNS = 4", "ROWS = 4\nCOLUMNS = 2"),
        ("ROWS = 2\nCOLUMNS = 4\n", ""),
        (".11.\n1HZ1", ". 1 1 .\n1 H Z 1"),
        ("FLAT_NOTCH = 0\n", ""),
    ],
)
def test_g85_text_variants_are_read(wafer_file, old, new):
    assert old in WAFER
    assert rows(read_g85(wafer_file(WAFER.replace(old, new)))) == rows(read_g85(wafer_file(WAFER)))


def test_g85_text_map_allows_blanks_and_open_bins(wafer_file):
    # After FMYK0-01-map.txt in kclung99/PSI_WaferMapSerializer: blanks around the wafer are
    # positions, though a line has lost those at its end; untested dies have no result.
    text = """WAFER_MAP        = {
Wafer_ID         =  "W"
Flat_Notch       =  180
ROWS             =  3
COLUMNS          =  5
PDPW(TOTAL DIES) =  7
GOOD DIES        =  5 "71.43%"
BIN1  =  "1"  5  "Pass"
BIN5  =  "5"  1  "Fail"
BIN   =  "*"  2  "Untested"
MAP = {
 *1*
!1511
  11
}
}
"""
    table = read_g85(wafer_file(text))
    assert table[["x", "y", "bin"]].to_numpy().tolist() == [
        [2, 0, "1"],
        [0, 1, "!"],
        [1, 1, "1"],
        [2, 1, "5"],
        [3, 1, "1"],
        [4, 1, "1"],
        [2, 2, "1"],
        [3, 2, "1"],
    ]
    assert table["passed"].isna().tolist() == [False, True] + [False] * 6
    assert table.attrs["wafers"][0]["notch"] == "up"


def test_g85_text_before_the_wafers_is_their_header(wafer_file):
    head = """Device_Name       : AR8316
Lot_ID            : BA7311
LOT_SUMMARY = {
wafer        1      2    date     time  yield
1          873      4    12-11-08  16:49  90.8%
}
"""
    text = WAFER.replace('LOT_ID = "B83541.1" // of the foundry\nDEVICE = "AD//1"\n', "")
    table = read_g85(wafer_file(head + text))
    assert set(table["lot"]) == {"BA7311"}
    assert table.attrs["wafers"][0]["product"] == "AR8316"


def test_g85_text_of_several_wafers_is_read(wafer_file):
    table = read_g85(wafer_file(WAFER + WAFER.replace("-01-", "-02-")))
    assert table["wafer"].unique().tolist() == ["B83541.1-01-D6", "B83541.1-02-D6"]
    assert len(table.attrs["wafers"]) == 2


def test_wafers_without_a_name_are_numbered(wafer_file):
    text = WAFER.replace('WAFER_ID = "B83541.1-01-D6"\n', "")
    assert set(read_g85(wafer_file(text, "lot.txt"))["wafer"]) == {"lot"}
    table = read_g85(wafer_file(text + text, "lot.txt"))
    assert table["wafer"].unique().tolist() == ["lot-1", "lot-2"]


def test_fewer_dies_than_declared_are_an_error(wafer_file):
    path = wafer_file(WAFER.replace("DIES = 6", "DIES = 8"))
    assert "it declares 8 dies and has 6. Fetch the file again, or read" in message_of(
        path, read_g85
    )
    table = read_g85(path, incomplete=True)
    assert table.attrs["wafers"][0]["n_missing"] == 2
    assert "it declares 8 dies" in table.attrs["notes"][0]


def test_truncated_map_is_named(wafer_file):
    path = wafer_file(WAFER[: WAFER.index("Z1\n}")])
    assert "the file ends within 'MAP = {'. Fetch the file again" in message_of(path, read_g85)
    table = read_g85(path, incomplete=True)
    assert len(table) == 4 and table.attrs["wafers"][0]["n_missing"] == 2
    path = wafer_file(WAFER[: WAFER.index("MAP = {\n.")])
    assert "there is no 'MAP = {' of this wafer" in message_of(path, read_g85)


def test_symbol_like_a_comment_is_a_bin(wafer_file):
    table = read_g85(
        wafer_file(
            WAFER.replace("1HZ1", "H//1")
            .replace('"1" 4', '"1" 3')
            .replace("DIES = 6", "DIES = 6")
            .replace('BIN = "Z" 1', 'BIN = "Z" 0')
        )
    )
    assert table["bin"].tolist() == ["1", "1", "H", "/", "/", "1"]


def test_names_may_be_in_any_encoding(wafer_file):
    content = WAFER.replace("AD//1", "제품").encode("cp949")
    (facts,) = read_g85(wafer_file(content), encoding="cp949").attrs["wafers"]
    assert facts["product"] == "제품"
    assert "read as Latin-1" in read_g85(wafer_file(content)).attrs["notes"][-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WAFER, True),
        ("Lot_ID : BA7311\n\nLOT_SUMMARY = {\n", True),
        ("LOT:L\nWAFER:W\nRowData:01", False),
        ("WAFER_MAP is a word\n", False),
    ],
)
def test_g85_text_is_recognized_by_its_opening(text, expected):
    assert looks_like_g85_text(text) is expected
