import gzip

import map_files
import pandas as pd
import pytest
from map_files import message_of, rows

from camdenoise.io import (
    WaferFileError,
    from_die_table,
    read_e142,
    read_g85,
    read_klarf,
    read_sinf,
    read_wafers,
    write_g85,
)

COLUMNS = ["lot", "wafer", "x", "y", "bin", "passed"]


DIES = {
    "g85": [
        ("L", "W1", 1, 0, 1, True),
        ("L", "W1", 2, 0, 7, False),
        ("L", "W1", 0, 1, 1, True),
        ("L", "W1", 2, 1, 12, None),
    ],
    "e142": [
        ("L", "W1", 1, 0, 1, True),
        ("L", "W1", 0, 0, 31, False),
        ("L", "W1", 2, 1, 1, True),
        ("L", "W1", 0, 1, 170, None),
    ],
    "sinf": [
        ("L", "W1", 1, 0, 1, True),
        ("L", "W1", 2, 0, 31, False),
        ("L", "W1", 0, 1, 1, True),
        ("L", "W1", 2, 1, 10, False),
    ],
    "klarf12": [
        ("L", "W1", 0, -1, 0, True),
        ("L", "W1", -1, 0, 2, False),
        ("L", "W1", 0, 0, 0, True),
        ("L", "W1", 1, 0, 0, True),
        ("L", "W1", 5, 5, 1, False),
        ("L", "W2", 3, -4, 0, True),
    ],
    "stdf": [
        ("L", "W1", -1, 3, 1, True),
        ("L", "W1", 0, 3, 7, False),
        ("L", "W1", -1, 3, 5, False),
    ],
}
DIES["klarf18"] = DIES["klarf12"][:-1]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_format_gives_the_same_table(wafer_file, file_kind, pack):
    table = read_wafers(wafer_file(pack(map_files.SAMPLES[file_kind])))
    assert rows(table) == DIES[file_kind]
    assert table.columns.tolist() == COLUMNS
    assert table.dtypes[["x", "y", "bin", "passed"]].astype(str).tolist() == [
        *("int32", "int32", "int32", "boolean")
    ]
    assert pd.api.types.is_string_dtype(table["lot"])
    assert table.attrs["format"].lower() == file_kind.rstrip("0123456789") or file_kind in (
        "g85",
        "e142",
    )


def test_names_of_files_do_not_matter(wafer_file, file_kind):
    content = map_files.SAMPLES[file_kind]
    for name in ("a.stdf", "a.xml", "a.gz", "a.stdf.gz", "a.zip", "a"):
        assert rows(read_wafers(wafer_file(content, name))) == DIES[file_kind]
        assert rows(read_wafers(wafer_file(gzip.compress(content), name))) == DIES[file_kind]


def test_line_ends_of_windows_are_read(wafer_file):
    for kind in ("g85", "e142", "sinf", "klarf12", "klarf18"):
        content = map_files.SAMPLES[kind].replace(b"\n", b"\r\n")
        assert rows(read_wafers(wafer_file(content))) == DIES[kind]


# --- one format after the other -------------------------------------------------------------------


def changed(text, old, new):
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("001 007", "001 7x7", "wafer 'W1', row 0: '7x7' in column 2 is no decimal bin code"),
        (
            "001 255 012",
            "001 255",
            "wafer 'W1', row 1: it has 2 dies, expected 3. Is it cut short?",
        ),
        ('"Decimal"', '"Roman"', "wafer 'W1': BinType 'Roman' is unknown; known are"),
        ('"007"', '"1"', "wafer 'W1': bin 1 is defined as 'Pass' and as 'Fail'"),
        ('"007"', '"0 7"', "'0 7' is no Decimal bin code"),
        ('Rows="2"', 'Rows="-2"', "Rows is '-2', expected a whole number"),
        ("<Data", "<NoData", "it is no well-formed XML (mismatched tag"),
        ("Map WaferId", "Chart WaferId", "it is no well-formed XML"),
        (
            "255 001 007 ]]></Row><Row>001 255 012",
            "255 255 255]]></Row><Row>255 255 255",
            "bin 1 has 0",
        ),
    ],
)
def test_g85_errors_name_wafer_and_row(wafer_file, old, new, message):
    assert message in message_of(wafer_file(changed(map_files.G85, old, new)), read_g85)


