import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from map_files import message_of, rows

from camdenoise.io import read_die_csv, write_results
from camdenoise.io._die_csv import looks_like_die_csv
from camdenoise.io._die_file import die_rows

DIES = "lot,wafer,x,y,bin\nA,1,0,0,1\nA,1,1,0,5\n"
ROWS = [("A", "1", 0, 0, 1, None), ("A", "1", 1, 0, 5, None)]


def read(wafer_file, text, **options):
    return read_die_csv(wafer_file(text, "dies.csv"), **options)


# --- the text -------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_delimiter_is_inferred_from_the_header(wafer_file, delimiter):
    assert rows(read(wafer_file, DIES.replace(",", delimiter))) == ROWS


def test_first_line_of_excel_names_the_delimiter(wafer_file):
    # https://github.com/pandas-dev/pandas/issues/47303: "sep=|" was read as the header.
    assert rows(read(wafer_file, "sep=;\n" + DIES.replace(",", ";"))) == ROWS
    assert rows(read(wafer_file, "sep=~\n" + DIES.replace(",", "~"))) == ROWS


def test_decimal_comma_is_read_with_other_delimiters(wafer_file):
    # https://github.com/SheetJS/sheetjs/issues/2239: the comma within numbers won.
    text = "lot;wafer;x;y;bin\nA;1;0,0;0;1,00\nA;1;1,0;0;5\n"
    assert rows(read(wafer_file, text)) == ROWS


@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF8 + DIES.encode(),
        DIES.encode("utf-16"),
        codecs.BOM_UTF16_BE + DIES.encode("utf-16-be"),
        DIES.replace("\n", "\r\n").encode(),
        DIES.replace("\n", "\r").encode(),
        DIES.replace("\n", "\n\n").encode(),
        DIES.rstrip().encode(),
        b"# made by a script\n#\n" + DIES.encode() + b"# the end",
        DIES.replace("\nA,1,1", "\n# x, y: dies\nA,1,1").encode(),
        DIES.replace("A,1", '"A","1"').encode(),
        DIES.replace(",", " , ").encode(),
        b"Program;P7\nTester;\n" + DIES.encode(),
        DIES.replace(",5", ",5.0").replace(",1\n", ",+1\n").encode(),
    ],
)
def test_variants_of_text_give_the_same_table(wafer_file, content):
    # https://github.com/HKUDS/Vibe-Trading/pull/865: "Unicode text" of Excel (UTF-16 with tabs)
    # came back as Latin-1.
    assert rows(read(wafer_file, content)) == ROWS


def test_lines_above_the_header_are_noted(wafer_file):
    # artwork.com, application note on CSV maps: nine lines of a foundry above the header.
    table = read(wafer_file, "Foundry report\nLot,A\n\n" + DIES)
    assert rows(table) == ROWS
    assert "2 lines above the header line are skipped." in table.attrs["notes"]


def test_rows_may_end_with_a_delimiter(wafer_file):
    # https://github.com/pandas-dev/pandas/issues/14124: all columns shifted by one.
    assert rows(read(wafer_file, DIES.replace(",1\n", ",1,\n").replace(",5\n", ",5,\n"))) == ROWS


def test_rows_may_lack_unused_fields(wafer_file):
    text = "lot,wafer,x,y,bin,note\nA,1,0,0,1,ok\nA,1,1,0,5\n"
    assert rows(read(wafer_file, text)) == ROWS


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("A,1,1,0,5", "A,1,1,0", "line 3: the row has 4 fields, and column 'bin' is field 5"),
        ("A,1,1,0,5", "A,B,1,1,0,5", "line 3: the row has 6 fields, the header 5"),
        ("A,1,1,0,5", "A,1,one,0,5", "line 3: column 'x' holds 'one', expected the whole number"),
        ("A,1,1,0,5", "A,1,1,5.5,5", "line 3: column 'y' holds '5.5'"),
        ("A,1,1,0,5", "A,1,1,9999999999,5", "line 3: column 'y' holds '9999999999'"),
        ("A,1,1,0,5", '# a\n\n"A\nB",1,1,1_0,5', "line 6: column 'y' holds '1_0'"),
        ("A,1,1,0,5", "A,\0,1,0,5", "it has zero bytes"),
        ("A,1,0,0,1\nA,1,1,0,5\n", "", "the table has a header line and no rows"),
        ("0,0,1\nA,1,1,0,5", "0,0,\n", "no row has both a bin and coordinates"),
        (DIES, "\n", "the file is empty"),
    ],
)
def test_errors_name_the_line(wafer_file, old, new, message):
    assert message in message_of(wafer_file(DIES.replace(old, new)), read_die_csv)


