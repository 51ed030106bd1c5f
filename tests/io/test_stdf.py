import builtins
import gzip
import struct
import tracemalloc
import zipfile

import pytest
from die_tables import dies, facts, notes
from map_files import bin_record, far, mir, mrr, pcr, prr, record, stdf, text, wcr, wir, wrr

from camdenoise.io import WaferFileError, from_die_table, read_stdf, read_wafers
from camdenoise.io._container import Content
from camdenoise.io._die_file import ReadOptions
from camdenoise.io._stdf import _starts, looks_like_stdf, stdf_file

stdf_convert = pytest.importorskip("stdf_convert")


@pytest.fixture
def read(tmp_path):
    def reader(content, **options):
        (tmp_path / "lot.stdf").write_bytes(content)
        return read_stdf(tmp_path / "lot.stdf", **options)

    return reader


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(read, order):
    parts = [wir(order=order), prr(-3, 300, 2, order=order), prr(1, 2, 1, order=order)]
    table = read(stdf(*parts, order=order))
    assert dies(table) == [["W1", -3, 300, 2, False], ["W1", 1, 2, 1, True]]
    assert table["lot"].tolist() == ["L", "L"]


def test_part_flags_decide_before_bins(read):
    table = read(stdf(wir(), prr(0, 0, 1, flag=8), prr(1, 0, 7, flag=0)))
    assert table["passed"].tolist() == [False, True]


def test_bin_record_decides_without_part_flag(read):
    parts = [prr(n, 0, n, flag=16 + 8) for n in (1, 2, 3, 4)]
    records = [bin_record(40, 1, "P"), bin_record(40, 2, "F"), bin_record(40, 3, " ")]
    passed = read(stdf(wir(), *parts, *records))["passed"]
    assert passed.isna().tolist() == [False, False, True, True]
    assert passed[:2].tolist() == [True, False]


def test_pass_bins_are_required_without_flags(read):
    table = read(stdf(wir(), prr(0, 0, 1, flag=16), prr(1, 0, 2, flag=16)))
    assert table["passed"].isna().all()
    with pytest.raises(ValueError, match="row 0: whether bin 1 passes is not said"):
        from_die_table(table)
    assert from_die_table(table, pass_bins=1).maps[0].tolist() == [[1, 2]]


def test_soft_bins_are_read_on_request(read):
    content = stdf(wir(), prr(0, 0, 1, soft=100, flag=16), bin_record(50, 100, "P"))
    assert dies(read(content, bins="soft")) == [["W1", 0, 0, 100, True]]
    with pytest.raises(ValueError, match="bins must be 'hard' or 'soft'"):
        read(content, bins="both")


def test_parts_without_coordinates_are_left_off_maps(read):
    table = read(stdf(wir(), prr(0, 0, 1), prr(-32768, 5, 1), prr(5, -32768, 7)))
    assert dies(table) == [["W1", 0, 0, 1, True]]
    assert table.attrs["about"]["n_without_coordinates"] == 2


def test_heads_work_on_two_wafers_side_by_side(read):
    parts = [wir("A", head=1), wir("B", head=2), prr(0, 0, 1, head=1), prr(1, 0, 1, head=2)]
    parts += [wir("C", head=1), prr(2, 0, 1, head=2), prr(3, 0, 1, head=1)]
    assert [row[0] for row in dies(read(stdf(*parts)))] == ["A", "B", "B", "C"]


def test_wafer_named_at_its_end_keeps_the_name(read):
    parts = [wir(""), prr(0, 0, 1), wrr("A"), wir(""), prr(0, 0, 1), wrr("")]
    assert [row[0] for row in dies(read(stdf(*parts)))] == ["A", "wafer 2"]


