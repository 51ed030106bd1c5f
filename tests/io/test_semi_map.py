"""What SEMI map files say in words and numbers, over the forms in which they come.

G85 as XML, G85 as text and E142, each made from the same rows, bins and fields.
"""

import map_files
import numpy as np
import pandas as pd
import pytest
from map_files import message_of, rows

from camdenoise.io import from_die_table, read_e142, read_g85, read_wafers, write_g85
from camdenoise.io._container import Content
from camdenoise.io._die_file import ReadOptions
from camdenoise.io._map_xml import looks_like_xml, xml_file
from camdenoise.io._problems import Problem
from camdenoise.io._semi_map import notch_side, seconds_since_1970
from camdenoise.io._table import quality_meaning
from camdenoise.io._xml import decode_xml


def g85(lines, bins, *, null=".", size=None, kind="Ascii", device="", wafer="W1"):
    """Write G85 as XML; `bins` holds (code, quality, count) each, None where not stated."""
    if size:
        device += f' Rows="{size[0]}" Columns="{size[1]}"'
    if null is not None:
        device += f' NullBin="{null}"'
    defined = "".join(f"<Bin {_bin(*each)}/>" for each in bins)
    body = "".join(f"<Row><![CDATA[{line}]]></Row>" for line in lines)
    return (
        f'<Map WaferId="{wafer}"><Device LotId="L" BinType="{kind}"{device}>{defined}'
        f"<Data>{body}</Data></Device></Map>"
    )


def e142(lines, bins, *, null=".", size=None, kind="Ascii", attributes="", **more):
    """Write E142; `more` are attributes of the map, a child of the layout and of the substrate."""
    null = "" if null is None else f' NullBin="{null}"'
    side = f'<Dimension X="{size[1]}" Y="{size[0]}"/>' if size else ""
    defined = "".join(f"<BinDefinition {_bin(*each)}/>" for each in bins)
    body = "".join(f"<BinCode>{line}</BinCode>" for line in lines)
    return f"""<MapData xmlns="urn:semi-org:xsd.E142-1.V1005.SubstrateMap"><Layouts>
    <Layout LayoutId="A">{side}{more.get("layout", "")}</Layout></Layouts><Substrates>
    <Substrate SubstrateId="W1"><LotId>L</LotId>{more.get("substrate", "")}</Substrate>
    </Substrates><SubstrateMaps>
    <SubstrateMap SubstrateId="W1" LayoutSpecifier="X/A" {attributes}><Overlay MapName="m">
    <BinCodeMap BinType="{kind}"{null} {more.get("map_type", "")}>
    <BinDefinitions>{defined}</BinDefinitions>{more.get("codes", body)}</BinCodeMap></Overlay>
    </SubstrateMap></SubstrateMaps></MapData>"""


def g85_text(lines, bins, *, null=".", size=None, kind="Ascii"):
    """Write G85 as text."""
    head = ['WAFER_ID = "W1"', 'LOT_ID = "L"', f'MAP_TYPE = "{kind}"']
    if null is not None:
        head.append(f'NULL_BIN = "{null}"')
    if size:
        head += [f"ROWS = {size[0]}", f"COLUMNS = {size[1]}"]
    for code, quality, count in bins:
        head.append(f'BIN = "{code}" {"" if count is None else count} "{quality or ""}" ""')
    return "\n".join(["WAFER_MAP = {", *head, "MAP = {", *lines, "}", "}", ""])


def _bin(code, quality, count):
    text = f'BinCode="{code}"'
    text += "" if quality is None else f' BinQuality="{quality}"'
    return text + ("" if count is None else f' BinCount="{count}"')


FORMS = {"g85": (g85, read_g85), "e142": (e142, read_e142), "g85_text": (g85_text, read_g85)}
FIVE = [".11.", "1X11"]


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
def test_words_for_pass_are_understood(form, word):
    # BinQuality="GOOD": find_string id 17992474103; Good*: galaxysemi's G85 importer.
    table = form.table(FIVE, [("1", word, None), ("X", "Fail", None)])
    assert passing(table) == [True, True, True, False, True, True]


@pytest.mark.parametrize("word", ["fail", "Failed", "BAD", "F", "Reject", "NG", "No-Good"])
def test_words_for_fail_are_understood(form, word):
    table = form.table(FIVE, [("1", "Pass", None), ("X", word, None)])
    assert passing(table) == [True, True, True, False, True, True]


