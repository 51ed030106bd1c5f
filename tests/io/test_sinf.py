import map_files
import pytest
from die_tables import facts
from format_samples import DIES_BY_FORMAT, changed_text
from map_files import message_of, rows

from camdenoise.io import (
    read_sinf,
    write_sinf,
)

SINF = map_files.SINF
DIES = [
    ("L", "W1", 1, 0, 1, True),
    ("L", "W1", 2, 0, 31, False),
    ("L", "W1", 0, 1, 1, True),
    ("L", "W1", 2, 1, 10, False),
]


# --- what else a file says ------------------------------------------------------------------------


def test_sinf_metadata_of_a_wafer_is_read(wafer_file):
    table = read_sinf(wafer_file(SINF))
    wafer = facts(table)
    assert wafer["product"] == "D" and wafer["extent"] == (0, 0, 2, 3)
    assert (wafer["x_right"], wafer["y_down"], wafer["notch"]) == (True, True, "down")
    assert table.attrs["notes"] == []


@pytest.mark.parametrize("fnloc", ["0", "90", "270", "up"])
def test_other_notch_sides_are_not_applied(wafer_file, fnloc):
    # A converter in public code (from Zmap) writes FNLOC:0 whatever it draws.
    table = read_sinf(wafer_file(changed_text(SINF, "FNLOC:180", f"FNLOC:{fnloc}")))
    assert facts(table)["notch"] is None
    (note,) = table.attrs["notes"]
    assert note.startswith(f"FNLOC {fnloc} is not applied: writers disagree") and "--notch" in note


@pytest.mark.parametrize("new", ["", "FNLOC:\n"])
def test_missing_notch_side_is_silent(wafer_file, new):
    table = read_sinf(wafer_file(changed_text(SINF, "FNLOC:180\n", new)))
    assert facts(table)["notch"] is None and table.attrs["notes"] == []


# --- totals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("diect", [3, 4, 5])
def test_uninspected_dies_may_count(wafer_file, diect):
    # Four dies with a result, one without.
    text = changed_text(SINF, "ROWCT:2", f"DIECT:{diect}\nROWCT:2")
    assert rows(read_sinf(wafer_file(text))) == DIES


def test_fewer_dies_than_declared_are_an_error(wafer_file):
    path = wafer_file(changed_text(SINF, "ROWCT:2", "DIECT:7\nROWCT:2"))
    message = message_of(path, read_sinf)
    assert message.startswith("wafer 'W1': DIECT declares 7 dies, the map has 5.")
    assert "incomplete=True (--incomplete)" in message
    table = read_sinf(path, incomplete=True)
    assert rows(table) == DIES and facts(table)["n_missing"] == 2


@pytest.mark.parametrize("end", ["RowData:01 @@ 0A\n", "@ 0A\n", " 0A\n", "A\n"])
def test_truncated_map_is_read_on_request(wafer_file, end):
    text = changed_text(SINF, "ROWCT:2", "ROWCT:3")
    path = wafer_file(text[: text.index(end)])
    assert "incomplete=True (--incomplete)" in message_of(path, read_sinf)
    table = read_sinf(path, incomplete=True)
    assert rows(table) == DIES[: 2 if end.startswith("Row") else 3]
    assert facts(table)["extent"] == (0, 0, 3, 3)
    assert facts(table)["n_missing"] == 3 * (2 if end.startswith("Row") else 1)
    assert "the header claims 3 rows, the file has" in table.attrs["notes"][0]


def test_constant_declared_size_can_be_ignored(wafer_file):
    # A converter of pictures in public code writes ROWCT:999 and COLCT:999 into every file.
    text = changed_text(SINF, "ROWCT:2\nCOLCT:3", "ROWCT:999\nCOLCT:999")
    path = wafer_file(text)
    assert "claims 999 columns, the rows have 3. Fetch the file again, or read" in message_of(path)
    assert rows(read_sinf(path, incomplete=True)) == DIES


# --- which bins pass ------------------------------------------------------------------------------


def test_assumed_pass_bin_is_noted(wafer_file):
    # artwork.com, SINF: "if BCEQU is missing or blank, 01 is considered to be the PASS die".
    table = read_sinf(wafer_file(changed_text(SINF, "BCEQU:01", "BCEQU: ")))
    assert rows(table) == DIES
    assert table.attrs["notes"][0].startswith("BCEQU lists no bin. Bin 1 is taken as passing")


def test_assumed_pass_bin_without_dies_is_an_error(wafer_file):
    # artwork.com, SINF: good dies are numbered from 00 on. Every die would fail in silence.
    path = wafer_file(changed_text(SINF, "BCEQU:01\n", "").replace("01", "00"))
    message = message_of(path, read_sinf)
    assert "BCEQU lists no bin, and no die has bin 1, which passes then" in message
    assert "Bins (dies): 0 (2), 31 (1), 10 (1)" in message and "--pass-bins 1,2" in message
    assert read_sinf(path, pass_bins=[0])["passed"].tolist() == [True, False, True, False]


def test_wafer_without_a_good_die_must_be_stated(wafer_file):
    path = wafer_file(changed_text(SINF, "BCEQU:01", "BCEQU:02"))
    message = message_of(path, read_sinf)
    assert "no die has a bin that BCEQU lists as passing" in message
    assert "pass_bins=[] (--pass-bins none)" in message
    assert not read_sinf(path, pass_bins=[])["passed"].any()