def test_retest_pass_adds_rows(read):
    parts = [wir("A"), prr(0, 0, 7), prr(1, 0, 1), wrr(), wir("A"), prr(0, 0, 1), wrr()]
    wafers = from_die_table(read(stdf(*parts)))
    assert wafers.maps[0].tolist() == [[1, 1]] and wafers.frame["n_retests"].tolist() == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (stdf(wir(), prr(0, 0, 1))[:-8], "it ends without a master results record"),
        (stdf(wir(), prr(0, 0, 1))[:-12], "it is damaged or cut short"),
        (stdf(prr(0, 0, 1)), "it holds no wafer .*packaged parts"),
        (stdf(wir()), "it holds no wafer"),
        (stdf(prr(0, 0, 1), wir("A"), wir("B")), "record 3: the part belongs to no wafer"),
        (stdf(wir(), prr(-32768, 0, 1)), "none of its 1 parts has coordinates"),
        (stdf(wir(), prr(0, 0, 65535, flag=16)), "no part has a bin or a pass/fail flag"),
        (far(version=3) + mir() + mrr(), "it is STDF of version 03; version 4 is read"),
        (stdf(wir(), prr(0, 0, 1)) + far(version=3) + mir(), "joined file 2 of 2: .* version 03"),
        (b"GIF89a, certainly", "does not begin with a file attributes record"),
        (stdf(wir(), record(5, 20, b"\1")), "none of its 1 parts has coordinates"),
        (b"", "does not begin with"),
    ],
)
def test_errors_name_the_record(read, content, message):
    with pytest.raises(WaferFileError, match=message) as caught:
        read(content)
    assert "lot.stdf: " in str(caught.value) and str(caught.value).count("lot.stdf") == 1


def follow(read, content, message):
    """Read an incomplete file as its error message advises."""
    with pytest.raises(WaferFileError, match=message) as caught:
        read(content)
    assert "incomplete=True (--incomplete)" in str(caught.value)
    return read(content, incomplete=True)


@pytest.mark.parametrize("cut", [8, 12, 15, 30])
def test_truncated_file_is_read_on_request(read, cut):
    table = follow(read, stdf(wir(), prr(0, 0, 1), prr(1, 0, 7))[:-cut], "cut short")
    # The last 8 bytes are the MRR; cuts beyond it fall into the last part, of 25 bytes.
    assert [row[1] for row in dies(table)] == [0, 1][: 2 if cut < 9 else 1]
    assert "without a master results record" in notes(table)


def test_zeros_after_the_end_are_ignored(read):
    table = read(stdf(wir(), prr(0, 0, 1)) + b"\0" * 7 + b"\n" * 9)
    assert dies(table) == [["W1", 0, 0, 1, True]] and "after the master results record" in notes(
        table
    )


# LinqToStdf issue 30: a text record holds 4096 zeros from the disk.
def test_zeros_within_a_file_end_the_reading(read):
    broken = record(50, 30, text("datalog"))[:-2] + bytes(4096)
    content = stdf(wir(), prr(0, 0, 1), broken, prr(1, 0, 1), wrr(count=2))
    assert dies(follow(read, content, "damaged"))[0] == ["W1", 0, 0, 1, True]


def test_joined_files_are_judged_by_their_own_bins(read):
    one = stdf(wir("A"), prr(0, 0, 1, flag=16), bin_record(40, 1, "P"), lot="L1")
    other = stdf(wir("A"), prr(0, 0, 1, flag=16), bin_record(40, 1, "F"), lot="L2")
    table = read(one + other)
    assert table["lot"].tolist() == ["L1", "L2"] and table["passed"].tolist() == [True, False]


def test_error_in_joined_file_names_its_record(read):
    good = stdf(wir("A"), prr(0, 0, 1))
    with pytest.raises(WaferFileError, match="joined file 2 of 2: record 5: the part belongs to"):
        read(good + stdf(wir("A"), wir("B"), prr(0, 0, 1, head=2)))


def test_joined_files_of_other_byte_order_are_read(read):
    big = stdf(wir("B", order=">"), prr(300, 0, 7, order=">"), order=">", lot="L2")
    assert dies(read(stdf(wir("A"), prr(0, 0, 1)) + big)) == [
        ["A", 0, 0, 1, True],
        ["B", 300, 0, 7, False],
    ]


@pytest.mark.parametrize("cut", [8, 20])
def test_joined_file_cut_before_another_is_found(read, cut):
    one, other = stdf(wir("A"), prr(0, 0, 1), prr(1, 0, 1)), stdf(wir("B"), prr(5, 0, 1))
    table = follow(read, one[:-cut] + other, "joined file 1 of 2: it (ends without|is damaged)")
    assert dies(table)[0] == ["A", 0, 0, 1, True] and dies(table)[-1] == ["B", 5, 0, 1, True]
    assert "joined file 1 of 2: it ends without" in notes(table)


