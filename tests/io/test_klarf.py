import map_files
import pytest
from die_tables import facts
from format_samples import DIES_BY_FORMAT, changed_text
from map_files import message_of, rows

from camdenoise.io import (
    read_klarf,
    read_wafers,
)

# A wafer of four dies with three defects on two of them.
WAFER = """FileVersion 1 2;
FileTimestamp 02-01-2020 00:00:00;
ResultTimestamp 01-31-20 12:00:00;
LotID "NA";
DeviceID "P7";
OrientationMarkLocation DOWN;
WaferID "001";
SampleTestPlan 4
 0 0
 1 0
 0 1
 1 1;
DefectRecordSpec 4 DEFECTID XINDEX YINDEX TEST ;
DefectList
 1 0 0 1
 2 0 0 1
 3 1 1 2;
SummarySpec 5
 TESTNO NDEFECT DEFDENSITY NDIE NDEFDIE ;
SummaryList
 1 2 0.1 4 1
 2 1 0.1 4 1 ;
EndOfFile;
"""
DIES = [
    ("NA", "001", 0, 0, 2, False),
    ("NA", "001", 1, 0, 0, True),
    ("NA", "001", 0, 1, 0, True),
    ("NA", "001", 1, 1, 1, False),
]


# --- totals ---------------------------------------------------------------------------------------


def test_klarf_totals_that_agree_are_accepted(wafer_file):
    table = read_klarf(wafer_file(WAFER))
    assert rows(table) == DIES
    assert facts(table)["n_missing"] == 0 and table.attrs["notes"] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2 1 0.1 4 1 ;", "2 0 0.1 3 1 ;"),
        ("SummaryList\n 1 2", "SummaryList\n 1 n/a"),
        ("SummaryList\n 1 2 0.1 4 1\n", "SummaryList\n"),
        ("SummarySpec 5\n TESTNO", "SummarySpec 4\n"),
        # btrapp/jklarfreader, klarf12Example.klarf: NDIE and NDEFDIE are 0.
        ("0.1 4 1", "0.1 0 0"),
    ],
)
def test_klarf_more_rows_than_declared_are_accepted(wafer_file, old, new):
    assert rows(read_klarf(wafer_file(changed_text(WAFER, old, new)))) == DIES


def test_fewer_defects_than_declared_are_an_error(wafer_file):
    # Impro02/wafermap-clustering, klarf_no_defect.000: 40 defects declared, none listed.
    path = wafer_file(changed_text(WAFER, " 3 1 1 2;", ";"))
    message = message_of(path, read_klarf)
    assert message.startswith(
        "wafer '001': the file lists 2 defects, its summary counts 3. Fetch the file"
    )
    assert "incomplete=True (--incomplete)" in message
    table = read_klarf(path, incomplete=True)
    assert facts(table)["n_missing"] == 1
    assert table.attrs["notes"] == ["wafer '001': the file lists 2 defects, its summary counts 3."]


def test_too_few_inspected_dies_are_refused(wafer_file):
    path = wafer_file(changed_text(WAFER, "Plan 4\n 0 0\n 1 0\n", "Plan 2\n"))
    message = message_of(path, read_klarf)
    assert "the file lists 2 inspected dies, its summary counts 4" in message
    assert facts(read_klarf(path, incomplete=True))["n_missing"] == 2


def test_dies_given_by_the_user_are_not_counted(wafer_file):
    start, end = WAFER.index("SampleTestPlan"), WAFER.index("DefectRecordSpec")
    path = wafer_file(WAFER[:start] + WAFER[end:])
    table = read_klarf(path, inspected=[[0, 0], [1, 0]])
    assert len(table) == 3 and facts(table)["n_missing"] == 0


def test_summary_belongs_to_the_wafer_before_it(wafer_file):
    body = WAFER[WAFER.index("WaferID") : WAFER.index("EndOfFile")]
    clean = 'WaferID "2";\nSampleTestPlan 1 0 0;\nDefectList;\nSummaryList 1 0 0 1 0;\n'
    table = read_klarf(wafer_file(changed_text(WAFER, body, clean + body)))
    assert table.groupby("wafer")["bin"].sum().to_dict() == {"2": 0, "001": 3}