def test_non_utf_8_text_asks_for_its_encoding(wafer_file):
    path = wafer_file(DIES.replace("A", "로트").encode("cp949"))
    message = message_of(path, read_die_csv)
    assert "it is not UTF-8 text. Give its encoding with --encoding (encoding=)" in message
    assert "cp949" in message
    assert read_die_csv(path, encoding="cp949")["lot"].tolist() == ["로트", "로트"]


def test_wrong_encoding_is_an_error(wafer_file):
    path = wafer_file(DIES.replace("A", "é").encode("latin-1"))
    assert "it is not text in utf-8" in message_of(path, read_die_csv, encoding="utf-8")
    assert "encoding 'martian' is unknown" in message_of(path, read_die_csv, encoding="martian")
    assert "it is not text in utf-8" in message_of(
        wafer_file(DIES.encode() * 50_000 + b"\xe9"), read_die_csv, encoding="utf-8"
    )


def test_large_table_is_read_across_blocks(wafer_file):
    body = "".join(f"#L{n % 7},w,{n % 1000},{n // 1000},{n % 3}\n# {n}\n" for n in range(200_000))
    table = read(wafer_file, "lot,wafer,x,y,bin\n" + body)
    assert len(table) == 200_000
    assert table["x"].tolist() == [n % 1000 for n in range(200_000)]
    assert table["lot"].tolist() == [f"#L{n % 7}" for n in range(200_000)]


# --- the columns ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        "LOT_ID,WAFER_ID,X_COORD,Y_COORD,HBIN",
        "Lot,Wafer,X,Y,Bin",
        "lotid,waferid,dieX,dieY,hard_bin",
        "Lot Name,Slot,DIE_X,DIE_Y,HardBin",
        "lot_no,wafer no.,col,row,Bin#",
        "LOT ID,Wafer Number,x index,y index,BIN_NUMBER",
    ],
)
def test_common_names_are_found(wafer_file, header):
    assert rows(read(wafer_file, DIES.replace("lot,wafer,x,y,bin", header))) == ROWS


def test_columns_found_under_other_names_are_noted(wafer_file):
    text = "LOT_ID,WAFER,X_COORD,Y_COORD,SBIN,HBIN\nA,1,0,0,10,1\n"
    assert read(wafer_file, text).attrs["notes"] == [
        "Columns read: x is X_COORD; y is Y_COORD; bin is HBIN (hard bins), not SBIN; "
        "lot is LOT_ID."
    ]


def test_soft_bins_are_read_on_request(wafer_file):
    table = read(wafer_file, "lot,wafer,x,y,HBIN,SBIN\nA,1,0,0,1,10\n", bins="soft")
    assert table["bin"].tolist() == [10]
    assert "bin is SBIN (soft bins)" in table.attrs["notes"][0]


def test_missing_soft_bins_are_an_error(wafer_file):
    path = wafer_file("lot,wafer,x,y,HBIN\nA,1,0,0,1\n")
    assert "no column of soft bins" in message_of(path, read_die_csv, bins="soft")


def test_exact_column_names_win(wafer_file):
    text = "wafer,DIE_X,x,y,HBIN,bin\nW,70,0,0,9,1\n"
    assert rows(read(wafer_file, text)) == [("", "W", 0, 0, 1, None)]


def test_missing_column_names_needed_and_found_ones(wafer_file):
    # https://github.com/tilemill-project/tilemill/issues/2052: "could not detect column headers",
    # without the columns that were found.
    path = wafer_file(DIES.replace("bin", "category"))
    message = message_of(path, read_die_csv)
    assert "the table has no column bin. It needs x, y and bin" in message
    assert "Its columns are lot, wafer, x, y, category." in message
    assert "--columns x=...,y=...,bin=...,lot=...,wafer=..." in message
    assert rows(read_die_csv(path, columns={"bin": "category"})) == ROWS


