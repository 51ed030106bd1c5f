"""SEMI E142: coordinates, directions, layouts, good devices."""

import map_files
import pytest
from die_tables import facts
from format_samples import changed_text
from map_files import message_of, rows
from semi_map_files import FIVE, LETTERS, drawn, e142, points

from camdenoise.io import (
    read_e142,
)
from camdenoise.io._semi_map import seconds_since_1970


def test_e142_by_coordinates_is_read(wafer_file):
    start, end = map_files.E142.index("     <BinCode>"), map_files.E142.index("    </BinCodeMap>")
    dies = '<BinCode X="-4" Y="12">01</BinCode><BinCode X="0" Y="3"> 1F </BinCode>'
    text = map_files.E142[:start] + dies + map_files.E142[end:]
    text = changed_text(text, 'BinCount="2"', 'BinCount="1"')
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


def test_e142_axis_attributes_are_kept(wafer_file):
    about = read_e142(wafer_file(map_files.E142)).attrs["about"]
    assert about["OriginLocation"] == "UpperRight" and about["AxisDirection"] == "DownLeft"


def test_good_devices_are_compared(wafer_file):
    text = e142(FIVE, LETTERS, substrate="<GoodDevices>{}</GoodDevices>")
    path = wafer_file(text.format(6))
    assert "it declares 6 passing dies and has 5. Fetch the file again" in message_of(path)
    table = read_e142(path, incomplete=True)
    assert table.attrs["wafers"][0]["n_missing"] == 1
    for enough in (5, 4, "", "?"):
        assert len(read_e142(wafer_file(text.format(enough)))) == 6


def test_good_devices_of_several_maps_are_ignored(wafer_file):
    text = e142(FIVE, LETTERS, substrate="<GoodDevices>10</GoodDevices>")
    start, end = text.index("<SubstrateMap "), text.index("</SubstrateMaps>")
    assert len(read_e142(wafer_file(text[:end] + text[start:]))) == 12


def test_good_devices_do_not_count_open_bins(wafer_file):
    text = e142(FIVE, LETTERS[1:], substrate="<GoodDevices>5</GoodDevices>")
    assert len(read_e142(wafer_file(text))) == 6


def test_e142_metadata_comes_from_layout_and_substrate(wafer_file):
    text = e142(
        FIVE,
        LETTERS,
        layout="<ProductId> VP9919 </ProductId>",
        substrate="<CreateDate>2022-09-28T16:25:07</CreateDate>",
        attributes='Orientation="180" OriginLocation="LowerLeft"',
    )
    found = facts(read_e142(wafer_file(text)))
    assert found["product"] == "VP9919" and found["notch"] == "up"
    assert found["time"] == seconds_since_1970("20220928162507")


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
def test_e142_counts_from_the_declared_origin(wafer_file, origin, x, y, right_and_down):
    text = e142(["1..", "..X"], LETTERS, attributes=f'OriginLocation="{origin}"')
    table = read_e142(wafer_file(text))
    assert (table["x"].tolist(), table["y"].tolist()) == (x, y)
    facts = table.attrs["wafers"][0]
    assert (facts["x_right"], facts["y_down"]) == right_and_down
    assert facts["extent"] == (0, 0, 2, 3)


def test_axis_against_its_origin_counts_down(wafer_file):
    attributes = 'OriginLocation="UpperLeft" AxisDirection="UpRight"'
    table = read_e142(wafer_file(e142(["1..", "..X"], LETTERS, attributes=attributes)))
    assert table["y"].tolist() == [0, -1]
    assert table.attrs["wafers"][0]["extent"] == (0, -1, 2, 3)


def test_axes_without_origin_begin_in_their_corner(wafer_file):
    text = e142(["1..", "..X"], LETTERS, attributes='AxisDirection="UpLeft"')
    table = read_e142(wafer_file(text))
    assert (table["x"].tolist(), table["y"].tolist()) == ([2, 0], [1, 0])


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


def test_e142_rows_and_coordinates_agree(wafer_file):
    # Rows from the lower left, and points with y upwards, are one picture.
    by_rows = e142(["1..", "..X"], LETTERS, size=(2, 3), attributes='OriginLocation="LowerLeft"')
    by_points = e142([], LETTERS, size=(2, 3), attributes='AxisDirection="UpRight"', **COORDINATES)
    tables = [read_e142(wafer_file(text)) for text in (by_rows, by_points)]
    assert rows(tables[0]) == rows(tables[1])
    facts = [table.attrs["wafers"][0] for table in tables]
    assert facts[0] == facts[1]


def test_e142_points_use_the_frame_of_the_layout(wafer_file):
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


def test_array_is_split_by_the_layout(wafer_file):
    array = {"map_type": 'MapType="Array"'}
    text = e142([".11.1X11"], LETTERS, size=(2, 4), **array)
    assert drawn(read_e142(wafer_file(text))) == FIVE
    message = message_of(wafer_file(e142([".11.1X11"], LETTERS, **array)))
    assert "the layout has no Dimension" in message


def test_unknown_map_type_is_named(wafer_file):
    text = e142(FIVE, LETTERS, map_type='MapType="Spiral"')
    assert "MapType 'Spiral' is not read; known are 2DArray" in message_of(wafer_file(text))
