import gzip
import pickle
import sys
import time
import tracemalloc

import map_files
import numpy as np
import pandas as pd
import pytest

from camdenoise.filters import ComponentSizeFilter
from camdenoise.io import (
    WaferFileError,
    from_die_table,
    pattern_overlay,
    read_e142,
    read_g85,
    read_klarf,
    read_sinf,
    read_wafers,
    write_g85,
    write_sinf,
)

COLUMNS = ["lot", "wafer", "x", "y", "bin", "passed"]


@pytest.fixture
def write(tmp_path):
    """Write a file of the given content; its name does not matter."""

    def writer(content, name="wafer.dat"):
        content = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return writer


def rows(table):
    return [
        (*row[:5], None if row[5] is pd.NA else row[5])
        for row in table.astype({"passed": object}).itertuples(index=False, name=None)
    ]


DIES = {
    "g85": [
        ("L", "W1", 1, 0, 1, True),
        ("L", "W1", 2, 0, 7, False),
        ("L", "W1", 0, 1, 1, True),
        ("L", "W1", 2, 1, 12, None),
    ],
    "e142": [
        ("L", "W1", 1, 0, 1, True),
        ("L", "W1", 2, 0, 31, False),
        ("L", "W1", 0, 1, 1, True),
        ("L", "W1", 2, 1, 170, None),
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


@pytest.fixture(params=sorted(DIES))
def kind(request):
    if request.param == "stdf":
        pytest.importorskip("stdf_convert")
    return request.param


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_format_gives_the_same_table(write, kind, pack):
    table = read_wafers(write(pack(map_files.SAMPLES[kind])))
    assert rows(table) == DIES[kind]
    assert table.columns.tolist() == COLUMNS
    assert table.dtypes[["x", "y", "bin", "passed"]].astype(str).tolist() == [
        *("int32", "int32", "int32", "boolean")
    ]
    assert pd.api.types.is_string_dtype(table["lot"])
    assert table.attrs["format"].lower() == kind.rstrip("0123456789") or kind in ("g85", "e142")


def test_names_of_files_do_not_matter(write, kind):
    content = map_files.SAMPLES[kind]
    for name in ("a.stdf", "a.xml", "a.gz", "a.stdf.gz", "a.zip", "a"):
        assert rows(read_wafers(write(content, name))) == DIES[kind]
        assert rows(read_wafers(write(gzip.compress(content), name))) == DIES[kind]


def test_line_ends_of_windows_are_read(write):
    for kind in ("g85", "e142", "sinf", "klarf12", "klarf18"):
        content = map_files.SAMPLES[kind].replace(b"\n", b"\r\n")
        assert rows(read_wafers(write(content))) == DIES[kind]


# --- what is wrong with a file --------------------------------------------------------------------


def message_of(path, read=read_wafers, **options):
    with pytest.raises(WaferFileError) as caught:
        read(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: "), message
    return message[len(str(path)) + 2 :]


@pytest.mark.parametrize("content", [b"", b" \n\n", gzip.compress(b"")])
def test_an_empty_file_is_named(write, content):
    assert message_of(write(content)) == "the file is empty. Fetch it again."


def test_every_shorter_file_is_refused(write, kind):
    content = map_files.SAMPLES[kind]
    last = len(content.rstrip())
    if kind.startswith("klarf"):
        last = content.rindex(b"EndOfFile")
    # The rows of a SINF file may end anywhere; only the header tells how many there must be.
    for length in range(0, last, 7 if kind != "stdf" else 1):
        if kind == "sinf" and content[length - 1 : length] == b"0":
            continue
        message_of(write(content[:length]))


def test_a_damaged_gzip_file_is_named(write, kind):
    packed = bytearray(gzip.compress(map_files.SAMPLES[kind]))
    cut = bytes(packed[:-12])
    assert "gzip data is damaged or cut short" in message_of(write(cut))
    packed[-6] ^= 0xFF
    assert "gzip data is damaged or cut short" in message_of(write(bytes(packed)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1....", "this is a Parquet file. Read a die table with pandas.read_parquet"),
        (b"PK\x03\x04....", "load_wafer_maps"),
        (pickle.dumps({"a": 1}), "a pickle, which could run code"),
        (b"lot,wafer,x,y,bin\nA,1,0,0,1\n", "If it is a table, read it with pandas"),
        (b"<html><body/></html>", "the root element is 'html', expected 'Map' or 'Maps'"),
        (b"\x00\x01\x02\x03", "the content is none of STDF"),
    ],
)
def test_another_kind_of_file_is_named(write, content, message):
    assert message in message_of(write(content))


def test_a_missing_file_is_an_os_error(tmp_path):
    for read in (read_wafers, read_g85, read_e142, read_sinf, read_klarf):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "no.xml")


def test_an_error_can_be_sent_between_processes():
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
def test_document_types_and_entities_are_refused(write, bomb, encoding):
    message = message_of(write(BOMBS[bomb].encode(encoding)))
    assert "declares a document type or entities" in message and "Delete the <!DOCTYPE" in message


def test_an_undeclared_entity_is_no_xml(write):
    assert "line 1: it is no well-formed XML (undefined entity" in message_of(
        write("<Map>&x;</Map>")
    )


def test_deep_nesting_is_refused(write):
    assert "nested more than 50 deep" in message_of(write("<Map>" * 100_000))


CLAIMS = {
    "G85": (map_files.G85.replace('Rows="2"', 'Rows="999999999"'), "claims 999999999 rows"),
    "G85 columns": (map_files.G85.replace('"3" Or', '"4294967296" Or'), "expected 4294967296"),
    "E142": (map_files.E142.replace('Y="2"', 'Y="999999999"'), "claims 999999999 rows"),
    "SINF": (map_files.SINF.replace("ROWCT:2", "ROWCT:999999999"), "claims 999999999 rows"),
    "SINF columns": (map_files.SINF.replace("COLCT:3", "COLCT:2147483648"), "expected 2147483648"),
    "SINF digits": (map_files.SINF.replace("ROWCT:2", "ROWCT:" + "9" * 5000), "expected a whole"),
    "KLARF plan": (map_files.KLARF_12.replace("Plan 4", "Plan 999999999"), "claims 999999999"),
    "KLARF rows": (map_files.KLARF_18.replace("Data 3", "Data 999999999"), "claims 999999999 rows"),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_huge_claim_allocates_nothing(write, claim):
    content, message = CLAIMS[claim]
    path = write(content)
    tracemalloc.start()
    start = time.process_time()
    assert message in message_of(path)
    assert time.process_time() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_a_file_that_grows_without_measure_is_refused(write):
    packed = gzip.compress(map_files.SINF.encode() + b" " * (64 << 20))
    assert "grows more than 250-fold" in message_of(write(packed))


def test_a_file_beyond_the_largest_map_is_refused(write, monkeypatch):
    monkeypatch.setattr(sys.modules["camdenoise.io._source"], "_CHUNK", 1 << 10)
    path = write(map_files.SINF.encode() * 500)
    with pytest.raises(WaferFileError, match="holds more than 0 MiB, which no wafer map takes"):
        b"".join(sys.modules["camdenoise.io._source"].chunks(path, 50_000))


def test_a_map_beyond_4096_dies_a_side_is_refused(write):
    wide = "LOT:L\nRowData:" + " 01" * 4097
    high = "LOT:L\n" + "RowData:01\n" * 4097
    assert "it has 4097 columns; 1 to 4096 are allowed" in message_of(write(wide))
    assert "it has 4097 rows of dies; 1 to 4096 are allowed" in message_of(write(high))


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
        ("255 001 007 ]]></Row><Row>001 255 012", "255 255 255]]></Row><Row>255 255 255", "no die"),
    ],
)
def test_g85_errors_name_wafer_and_row(write, old, new, message):
    assert message in message_of(write(changed(map_files.G85, old, new)), read_g85)


def test_g85_without_a_bin_type_is_told_by_its_codes(write):
    text = changed(map_files.G85, 'BinType="Decimal" ', "")
    assert rows(read_g85(write(text))) == DIES["g85"]
    text = text.replace('"255"', '"25"')
    assert rows(read_g85(write(map_files.G85.replace(' NullBin="255"', ""))))[0][4] == 255
    assert "row 0" in message_of(write(text), read_g85)


def test_g85_may_be_one_map_without_names(write):
    text = '<Map><Device BinType="Ascii" NullBin=" "><Data><Row> 1X</Row></Data></Device></Map>'
    table = read_g85(write(text, "P6AB36-01.xml.gz"))
    assert rows(table) == [("", "P6AB36-01", 1, 0, "1", None), ("", "P6AB36-01", 2, 0, "X", None)]


def test_g85_prefixes_of_namespaces_are_ignored(write):
    text = map_files.G85.replace("<Map ", '<s:Map xmlns:s="http://www.semi.org" ')
    text = text.replace("</Map>", "</s:Map>").replace("Device", "s:Device")
    assert rows(read_g85(write(text))) == DIES["g85"]


def test_a_wafer_with_two_maps_asks_which(write):
    extra = '</Data><Data MapName="Ink"><Row>255 255 255</Row><Row>255 255 001</Row></Data>'
    path = write(changed(map_files.G85, "</Data>", extra))
    assert "it has the maps ['Map', 'Ink']. Name one of them with map_name=" in message_of(path)
    assert rows(read_g85(path, map_name="Ink")) == [("L", "W1", 2, 1, 1, True)]
    assert "Name one of them" in message_of(path, read_g85, map_name="Pick")


def test_e142_by_coordinates(write):
    start, end = map_files.E142.index("     <BinCode>"), map_files.E142.index("    </BinCodeMap>")
    dies = '<BinCode X="-4" Y="12">01</BinCode><BinCode X="0" Y="3"> 1F </BinCode>'
    text = map_files.E142[:start] + dies + map_files.E142[end:]
    path = write(text.replace("2DArray", "Coordinate"))
    assert rows(read_e142(path)) == [("L", "W1", -4, 12, 1, True), ("L", "W1", 0, 3, 31, False)]
    path = write(text.replace("2DArray", "Coordinate").replace('Y="3"', 'Y="3.5"'))
    assert "wafer 'W1', BinCode 1: Y is '3.5', expected a whole number" in message_of(path)


def test_e142_letters_by_coordinates_may_be_longer(write):
    text = """<MapData><SubstrateMaps><SubstrateMap SubstrateId="W"><Overlay>
    <BinCodeMap BinType="Ascii" NullBin="." MapType="Coordinate">
    <BinDefinitions><BinDefinition BinCode="32" BinQuality="Skip"/>
    <BinDefinition BinCode="1" BinQuality="Pass"/></BinDefinitions>
    <BinCode X="0" Y="0">32</BinCode><BinCode X="1" Y="0">3</BinCode>
    <BinCode X="2" Y="0">1</BinCode>
    </BinCodeMap></Overlay></SubstrateMap></SubstrateMaps></MapData>"""
    assert rows(read_e142(write(text))) == [("", "W", 1, 0, "3", None), ("", "W", 2, 0, "1", True)]


def test_what_e142_says_of_the_axes_is_kept_not_applied(write):
    about = read_e142(write(map_files.E142)).attrs["about"]
    assert about["OriginLocation"] == "UpperRight" and about["AxisDirection"] == "DownLeft"


def test_sinf_in_decimals(write):
    text = "LOT:L\nWAFER:W\nBCEQU:000\nRowData:___ 000 031\nRowdata: 000 @@@ 007\n"
    assert rows(read_sinf(write(text))) == [
        ("L", "W", 1, 0, 0, True),
        ("L", "W", 2, 0, 31, False),
        ("L", "W", 0, 1, 0, True),
        ("L", "W", 2, 1, 7, False),
    ]


@pytest.mark.parametrize(
    ("bcequ", "passing"),
    [("01", [1]), ("", [1]), ("01,1F", [1, 31]), ("0A 01", [1, 10]), ("1", [1]), ("011F", [1, 31])],
)
def test_sinf_lists_passing_bins(write, bcequ, passing):
    table = read_sinf(write(changed(map_files.SINF, "BCEQU:01", f"BCEQU:{bcequ}")))
    assert sorted(table.loc[table["passed"], "bin"].unique()) == passing


def test_sinf_without_bcequ_passes_bin_1(write):
    table = read_sinf(write(changed(map_files.SINF, "BCEQU:01\n", "")))
    assert table.loc[table["passed"], "bin"].unique().tolist() == [1]


@pytest.mark.parametrize("fnloc", ["0", "90", "180", "270", "", "up"])
def test_sinf_is_never_rotated(write, fnloc):
    table = read_sinf(write(changed(map_files.SINF, "FNLOC:180", f"FNLOC:{fnloc}")))
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
def test_sinf_errors_name_wafer_and_row(write, old, new, message):
    assert message in message_of(write(changed(map_files.SINF, old, new)), read_sinf)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Plan 4", "Plan 5", "line 6, SampleTestPlan: it claims 5 items and has 4"),
        ("  0 0\n", "  0 0.5\n", "line 6, SampleTestPlan: '0.5' is no die index"),
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
def test_klarf_1_errors_name_the_line(write, old, new, message):
    assert message in message_of(write(changed(map_files.KLARF_12, old, new)), read_klarf)


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
def test_klarf_18_errors_name_the_line(write, old, new, message):
    assert message in message_of(write(changed(map_files.KLARF_18, old, new)), read_klarf)


def test_klarf_without_inspected_dies_is_an_error_that_can_be_mended(write):
    start, end = (map_files.KLARF_12.index(s) for s in ("SampleTestPlan", "DefectRecordSpec"))
    path = write(map_files.KLARF_12[:start] + map_files.KLARF_12[end:])
    assert "wafer 'W1': the file does not list the inspected dies" in message_of(path)
    table = read_klarf(path, inspected=[[-1, 0], [2, 2]])
    assert rows(table) == [
        ("L", "W1", -1, 0, 2, False),
        ("L", "W1", 2, 2, 0, True),
        ("L", "W1", 5, 5, 1, False),
        ("L", "W2", 3, -4, 0, True),
    ]


@pytest.mark.parametrize("inspected", [[], [1, 2], [[0.5, 1]], [[1, 2, 3]]])
def test_inspected_dies_must_be_pairs_of_whole_numbers(write, inspected):
    with pytest.raises(ValueError, match="inspected must be whole numbers of shape"):
        read_klarf(write(map_files.KLARF_12), inspected=inspected)


def test_klarf_11_is_read_as_12(write):
    text = changed(map_files.KLARF_12, "FileVersion 1 2", "FileVersion 1 1")
    assert rows(read_wafers(write(text))) == DIES["klarf12"]


# --- several wafers -------------------------------------------------------------------------------


def test_files_of_a_lot_are_read_together(write):
    other = write(map_files.SINF.replace("WAFER:W1", "WAFER:W2"), "b")
    table = read_wafers([write(map_files.SINF, "a"), other])
    assert table["wafer"].unique().tolist() == ["W1", "W2"] and len(table) == 8
    assert table.index.tolist() == list(range(8))


def test_the_same_wafer_in_two_files_is_refused_unless_it_is_a_retest(write):
    paths = [write(map_files.SINF, "a"), write(map_files.SINF.replace("1F", "01"), "b")]
    with pytest.raises(ValueError, match="wafer 'W1' of lot 'L' is in .*a and in .*b. If"):
        read_wafers(paths)
    wafers = from_die_table(read_wafers(paths, repeated="retest"))
    assert wafers.frame[["n_dies", "n_retests"]].to_numpy().tolist() == [[4, 4]]
    assert wafers.maps[0].tolist() == [[0, 1, 1], [1, 0, 2]]


def test_the_same_wafer_twice_in_one_file_is_a_retest(write):
    start, end = map_files.G85.index("  <Map "), map_files.G85.index("</Maps>")
    wafer = map_files.G85[start:end]
    text = map_files.G85[:end] + wafer.replace("001 007", "001 001") + "</Maps>"
    frame = from_die_table(read_wafers(write(text)), pass_bins=1).frame
    assert frame[["n_dies", "n_retests", "n_fails"]].to_numpy().tolist() == [[4, 4, 1]]


def test_no_files_are_an_error():
    with pytest.raises(ValueError, match="no file to read"):
        read_wafers([])
    with pytest.raises(ValueError, match="repeated must be"):
        read_wafers([], repeated="keep")


def test_lettered_and_numbered_bins_do_not_mix(write):
    letters = '<Map><Device BinType="Ascii"><Data><Row>1X</Row></Data></Device></Map>'
    with pytest.raises(WaferFileError, match="it mixes numbered and lettered bins"):
        read_wafers([write(map_files.SINF, "a"), write(letters, "b")])


# --- writing --------------------------------------------------------------------------------------


def random_wafer(bins, seed=0, wafer="7"):
    rng = np.random.default_rng(seed)
    y, x = np.nonzero(rng.random((6, 9)) < 0.7)
    codes = rng.choice(np.array(bins), len(x))
    table = {"lot": "A.1", "wafer": wafer, "x": x, "y": y, "bin": codes}
    return pd.DataFrame(table | {"passed": codes == bins[0]})


def check_same(back, table):
    assert rows(back) == rows(table[COLUMNS])


@pytest.mark.parametrize(
    "bins", [[1, 2, 255], [0, 7], [1, 256, 65534], ["A", "b", "."], ["<", "&", ">"], [1]]
)
def test_what_g85_writes_is_read_again(tmp_path, bins):
    table = random_wafer(bins)
    write_g85(tmp_path / "w.xml", table)
    check_same(read_wafers(tmp_path / "w.xml"), table)


def test_g85_holds_several_wafers(tmp_path):
    table = pd.concat([random_wafer([1, 3], seed, wafer=f"<{seed}>") for seed in range(3)])
    write_g85(tmp_path / "w.xml", table, descriptions={3: 'leaks & "opens"'})
    check_same(read_g85(tmp_path / "w.xml"), table)
    assert "leaks &amp; " in (tmp_path / "w.xml").read_text()


@pytest.mark.parametrize(("digits", "bins"), [(2, [1, 255, 0]), (3, [0, 1, 999])])
def test_what_sinf_writes_is_read_again(tmp_path, digits, bins):
    table = random_wafer(bins)
    write_sinf(tmp_path / "w.sinf", table, digits=digits)
    check_same(read_wafers(tmp_path / "w.sinf"), table)


def test_a_sinf_header_is_kept(write, tmp_path):
    table = read_sinf(write(map_files.SINF))
    write_sinf(tmp_path / "again", table)
    again = (tmp_path / "again").read_text()
    assert again == map_files.SINF.replace("@@", "__")


@pytest.mark.parametrize("writer", [write_g85, write_sinf])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": -1}, r"row 0: x is -1; a map file counts from 0.*table\['x'\].min"),
        ({"y": 5000}, "row 0: y is 5000; a map file counts from 0 to 4095"),
        ({"x": 0, "y": 0}, "row 1: its die has another row already.*drop_duplicates"),
        ({"bin": None}, "row 0: bin is missing"),
        ({"bin": 1, "passed": [True, False] * 20}, "dies of bin 1 differ in 'passed'"),
        ({"bin": 70000, "passed": True}, "bin 70000 does not fit into this format"),
        ({"wafer": "a\nb"}, "cannot hold the name"),
        ({"lot": " A"}, "cannot hold the name ' A'"),
    ],
)
def test_what_a_map_file_cannot_hold_is_refused_and_nothing_written(
    tmp_path, writer, change, message
):
    table = random_wafer([1, 2]).iloc[:40]
    change = {k: v[: len(table)] if isinstance(v, list) else v for k, v in change.items()}
    with pytest.raises(ValueError, match=message):
        writer(tmp_path / "w", table.assign(**change))
    assert list(tmp_path.iterdir()) == []