@pytest.mark.parametrize("columns", [{"z": "x"}, {"x": "colour"}])
def test_wrong_column_error_names_both_lists(wafer_file, columns):
    message = message_of(wafer_file(DIES), read_die_csv, columns=columns)
    assert "one of x, y, bin, lot, wafer, passed" in message
    assert "lot, wafer, x, y, bin." in message


def test_named_columns_override_the_names(wafer_file):
    text = "x,y,bin,col\n7,0,1,3\n"
    assert read(wafer_file, text, columns={"x": "COL"})["x"].tolist() == [3]


def test_ambiguous_columns_are_an_error(wafer_file):
    path = wafer_file("X_COORD,XCOORD,y,bin\n0,1,0,1\n")
    assert "the columns X_COORD and XCOORD may each be x" in message_of(path, read_die_csv)
    assert read_die_csv(path, columns={"x": "XCOORD"})["x"].tolist() == [1]


def test_file_name_names_the_wafer_without_column(wafer_file):
    table = read_die_csv(wafer_file("x,y,bin\n0,0,1\n", "W7.csv"))
    assert rows(table) == [("", "W7", 0, 0, 1, None)]
    assert table.attrs["notes"] == ["no column names the lot or the wafer"]


@pytest.mark.parametrize(
    ("head", "looks"),
    [
        (DIES, True),
        ("# by hand\n\nX_COORD;Y_COORD;CATEGORY\n", True),
        ("sep=;\nlot;wafer;x\n", True),
        ("report\n" + DIES, True),
        ("LOT:L\nWAFER:7\nBCEQU:01,02\n", False),
        ("FileVersion 1 2;\nLotID L;\n", False),
        ('Record FileRecord  "1.8"\n{\n', False),
        ("<?xml version='1.0'?><Map x='1',y='2'/>", False),
        ("\2\0\0\n\2\4lot,wafer,x,y,bin", False),
        ("first,second\n1,2", False),
        ("", False),
        ("x", False),
    ],
)
def test_table_is_recognized_by_its_first_lines(head, looks):
    assert looks_like_die_csv(head) is looks


# --- the values -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["NA", "null", "nan", "001", "1e5", "", "None", "1.0"])
def test_wafer_names_stay_as_written(wafer_file, name):
    # https://github.com/pandas-dev/pandas/issues/10647: a lot named NA.
    table = read(wafer_file, f"lot,wafer,x,y,bin\n{name},{name},0,0,1\n")
    assert table[["lot", "wafer"]].to_numpy().tolist() == [[name, name]]


NAMES = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\n\r\0"), max_size=12
) | st.sampled_from(["NA", "null", "001", "1e5", '"', '""', ",", "#", "#,1", " a ", "x", ";"])


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
@given(names=st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=4))
def test_written_column_names_are_read_back(tmp_path_factory, ending, names):
    path = tmp_path_factory.mktemp("names") / f"dies{ending}"
    lots, wafers = zip(*names, strict=True)
    n = len(names)
    table = die_rows(lots, wafers, range(n), [0] * n, range(n), [True] * n)
    write_results(path, table)
    assert rows(read_die_csv(path)) == rows(table)


@pytest.mark.parametrize(
    ("written", "bins"),
    [
        (["1", "02"], [1, 2]),
        (["1.0", "2"], [1, 2]),
        (["01", "A"], ["01", "A"]),
        (["P", "F"], ["P", "F"]),
        (["NA", "1"], [1]),
        (["NA", "P"], ["NA", "P"]),
    ],
)
def test_bins_are_numbers_when_all_are_numeric(wafer_file, written, bins):
    body = "".join(f"{x},0,{bin_}\n" for x, bin_ in enumerate(written))
    assert read(wafer_file, "x,y,bin\n" + body)["bin"].tolist() == bins


def test_rows_without_a_bin_are_left_out_and_counted(wafer_file):
    table = read(wafer_file, DIES + "A,1,2,0,\nA,1,3,0,NaN\n,,,,\n")
    assert rows(table) == ROWS
    assert table.attrs["notes"] == ["2 rows have no bin and are left out."]