@pytest.mark.parametrize(
    # Ref and Teg: a Sony G85 file in mametNg/WaferMap-Convert; Not_Used: dougthor42's CEI files;
    # Untested: FMYK0-01-map.txt in kclung99/PSI_WaferMapSerializer.
    "word",
    ["Null", "skip", "REFERENCE", "Ref", "Edge", "Teg", "Not_Used", "Untested", "Reference Die"],
)
def test_words_for_no_die_remove_it(form, word):
    table = form.table(FIVE, [("1", "Pass", None), ("X", word, 9)])
    assert set(table["bin"]) == {"1"} and len(table) == 5


def test_an_unknown_word_is_named_with_its_bins(form):
    message = form.message(["1X2Y"], [("1", "Pass", None), ("X", "BIN1", None), ("Y", "BIN1", 1)])
    assert "'BIN1' of bins X, Y is not understood. Name the passing bins with pass_bins=" in message
    assert "(--pass-bins 1,2)" in message


def test_an_unknown_word_of_no_die_is_ignored(form):
    table = form.table(FIVE, [("1", "Pass", None), ("X", "Fail", None), ("Z", "BIN9", 0)])
    assert len(table) == 6


def test_pass_bins_make_an_unknown_word_no_error(form):
    bins = [("1", "BIN1", None), ("X", "Fail", None)]
    table = form.table(FIVE, bins, {"pass_bins": ["1"]})
    assert passing(table) == [None, None, None, False, None, None]


def test_a_bin_without_a_quality_stays_open(form):
    table = form.table(FIVE, [("1", "Pass", None)])
    assert passing(table) == [True, True, True, None, True, True]


def test_two_words_of_one_meaning_do_not_contradict(form):
    table = form.table(FIVE, [("1", "Pass", None), ("X", "Fail", None), ("1", "GOOD", None)])
    assert table["passed"].sum() == 5


def test_two_words_that_contradict_are_named(form):
    bins = [("1", "Pass", None), ("1", "Fail", None)]
    message = form.message(FIVE, bins)
    assert "bin 1 is defined as 'Pass' and as 'Fail'. Name the passing bins" in message
    assert form.table(FIVE, bins, {"pass_bins": ["1"]})["passed"].isna().all()


def test_a_file_of_fails_lists_its_bins(form):
    message = form.message(FIVE, [("1", "Fail", None), ("X", "Fail", None)])
    assert "no die passes; it has bin 1 (5 dies), bin X (1 dies). Name the passing bins" in message
    assert "--pass-bins none (pass_bins=[]) if no die passes" in message


def test_a_file_of_fails_is_read_with_pass_bins(form):
    bins = [("1", "Fail", None), ("X", "Fail", None)]
    assert not form.table(FIVE, bins, {"pass_bins": []})["passed"].any()


def test_a_file_that_declares_no_passing_die_is_believed(form):
    bins = [("1", "Fail", None), ("X", "Fail", None), ("P", "Pass", 0)]
    assert not form.table(FIVE, bins)["passed"].any()


@pytest.mark.parametrize("word", ["", "BIN1", "Ink", "None", "1", "Passivated", "default"])
def test_words_of_no_one_meaning_are_not_understood(word):
    assert quality_meaning(word) is None


def test_a_reference_die_is_told_by_its_description(wafer_file):
    # G6P139.14-E142.xml in kclung99/PSI_WaferMapSerializer, and galaxysemi's sample of G85 text.
    xml = g85(FIVE, [("1", "Pass", None), ("X", "Fail", 1)])
    xml = xml.replace('BinQuality="Fail"', 'BinQuality="Fail" BinDescription="reference die"')
    assert len(read_g85(wafer_file(xml))) == 5
    text = g85_text(FIVE, [("1", "Pass", 5), ("X", "Fail", 1)])
    text = text.replace('"Fail" ""', '"Fail" "Reference Die"')
    assert len(read_g85(wafer_file(text))) == 5


# --- letters and blanks -------------------------------------------------------------------------

LETTERS = [("1", "Pass", None), ("X", "Fail", None)]


def drawn(table):
    """Draw a die table as letters, with a dot where no die is."""
    box = np.full((table["y"].max() + 1, table["x"].max() + 1), ".")
    box[table["y"], table["x"]] = table["bin"]
    return ["".join(row) for row in box]