def test_g85_without_a_bin_type_is_told_by_its_codes(wafer_file):
    text = changed(map_files.G85, 'BinType="Decimal" ', "")
    assert rows(read_g85(wafer_file(text))) == DIES["g85"]
    text = text.replace('"255"', '"25"')
    assert rows(read_g85(wafer_file(map_files.G85.replace(' NullBin="255"', ""))))[0][4] == 255
    assert "row 0" in message_of(wafer_file(text), read_g85)


def test_g85_may_be_one_map_without_names(wafer_file):
    text = '<Map><Device BinType="Ascii" NullBin=" "><Data><Row> 1X</Row></Data></Device></Map>'
    table = read_g85(wafer_file(text, "P6AB36-01.xml.gz"))
    assert rows(table) == [("", "P6AB36-01", 1, 0, "1", None), ("", "P6AB36-01", 2, 0, "X", None)]


def test_g85_prefixes_of_namespaces_are_ignored(wafer_file):
    text = map_files.G85.replace("<Map ", '<s:Map xmlns:s="http://www.semi.org" ')
    text = text.replace("</Map>", "</s:Map>").replace("Device", "s:Device")
    assert rows(read_g85(wafer_file(text))) == DIES["g85"]


def test_a_wafer_with_two_maps_asks_which(wafer_file):
    extra = '</Data><Data MapName="Ink"><Row>255 255 255</Row><Row>255 255 001</Row></Data>'
    path = wafer_file(changed(map_files.G85, "</Data>", extra))
    assert "it has the maps ['Map', 'Ink']. Name one of them with map_name=" in message_of(path)
    assert rows(read_g85(path, map_name="Ink")) == [("L", "W1", 2, 1, 1, True)]
    assert "Name one of them" in message_of(path, read_g85, map_name="Pick")


def test_e142_by_coordinates(wafer_file):
    start, end = map_files.E142.index("     <BinCode>"), map_files.E142.index("    </BinCodeMap>")
    dies = '<BinCode X="-4" Y="12">01</BinCode><BinCode X="0" Y="3"> 1F </BinCode>'
    text = map_files.E142[:start] + dies + map_files.E142[end:]
    text = changed(text, 'BinCount="2"', 'BinCount="1"')
    path = wafer_file(text.replace("2DArray", "Coordinate"))
    assert rows(read_e142(path)) == [("L", "W1", -4, 12, 1, True), ("L", "W1", 0, 3, 31, False)]
    path = wafer_file(text.replace("2DArray", "Coordinate").replace('Y="3"', 'Y="3.5"'))
    assert "wafer 'W1', BinCode 1: Y is '3.5', expected a whole number" in message_of(path)


def test_e142_letters_by_coordinates_may_be_longer(wafer_file):
    text = """<MapData><SubstrateMaps><SubstrateMap SubstrateId="W"><Overlay>
    <BinCodeMap BinType="Ascii" NullBin="." MapType="Coordinate">
    <BinDefinitions><BinDefinition BinCode="32" BinQuality="Skip"/>
    <BinDefinition BinCode="1" BinQuality="Pass"/></BinDefinitions>
    <BinCode X="0" Y="0">32</BinCode><BinCode X="1" Y="0">3</BinCode>
    <BinCode X="2" Y="0">1</BinCode>
    </BinCodeMap></Overlay></SubstrateMap></SubstrateMaps></MapData>"""
    assert rows(read_e142(wafer_file(text))) == [
        ("", "W", 1, 0, "3", None),
        ("", "W", 2, 0, "1", True),
    ]


