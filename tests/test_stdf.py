import builtins
import gzip

import pytest
from map_files import bin_record, far, mir, mrr, prr, record, stdf, wir, wrr

from camdenoise.io import WaferFileError, from_die_table, read_stdf, read_wafers

stdf_convert = pytest.importorskip("stdf_convert")


@pytest.fixture
def read(tmp_path):
    def reader(content, **options):
        (tmp_path / "lot.stdf").write_bytes(content)
        return read_stdf(tmp_path / "lot.stdf", **options)

    return reader


def dies(table):
    columns = ["wafer", "x", "y", "bin", "passed"]
    return table[columns].astype(object).to_numpy().tolist()


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders(read, order):
    parts = [wir(order=order), prr(-3, 300, 2, order=order), prr(1, 2, 1, order=order)]
    table = read(stdf(*parts, order=order))
    assert dies(table) == [["W1", -3, 300, 2, False], ["W1", 1, 2, 1, True]]
    assert table["lot"].tolist() == ["L", "L"]


def test_flags_decide_not_the_bin(read):
    table = read(stdf(wir(), prr(0, 0, 1, flag=8), prr(1, 0, 7, flag=0)))
    assert table["passed"].tolist() == [False, True]


def test_where_the_flag_says_nothing_the_bin_record_does(read):
    parts = [prr(n, 0, n, flag=16 + 8) for n in (1, 2, 3, 4)]
    records = [bin_record(40, 1, "P"), bin_record(40, 2, "F"), bin_record(40, 3, " ")]
    passed = read(stdf(wir(), *parts, *records))["passed"]
    assert passed.isna().tolist() == [False, False, True, True]
    assert passed[:2].tolist() == [True, False]


def test_where_nothing_is_said_the_pass_bins_must_be(read):
    table = read(stdf(wir(), prr(0, 0, 1, flag=16), prr(1, 0, 2, flag=16)))
    assert table["passed"].isna().all()
    with pytest.raises(ValueError, match="row 0: whether bin 1 passes is not said"):
        from_die_table(table)
    assert from_die_table(table, pass_bins=1).maps[0].tolist() == [[1, 2]]


def test_soft_bins_by_wish(read):
    content = stdf(wir(), prr(0, 0, 1, soft=100, flag=16), bin_record(50, 100, "P"))
    assert dies(read(content, bins="soft")) == [["W1", 0, 0, 100, True]]
    with pytest.raises(WaferFileError, match="record 4: the part has no SBIN. Use bins='hard'"):
        read(stdf(wir(), prr(0, 0, 1)), bins="soft")
    with pytest.raises(ValueError, match="bins must be 'hard' or 'soft'"):
        read(content, bins="both")


def test_parts_without_coordinates_are_on_no_map(read):
    table = read(stdf(wir(), prr(0, 0, 1), prr(-32768, 5, 1), prr(5, -32768, 7)))
    assert dies(table) == [["W1", 0, 0, 1, True]]
    assert table.attrs["about"]["n_without_coordinates"] == 2


def test_heads_work_on_two_wafers_side_by_side(read):
    parts = [wir("A", head=1), wir("B", head=2), prr(0, 0, 1, head=1), prr(1, 0, 1, head=2)]
    parts += [wir("C", head=1), prr(2, 0, 1, head=2), prr(3, 0, 1, head=1)]
    assert [row[0] for row in dies(read(stdf(*parts)))] == ["A", "B", "B", "C"]


def test_a_wafer_named_at_its_end_has_that_name(read):
    parts = [wir(""), prr(0, 0, 1), wrr("A"), wir(""), prr(0, 0, 1), wrr("")]
    assert [row[0] for row in dies(read(stdf(*parts)))] == ["A", "wafer 2"]


def test_a_retest_pass_adds_rows(read):
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
        (stdf(prr(0, 0, 1), wir()), "record 3: the part belongs to no wafer"),
        (stdf(wir(), prr(-32768, 0, 1)), "it holds no die with a result"),
        (far(version=3) + mir() + mrr(), "it is STDF of version 03; version 4 is read"),
        (b"GIF89a, certainly", "does not begin with a file attributes record"),
        (stdf(wir(), record(5, 20, b"\1")), "damaged or cut short|belongs|holds"),
        (b"", "does not begin with"),
    ],
)
def test_what_is_wrong_is_named(read, content, message):
    with pytest.raises(WaferFileError, match=message) as caught:
        read(content)
    assert "lot.stdf: " in str(caught.value) and str(caught.value).count("lot.stdf") == 1


def test_an_incomplete_file_is_read_by_wish(read):
    content = stdf(wir(), prr(0, 0, 1))[:-8]
    assert dies(read(content, incomplete=True)) == [["W1", 0, 0, 1, True]]


def test_a_packed_file_that_grows_without_measure_is_refused(tmp_path):
    (tmp_path / "bomb.stdf.gz").write_bytes(gzip.compress(far() + bytes(40 << 20)))
    with pytest.raises(WaferFileError, match="grows more than 250-fold"):
        read_stdf(tmp_path / "bomb.stdf.gz")


def test_without_the_package_the_command_that_installs_it_is_told(read, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "stdf_convert":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'camdenoise\[stdf\]'"):
        read(stdf(wir(), prr(0, 0, 1)))


def test_real_stdf(data_folder):
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
    assert frame.loc[0, ["x0", "y0", "rows", "cols"]].tolist() == [4, -45, 43, 42]
    assert frame.loc[0, ["n_dies", "n_retests"]].tolist() == [1456, 113]
    fails = {
        p: int(from_die_table(table, retest=p).frame["n_fails"].iloc[0])
        for p in ("first", "last", "best", "worst")
    }
    assert fails == {"first": 113, "last": 67, "best": 67, "worst": 113}