@pytest.mark.parametrize("size", [None, (2, 4)])
def test_blanks_between_letters_separate(form, size):
    # A Java converter strips them: find_string id 17041316923.
    table = form.table([". 1 1 .", "1 X 1 1"], LETTERS, size=size)
    assert drawn(table) == FIVE


def test_a_blank_within_a_row_is_no_die(form):
    table = form.table(["1 11", "1X11"], LETTERS, size=(2, 4))
    assert drawn(table) == ["1.11", "1X11"]


def test_columns_tell_blanks_that_separate_from_places(form):
    spaced = ["1 X 1", "1 1 X"]
    assert len(form.table(spaced, LETTERS, size=(2, 3))) == 6
    assert form.table(spaced, LETTERS, size=(2, 5))["x"].tolist() == [0, 2, 4] * 2


def test_a_blank_place_between_separated_letters_is_no_die(form):
    table = form.table(["1   X", "1 1 1"], LETTERS, size=(2, 3))
    assert drawn(table) == ["1.X", "111"]


def test_blanks_around_a_row_are_positions_where_columns_say_so(form):
    table = form.table([" 11 ", "1X11"], LETTERS, size=(2, 4))
    assert drawn(table) == FIVE


def test_every_blank_counts_where_it_is_the_code_of_no_die(form):
    table = form.table([" 1 1", "1X 1"], LETTERS, null=" ", size=(2, 4))
    assert drawn(table) == [".1.1", "1X.1"]


def test_blanks_at_the_end_of_a_line_may_be_lost(form):
    table = form.table([" 1", "1X 1"], LETTERS, null=" ", size=(2, 4))
    assert drawn(table) == [".1..", "1X.1"]


def test_a_row_that_fits_in_no_way_names_both_counts(form):
    message = form.message(["1 1 1 1", "1 1 1"], LETTERS, size=(2, 4))
    assert "row 1: it has 5 dies with the blanks and 3 without, expected 4" in message
    message = form.message(["1111", "111"], LETTERS)
    assert "row 1: it has 3 dies, expected 4" in message


def test_codes_of_two_letters_are_kept_together(form):
    table = form.table(["--P1P1--", "P1FXP1P1"], [("P1", "Pass", 5), ("FX", "Fail", 1)], null="--")
    assert table["bin"].tolist() == ["P1", "P1", "P1", "FX", "P1", "P1"]
    message = form.message(["..P1"], [("P1", "Pass", 5)], null=".")
    assert "bin 'P1' and the code of no die, '.', have different lengths" in message


def test_digits_in_a_map_of_letters_stay_text(form):
    table = form.table(["17"], [("1", "Pass", None)])
    assert table["bin"].tolist() == ["1", "7"]


def test_a_short_hexadecimal_bin_code_is_padded(form):
    table = form.table(
        ["0102"], [("1", "Pass", 1), ("2", "Fail", 1)], null="FF", kind="HexaDecimal"
    )
    assert table["bin"].tolist() == [1, 2] and passing(table) == [True, False]


def test_rows_and_columns_may_be_swapped(form):
    # fab_map_ingest.py, find_string id 58642719004: the header's ROWS is the length of a row.
    table = form.table(FIVE, LETTERS, size=(4, 2))
    assert drawn(table) == FIVE
    assert "the other way round" in table.attrs["notes"][0]


def test_one_text_may_hold_all_rows(form):
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
def test_a_total_that_is_reached_or_is_none_is_ignored(form, count):
    if form.name == "g85_text" and not isinstance(count, int):
        count = None
    table = form.table(FIVE, [("1", "Pass", count), ("X", "Fail", None)])
    assert len(table) == 6 and table.attrs["wafers"][0]["n_missing"] == 0


def test_the_total_of_no_die_is_not_compared(form):
    # Null: Sony's files in mametNg/WaferMap-Convert; Fail: G6P139.14-E142.xml ("Invalid die").
    for word in ("Null", "Fail"):
        table = form.table(FIVE, [("1", "Pass", 5), ("X", "Fail", 1), (".", word, 2070)])
        assert len(table) == 6


def test_of_a_bin_defined_twice_the_larger_total_counts(form):
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
def test_the_last_row_may_be_cut_short(form, lines):
    table = form.table(lines, LETTERS, {"incomplete": True}, size=(2, 4))
    assert drawn(table) == ["1X11", "1X.."]
    assert table.attrs["wafers"][0]["n_missing"] == 2