def test_what_e142_says_of_the_axes_is_kept(wafer_file):
    about = read_e142(wafer_file(map_files.E142)).attrs["about"]
    assert about["OriginLocation"] == "UpperRight" and about["AxisDirection"] == "DownLeft"


def test_sinf_in_decimals(wafer_file):
    text = "LOT:L\nWAFER:W\nBCEQU:000\nRowData:___ 000 031\nRowdata: 000 @@@ 007\n"
    assert rows(read_sinf(wafer_file(text))) == [
        ("L", "W", 1, 0, 0, True),
        ("L", "W", 2, 0, 31, False),
        ("L", "W", 0, 1, 0, True),
        ("L", "W", 2, 1, 7, False),
    ]


@pytest.mark.parametrize(
    ("bcequ", "passing"),
    [("01", [1]), ("", [1]), ("01,1F", [1, 31]), ("0A 01", [1, 10]), ("1", [1]), ("011F", [1, 31])],
)
def test_sinf_lists_passing_bins(wafer_file, bcequ, passing):
    table = read_sinf(wafer_file(changed(map_files.SINF, "BCEQU:01", f"BCEQU:{bcequ}")))
    assert sorted(table.loc[table["passed"], "bin"].unique()) == passing


def test_sinf_without_bcequ_passes_bin_1(wafer_file):
    table = read_sinf(wafer_file(changed(map_files.SINF, "BCEQU:01\n", "")))
    assert table.loc[table["passed"], "bin"].unique().tolist() == [1]


@pytest.mark.parametrize("fnloc", ["0", "90", "180", "270", "", "up"])
def test_sinf_is_never_rotated(wafer_file, fnloc):
    table = read_sinf(wafer_file(changed(map_files.SINF, "FNLOC:180", f"FNLOC:{fnloc}")))
    assert rows(table) == DIES["sinf"] and table.attrs["about"]["FNLOC"] == fnloc


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("01 1F", "01 1G", "wafer 'W1', row 0: 'G' in column 2 is no hexadecimal digit"),
        ("01 1F", "01 131", r"bins are of [2, 3] characters ('01' in row 0; '131' in row 0)"),
        ("01 1F", "1 2", "expected 2 hexadecimal or 3 decimal digits throughout"),
        ("01 @@ 0A", "01 @@", "wafer 'W1', row 1: it has 2 dies, expected 3"),
        ("ROWCT:2", "ROWCT:3", "wafer 'W1': the header claims 3 rows, the file has 2"),
        ("RowData:01 @@ 0A", "01 @@ 0A", "line 11: '01 @@ 0A' belongs to no RowData"),
        ("BCEQU:01", "BCEQU:ok", "wafer 'W1', BCEQU: 'o' in column 0 is no hexadecimal digit"),
        ("RowData:__ 01 1F\nRowData:01 @@ 0A\n", "", "it has no line 'RowData:'"),
        ("01 1F\nRowData:01 @@ 0A", "__ __\nRowData:__ @@ __", "it holds no die with a result"),
    ],
)
def test_sinf_errors_name_wafer_and_row(wafer_file, old, new, message):
    assert message in message_of(wafer_file(changed(map_files.SINF, old, new)), read_sinf)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Plan 4", "Plan 5", "line 6, SampleTestPlan: it claims 5 items and has 4"),
        ("  0 0\n", "  0 0.5\n", "line 6, SampleTestPlan: '0.5' is no die index"),
        ("  0 -1 ;", "  0 ;", "line 6, SampleTestPlan: it claims 4 items and has 3"),
        ("  0 -1 ;", "  0 -1 7;", "line 6, SampleTestPlan: the last die has one index"),
        # Found by fuzzing: the first coordinate taken for a count of -1.
        ("Plan 4\n", "Plan\n", "line 6, SampleTestPlan: it claims -1 items and has 3"),
        ("Spec 6", "Spec 7", "line 11, DefectRecordSpec: it claims 7 items and has 6"),
        ("XINDEX", "XPOS", "line 12, DefectList: the list has no column ['XINDEX']"),
        (" 1 0.5 -1 0 7 0\n", " 1 0.5 -1\n", "line 13, DefectList: the defect has 3 fields"),
        (" 1 0.5 -1 0", " 1 0.5 x 0", "line 13, DefectList: 'x' is no die index"),
        ("FileVersion 1 2", "FileVersion 2 0", "version '2 0' is not read; 1.1, 1.2 and 1.8 are"),
        ("EndOfFile;", "", "there is no EndOfFile. Is it cut short?"),
        ("EndOfFile;", "EndOfFile", "line 21: the last statement has no end"),
        ('WaferID "W1";', "", "line 12, DefectList: there is no WaferID before it"),
    ],
)
def test_klarf_1_errors_name_the_line(wafer_file, old, new, message):
    assert message in message_of(wafer_file(changed(map_files.KLARF_12, old, new)), read_klarf)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Data 4", "Data 5", "it claims 5 rows and has 4"),
        ("0 -1;", "0 -1 7;", "line 26: the row has 3 values, the list 2 columns"),
        ("YINDEX }", "YPOS }", "line 20, SampleTestPlanList: the list has no column ['YINDEX']"),
        ('"1.8"', '"1.9"', "version '1.9' is not read"),
        ("EndOfFile;", "", "the file ends within a record"),
        ("Field DeviceID", "Feld DeviceID", "line 31: 'Feld' is out of place"),
        ("}\nEndOfFile", "EndOfFile", "FileRecord has no end"),
        ("Columns 2 {", "Columns 2 (", "'(' stands where '{' must"),
        (" 1 -1 0 N", " 1 -1x 0 N", "'-1x' is no die index"),
    ],
)
def test_klarf_18_errors_name_the_line(wafer_file, old, new, message):
    assert message in message_of(wafer_file(changed(map_files.KLARF_18, old, new)), read_klarf)


