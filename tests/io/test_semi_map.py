"""What SEMI map files say in words and numbers, over the forms in which they come.

G85 as XML, G85 as text and E142, each made from the same rows, bins and fields.
"""

import pandas as pd
import pytest
from map_files import message_of
from semi_map_files import FIVE, LETTERS, drawn, e142, g85, g85_text

from camdenoise.io import read_e142, read_g85
from camdenoise.io._die_file import quality_meaning
from camdenoise.io._semi_map import notch_side, seconds_since_1970

FORMS = {"g85": (g85, read_g85), "e142": (e142, read_e142), "g85_text": (g85_text, read_g85)}


@pytest.fixture(params=FORMS)
def form(request, wafer_file):
    """Write a map in one of the forms and read it again."""
    write, read = FORMS[request.param]

    class Form:
        name = request.param

        def path(self, lines, bins, **fields):
            return wafer_file(write(lines, bins, **fields))

        def table(self, lines, bins, read_options=None, **fields):
            return read(self.path(lines, bins, **fields), **(read_options or {}))

        def message(self, lines, bins, **fields):
            return message_of(self.path(lines, bins, **fields), read)

    return Form()


def passing(table):
    return [None if value is pd.NA else value for value in table["passed"].astype(object)]


# --- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["Pass", "PASS", " pass ", "Passed", "GOOD", "Good", "OK", "P", "Good Die", "GoodDie"]
)
def test_pass_words_are_read(form, word):
    # BinQuality="GOOD": find_string id 17992474103; Good*: galaxysemi's G85 importer.
    table = form.table(FIVE, [("1", word, None), ("X", "Fail", None)])
    assert passing(table) == [True, True, True, False, True, True]


@pytest.mark.parametrize("word", ["fail", "Failed", "BAD", "F", "Reject", "NG", "No-Good"])
def test_fail_words_are_read(form, word):
    table = form.table(FIVE, [("1", "Pass", None), ("X", word, None)])
    assert passing(table) == [True, True, True, False, True, True]


@pytest.mark.parametrize(
    # Ref and Teg: a Sony G85 file in mametNg/WaferMap-Convert; Not_Used: dougthor42's CEI files;
    # Untested: FMYK0-01-map.txt in kclung99/PSI_WaferMapSerializer.
    "word",
    ["Null", "skip", "REFERENCE", "Ref", "Edge", "Teg", "Not_Used", "Untested", "Reference Die"],
)
def test_words_for_no_die_remove_the_die(form, word):
    table = form.table(FIVE, [("1", "Pass", None), ("X", word, 9)])
    assert set(table["bin"]) == {"1"} and len(table) == 5


def test_unknown_word_is_named_with_its_bins(form):
    message = form.message(["1X2Y"], [("1", "Pass", None), ("X", "BIN1", None), ("Y", "BIN1", 1)])
    assert "'BIN1' of bins X, Y is not understood. Name the passing bins with pass_bins=" in message
    assert "(--pass-bins 1,2)" in message


def test_unknown_word_of_no_die_is_ignored(form):
    table = form.table(FIVE, [("1", "Pass", None), ("X", "Fail", None), ("Z", "BIN9", 0)])
    assert len(table) == 6


def test_pass_bins_make_unknown_words_harmless(form):
    bins = [("1", "BIN1", None), ("X", "Fail", None)]
    table = form.table(FIVE, bins, {"pass_bins": ["1"]})
    assert passing(table) == [None, None, None, False, None, None]


def test_bin_without_quality_stays_open(form):
    table = form.table(FIVE, [("1", "Pass", None)])
    assert passing(table) == [True, True, True, None, True, True]


def test_synonyms_do_not_contradict(form):
    table = form.table(FIVE, [("1", "Pass", None), ("X", "Fail", None), ("1", "GOOD", None)])
    assert table["passed"].sum() == 5


def test_contradicting_words_are_named(form):
    bins = [("1", "Pass", None), ("1", "Fail", None)]
    message = form.message(FIVE, bins)
    assert "bin 1 is defined as 'Pass' and as 'Fail'. Name the passing bins" in message
    assert form.table(FIVE, bins, {"pass_bins": ["1"]})["passed"].isna().all()


def test_file_without_passing_bin_lists_its_bins(form):
    message = form.message(FIVE, [("1", "Fail", None), ("X", "Fail", None)])
    assert "no die passes; it has bin 1 (5 dies), bin X (1 dies). Name the passing bins" in message
    assert "--pass-bins none (pass_bins=[]) if no die passes" in message


def test_pass_bins_read_a_file_without_passing_bin(form):
    bins = [("1", "Fail", None), ("X", "Fail", None)]
    assert not form.table(FIVE, bins, {"pass_bins": []})["passed"].any()