@pytest.mark.parametrize("write", [g85, e142])
def test_xml_that_ends_too_early_is_read_where_asked(wafer_file, write):
    text = write(
        ["FF01", "0102"], [("01", "Pass", 2), ("02", "Fail", 1)], null="FF", kind="HexaDecimal"
    )
    path = wafer_file(text[: text.index("102<") if write is e142 else text.index("102]")])
    assert "no well-formed XML" in message_of(path) and "--incomplete" in message_of(path)
    read = read_e142 if write is e142 else read_g85
    table = read(path, incomplete=True)
    assert table[["x", "y", "bin"]].to_numpy().tolist() == [[1, 0, 1]]
    assert table.attrs["wafers"][0]["n_missing"] == 2
    assert "the XML ends too early" in table.attrs["notes"][-1]


def test_totals_of_a_device_with_several_maps_are_not_compared(wafer_file):
    text = g85(FIVE, [("1", "Pass", 50)]).replace("<Data>", '<Data MapName="a">')
    text = text.replace("</Data>", '</Data><Data MapName="b"><Row>1</Row></Data>')
    assert len(read_g85(wafer_file(text), map_name="b")) == 1


def test_bins_may_stand_within_the_map(wafer_file):
    # galaxysemi, find_string id 20674047666: each Data has its own Bin elements.
    bins = '<Bin BinCode="1" BinQuality="PASS" BinCount="6"/>'
    text = g85(FIVE, []).replace("<Data>", f'<Data MapName="ECM">{bins}')
    assert "bin 1 has 5 dies of 6" in message_of(wafer_file(text), read_g85)


def test_good_devices_are_compared(wafer_file):
    text = e142(FIVE, LETTERS, substrate="<GoodDevices>{}</GoodDevices>")
    path = wafer_file(text.format(6))
    assert "it declares 6 passing dies and has 5. Fetch the file again" in message_of(path)
    table = read_e142(path, incomplete=True)
    assert table.attrs["wafers"][0]["n_missing"] == 1
    for enough in (5, 4, "", "?"):
        assert len(read_e142(wafer_file(text.format(enough)))) == 6


def test_good_devices_of_several_maps_are_not_compared(wafer_file):
    text = e142(FIVE, LETTERS, substrate="<GoodDevices>10</GoodDevices>")
    start, end = text.index("<SubstrateMap "), text.index("</SubstrateMaps>")
    assert len(read_e142(wafer_file(text[:end] + text[start:]))) == 12


def test_good_devices_do_not_count_open_bins(wafer_file):
    text = e142(FIVE, LETTERS[1:], substrate="<GoodDevices>5</GoodDevices>")
    assert len(read_e142(wafer_file(text))) == 6


# --- facts --------------------------------------------------------------------------------------


def facts_of(path, read):
    (facts,) = read(path).attrs["wafers"]
    return facts


def test_g85_facts_are_those_of_the_header(wafer_file):
    # ProductID and the 16 digits: a TDK file in mametNg/WaferMap-Convert.
    device = ' ProductID="CURA1" CreateDate="2025092609485900" Orientation="90"'
    facts = facts_of(wafer_file(g85(FIVE, LETTERS, device=device)), read_g85)
    assert facts["product"] == "CURA1" and facts["notch"] == "left"
    assert facts["time"] == seconds_since_1970("2025-09-26 09:48:59")
    assert facts["extent"] == (0, 0, 2, 4)
    assert facts["x_right"] and facts["y_down"]


def test_g85_time_may_stand_at_the_map(wafer_file):
    text = g85(FIVE, LETTERS).replace("<Data>", '<Data CreateDate="20240902081844">')
    assert facts_of(wafer_file(text), read_g85)["time"] == seconds_since_1970("20240902081844")


def test_e142_facts_are_those_of_layout_and_substrate(wafer_file):
    text = e142(
        FIVE,
        LETTERS,
        layout="<ProductId> VP9919 </ProductId>",
        substrate="<CreateDate>2022-09-28T16:25:07</CreateDate>",
        attributes='Orientation="180" OriginLocation="LowerLeft"',
    )
    facts = facts_of(wafer_file(text), read_e142)
    assert facts["product"] == "VP9919" and facts["notch"] == "up"
    assert facts["time"] == seconds_since_1970("20220928162507")


def test_what_is_not_said_is_none(form):
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
def test_the_notch_counts_clockwise_from_the_bottom(text, expected):
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
def test_a_time_is_read_in_common_forms(text, seconds):
    assert seconds_since_1970(text) == seconds