def test_klarf_without_inspected_dies_has_a_remedy(wafer_file):
    start, end = (map_files.KLARF_12.index(s) for s in ("SampleTestPlan", "DefectRecordSpec"))
    content = map_files.KLARF_12[:start] + map_files.KLARF_12[end:]
    path = wafer_file(content.replace("SampleTestPlan 1 3 -4;", ""))
    assert "wafer 'W1': the file does not list the inspected dies" in message_of(path)
    given = read_klarf(path, inspected=[[-1, 0]])
    assert rows(given)[-1] == ("L", "W2", -1, 0, 0, True)
    # Where another wafer of the file has a list, it is taken.
    assert rows(read_klarf(wafer_file(content)))[0] == ("L", "W1", 3, -4, 0, True)
    table = read_klarf(wafer_file(content), inspected=[[-1, 0], [2, 2]])
    assert rows(table) == [
        ("L", "W1", -1, 0, 2, False),
        ("L", "W1", 2, 2, 0, True),
        ("L", "W1", 5, 5, 1, False),
        ("L", "W2", 3, -4, 0, True),
    ]


@pytest.mark.parametrize("inspected", [[], [1, 2], [[0.5, 1]], [[1, 2, 3]]])
def test_inspected_dies_must_be_pairs_of_whole_numbers(wafer_file, inspected):
    with pytest.raises(ValueError, match="inspected must be whole numbers of shape"):
        read_klarf(wafer_file(map_files.KLARF_12), inspected=inspected)


def test_klarf_11_is_read_as_12(wafer_file):
    text = changed(map_files.KLARF_12, "FileVersion 1 2", "FileVersion 1 1")
    assert rows(read_wafers(wafer_file(text))) == DIES["klarf12"]


# --- several wafers -------------------------------------------------------------------------------


def test_files_of_a_lot_are_read_together(wafer_file):
    other = wafer_file(map_files.SINF.replace("WAFER:W1", "WAFER:W2"), "b")
    table = read_wafers([wafer_file(map_files.SINF, "a"), other])
    assert table["wafer"].unique().tolist() == ["W1", "W2"] and len(table) == 8
    assert table.index.tolist() == list(range(8))