# The reader of version 1.8 with a summary.
SUMMARY_18 = """
      Record SummaryRecord
      {
        List TestSummaryList
        {
          Columns 3 { int32 TESTNO, int32 NDEFECT, int32 NDIE }
          Data 2 { 1 2 4; 2 2 1; }
        }
      }
"""


WAFER_18 = map_files.KLARF_18.replace(
    '      Record TestRecord "1"', SUMMARY_18 + '      Record TestRecord "1"'
)


def test_fewer_defects_in_version_18_are_an_error(wafer_file):
    path = wafer_file(WAFER_18)
    message = message_of(path, read_klarf)
    assert message.startswith("wafer 'W1': the file lists 3 defects, its summary counts 4.")
    assert facts(read_klarf(path, incomplete=True))["n_missing"] == 1


def test_version_18_selected_defects_are_noted(wafer_file):
    # btrapp/jklarfreader, the example of version 1.8: DEFECTID 2, 3 and 128 of 8 defects.
    table = read_klarf(wafer_file(changed_text(WAFER_18, "3 5 5 N;", "128 5 5 N;")))
    assert facts(table)["n_missing"] == 0
    assert "lists 3 of 4 defects, a selection by its DEFECTID" in table.attrs["notes"][0]


# --- files that are cut short ---------------------------------------------------------------------


@pytest.mark.parametrize("cut", [" 3 1", "SummarySpec", "EndOfFile"])
def test_truncated_file_is_read_on_request(wafer_file, cut):
    path = wafer_file(WAFER[: WAFER.index(cut) + len(cut)])
    assert "incomplete=True (--incomplete)" in message_of(path, read_klarf)
    table = read_klarf(path, incomplete=True)
    assert table["bin"].tolist() == [2, 0, 0, 1 if cut != " 3 1" else 0]
    assert "The file ends before its EndOfFile. What it holds was read." in table.attrs["notes"]


def test_short_sample_plan_is_read_on_request(wafer_file):
    path = wafer_file(changed_text(WAFER, "Plan 4", "Plan 6"))
    assert "it claims 6 items and has 4. Fetch" in message_of(path, read_klarf)
    table = read_klarf(path, incomplete=True)
    assert rows(table) == DIES and facts(table)["n_missing"] == 2


def test_truncated_version_18_is_read_on_request(wafer_file):
    end = map_files.KLARF_18.index("0 -1;")
    path = wafer_file(map_files.KLARF_18[:end])
    assert "the file ends within a record" in message_of(path, read_klarf)
    table = read_klarf(path, incomplete=True)
    assert table[["x", "y"]].to_numpy().tolist() == [[-1, 0], [0, 0], [1, 0], [5, 5]]
    assert "The file ends before its EndOfFile" in table.attrs["notes"][0]


# --- files in the wild ----------------------------------------------------------------------------


def test_clean_wafer_needs_no_die_columns(wafer_file):
    # Impro02/wafermap-clustering, BOO_LOO_02_dbscan_no_defect.000.
    start, end = WAFER.index("DefectRecordSpec"), WAFER.index("EndOfFile")
    spec = "DefectRecordSpec 2 DEFECTID DYN_CLUSTER_ID ;\nDefectList;\n"
    table = read_klarf(wafer_file(WAFER[:start] + spec + WAFER[end:]))
    assert len(table) == 4 and table["passed"].all()


def test_version_18_clean_wafer_needs_no_die_columns(wafer_file):
    text = map_files.KLARF_18
    start, end = text.index("        Columns 4"), text.index('      Record TestRecord "1"')
    empty = "        Columns 1 { int32 DEFECTID }\n Data 0 { } }\n"
    table = read_klarf(wafer_file(text[:start] + empty + text[end:]))
    assert len(table) == 4 and table["passed"].all()


