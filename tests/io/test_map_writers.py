import map_files
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from map_files import rows

from camdenoise.filters import ComponentSizeFilter
from camdenoise.io import (
    from_die_table,
    pattern_overlay,
    read_g85,
    read_maps,
    read_sinf,
    read_wafers,
    write_g85,
    write_results,
    write_sinf,
)

COLUMNS = ["lot", "wafer", "x", "y", "bin", "passed"]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("maps") / "w.map"


def random_wafer(bins, seed=0, wafer="7"):
    rng = np.random.default_rng(seed)
    y, x = np.nonzero(rng.random((6, 9)) < 0.7)
    codes = rng.choice(np.array(bins), len(x))
    table = {"lot": "A.1", "wafer": wafer, "x": x, "y": y, "bin": codes}
    return pd.DataFrame(table | {"passed": codes == bins[0]})


def check_same(back, table):
    assert rows(back) == rows(table[COLUMNS])


@pytest.mark.parametrize(
    "bins", [[1, 2, 255], [0, 7], [1, 256, 65534], ["A", "b", "."], ["<", "&", ">"], [1]]
)
def test_write_g85_output_is_read_back(tmp_path, bins):
    table = random_wafer(bins)
    write_g85(tmp_path / "w.xml", table)
    check_same(read_wafers(tmp_path / "w.xml"), table)


def test_write_g85_holds_several_wafers(tmp_path):
    table = pd.concat([random_wafer([1, 3], seed, wafer=f"<{seed}>") for seed in range(3)])
    write_g85(tmp_path / "w.xml", table, descriptions={3: 'leaks & "opens"'})
    check_same(read_g85(tmp_path / "w.xml"), table)
    assert "leaks &amp; " in (tmp_path / "w.xml").read_text()


@pytest.mark.parametrize(("digits", "bins"), [(2, [1, 255, 0]), (3, [0, 1, 999])])
def test_write_sinf_output_is_read_back(tmp_path, digits, bins):
    table = random_wafer(bins)
    write_sinf(tmp_path / "w.sinf", table, digits=digits)
    check_same(read_wafers(tmp_path / "w.sinf"), table)


NAMES = st.text(max_size=12).filter(lambda t: t.isprintable() and t == t.strip())


@settings(max_examples=60, deadline=None)
@given(
    dies=st.dictionaries(
        st.tuples(st.integers(0, 30), st.integers(0, 30)), st.integers(0, 254), min_size=1
    ),
    passing=st.sets(st.integers(0, 254)),
    lot=NAMES,
    wafer=NAMES.filter(bool),
)
@pytest.mark.parametrize("writer", [write_g85, write_sinf])
def test_wafer_of_small_bins_survives_every_writer(file, writer, dies, passing, lot, wafer):
    table = pd.DataFrame(
        [(y, x, lot, wafer, code, code in passing) for (y, x), code in sorted(dies.items())],
        columns=["y", "x", "lot", "wafer", "bin", "passed"],
    )
    writer(file, table)
    check_same(read_wafers(file), table)


def test_write_sinf_keeps_a_wafer_of_only_fails(tmp_path):
    table = random_wafer([1, 2]).assign(passed=False)
    write_sinf(tmp_path / "w", table)
    assert "BCEQU:03\n" in (tmp_path / "w").read_text()
    check_same(read_wafers(tmp_path / "w"), table)


def test_write_sinf_refuses_bins_without_pass_or_fail(tmp_path):
    table = random_wafer([1, 2]).assign(passed=pd.NA)
    with pytest.raises(ValueError, match="whether bin . passes is not said"):
        write_sinf(tmp_path / "w", table)
    write_g85(tmp_path / "w", table)
    check_same(read_wafers(tmp_path / "w"), table)


@pytest.mark.parametrize("header", [{"A B": "1"}, {"RowData": "01"}, {"FNLOC": "1\n2"}, {"": "1"}])
def test_write_sinf_refuses_a_foreign_header(tmp_path, header):
    with pytest.raises(ValueError, match="is not a line of a SINF header"):
        write_sinf(tmp_path / "w", random_wafer([1]), header=header)
    assert list(tmp_path.iterdir()) == []