def test_the_same_wafer_in_two_files_is_refused_unless_it_is_a_retest(wafer_file):
    paths = [wafer_file(map_files.SINF, "a"), wafer_file(map_files.SINF.replace("1F", "01"), "b")]
    with pytest.raises(ValueError, match="wafer 'W1' of lot 'L' is in .*a and in .*b. If"):
        read_wafers(paths)
    wafers = from_die_table(read_wafers(paths, repeated="retest"))
    assert wafers.frame[["n_dies", "n_retests"]].to_numpy().tolist() == [[4, 4]]
    assert wafers.maps[0].tolist() == [[0, 1, 1], [1, 0, 2]]


def test_the_same_wafer_twice_in_one_file_is_a_retest(wafer_file):
    start, end = map_files.G85.index("  <Map "), map_files.G85.index("</Maps>")
    wafer = map_files.G85[start:end]
    text = map_files.G85[:end] + wafer.replace("001 007", "001 001") + "</Maps>"
    frame = from_die_table(read_wafers(wafer_file(text)), pass_bins=1).frame
    assert frame[["n_dies", "n_retests", "n_fails"]].to_numpy().tolist() == [[4, 4, 1]]


def test_no_files_are_an_error():
    with pytest.raises(ValueError, match="no file to read"):
        read_wafers([])
    with pytest.raises(ValueError, match="repeated must be"):
        read_wafers([], repeated="keep")


def test_lettered_and_numbered_bins_do_not_mix(wafer_file):
    letters = '<Map><Device BinType="Ascii"><Data><Row>1X</Row></Data></Device></Map>'
    with pytest.raises(WaferFileError, match="it mixes numbered and lettered bins"):
        read_wafers([wafer_file(map_files.SINF, "a"), wafer_file(letters, "b")])


# --- real files -----------------------------------------------------------------------------------


@pytest.fixture
def formats(data_folder):
    if not (data_folder / "formats").is_dir():
        pytest.skip("no real files: the data folder has no folder 'formats'")
    return data_folder / "formats"


def test_real_g85(formats, tmp_path):
    table = read_wafers(formats / "g85_1101.xml")
    counts = table.groupby("bin")["passed"].agg(["size", "first"])
    assert counts["size"].to_dict() == {0x00: 2765, 0xDE: 38, 0xAD: 5}
    assert counts["first"].to_dict() == {0x00: True, 0xDE: False, 0xAD: False}
    write_g85(tmp_path / "again.xml", table)
    pd.testing.assert_frame_equal(read_wafers(tmp_path / "again.xml"), table, check_flags=False)


def test_real_klarf_12_does_not_list_its_dies_but_counts_them(formats):
    path = formats / "klarf12.000"
    whole = read_klarf(path)
    # Of the 56 dies with a defect on one wafer or another all are among the nearest 4306.
    assert whole.groupby("wafer").size().tolist() == [4306] * 3
    assert "the 4306 dies nearest to the center are taken" in whole.attrs["notes"][0]
    table = read_klarf(path, inspected=[[100, 100]])
    assert table.groupby("wafer")["bin"].sum().to_dict() == {"02": 56, "06": 36, "01": 95}
    defective = table[~table["passed"]].groupby("wafer").size()
    assert defective.to_dict() == {"02": 37, "06": 22, "01": 58}  # NDEFDIE of the file


def test_real_klarf_18(formats):
    path = formats / "klarf18.klarf"
    notes = read_klarf(path).attrs["notes"]
    assert any("those of wafer 'FirstWaferId' are taken" in note for note in notes)
    table = read_klarf(path, inspected=[[0, 0]])
    assert table["lot"].unique().tolist() == ["aLot.String"]
    assert table.groupby("wafer")["bin"].agg(["size", "sum"]).to_numpy().tolist() == [
        [12, 3],
        [2, 1],
    ]