def test_sinf_holds_one_wafer_of_small_bins(tmp_path):
    with pytest.raises(ValueError, match="a SINF file holds one wafer, the table has 2"):
        write_sinf(tmp_path / "w", pd.concat([random_wafer([1]), random_wafer([1], wafer="8")]))
    with pytest.raises(ValueError, match="bin 256 does not fit"):
        write_sinf(tmp_path / "w", random_wafer([1, 256]))
    with pytest.raises(ValueError, match="digits must be 2"):
        write_sinf(tmp_path / "w", random_wafer([1]), digits=4)


@pytest.mark.parametrize("writer", [write_g85, write_sinf])
def test_an_overlay_shows_decisions_and_the_map_keeps_its_bins(tmp_path, writer):
    table = random_wafer([1, 5, 9])
    wafers = from_die_table(table)
    overlay = pattern_overlay(wafers, ComponentSizeFilter(min_size=4).explain(wafers.maps))
    writer(tmp_path / "map", table)
    writer(tmp_path / "overlay", overlay)
    shown = read_wafers(tmp_path / "overlay")
    failing = read_wafers(tmp_path / "map")["bin"] != 1
    assert set(shown["bin"]) == {1, 2, 3}
    assert shown["passed"].tolist() == (~failing).tolist()
    assert shown["bin"].isin([2, 3]).tolist() == failing.tolist()


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
    assert "wafer '02': the file does not list the inspected dies" in message_of(path)
    table = read_klarf(path, inspected=[[100, 100]])
    assert table.groupby("wafer")["bin"].sum().to_dict() == {"02": 56, "06": 36, "01": 95}
    defective = table[~table["passed"]].groupby("wafer").size()
    assert defective.to_dict() == {"02": 37, "06": 22, "01": 58}  # NDEFDIE of the file


def test_real_klarf_18(formats):
    path = formats / "klarf18.klarf"
    assert "wafer 'SecondWaferId': the file does not list" in message_of(path)
    table = read_klarf(path, inspected=[[0, 0]])
    assert table["lot"].unique().tolist() == ["aLot.String"]
    assert table.groupby("wafer")["bin"].agg(["size", "sum"]).to_numpy().tolist() == [
        [12, 3],
        [2, 1],
    ]