def test_joined_file_without_parts_is_skipped(read):
    table = read(stdf(wir("A"), prr(0, 0, 1)) + stdf())
    assert dies(table) == [["A", 0, 0, 1, True]]
    assert "joined file 2 of 2 holds no part" in notes(table)


def test_joined_wafers_without_names_stay_apart(read):
    one = stdf(wir(""), prr(0, 0, 1))
    assert [row[0] for row in dies(read(one + one))] == ["wafer 1", "wafer 2"]


def test_joined_retest_is_of_the_same_wafer(read):
    one, other = stdf(wir(start=9), prr(0, 0, 7)), stdf(wir(start=5), prr(0, 0, 1))
    assert facts(read(one + other))["time"] == 9


def test_joined_passes_of_other_direction_are_noted(read):
    one, other = (
        stdf(wcr(way="DRU"), wir(), prr(0, 0, 7)),
        stdf(wcr(way="DRD"), wir(), prr(1, 0, 1)),
    )
    table = read(one + other)
    assert facts(table)["y_down"] is None and facts(table)["x_right"] is True
    assert "wafer 'W1': its tests differ in y_down" in notes(table)


def test_start_of_a_joined_file_is_found_at_any_place(tmp_path, monkeypatch):
    monkeypatch.setattr("camdenoise.io._stdf._CHUNK", 16)
    for length in range(1, 20):
        one = stdf(wir("A" * length))
        (tmp_path / "lot.stdf").write_bytes(one + stdf(order=">") + far())
        both = len(one + stdf())
        assert _starts(tmp_path / "lot.stdf") == ([0, len(one)], both + len(far()))


def test_start_within_the_data_of_a_record_is_none(read):
    # A text that begins like a FAR, without a record after it.
    table = read(stdf(wir(), record(50, 30, text("\2\0\0\n\2\4 text")), prr(0, 0, 1)))
    assert dies(table) == [["W1", 0, 0, 1, True]]


@pytest.mark.parametrize(
    ("records", "message", "missing"),
    [
        ([wrr(count=5)], r"wafer W1 has 2 part records \(PRR\), but its WRR counts 5 parts", 3),
        ([pcr(5)], r"it has 2 part records \(PRR\), but its PCR records count 5 parts", 3),
        ([pcr(2, 1, 0), pcr(3, 1, 1)], "its PCR records count 5 parts", 3),
        ([bin_record(40, 1, "P", count=3)], "its HBR records count 3 parts", 1),
        ([bin_record(50, 1, "P", count=3), bin_record(50, 2, "F")], "its SBR records count 4", 2),
        ([bin_record(40, 1, "P", count=2, head=1, site=s) for s in (0, 1)], "HBR .* count 4", 2),
        ([wrr(count=3), pcr(7)], "its WRR counts 3 parts", 5),
    ],
)
def test_totals_above_the_parts_are_refused(read, records, message, missing):
    table = follow(read, stdf(wir(), prr(0, 0, 1), prr(1, 0, 1), *records), message)
    assert facts(table)["n_missing"] == missing and len(table) == 2
    assert "part records (PRR)" in notes(table)


@pytest.mark.parametrize(
    "records",
    [
        [wrr(count=1)],
        [wrr(count=0)],
        [wrr(count=4294967295), pcr(4294967295), bin_record(40, 1, "P", count=4294967295)],
        [pcr(2), pcr(2, 1, 0), pcr(2, 1, 1)],
        [bin_record(40, 1, "P", count=2), bin_record(40, 1, "P", count=2, head=1)],
        [bin_record(40, 1, "P", count=1), bin_record(40, 1, "P", count=2)],
    ],
)
def test_totals_within_the_parts_are_accepted(read, records):
    table = read(stdf(wir(), prr(0, 0, 1), prr(1, 0, 1), *records))
    assert facts(table)["n_missing"] == 0 and not table.attrs["notes"]


@pytest.mark.parametrize("second", [1, 3])
def test_totals_of_a_retest_count_alone_or_together(read, second):
    parts = [wir(), prr(0, 0, 1), prr(1, 0, 7), wrr(count=2), wir(), prr(1, 0, 1)]
    assert len(read(stdf(*parts, wrr(count=second)))) == 3