def test_rows_with_semicolons_are_not_statements(wafer_file):
    # Writers of test data end each row so (found by the keyword SummaryList in public code);
    # all defects but the first were lost in silence.
    text = WAFER.replace(" 1 0 0 1\n 2 0 0 1\n", " 1 0 0 1;\n 2 0 0 1;\n")
    text = changed_text(text, " 0 0\n 1 0\n", " 0 0;\n 1 0;\n").replace("Plan 4", "Plan 4;")
    assert rows(read_klarf(wafer_file(text))) == DIES


def test_errors_in_rows_with_semicolons_name_the_line(wafer_file):
    text = WAFER.replace(" 1 0 0 1\n 2 0 0 1\n", " 1 0 0 1;\n 2 0 zero 1;\n")
    assert "line 16, DefectList: 'zero' is not a die index" in message_of(
        wafer_file(text), read_klarf
    )


def test_image_names_among_defects_are_skipped(wafer_file):
    # https://github.com/MichaelHotaling/klarfkit/issues/7
    text = changed_text(WAFER, " 2 0 0 1\n", ' FILENAME "a.jpg"\n 2 0 0 1\n FILENAME b.jpg;\n')
    assert rows(read_klarf(wafer_file(text))) == DIES


def test_last_column_keeps_its_name(wafer_file):
    # https://github.com/MichaelHotaling/klarfkit/pull/9: IMAGELIST became IMAGELIS.
    text = changed_text(WAFER, "4 DEFECTID XINDEX YINDEX TEST ;", "4 DEFECTID TEST XINDEX YINDEX;")
    text = text.replace(" 1 0 0 1\n 2 0 0 1\n 3 1 1 2;", " 1 1 0 0\n 2 1 0 0\n 3 2 1 1;")
    assert rows(read_klarf(wafer_file(text))) == DIES


def test_defects_may_come_in_several_lists(wafer_file):
    # btrapp/jklarfreader, klarf12DefectListExample.klarf: one list for each picture file.
    text = changed_text(WAFER, " 2 0 0 1\n", ";\nTiffFileName b.tif;\nDefectList\n 2 0 0 1\n")
    text = text.replace(" 1 0 0 1\n;", " 1 0 0 1;")
    assert rows(read_klarf(wafer_file(text))) == DIES


# --- what else a file says ------------------------------------------------------------------------


def test_klarf_metadata_of_a_wafer_is_read(wafer_file):
    wafer = facts(read_klarf(wafer_file(WAFER)))
    assert (wafer["lot"], wafer["wafer"], wafer["product"]) == ("NA", "001", "P7")
    assert (wafer["x_right"], wafer["y_down"], wafer["notch"]) == (True, False, "down")
    assert wafer["time"] == 1580472000.0  # 2020-01-31 12:00
    assert wafer["extent"] is None


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("ResultTimestamp 01-31-2020 12:00:00;", 1580472000),
        # https://github.com/MichaelHotaling/klarfkit/issues/7
        ("ResultTimestamp 2020-01-31T12:00:00;", 1580472000),
        ("ResultTimestamp 2020-01-31;", 1580428800),
        ("ResultTimestamp at noon;", 1580515200),
        ("", 1580515200),
    ],
)
def test_times_are_read_in_all_forms(wafer_file, written, seconds):
    text = changed_text(WAFER, "ResultTimestamp 01-31-20 12:00:00;", written)
    assert facts(read_klarf(wafer_file(text)))["time"] == seconds


def test_version_18_metadata_comes_from_outer_records(wafer_file):
    text = map_files.KLARF_18.replace(
        'Field DeviceID 1 {"aDevice"}',
        'Field DeviceID 1 {"aDevice"}\n Field ResultTimestamp 2 {"01-31-2020", "12:00:00"}\n'
        " Field OrientationMarkLocation 1 {0}",
    )
    table = read_klarf(wafer_file(text))
    wafer = facts(table)
    assert (wafer["product"], wafer["time"], wafer["notch"]) == ("aDevice", 1580472000, "down")
    assert "OrientationMarkLocation 0 is taken as down" in table.attrs["notes"][0]


@pytest.mark.parametrize(("place", "notch"), [("UP", "up"), ("left", "left"), ("270", None)])
def test_notch_side_is_read_from_words(wafer_file, place, notch):
    table = read_klarf(wafer_file(changed_text(WAFER, "Location DOWN", f"Location {place}")))
    assert facts(table)["notch"] == notch
    assert len(table.attrs["notes"]) == (notch is None)