def test_declared_absence_of_passing_dies_is_accepted(form):
    bins = [("1", "Fail", None), ("X", "Fail", None), ("P", "Pass", 0)]
    assert not form.table(FIVE, bins)["passed"].any()


@pytest.mark.parametrize("word", ["", "BIN1", "Ink", "None", "1", "Passivated", "default"])
def test_ambiguous_words_have_no_meaning(word):
    assert quality_meaning(word) is None


def test_reference_die_is_recognized_by_description(wafer_file):
    # G6P139.14-E142.xml in kclung99/PSI_WaferMapSerializer, and galaxysemi's sample of G85 text.
    xml = g85(FIVE, [("1", "Pass", None), ("X", "Fail", 1)])
    xml = xml.replace('BinQuality="Fail"', 'BinQuality="Fail" BinDescription="reference die"')
    assert len(read_g85(wafer_file(xml))) == 5
    text = g85_text(FIVE, [("1", "Pass", 5), ("X", "Fail", 1)])
    text = text.replace('"Fail" ""', '"Fail" "Reference Die"')
    assert len(read_g85(wafer_file(text))) == 5


@pytest.mark.parametrize("size", [None, (2, 4)])
def test_blanks_between_letters_separate(form, size):
    # A Java converter strips them: find_string id 17041316923.
    table = form.table([". 1 1 .", "1 X 1 1"], LETTERS, size=size)
    assert drawn(table) == FIVE


def test_blank_within_a_row_is_no_die(form):
    table = form.table(["1 11", "1X11"], LETTERS, size=(2, 4))
    assert drawn(table) == ["1.11", "1X11"]


def test_column_count_separates_blanks_from_places(form):
    spaced = ["1 X 1", "1 1 X"]
    assert len(form.table(spaced, LETTERS, size=(2, 3))) == 6
    assert form.table(spaced, LETTERS, size=(2, 5))["x"].tolist() == [0, 2, 4] * 2


def test_blank_between_separated_letters_is_no_die(form):
    table = form.table(["1   X", "1 1 1"], LETTERS, size=(2, 3))
    assert drawn(table) == ["1.X", "111"]


def test_column_count_makes_outer_blanks_positions(form):
    table = form.table([" 11 ", "1X11"], LETTERS, size=(2, 4))
    assert drawn(table) == FIVE


def test_blank_as_null_code_counts_everywhere(form):
    table = form.table([" 1 1", "1X 1"], LETTERS, null=" ", size=(2, 4))
    assert drawn(table) == [".1.1", "1X.1"]


def test_lost_trailing_blanks_are_restored(form):
    table = form.table([" 1", "1X 1"], LETTERS, null=" ", size=(2, 4))
    assert drawn(table) == [".1..", "1X.1"]


def test_row_of_wrong_length_names_both_counts(form):
    message = form.message(["1 1 1 1", "1 1 1"], LETTERS, size=(2, 4))
    assert "row 1: it has 5 dies with the blanks and 3 without, expected 4" in message
    message = form.message(["1111", "111"], LETTERS)
    assert "row 1: it has 3 dies, expected 4" in message


def test_two_letter_codes_are_kept_together(form):
    table = form.table(["--P1P1--", "P1FXP1P1"], [("P1", "Pass", 5), ("FX", "Fail", 1)], null="--")
    assert table["bin"].tolist() == ["P1", "P1", "P1", "FX", "P1", "P1"]
    message = form.message(["..P1"], [("P1", "Pass", 5)], null=".")
    assert "bin 'P1' and the code of no die, '.', have different lengths" in message


def test_digits_in_a_map_of_letters_stay_text(form):
    table = form.table(["17"], [("1", "Pass", None)])
    assert table["bin"].tolist() == ["1", "7"]


def test_short_hexadecimal_bin_code_is_padded(form):
    table = form.table(
        ["0102"], [("1", "Pass", 1), ("2", "Fail", 1)], null="FF", kind="HexaDecimal"
    )
    assert table["bin"].tolist() == [1, 2] and passing(table) == [True, False]


def test_rows_and_columns_may_be_swapped(form):
    # fab_map_ingest.py, find_string id 58642719004: the header's ROWS is the length of a row.
    table = form.table(FIVE, LETTERS, size=(4, 2))
    assert drawn(table) == FIVE
    assert "the other way round" in table.attrs["notes"][0]


def test_single_text_holds_all_rows(form):
    assert drawn(form.table([".11.1X11"], LETTERS, size=(2, 4))) == FIVE


# --- totals -------------------------------------------------------------------------------------


def test_fewer_dies_than_declared_are_an_error(form):
    message = form.message(FIVE, [("1", "Pass", 7), ("X", "Fail", 1)])
    assert "bin 1 has 5 dies of 7. Fetch the file again, or read what there is with" in message
    assert "incomplete=True (--incomplete)" in message


