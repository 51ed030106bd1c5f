import pytest
from die_tables import dies, notes
from map_files import bin_record, prr, stdf, wcr, wir, wrr

from camdenoise.io import WaferFileError, read_stdf
from camdenoise.io._atdf import looks_like_atdf, read_atdf

# The records as the specification gives them as samples, with other numbers of parts.
SAMPLE = """FAR:A|4|2|U
ATR:0:03:00 3-SEP-1992|bin_filter 7,9-12
MIR:A3002B|80386|80386HOT|akbar|J971
 |8:14:59 23-JUL-1992|8:23:02 23-JUL-1992|Sandy
 |P|1|2B|HOT|N|3.1.2|IG900|2.4|||300|100||
 386_data.txt|ceramic|386|wk23||MPU2||||||386HOT|
 3S|||A42136S|JOAN_S
WCR:D|R|U|5|.3|.25|1|23|19
WIR:2|8:23:12 23-JUL-1992|2
PIR:2|1
PTR:23|2|1|997.3|F|AOH|Check 2nd layer|||
 A|-1.7|45.2| %9.4f|%7.2f|%7.2f|-1.75|45.25|3|3|4
PRR:2|1|13|78|F|0|17|24|18|||644|
 Device at edge of wafer|F13C20
PRR:2|1|14|78||1|2|2
 5|20
WRR:2|11:02:42 23-JUL-1992|2|W01|3|102|214|2
 |131|MOS-4|F54|S3-1|Glass buildup on prober
 |Yield alarm on wafer W01
HBR:||1|1|P|PASSED
SBR:||17|1|F|SHORT
PCR:||2|54|76|2311|3809
MRR:12:17:12 23-JUL-1992|H|Handler problems|Yield Alarm
"""


@pytest.fixture
def read(tmp_path):
    def reader(content, **options):
        path = tmp_path / "lot.atd"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_atdf(path, **options)

    return reader


def atdf(*records, head="FAR:A|4|2", lot="L", end="MRR:\n"):
    """A whole file of one wafer around some records."""
    lines = [head, f"MIR:{lot}|CHIP", "WIR:1|||W1", *records]
    return "".join(f"{line}\n" for line in lines) + end


def test_samples_of_the_specification_are_read(read):
    table = read(SAMPLE)
    assert dies(table) == [["W01", 24, 18, 0, False], ["W01", 25, 20, 1, True]]
    assert table["lot"].tolist() == ["A3002B"] * 2
    (wafer,) = table.attrs["wafers"]
    assert (wafer["product"], wafer["time"], wafer["notch"]) == ("80386", 711879792.0, "down")
    assert (wafer["x_right"], wafer["y_down"]) == (True, False)
    assert dies(read(SAMPLE, bins="soft"))[0] == ["W01", 24, 18, 17, False]


def test_atdf_and_stdf_of_the_same_records_agree(read, tmp_path):
    records = [wcr(110, 10, 5, (0, 0)), wir("W1", start=80), prr(-3, 2, 1, part="1")]
    records += [prr(4, 0, 7, flag=16, part="2"), prr(-32768, 0, 7, part="3"), wrr("W1", count=3)]
    (tmp_path / "lot.stdf").write_bytes(stdf(*records, bin_record(40, 7, "F"), product="CHIP"))
    text = [
        *("FAR:A|4|2", "MIR:L|CHIP", "WCR:D|R|U|110|10|5|3|0|0", "WIR:1|0:01:20 1-JAN-1970||W1"),
        *("PRR:1|1|1||P|1||-3|2", "PRR:1|1|2|||7||4|0", "PRR:1|1|3||F|7|||0"),
        *("WRR:1||3|W1", "HBR:||7|1|F", "MRR:"),
    ]
    ours, theirs = read("\n".join(text) + "\n"), read_stdf(tmp_path / "lot.stdf")
    assert ours.equals(theirs)
    assert ours.attrs == theirs.attrs | {"format": "ATDF"}


@pytest.mark.parametrize("delimiter", ["|", ";", ",", "\t", "^", "."])
def test_delimiter_is_the_one_after_the_type(read, delimiter):
    content = atdf("PRR:1|1|1|9|F|7||3|-4").replace("|", delimiter)
    assert dies(read(content)) == [["W1", 3, -4, 7, False]]


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_line_ends_of_all_systems_are_read(read, end):
    content = atdf("PRR:1|1|1|9|F|", " 7||3|-4").replace("\n", end)
    assert dies(read(content)) == [["W1", 3, -4, 7, False]]


def test_lines_across_chunks_are_joined(read, monkeypatch):
    expected = dies(read(SAMPLE.replace("\n", "\r\n")))
    for size in range(1, 12):
        monkeypatch.setattr("camdenoise.io._container._CHUNK", size)
        assert dies(read(SAMPLE.replace("\n", "\r\n"))) == expected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_unicode_is_read(read, encoding):
    content = atdf("PRR:1|1|1|9|P|1||0|0", lot="가").encode(encoding)
    assert read(content)["lot"].tolist() == ["가"] and not read(content).attrs["notes"]