def test_totals_are_of_each_wafer(read):
    parts = [wir("A"), prr(0, 0, 1), prr(1, 0, 1), wrr(count=2), wir("B"), prr(0, 0, 1)]
    table = follow(read, stdf(*parts, wrr(count=2)), "wafer B has 1 part record .* counts 2")
    assert [wafer["n_missing"] for wafer in table.attrs["wafers"]] == [0, 1]


def test_totals_of_a_bin_are_noted(read):
    table = read(stdf(wir(), prr(0, 0, 1), prr(1, 0, 7), bin_record(40, 1, "P", count=2)))
    assert notes(table) == "bin 1 has 1 parts, but its HBR record counts 2"


def test_bins_with_contradicting_records_stay_open(read):
    records = [bin_record(40, 1, "P", head=1), bin_record(40, 1, "F", head=1, site=1)]
    parts = [prr(x, 0, 1, flag=16) for x in (0, 1)]
    assert read(stdf(wir(), *parts, *records))["passed"].isna().all()


def test_unplaced_parts_are_counted_by_wafer(read):
    parts = [wir("A"), prr(0, 0, 1), prr(-32768, 0, 7, part="x"), prr(0, -32768, 1, part="y")]
    parts += [wir("B"), prr(0, 0, 1), prr(-32768, -32768, 7, part="")]
    table = read(stdf(*parts))
    counts = [(w["n_unplaced"], w["n_unplaced_fails"]) for w in table.attrs["wafers"]]
    assert counts == [(2, 1), (1, 1)]
    assert "3 parts of 2 wafers (A: 2, B: 1) have no coordinates" in notes(table)


def test_unplaced_retests_count_once_as_the_last(read):
    tests = [prr(-32768, 0, bin_, part=part) for bin_, part in [(7, "x"), (7, "y"), (1, "x")]]
    table = read(stdf(wir(), prr(0, 0, 1, part="a"), *tests))
    assert (facts(table)["n_unplaced"], facts(table)["n_unplaced_fails"]) == (2, 1)
    assert "2 parts of wafer W1 have no coordinates; they count in the yield" in notes(table)


@pytest.mark.parametrize("part", ["", "1"])
def test_unplaced_parts_of_one_name_are_several(read, part):
    placed = [prr(x, 0, 1, part=part) for x in (0, 1)]
    unplaced = [prr(-32768, 0, 1, part=part)] * 3
    assert facts(read(stdf(wir(), *placed, *unplaced)))["n_unplaced"] == 3


@pytest.mark.parametrize(("pass_bins", "fails"), [(None, 1), ([2], 1), (["2", 3], 0), ([], 2)])
def test_unplaced_fails_follow_the_pass_bins(read, pass_bins, fails):
    parts = [prr(0, 0, 1), *(prr(-32768, 0, n, part=str(n)) for n in (2, 3))]
    parts[1] = prr(-32768, 0, 2, flag=0, part="2")
    assert facts(read(stdf(wir(), *parts), pass_bins=pass_bins))["n_unplaced_fails"] == fails


# STDF-Viewer issue 64: parts without a bin, where the rest of the file is sound.
def test_part_without_bin_and_flag_is_left_out(read):
    table = read(stdf(wir(), prr(0, 0, 1), prr(1, 0, 65535, flag=16), prr(2, 0, 7)))
    assert [row[1] for row in dies(table)] == [0, 2]
    assert "1 part is left out: HARD_BIN is 65535 (missing)" in notes(table)


def test_failed_part_without_bin_is_kept(read):
    table = read(stdf(wir(), prr(0, 0, 1, soft=1), prr(1, 0, 7)), bins="soft")
    assert dies(table)[1] == ["W1", 1, 0, 65535, False]
    assert "1 part is without SOFT_BIN" in notes(table)


def test_missing_soft_bins_advise_hard_bins(read):
    content = stdf(wir(), prr(0, 0, 1))
    with pytest.raises(WaferFileError, match="no part has a SBIN .*Read it with bins='hard'"):
        read(content, bins="soft")
    assert len(read(content, bins="hard")) == 1


def test_part_before_the_only_wafer_belongs_to_wafer(read):
    table = read(stdf(prr(0, 0, 1), wir("A"), prr(1, 0, 1)))
    assert [row[0] for row in dies(table)] == ["A", "A"]
    assert "1 part is taken as of wafer A, the only one" in notes(table)