def test_incomplete_counts_the_missing_dies(form):
    bins = [("1", "Pass", 7), ("X", "Fail", 2), ("Y", "Fail", 1)]
    table = form.table(FIVE, bins, {"incomplete": True})
    assert len(table) == 6 and table.attrs["wafers"][0]["n_missing"] == 4
    assert "bin 1 has 5 dies of 7, bin X has 1 dies of 2, bin Y" in table.attrs["notes"][0]


@pytest.mark.parametrize("count", [None, "", "many", "-1", "2.5", 0, 4, 5])
def test_total_that_is_reached_or_missing_is_ignored(form, count):
    if form.name == "g85_text" and not isinstance(count, int):
        count = None
    table = form.table(FIVE, [("1", "Pass", count), ("X", "Fail", None)])
    assert len(table) == 6 and table.attrs["wafers"][0]["n_missing"] == 0


def test_total_of_the_null_bin_is_not_compared(form):
    # Null: Sony's files in mametNg/WaferMap-Convert; Fail: G6P139.14-E142.xml ("Invalid die").
    for word in ("Null", "Fail"):
        table = form.table(FIVE, [("1", "Pass", 5), ("X", "Fail", 1), (".", word, 2070)])
        assert len(table) == 6


def test_larger_total_of_a_repeated_bin_counts(form):
    bins = [("1", "Pass", 5), ("1", "Pass", 5), ("1", "Pass", 0), ("X", "Fail", 1)]
    assert len(form.table(FIVE, bins)) == 6


def test_missing_rows_are_an_error(form):
    message = form.message(FIVE, LETTERS, size=(60, 4))
    assert "the header claims 60 rows, the file has 2. Fetch the file again, or read" in message
    table = form.table(FIVE, LETTERS, {"incomplete": True}, size=(3, 4))
    (facts,) = table.attrs["wafers"]
    assert (facts["extent"], facts["n_missing"]) == ((0, 0, 3, 4), 4)


def test_more_rows_than_declared_contradict_the_header(form):
    assert "claims 1 rows, the file has 2. Correct the header" in form.message(
        FIVE, LETTERS, size=(1, 4)
    )


@pytest.mark.parametrize("lines", [["1X11", "1X"], ["1 X 1 1", "1 X"]])
def test_truncated_last_row_is_read(form, lines):
    table = form.table(lines, LETTERS, {"incomplete": True}, size=(2, 4))
    assert drawn(table) == ["1X11", "1X.."]
    assert table.attrs["wafers"][0]["n_missing"] == 2


@pytest.mark.parametrize("write", [g85, e142])
def test_truncated_xml_is_read_on_request(wafer_file, write):
    text = write(
        ["FF01", "0102"], [("01", "Pass", 2), ("02", "Fail", 1)], null="FF", kind="HexaDecimal"
    )
    path = wafer_file(text[: text.index("102<") if write is e142 else text.index("102]")])
    assert "not well-formed XML" in message_of(path) and "--incomplete" in message_of(path)
    read = read_e142 if write is e142 else read_g85
    table = read(path, incomplete=True)
    assert table[["x", "y", "bin"]].to_numpy().tolist() == [[1, 0, 1]]
    assert table.attrs["wafers"][0]["n_missing"] == 2
    assert "the XML ends too early" in table.attrs["notes"][-1]


# --- facts --------------------------------------------------------------------------------------


def test_missing_metadata_is_none(form):
    (facts,) = form.table(FIVE, LETTERS).attrs["wafers"]
    assert (facts["product"], facts["time"], facts["notch"]) == ("", None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "down"),
        ("90", "left"),
        ("180", "up"),
        ("270", "right"),
        ("360.0", "down"),
        ("Bottom", "down"),
        ("", None),
        ("45", None),
        ("nan", None),
        ("180 (Bottom)", None),
    ],
)
def test_notch_angle_counts_clockwise_from_bottom(text, expected):
    side, notes = notch_side(text, "wafer 'W'")
    assert side == expected and len(notes) == (expected is None and text != "")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("19700102", 86400),
        ("19700101000001", 1),
        ("1970010100000200", 2),
        ("19700101000002123", 2),
        ("1970-01-01T00:00:03", 3),
        ("1970-01-01 00:00:04.5", 4),
        ("1970/01/01 00:01", 60),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T00:00:05Z", 5),
        ("09/28/2022 下午 04:25:07", None),
        ("01/02/2003", None),
        ("19701301", None),
        ("", None),
        ("1", None),
    ],
)
def test_common_time_formats_are_read(text, seconds):
    assert seconds_since_1970(text) == seconds