def test_encoding_option_is_obeyed(read):
    # In Shift_JIS the second byte of this letter is the delimiter.
    content = atdf("PRR:1|1|1|9|P|1||0|0", lot="\u30dd").encode("shift_jis")
    assert b"|" in "\u30dd".encode("shift_jis")
    assert read(content, encoding="shift_jis")["lot"].tolist() == ["\u30dd"]
    assert "was read as Latin-1" in notes(read(content))


# Semi-ATE/STDF issue 36: MIR was written in the order of STDF.
def test_header_in_the_order_of_stdf_is_understood(read):
    header = "MIR:10:17:0 10-DEC-2021|10:17:44 10-DEC-2021|1| |N| |65535| |LOT7|CHIP|node|93000"
    content = atdf("PRR:1|1|1|9|P|1||0|0").replace("MIR:L|CHIP", header)
    table = read(content)
    assert table["lot"].tolist() == ["LOT7"]
    (wafer,) = table.attrs["wafers"]
    assert (wafer["product"], wafer["time"]) == ("CHIP", 1639131464.0)


# Semi-ATE/STDF issue 46: PRR was written without its pass/fail flag.
def test_part_without_flag_passes_by_bin(read):
    table = read(atdf("PRR:1|1|1|9||1||0|0", "PRR:1|1|2|9||5||1|0", "HBR:||1|1|P", "HBR:||5|1|F"))
    assert table["passed"].tolist() == [True, False]


def test_part_without_flag_and_bin_is_left_out(read):
    table = read(atdf("PRR:1|1|1|9|P|1||0|0", "PRR:1|1|2|9||||1|0"))
    assert [row[1] for row in dies(table)] == [0]
    assert "1 part is left out" in notes(table)


def test_invalid_numbers_are_left_open(read):
    table = read(atdf("PRR:1|1|1|9|P|1||0|0", "PRR:1|1|2|9|F|7||1x|0", "PRR:1|1|3|9|F|70000||1|0"))
    assert dies(table) == [["W1", 0, 0, 1, True], ["W1", 1, 0, 65535, False]]
    assert table.attrs["about"]["n_without_coordinates"] == 1
    assert "2 fields that are not numbers" in notes(table)
    assert "line 5: X_COORD '1x'" in notes(table)


@pytest.mark.parametrize("time", ["", "8:23", "8:23:02 23-XXX-1992", "8:23:02 40-JUL-1992"])
def test_invalid_time_is_none(read, time):
    content = atdf("PRR:1|1|1|9|P|1||0|0").replace("WIR:1||", f"WIR:1|{time}|")
    assert read(content).attrs["wafers"][0]["time"] is None


def test_joined_files_have_their_own_delimiters(read):
    part = "PRR:1|1|1|9|P|1||0|0"
    table = read(atdf(part, lot="L1") + atdf(part, lot="L2").replace("|", ";"))
    assert table["lot"].tolist() == ["L1", "L2"]


def test_cut_line_is_skipped_on_request(read):
    # The cut turns x = 12 into 1, which a complete line could be.
    content = atdf("PRR:1|1|1|9|P|1||0|0", "PRR:1|1|2|9|P|1||3|1", end="")[:-1]
    with pytest.raises(WaferFileError, match="without a master results record .*incomplete=True"):
        read(content)
    table = read(content, incomplete=True)
    assert [row[1] for row in dies(table)] == [0]
    assert "line 5 ends without an end of line" in notes(table)


def test_totals_above_the_parts_are_refused(read):
    content = atdf("PRR:1|1|1|9|P|1||0|0", "WRR:1||3|W1")
    with pytest.raises(WaferFileError, match="has 1 part record .* counts 3 parts.*incomplete"):
        read(content)
    assert read(content, incomplete=True).attrs["wafers"][0]["n_missing"] == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (atdf(head="FAR:A|3|2"), "ATDF of STDF version 3; version 4 is read"),
        ("MIR:L\n", r"does not begin with a file attributes record \(FAR:A\)"),
        ("words\n", "does not begin with a file attributes record"),
        (" words\n", "it holds no records of a wafer test"),
        (atdf(), "it holds no wafer"),
        (atdf("PRR:1|1|1|9|P|1"), "none of its 1 parts has coordinates"),
        (
            atdf("WIR:2|||W2", "PRR:3|1|1|9|P|1||0|0"),
            "line 5: the part belongs to no wafer",
        ),
    ],
)
def test_errors_name_the_record(read, content, message):
    with pytest.raises(WaferFileError, match=message):
        read(content)


def test_unknown_bins_are_refused(read):
    with pytest.raises(ValueError, match="bins must be 'hard' or 'soft'"):
        read(SAMPLE, bins="both")


def test_looks_like_atdf_goes_by_the_first_record():
    assert looks_like_atdf("FAR:A|4|2|U\n") and looks_like_atdf("\ufeffFAR:A;4\n")
    assert not looks_like_atdf("FAR:B|4") and not looks_like_atdf("FARE:A|4")