def test_a_wafer_twice_in_a_file_has_one_entry(wafer_file):
    one = g85(FIVE, [("1", "Pass", 6), ("X", "Fail", 1)], device=' CreateDate="20240101"')
    text = f"<Maps>{one}{one.replace('20240101', '20240102')}</Maps>"
    (facts,) = read_g85(wafer_file(text), incomplete=True).attrs["wafers"]
    assert facts["n_missing"] == 2 and facts["time"] == seconds_since_1970("20240102")


# --- directions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "x", "y", "right_and_down"),
    [
        ("UpperLeft", [0, 2], [0, 1], (True, True)),
        ("LowerLeft", [0, 2], [1, 0], (True, False)),
        ("UpperRight", [2, 0], [0, 1], (False, True)),
        ("LowerRight", [2, 0], [1, 0], (False, False)),
        ("", [0, 2], [0, 1], (True, True)),
    ],
)
def test_e142_counts_from_the_corner_it_names(wafer_file, origin, x, y, right_and_down):
    text = e142(["1..", "..X"], LETTERS, attributes=f'OriginLocation="{origin}"')
    table = read_e142(wafer_file(text))
    assert (table["x"].tolist(), table["y"].tolist()) == (x, y)
    facts = table.attrs["wafers"][0]
    assert (facts["x_right"], facts["y_down"]) == right_and_down
    assert facts["extent"] == (0, 0, 2, 3)


def test_an_axis_against_its_origin_counts_down(wafer_file):
    attributes = 'OriginLocation="UpperLeft" AxisDirection="UpRight"'
    table = read_e142(wafer_file(e142(["1..", "..X"], LETTERS, attributes=attributes)))
    assert table["y"].tolist() == [0, -1]
    assert table.attrs["wafers"][0]["extent"] == (0, -1, 2, 3)


def test_axes_without_an_origin_begin_in_their_corner(wafer_file):
    text = e142(["1..", "..X"], LETTERS, attributes='AxisDirection="UpLeft"')
    table = read_e142(wafer_file(text))
    assert (table["x"].tolist(), table["y"].tolist()) == ([2, 0], [1, 0])


def points(*dies):
    return "".join(f'<BinCode X="{x}" Y="{y}">{code}</BinCode>' for x, y, code in dies)


COORDINATES = {"map_type": 'MapType="Coordinate"', "codes": points((0, 1, "1"), (2, 0, "X"))}


@pytest.mark.parametrize(
    ("attributes", "right_and_down"),
    [
        ('AxisDirection="UpRight"', (True, False)),
        ('AxisDirection="DownLeft"', (False, True)),
        ('OriginLocation="UpperRight"', (False, True)),
        ("", (True, False)),
    ],
)
def test_e142_coordinates_have_a_direction(wafer_file, attributes, right_and_down):
    text = e142([], LETTERS, attributes=attributes, **COORDINATES)
    table = read_e142(wafer_file(text))
    facts = table.attrs["wafers"][0]
    assert (facts["x_right"], facts["y_down"]) == right_and_down
    assert bool(table.attrs["notes"]) == (attributes == "")


def test_the_same_wafer_by_rows_and_by_coordinates_agrees(wafer_file):
    # Rows from the lower left, and points with y upwards, are one picture.
    by_rows = e142(["1..", "..X"], LETTERS, size=(2, 3), attributes='OriginLocation="LowerLeft"')
    by_points = e142([], LETTERS, size=(2, 3), attributes='AxisDirection="UpRight"', **COORDINATES)
    tables = [read_e142(wafer_file(text)) for text in (by_rows, by_points)]
    assert rows(tables[0]) == rows(tables[1])
    facts = [table.attrs["wafers"][0] for table in tables]
    assert facts[0] == facts[1]


def test_the_frame_of_points_is_that_of_the_layout(wafer_file):
    def extent(*dies):
        text = e142([], LETTERS, size=(4, 5), map_type='MapType="Coordinate"', codes=points(*dies))
        return read_e142(wafer_file(text)).attrs["wafers"][0]["extent"]

    assert extent((0, 0, "1"), (2, 1, "X")) == (0, 0, 4, 5)
    assert extent((1, 1, "1"), (2, 2, "X")) == (0, 0, 4, 5)
    assert extent((1, 1, "1"), (5, 4, "X")) == (1, 1, 4, 5)
    assert extent((-3, 0, "1"), (2, 1, "X")) is None


