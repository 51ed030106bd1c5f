"""G85 as XML: what its header says, what is written, real files."""

import map_files
import numpy as np
import pandas as pd
import pytest
from die_tables import facts
from format_samples import DIES_BY_FORMAT, changed_text
from map_files import message_of, rows
from semi_map_files import FIVE, LETTERS, g85

from camdenoise.io import (
    from_die_table,
    read_g85,
    read_wafers,
    write_g85,
)
from camdenoise.io._semi_map import seconds_since_1970


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("001 007", "001 7x7", "wafer 'W1', row 0: '7x7' in column 2 is not a decimal bin code"),
        (
            "001 255 012",
            "001 255",
            "wafer 'W1', row 1: it has 2 dies, expected 3. Is it cut short?",
        ),
        ('"Decimal"', '"Roman"', "wafer 'W1': BinType 'Roman' is unknown; known are"),
        ('"007"', '"1"', "wafer 'W1': bin 1 is defined as 'Pass' and as 'Fail'"),
        ('"007"', '"0 7"', "'0 7' is no Decimal bin code"),
        ('Rows="2"', 'Rows="-2"', "Rows is '-2', expected a whole number"),
        ("<Data", "<NoData", "it is not well-formed XML (mismatched tag"),
        ("Map WaferId", "Chart WaferId", "it is not well-formed XML"),
        (
            "255 001 007 ]]></Row><Row>001 255 012",
            "255 255 255]]></Row><Row>255 255 255",
            "bin 1 has 0",
        ),
    ],
)
def test_g85_errors_name_wafer_and_row(wafer_file, old, new, message):
    assert message in message_of(wafer_file(changed_text(map_files.G85, old, new)), read_g85)


def test_g85_bin_type_is_inferred_from_codes(wafer_file):
    text = changed_text(map_files.G85, 'BinType="Decimal" ', "")
    assert rows(read_g85(wafer_file(text))) == DIES_BY_FORMAT["g85"]
    text = text.replace('"255"', '"25"')
    assert rows(read_g85(wafer_file(map_files.G85.replace(' NullBin="255"', ""))))[0][4] == 255
    assert "row 0" in message_of(wafer_file(text), read_g85)


def test_g85_map_without_names_is_read(wafer_file):
    text = '<Map><Device BinType="Ascii" NullBin=" "><Data><Row> 1X</Row></Data></Device></Map>'
    table = read_g85(wafer_file(text, "P6AB36-01.xml.gz"))
    assert rows(table) == [("", "P6AB36-01", 1, 0, "1", None), ("", "P6AB36-01", 2, 0, "X", None)]


def test_g85_prefixes_of_namespaces_are_ignored(wafer_file):
    text = map_files.G85.replace("<Map ", '<s:Map xmlns:s="http://www.semi.org" ')
    text = text.replace("</Map>", "</s:Map>").replace("Device", "s:Device")
    assert rows(read_g85(wafer_file(text))) == DIES_BY_FORMAT["g85"]


def test_g85_wafer_with_two_maps_asks_for_a_choice(wafer_file):
    extra = '</Data><Data MapName="Ink"><Row>255 255 255</Row><Row>255 255 001</Row></Data>'
    path = wafer_file(changed_text(map_files.G85, "</Data>", extra))
    assert "it has the maps ['Map', 'Ink']. Name one of them with map_name=" in message_of(path)
    assert rows(read_g85(path, map_name="Ink")) == [("L", "W1", 2, 1, 1, True)]
    assert "Name one of them" in message_of(path, read_g85, map_name="Pick")


def test_real_g85_is_read(formats, tmp_path):
    table = read_wafers(formats / "g85_1101.xml")
    counts = table.groupby("bin")["passed"].agg(["size", "first"])
    assert counts["size"].to_dict() == {0x00: 2765, 0xDE: 38, 0xAD: 5}
    assert counts["first"].to_dict() == {0x00: True, 0xDE: False, 0xAD: False}
    write_g85(tmp_path / "again.xml", table)
    pd.testing.assert_frame_equal(read_wafers(tmp_path / "again.xml"), table, check_flags=False)


def test_g85_totals_of_several_maps_are_ignored(wafer_file):
    text = g85(FIVE, [("1", "Pass", 50)]).replace("<Data>", '<Data MapName="a">')
    text = text.replace("</Data>", '</Data><Data MapName="b"><Row>1</Row></Data>')
    assert len(read_g85(wafer_file(text), map_name="b")) == 1


def test_g85_bins_within_the_map_are_read(wafer_file):
    # galaxysemi, find_string id 20674047666: each Data has its own Bin elements.
    bins = '<Bin BinCode="1" BinQuality="PASS" BinCount="6"/>'
    text = g85(FIVE, []).replace("<Data>", f'<Data MapName="ECM">{bins}')
    assert "bin 1 has 5 dies of 6" in message_of(wafer_file(text), read_g85)


def test_g85_metadata_comes_from_the_header(wafer_file):
    # ProductID and the 16 digits: a TDK file in mametNg/WaferMap-Convert.
    device = ' ProductID="CURA1" CreateDate="2025092609485900" Orientation="90"'
    found = facts(read_g85(wafer_file(g85(FIVE, LETTERS, device=device))))
    assert found["product"] == "CURA1" and found["notch"] == "left"
    assert found["time"] == seconds_since_1970("2025-09-26 09:48:59")
    assert found["extent"] == (0, 0, 2, 4)
    assert found["x_right"] and found["y_down"]


def test_g85_time_at_the_map_is_read(wafer_file):
    text = g85(FIVE, LETTERS).replace("<Data>", '<Data CreateDate="20240902081844">')
    assert facts(read_g85(wafer_file(text)))["time"] == seconds_since_1970("20240902081844")


def test_g85_wafer_listed_twice_has_one_entry(wafer_file):
    one = g85(FIVE, [("1", "Pass", 6), ("X", "Fail", 1)], device=' CreateDate="20240101"')
    text = f"<Maps>{one}{one.replace('20240101', '20240102')}</Maps>"
    (facts,) = read_g85(wafer_file(text), incomplete=True).attrs["wafers"]
    assert facts["n_missing"] == 2 and facts["time"] == seconds_since_1970("20240102")


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
def test_write_g85_output_is_read_back(tmp_path, table):
    write_g85(tmp_path / "w.xml", table)
    back = read_g85(tmp_path / "w.xml")
    key = ["y", "x"]
    assert rows(back.sort_values(key)) == rows(table.sort_values(key))


def test_write_g85_refuses_a_blank_bin(tmp_path):
    with pytest.raises(ValueError, match="bin ' ' does not fit into this format"):
        write_g85(tmp_path / "w.xml", table_of(["1", " "], [True, False]))


def test_g85_letter_bins_pass_by_their_digit(wafer_file):
    # galaxysemi's importer: a map without Bin elements, bin 1 is the good one.
    table = read_wafers(wafer_file(g85(FIVE, [], size=(2, 4))))
    assert from_die_table(table, pass_bins=["1"]).maps[0].tolist() == [[0, 1, 1, 0], [1, 2, 1, 1]]