@pytest.mark.parametrize(("x", "y"), [("", "0"), ("0", ""), ("NaN", "1"), ("-32768", "-32768")])
def test_dies_without_coordinates_are_counted(wafer_file, x, y):
    # https://github.com/noonchen/STDF-Viewer/issues/101: the counts and the map disagree.
    table = read(wafer_file, DIES + f"A,1,{x},{y},1\nA,1,{x},{y},4\nB,9,{x},{y},4\n")
    assert rows(table) == ROWS
    first, last = table.attrs["wafers"]
    assert (first["n_unplaced"], first["n_unplaced_fails"]) == (2, 1)
    # A wafer of which no die has coordinates is not lost.
    assert (last["wafer"], last["n_unplaced"], last["n_unplaced_fails"]) == ("9", 1, 1)
    assert table.attrs["notes"] == ["3 dies have no coordinates and are on no map (2 fail)."]


def test_dies_without_coordinates_keep_pass_or_fail(wafer_file):
    table = read(wafer_file, DIES + "A,1,,,4\nA,1,,,1\n", pass_bins=[4, 5])
    assert table.attrs["wafers"][0]["n_unplaced_fails"] == 1
    text = "wafer,x,y,bin,pf\nW,0,0,1,P\nW,,,1,F\n"
    assert read(wafer_file, text).attrs["wafers"][0]["n_unplaced_fails"] == 1


@pytest.mark.parametrize(
    ("words", "passed"),
    [
        ("True False", [True, False]),
        ("1 0", [True, False]),
        ("P F", [True, False]),
        ("pass FAIL", [True, False]),
        ("TRUE <NA>", [True, None]),
    ],
)
def test_truth_values_are_read(wafer_file, words, passed):
    good, bad = words.split()
    table = read(wafer_file, f"x,y,bin,Pass_Fail\n0,0,1,{good}\n1,0,2,{bad}\n")
    assert [row[5] for row in rows(table)] == passed


def test_unknown_truth_value_is_an_error(wafer_file):
    path = wafer_file("x,y,bin,passed\n0,0,1,P\n1,0,2,maybe\n")
    message = message_of(path, read_die_csv)
    assert message.startswith("line 3: column 'passed' says 'maybe'")
    assert "pass, passed" in message
    table = read_die_csv(path, pass_bins=1)
    assert table["passed"].tolist() == [True, False]


def test_numeric_result_column_is_not_a_pass_column(wafer_file):
    table = read(wafer_file, "wafer,x,y,bin,result\nW,0,0,1,3.14\n")
    assert rows(table) == [("", "W", 0, 0, 1, None)]
    assert table.attrs["notes"] == [
        "Columns read: passed is result.",
        "no column names the lot",
        "Column result is not read as pass or fail: it holds '3.14'.",
    ]


def test_pass_bins_override_the_pass_column(wafer_file):
    assert read(wafer_file, DIES, pass_bins=[5])["passed"].tolist() == [False, True]
    letters = DIES.replace(",1\n", ",P\n").replace(",5\n", ",2\n")
    assert read(wafer_file, letters, pass_bins=[2])["passed"].tolist() == [False, True]
    message = message_of(wafer_file(DIES), read_die_csv, pass_bins=["P"])
    assert "the bins are numbers: 1 (1), 5 (1)" in message


def test_other_columns_are_dropped(wafer_file):
    table = read(wafer_file, "time,x,y,bin,label,n_fails\nnoon,0,0,1,Center,4\n")
    assert table.columns.tolist() == ["lot", "wafer", "x", "y", "bin", "passed"]


def test_wafers_are_listed_in_the_order_of_their_rows(wafer_file):
    table = read(wafer_file, "lot,wafer,x,y,bin\nB,1,0,0,1\nA,1,0,0,1\nB,1,1,0,1\nB,0,0,0,1\n")
    assert [(w["lot"], w["wafer"]) for w in table.attrs["wafers"]] == [
        *[("B", "1"), ("A", "1"), ("B", "0")]
    ]


def test_unknown_choice_of_bins_is_an_error(wafer_file):
    with pytest.raises(ValueError, match="bins must be 'hard' or 'soft', got 'all'"):
        read(wafer_file, DIES, bins="all")