def test_runs_of_dies_go_along_x(wafer_file):
    codes = points((1, 0, "11"), (0, 1, "1X11"))
    text = e142([], LETTERS, map_type='MapType="Row"', codes=codes)
    assert drawn(read_e142(wafer_file(text))) == [".11.", "1X11"]


def test_an_array_is_split_by_the_layout(wafer_file):
    array = {"map_type": 'MapType="Array"'}
    text = e142([".11.1X11"], LETTERS, size=(2, 4), **array)
    assert drawn(read_e142(wafer_file(text))) == FIVE
    message = message_of(wafer_file(e142([".11.1X11"], LETTERS, **array)))
    assert "the layout has no Dimension" in message


def test_an_unknown_map_type_is_named(wafer_file):
    text = e142(FIVE, LETTERS, map_type='MapType="Spiral"')
    assert "MapType 'Spiral' is not read; known are 2DArray" in message_of(wafer_file(text))


# --- XML: encodings and envelopes ---------------------------------------------------------------

NAMES = {
    "gb2312": "批次1",
    "gbk": "批次1",
    "gb18030": "批次1",
    "shift_jis": "ロット1",
    "euc-jp": "ロット1",
    "euc-kr": "로트1",
    "cp949": "로트1",
    "big5": "批次1",
    "iso-8859-1": "Bür",
    "windows-1252": "Bür€",
    "utf-16": "批次1",
    "utf-16-le": "批次1",
    "utf-16-be": "批次1",
    "utf-8-sig": "批次1",
    # "utf 8" and "utf8": artwork.com's page on G81, cpython issue 148821.
    "utf 8": "批次1",
    "utf8": "批次1",
}


def encoded(name, lot, text=None):
    text = (text or map_files.G85).replace('"L"', f'"{lot}"').split("?>", 1)[1]
    return f'<?xml version="1.0" encoding="{name}"?>{text}'.encode(name)


@pytest.mark.parametrize("name", NAMES)
def test_declared_encodings_are_read(wafer_file, name):
    # cpython issue 62259, sublimetext_indentxml issue 104: "multi-byte encodings are not
    # supported".
    assert set(read_g85(wafer_file(encoded(name, NAMES[name])))["lot"]) == {NAMES[name]}


@pytest.mark.parametrize("name", ["gb2312", "shift_jis", "iso-8859-1"])
def test_e142_is_read_in_its_encoding(wafer_file, name):
    content = encoded(name, "L", map_files.E142.replace(" L ", NAMES[name]))
    assert set(read_e142(wafer_file(content))["lot"]) == {NAMES[name]}


def test_an_encoding_may_be_given(wafer_file):
    content = encoded("cp949", "로트1").replace(b'encoding="cp949"', b"")
    message = message_of(wafer_file(content), read_g85)
    assert "its text is not UTF-8, and it declares no other encoding. Give its encoding" in message
    assert set(read_g85(wafer_file(content), encoding="cp949")["lot"]) == {"로트1"}
    assert "it is not text in utf-8" in message_of(wafer_file(content), read_g85, encoding="utf-8")


@pytest.mark.parametrize("name", ["klingon", "rot13", "base64", "idna", "punycode"])
def test_an_unknown_encoding_is_named_with_the_remedy(wafer_file, name):
    content = f'<?xml version="1.0" encoding="{name}"?><Map/>'
    message = message_of(wafer_file(content), read_g85)
    assert (
        f"its encoding '{name}' is unknown. Give its encoding with encoding= (--encoding" in message
    )


def test_a_name_beyond_the_declared_set_is_read():
    # nokogiri issue 1441: declared as gb2312, written in GBK.
    content = '<?xml version="1.0" encoding="gb2312"?><a>屌</a>'.encode("gbk")
    assert "屌" in decode_xml(content)


@pytest.mark.parametrize("name", ["gb2312", "utf-16", "us-ascii"])
def test_utf_8_that_declares_another_encoding_is_read(name):
    # sax-js pull request 283 and others: a declaration left over from the text in memory.
    content = f'<?xml version="1.0" encoding="{name}"?><a>批</a>'.encode()
    for even_or_odd in (content, content + b" "):
        assert "批" in decode_xml(even_or_odd)


def test_text_of_another_encoding_than_declared_is_named():
    with pytest.raises(Problem, match="its text is not in utf-8, as it declares. Give its"):
        decode_xml(b'<?xml version="1.0" encoding="utf-8"?><a>\xb9\xab</a>')