def test_write_sinf_keeps_the_header(wafer_file, tmp_path):
    table = read_sinf(wafer_file(map_files.SINF))
    write_sinf(tmp_path / "again", table)
    again = (tmp_path / "again").read_text()
    assert again == map_files.SINF.replace("@@", "__")


@pytest.mark.parametrize("writer", [write_g85, write_sinf])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": -1}, r"row 0: x is -1; a map file counts from 0.*table\['x'\].min"),
        ({"y": 5000}, "row 0: y is 5000; a map file counts from 0 to 4095"),
        ({"x": 0, "y": 0}, "row 1: its die has another row already.*drop_duplicates"),
        ({"bin": None}, "row 0: bin is missing"),
        ({"bin": 1, "passed": [True, False] * 20}, "dies of bin 1 differ in 'passed'"),
        ({"bin": 70000, "passed": True}, "bin 70000 does not fit into this format"),
        ({"wafer": "a\nb"}, "cannot hold the name"),
        ({"lot": " A"}, "cannot hold the name ' A'"),
        ({"wafer": ""}, "a wafer has no name"),
        ({"wafer": None}, "a wafer has no name"),
    ],
)
def test_writers_refuse_values_they_cannot_store(tmp_path, writer, change, message):
    table = random_wafer([1, 2]).iloc[:40]
    change = {k: v[: len(table)] if isinstance(v, list) else v for k, v in change.items()}
    with pytest.raises(ValueError, match=message):
        writer(tmp_path / "w", table.assign(**change))
    assert list(tmp_path.iterdir()) == []


def test_write_sinf_holds_one_wafer_of_small_bins(tmp_path):
    with pytest.raises(ValueError, match="a SINF file holds one wafer, the table has 2"):
        write_sinf(tmp_path / "w", pd.concat([random_wafer([1]), random_wafer([1], wafer="8")]))
    with pytest.raises(ValueError, match="bin 256 does not fit"):
        write_sinf(tmp_path / "w", random_wafer([1, 256]))
    with pytest.raises(ValueError, match="digits must be 2"):
        write_sinf(tmp_path / "w", random_wafer([1]), digits=4)


@pytest.mark.parametrize("writer", [write_g85, write_sinf])
def test_overlay_shows_decisions_and_map_keeps_bins(tmp_path, writer):
    table = random_wafer([1, 5, 9])
    wafers = from_die_table(table)
    overlay = pattern_overlay(wafers, ComponentSizeFilter(min_size=4).explain(wafers.maps))
    writer(tmp_path / "map", table)
    writer(tmp_path / "overlay", overlay)
    shown = read_wafers(tmp_path / "overlay")
    failing = read_wafers(tmp_path / "map")["bin"] != 1
    assert set(shown["bin"]) == {1, 2, 3}
    assert shown["passed"].tolist() == (~failing).tolist()
    assert shown["bin"].isin([2, 3]).tolist() == failing.tolist()


NAMES = st.one_of(
    st.sampled_from(["NA", "null", "None", "nan", "001", "1e5", "-", "#1", "로트 1", 'a"b', "a,b"]),
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8),
)


@pytest.mark.parametrize("ending", ["g85", "sinf", "parquet", "csv"])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(lot=NAMES, wafer=NAMES)
def test_names_survive_every_writer(tmp_path, ending, lot, wafer):
    table = pd.DataFrame({"lot": [lot], "wafer": wafer, "x": 0, "y": 0, "bin": 1, "passed": True})
    path = tmp_path / f"wafer.{ending}"
    write = {"g85": write_g85, "sinf": write_sinf}.get(ending, write_results)
    write(path, table)
    frame = read_maps(path).frame
    assert (frame["lot"][0], frame["wafer"][0]) == (lot, wafer)