def test_part_of_no_wafer_is_skipped_on_request(read):
    content = stdf(prr(5, 0, 1), wir("A"), prr(0, 0, 1), wir("B"), prr(1, 0, 1))
    table = follow(read, content, "record 3: the part belongs to no wafer")
    assert [row[:2] for row in dies(table)] == [["A", 0], ["B", 1]]
    assert "1 part is left out: no WIR" in notes(table)


def test_wafer_with_only_an_end_record_is_read(read):
    parts = [prr(0, 0, 1), wrr("A"), prr(1, 0, 1), wrr("B"), wir("C"), prr(2, 0, 1), wrr("C")]
    assert [row[0] for row in dies(read(stdf(*parts)))] == ["A", "B", "C"]


def test_end_of_a_wafer_given_twice_counts_once(read):
    parts = [wir("A"), prr(0, 0, 1), prr(1, 0, 1), wrr("A", count=2), wrr("A", count=2)]
    assert [row[0] for row in dies(read(stdf(*parts)))] == ["A", "A"]


# Metis issue 27: WAFER_ID is optional in WRR, and was needed there.
def test_wafer_named_at_its_start_keeps_the_name(read):
    unnamed = record(2, 20, struct.pack("<BBII", 1, 255, 0, 1))
    assert dies(read(stdf(wir("A"), prr(0, 0, 1), unnamed))) == [["A", 0, 0, 1, True]]


# pystdf issue 27: a record longer than its fields shifts all that follow.
def test_record_longer_than_its_fields_is_read(read):
    long = record(5, 20, prr(0, 0, 1)[4:] + b"more")
    assert [row[1] for row in dies(read(stdf(wir(), long, prr(1, 0, 1))))] == [0, 1]


# STDF-Viewer issue 111: records of V4-2007 ended the reading.
def test_v4_2007_and_vendor_records_are_skipped(read):
    others = [record(0, 30, text("V4-2007")), record(1, 91, bytes(3)), record(180, 1, b"x")]
    assert len(read(stdf(*others, wir(), prr(0, 0, 1)))) == 1


# rust-stdf issue 16: a zip archive named .stdf has "no byte order".
def test_zip_named_stdf_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "lot.stdf", "w") as archive:
        archive.writestr("inner.bin", stdf(wir(), prr(0, 0, 1)))
    assert len(read_stdf(tmp_path / "lot.stdf")) == 1


# Semi-ATE/STDF issue 77: text that is not UTF-8 ended the reading.
def test_encoding_option_reads_other_names(tmp_path):
    name = "가".encode("cp949")
    lot = record(2, 10, struct.pack("<BBIB", 1, 255, 0, len(name) + 2) + name + b"\0 ")
    (tmp_path / "lot.stdf").write_bytes(stdf(lot, prr(0, 0, 1)))
    for encoding, wafer in ((None, "°¡"), ("cp949", "가")):
        options = ReadOptions(encoding=encoding)
        assert stdf_file(Content(tmp_path / "lot.stdf"), options).wafers[0].wafer == wafer


def test_header_gives_product_time_and_direction(read):
    content = stdf(wcr(way="LLD"), wir(start=7), prr(0, 0, 1), product="CHIP ", start=3)
    wafer = facts(read(content))
    assert [wafer[name] for name in ("product", "time", "x_right", "y_down", "notch")] == [
        *("CHIP", 7.0, False, True, "left")
    ]


def test_missing_header_fields_stay_open(read):
    wafer = facts(read(stdf(wcr(way="   "), wir(), prr(0, 0, 1))))
    assert wafer["product"] == "" and wafer["extent"] is None
    assert [wafer[name] for name in ("time", "x_right", "y_down", "notch")] == [None] * 4


def test_lot_time_is_used_without_a_wafer_time(read):
    assert facts(read(stdf(wir(), prr(0, 0, 1), start=3)))["time"] == 3


def square(low, high):
    return [prr(x, y, 1) for x in (low, high) for y in (low, high)]