def test_a_cut_utf_16_text_is_named(wafer_file):
    content = encoded("utf-16", "L")[:-1]
    assert "its UTF-16 text is damaged or cut short" in message_of(wafer_file(content), read_g85)


def test_lines_before_the_declaration_are_passed_over(wafer_file):
    assert len(read_g85(wafer_file("\n\n" + map_files.G85))) == 4


def test_a_declaration_does_not_move_line_numbers(wafer_file):
    text = map_files.G85.replace("<Data ", "<NoData ")
    assert message_of(wafer_file(text), read_g85).startswith("line 7: it is no well-formed XML")


@pytest.mark.parametrize("name", ["utf-8", "utf-16", "gb2312"])
def test_a_document_type_is_refused_in_every_encoding(wafer_file, name):
    text = f'<?xml version="1.0" encoding="{name}"?><!DOCTYPE Map [<!ENTITY a "b">]><Map>&a;</Map>'
    assert "it declares a document type" in message_of(wafer_file(text.encode(name)), read_g85)


ENVELOPES = {
    "soap": "<s:Envelope xmlns:s='x'><s:Body><Download>{}</Download></s:Body></s:Envelope>",
    "text": "<Response><Result>{}</Result></Response>",
}


@pytest.mark.parametrize("write", [g85, e142])
@pytest.mark.parametrize("envelope", ENVELOPES)
def test_a_map_within_a_message_is_found(wafer_file, write, envelope):
    text = write(FIVE, LETTERS)
    if envelope == "text":
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    path = wafer_file(ENVELOPES[envelope].format(text))
    assert drawn(xml_file(Content(path), ReadOptions()).table) == FIVE


def test_a_message_may_hold_several_maps(wafer_file):
    two = g85(FIVE, LETTERS) + g85(FIVE, LETTERS, wafer="W2")
    table = read_g85(wafer_file(f"<Transaction><Lot>{two}</Lot></Transaction>"))
    assert table["wafer"].unique().tolist() == ["W1", "W2"]


def test_another_root_is_named(wafer_file):
    path = wafer_file("<html><body>Not found</body></html>")
    assert "the root element is 'html', expected 'Map' or 'Maps'" in message_of(path, read_g85)
    assert "the root element is 'html', expected 'MapData'" in message_of(path, read_e142)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"<?xml", True),
        (b"\xef\xbb\xbf\n <Map", True),
        ("<Map".encode("utf-16-be"), True),
        ("<Map".encode("utf-16"), True),
        (b"LOT:<", False),
        (b"", False),
    ],
)
def test_xml_is_told_by_its_first_sign(head, expected):
    assert looks_like_xml(head) is expected


# --- what is written is read --------------------------------------------------------------------


def table_of(bins, passed):
    x = np.arange(len(bins))
    table = {"lot": "로트 <1>", "wafer": "批 & 次", "x": x, "y": x % 2, "bin": bins}
    return pd.DataFrame(table | {"passed": passed})


@pytest.mark.parametrize(
    "table",
    [
        table_of([1, 2, 3], [True, False, False]),
        table_of([1, 2, 3], [False, False, False]),
        table_of(["a", "b"], [False, False]),
        table_of(list(range(256)), [True] + [False] * 255),
        table_of(list(range(255)), [False] * 255),
        table_of(list(".-_ABCDEFGHIJKLMNOPQRSTUVWXYZ"), [True] * 29),
    ],
)
def test_what_write_g85_writes_is_read_as_it_was(tmp_path, table):
    write_g85(tmp_path / "w.xml", table)
    back = read_g85(tmp_path / "w.xml")
    key = ["y", "x"]
    assert rows(back.sort_values(key)) == rows(table.sort_values(key))


def test_a_blank_is_no_bin_that_can_be_written(tmp_path):
    with pytest.raises(ValueError, match="bin ' ' does not fit into this format"):
        write_g85(tmp_path / "w.xml", table_of(["1", " "], [True, False]))


def test_letters_pass_by_their_digit(wafer_file):
    # galaxysemi's importer: a map without Bin elements, bin 1 is the good one.
    table = read_wafers(wafer_file(g85(FIVE, [], size=(2, 4))))
    assert from_die_table(table, pass_bins=["1"]).maps[0].tolist() == [[0, 1, 1, 0], [1, 2, 1, 1]]