def test_pass_bins_override_the_listed_bins(wafer_file):
    table = read_sinf(wafer_file(SINF), pass_bins=31)
    assert table["passed"].tolist() == [False, True, False, False]


def test_letter_pass_bins_are_an_error(wafer_file):
    message = message_of(wafer_file(SINF), read_sinf, pass_bins=["A"])
    assert "wafer 'W1': pass_bins is ['A'], but the bins are numbers: 1 (2)" in message


@pytest.mark.parametrize("comment", [None, "lot 7"])
def test_wafer_of_fails_is_written_and_read_back(wafer_file, tmp_path, comment):
    table = read_sinf(wafer_file(SINF), pass_bins=[])
    header = {} if comment is None else {"COMMENT": comment}
    for name in ("once", "twice"):
        write_sinf(tmp_path / name, table, header=header)
        again = read_sinf(tmp_path / name)
        assert rows(again) == rows(table)
        header = again.attrs["about"]
    assert header["COMMENT"] == ("no die passes" if comment is None else "lot 7; no die passes")


def test_statement_of_only_fails_ends_with_a_pass(wafer_file, tmp_path):
    table = read_sinf(wafer_file(SINF))
    write_sinf(tmp_path / "w", table, header={"COMMENT": "lot 7; no die passes"})
    assert read_sinf(tmp_path / "w").attrs["about"]["COMMENT"] == "lot 7"


# --- several maps ---------------------------------------------------------------------------------


def test_joined_maps_are_separate_wafers(wafer_file):
    table = read_sinf(wafer_file(SINF + SINF.replace("W1", "W2").replace("LOT:L", "LOT:NA")))
    assert rows(table) == DIES + [("NA", "W2", *row[2:]) for row in DIES]
    assert [wafer["wafer"] for wafer in table.attrs["wafers"]] == ["W1", "W2"]
    assert "WAFER" not in table.attrs["about"] and table.attrs["about"]["DEVICE"] == "D"


def test_next_wafer_may_repeat_only_its_name(wafer_file):
    body = SINF[SINF.index("RowData") :]
    table = read_sinf(
        wafer_file(changed_text(SINF, "ROWCT:2", "ROWCT:2\nDIECT:5") + "WAFER:W2\n" + body)
    )
    assert rows(table) == DIES + [("L", "W2", *row[2:]) for row in DIES]


def test_header_without_a_map_is_an_error(wafer_file):
    message = message_of(wafer_file(SINF + "LOT:L\nWAFER:W2\n"), read_sinf)
    assert message.startswith("wafer 'W2': it has no line 'RowData:'")


def test_encoding_of_names_may_be_given(wafer_file):
    path = wafer_file(changed_text(SINF, "DEVICE:D", "DEVICE:소자").encode("cp949"))
    assert facts(read_sinf(path, encoding="cp949"))["product"] == "소자"


def test_sinf_decimal_codes_are_read(wafer_file):
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
    table = read_sinf(wafer_file(changed_text(map_files.SINF, "BCEQU:01", f"BCEQU:{bcequ}")))
    assert sorted(table.loc[table["passed"], "bin"].unique()) == passing


def test_sinf_without_bcequ_passes_bin_1(wafer_file):
    table = read_sinf(wafer_file(changed_text(map_files.SINF, "BCEQU:01\n", "")))
    assert table.loc[table["passed"], "bin"].unique().tolist() == [1]


@pytest.mark.parametrize("fnloc", ["0", "90", "180", "270", "", "up"])
def test_sinf_is_never_rotated(wafer_file, fnloc):
    table = read_sinf(wafer_file(changed_text(map_files.SINF, "FNLOC:180", f"FNLOC:{fnloc}")))
    assert rows(table) == DIES_BY_FORMAT["sinf"] and table.attrs["about"]["FNLOC"] == fnloc


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("01 1F", "01 1G", "wafer 'W1', row 0: 'G' in column 2 is not a hexadecimal digit"),
        ("01 1F", "01 131", r"bins are of [2, 3] characters ('01' in row 0; '131' in row 0)"),
        ("01 1F", "1 2", "expected 2 hexadecimal or 3 decimal digits throughout"),
        ("01 @@ 0A", "01 @@", "wafer 'W1', row 1: it has 2 dies, expected 3"),
        ("ROWCT:2", "ROWCT:3", "wafer 'W1': the header claims 3 rows, the file has 2"),
        ("RowData:01 @@ 0A", "01 @@ 0A", "line 11: '01 @@ 0A' belongs to no RowData"),
        ("BCEQU:01", "BCEQU:ok", "wafer 'W1', BCEQU: 'o' in column 0 is not a hexadecimal digit"),
        ("RowData:__ 01 1F\nRowData:01 @@ 0A\n", "", "it has no line 'RowData:'"),
        ("01 1F\nRowData:01 @@ 0A", "__ __\nRowData:__ @@ __", "it holds no die with a result"),
    ],
)
def test_sinf_errors_name_wafer_and_row(wafer_file, old, new, message):
    assert message in message_of(wafer_file(changed_text(map_files.SINF, old, new)), read_sinf)