@pytest.mark.parametrize(
    ("wafer", "parts", "extent"),
    [
        # Five whole dies fit on each side of the center die.
        (wcr(110, 10, 10, (0, 0)), square(-4, 4), (-5, -5, 11, 11)),
        (wcr(110, 10, 5, (20, -3)), [prr(12, -3, 1), prr(28, 2, 1)], (10, -8, 11, 21)),
        # The upper half alone is tested.
        (wcr(110, 10, 10, (0, 0)), [prr(-5, 0, 1), prr(5, 5, 1)], (-5, -5, 11, 11)),
        # A street runs through the center.
        (wcr(110, 10, 10, (0, 0)), square(-5, 6), (-5, -5, 12, 12)),
        (wcr(110, 10, 10, (0, 0)), square(-7, 7), None),
        # The wafer in micrometers, the dies in millimeters.
        (wcr(110000, 10, 10, (0, 0)), square(-5, 5), None),
        (wcr(110, 10, 10, (128, 128)), square(-5, 5), None),
        (wcr(110, 10, 10), square(-5, 5), None),
        (wcr(110, 0, 10, (0, 0)), square(-5, 5), None),
        (wcr(float("nan"), 10, 10, (0, 0)), square(-5, 5), None),
    ],
)
def test_extent_follows_the_fitting_wafer_size(read, wafer, parts, extent):
    assert facts(read(stdf(wir(), *parts, wafer)))["extent"] == extent


def test_extent_is_equal_for_whole_and_broken_wafers(read):
    parts = [wir("A"), *square(-5, 6), wir("B"), prr(0, 5, 1)]
    table = read(stdf(wcr(110, 10, 10, (0, 0)), *parts))
    assert [wafer["extent"] for wafer in table.attrs["wafers"]] == [(-5, -5, 12, 12)] * 2


def test_misfitting_extent_is_noted(read):
    table = read(stdf(wcr(110, 10, 10, (0, 0)), wir(), *square(-9, 9)))
    assert "the wafer size in the wafer configuration record (WCR) does not fit" in notes(table)


def test_looks_like_stdf_goes_by_the_first_record():
    assert looks_like_stdf(far()) and looks_like_stdf(far(">"))
    assert not looks_like_stdf(b"FAR:A|4|2|U") and not looks_like_stdf(b"")


def test_memory_stays_within_a_part_of_a_large_file(tmp_path):
    # 24 MB of tests that are not used, and one die.
    tests = record(50, 30, bytes(60_000)) * 400
    (tmp_path / "lot.stdf").write_bytes(stdf(wir(), tests, prr(0, 0, 1)))
    tracemalloc.start()
    try:
        read_stdf(tmp_path / "lot.stdf")
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()


def test_decompression_bomb_is_refused(tmp_path):
    (tmp_path / "bomb.stdf.gz").write_bytes(gzip.compress(far() + bytes(40 << 20)))
    with pytest.raises(WaferFileError, match="grows more than 250-fold"):
        read_stdf(tmp_path / "bomb.stdf.gz")


def test_missing_package_error_names_install_command(read, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "stdf_convert":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install stdf-convert"):
        read(stdf(wir(), prr(0, 0, 1)))


def test_real_stdf_is_read(data_folder):
    path = data_folder / "formats" / "lot2.stdf.gz"
    if not path.exists():
        pytest.skip("no real files: the data folder has no formats/lot2.stdf.gz")
    table = read_wafers(path)
    assert table["bin"].value_counts().to_dict() == {
        **{1: 1389, 8: 79, 2: 41, 5: 20, 20: 16, 10: 10, 4: 6, 7: 6, 15: 1, 17: 1}
    }
    assert ((table["bin"] == 1) == table["passed"]).all()
    frame = from_die_table(table).frame
    assert frame.loc[0, ["lot", "wafer"]].tolist() == ["GAL-LOT", "GAL-LOT-02"]
    assert frame.loc[0, ["rows", "cols"]].tolist() == [43, 42]
    assert table[["x", "y"]].min().tolist() == [4, -45]
    assert not table.attrs["notes"] and facts(table)["n_missing"] == 0
    assert frame.loc[0, ["n_dies", "n_retests"]].tolist() == [1456, 113]
    fails = {
        p: int(from_die_table(table, retest=p).frame["n_fails"].iloc[0])
        for p in ("first", "last", "best", "worst")
    }
    assert fails == {"first": 113, "last": 67, "best": 67, "worst": 113}