def test_mirrored_coordinates_leave_the_direction_open(wafer_file):
    table = read_klarf(
        wafer_file(changed_text(WAFER, 'DeviceID "P7";', "CoordinatesMirrored YES;"))
    )
    assert facts(table)["x_right"] is None
    assert "CoordinatesMirrored is not applied" in table.attrs["notes"][0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Plan 4", "Plan 5", "line 6, SampleTestPlan: it claims 5 items and has 4"),
        ("  0 0\n", "  0 0.5\n", "line 6, SampleTestPlan: '0.5' is not a die index"),
        ("  0 -1 ;", "  0 ;", "line 6, SampleTestPlan: it claims 4 items and has 3"),
        ("  0 -1 ;", "  0 -1 7;", "line 6, SampleTestPlan: the last die has one index"),
        # Found by fuzzing: the first coordinate taken for a count of -1.
        ("Plan 4\n", "Plan\n", "line 6, SampleTestPlan: it claims -1 items and has 3"),
        ("Spec 6", "Spec 7", "line 11, DefectRecordSpec: it claims 7 items and has 6"),
        ("XINDEX", "XPOS", "line 12, DefectList: the list has no column ['XINDEX']"),
        (" 1 0.5 -1 0 7 0\n", " 1 0.5 -1\n", "line 13, DefectList: the defect has 3 fields"),
        (" 1 0.5 -1 0", " 1 0.5 x 0", "line 13, DefectList: 'x' is not a die index"),
        ("FileVersion 1 2", "FileVersion 2 0", "version '2 0' is not read; 1.1, 1.2 and 1.8 are"),
        ("EndOfFile;", "", "there is no EndOfFile. Fetch the file again"),
        ("EndOfFile;", "EndOfFile", "line 21: the last statement has no end"),
        ('WaferID "W1";', "", "line 12, DefectList: there is no WaferID before it"),
    ],
)
def test_klarf_1_errors_name_the_line(wafer_file, old, new, message):
    assert message in message_of(wafer_file(changed_text(map_files.KLARF_12, old, new)), read_klarf)


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
        (" 1 -1 0 N", " 1 -1x 0 N", "'-1x' is not a die index"),
    ],
)
def test_klarf_18_errors_name_the_line(wafer_file, old, new, message):
    assert message in message_of(wafer_file(changed_text(map_files.KLARF_18, old, new)), read_klarf)


def test_klarf_without_inspected_dies_names_remedy(wafer_file):
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
    text = changed_text(map_files.KLARF_12, "FileVersion 1 2", "FileVersion 1 1")
    assert rows(read_wafers(wafer_file(text))) == DIES_BY_FORMAT["klarf12"]


def test_real_klarf_12_counts_unlisted_dies(formats):
    path = formats / "klarf12.000"
    whole = read_klarf(path)
    # Of the 56 dies with a defect on one wafer or another all are among the nearest 4306.
    assert whole.groupby("wafer").size().tolist() == [4306] * 3
    assert "the 4306 dies nearest to the center are taken" in whole.attrs["notes"][0]
    table = read_klarf(path, inspected=[[100, 100]])
    assert table.groupby("wafer")["bin"].sum().to_dict() == {"02": 56, "06": 36, "01": 95}
    defective = table[~table["passed"]].groupby("wafer").size()
    assert defective.to_dict() == {"02": 37, "06": 22, "01": 58}  # NDEFDIE of the file


def test_real_klarf_18_is_read(formats):
    path = formats / "klarf18.klarf"
    notes = read_klarf(path).attrs["notes"]
    assert any("those of wafer 'FirstWaferId' are taken" in note for note in notes)
    table = read_klarf(path, inspected=[[0, 0]])
    assert table["lot"].unique().tolist() == ["aLot.String"]
    assert table.groupby("wafer")["bin"].agg(["size", "sum"]).to_numpy().tolist() == [
        [12, 3],
        [2, 1],
    ]
