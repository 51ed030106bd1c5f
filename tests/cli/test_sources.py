"""Whatever people have goes into every command, and what a command writes goes into every other."""

import bz2
import gzip
import json
import lzma
import zipfile

import numpy as np
import one_wafer
import pandas as pd
import pyarrow as pa
import pytest
from command_line import run

from camdenoise.filters import ComponentSizeFilter
from camdenoise.io import from_die_table, read_maps, read_results, read_wafers
from camdenoise.lots import lot_summary

COMMANDS = ["info", "convert", "classify", "denoise", "report"]


def command(name, source, folder):
    """Run a command on a file; return the result and what it wrote."""
    out = folder / f"{name}.out"
    arguments = {
        "info": [source],
        "convert": [source, out, "-q"],
        "classify": [source, out, "-q"],
        "denoise": [source, out, "-q"],
        "report": [source, "-o", out],
    }[name]
    return run(name, *arguments), out


# A pickle is read by a process of its own, which takes seconds: two commands stand for all.
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in one_wafer.KINDS
        for name in (COMMANDS if kind != "pickle" else ["info", "denoise"])
    ],
)
def test_command_takes_every_kind(kind, name, tmp_path):
    source = one_wafer.write(kind, tmp_path / "file")
    result, _ = command(name, source, tmp_path)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("first", ["convert", "classify", "denoise"])
@pytest.mark.parametrize("second", COMMANDS)
def test_output_of_a_command_is_input_of_all(first, second, tmp_path):
    source = one_wafer.write("stdf", tmp_path / "file")
    result, out = command(first, source, tmp_path)
    assert result.exit_code == 0, result.output
    (tmp_path / "second").mkdir()
    result, _ = command(second, out, tmp_path / "second")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("kind", [kind for kind in one_wafer.KINDS if kind != "pickle"])
def test_every_format_gives_the_same_map(kind, tmp_path):
    wafers = read_maps(one_wafer.write(kind, tmp_path / "file"))
    np.testing.assert_array_equal(wafers.maps[0], one_wafer.GRID)


@pytest.mark.parametrize("kind", one_wafer.DIE_FILES)
def test_python_and_command_line_give_the_same_map(kind, tmp_path):
    table = read_wafers(one_wafer.write(kind, tmp_path / "file"))
    wafers = from_die_table(table)
    np.testing.assert_array_equal(wafers.maps[0], one_wafer.GRID)
    summary = lot_summary(ComponentSizeFilter(min_size=3), wafers.maps, keys=wafers.frame)
    assert (summary["ring"][0], summary["sector"][0]) == (6, 2)


@pytest.mark.parametrize("kind", ["stdf", "klarf 1.2", "e142 coordinates"])
def test_coordinates_of_the_file_are_kept(kind, tmp_path):
    file = one_wafer.write(kind, tmp_path / "file")
    frame = read_maps(file).frame.iloc[0]
    assert frame["axes"] == "x right, y up" and frame["notch"] == "down"
    table = read_wafers(file)
    first = table[(table["x"] == frame["x0"] + 10) & (table["y"] == frame["y0"])]
    assert len(first) == 1 and one_wafer.GRID[0, 10] > 0


def test_maps_turn_and_mirror_by_user_options(tmp_path):
    file = one_wafer.write("stdf", tmp_path / "file")
    grid = one_wafer.GRID
    for options, expected in [
        ({"rotate": 90}, np.rot90(grid, -1)),
        ({"mirror": "up-down"}, grid[::-1]),
        ({"mirror": "left-right", "rotate": 180}, np.rot90(grid[:, ::-1], 2)),
        ({"notch": "left"}, np.rot90(grid)),
        ({"notch": "up"}, np.rot90(grid, 2)),
    ]:
        np.testing.assert_array_equal(read_maps(file, **options).maps[0], expected)


PACKERS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: pa.compress(content, "zstd", asbytes=True),
}


@pytest.mark.parametrize("kind", ["stdf", "g85", "csv", "a row per wafer", "npz"])
@pytest.mark.parametrize("packer", [*PACKERS, "zip"])
def test_packed_files_are_read(kind, packer, tmp_path):
    plain = one_wafer.write(kind, tmp_path / "plain")
    packed = tmp_path / "packed.txt"
    if packer == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(plain, "folder/member")
    else:
        packed.write_bytes(PACKERS[packer](plain.read_bytes()))
    assert len(read_maps(packed).maps) == len(read_maps(plain).maps)


def test_all_members_of_an_archive_are_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "lot.zip", "w") as archive:
        for wafer in ("W1", "W2", "W3"):
            archive.writestr(f"{wafer}.stdf", one_wafer.stdf(wafer=wafer))
        archive.writestr("__MACOSX/W1.stdf", b"resource")
        archive.writestr("readme.txt", b"wafers of July")
    wafers = read_maps(tmp_path / "lot.zip")
    assert wafers.frame["wafer"].tolist() == ["W1", "W2", "W3"]
    assert "readme.txt" in wafers.notes[0]


def test_patterns_files_and_folders_make_one_lot(tmp_path):
    for wafer in ("W1", "W2", "W3"):
        (tmp_path / f"{wafer}.stdf").write_bytes(one_wafer.stdf(wafer=wafer))
    (tmp_path / "README.txt").write_text("wafers of July")
    for paths in ([tmp_path / "*.stdf"], sorted(tmp_path.glob("W*")), [tmp_path]):
        assert read_maps(paths).frame["wafer"].tolist() == ["W1", "W2", "W3"]
    twice = read_maps([tmp_path / "*.stdf", tmp_path / "W1.stdf"])
    assert len(twice.maps) == 3 and twice.frame["n_retests"].tolist() == [0, 0, 0]
    notes = read_maps(tmp_path).notes
    assert any("skipped" in note and "README.txt" in note for note in notes)
    result = run("info", tmp_path, "--json")
    assert json.loads(result.stdout)["wafers"] == 3, result.output


def test_wafer_in_two_files_is_a_retest(tmp_path):
    (tmp_path / "a.stdf").write_bytes(one_wafer.stdf())
    # Tested again, in part: the first dies pass now.
    again = one_wafer.stdf(part=slice(0, 12)).replace(b"\x07\x00\xff\xff", b"\x01\x00\xff\xff")
    (tmp_path / "b.stdf").write_bytes(again)
    wafers = read_maps([tmp_path / "a.stdf", tmp_path / "b.stdf"])
    assert len(wafers.maps) == 1 and wafers.frame["n_retests"].tolist() == [12]
    assert any("in several files" in note for note in wafers.notes)


def test_same_name_without_a_lot_is_refused(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(one_wafer.sinf().replace(b"LOT:A\n", b""))
    with pytest.raises(ValueError, match="no lot is named.*--retest last"):
        read_maps([tmp_path / "a", tmp_path / "b"])
    assert len(read_maps([tmp_path / "a", tmp_path / "b"], retest="last").maps) == 1


def test_half_tested_wafer_gets_its_products_frame(tmp_path):
    n = len(one_wafer._X)
    (tmp_path / "half").write_bytes(one_wafer.stdf(wafer="W2", part=slice(n // 2, n)))
    (tmp_path / "whole").write_bytes(one_wafer.stdf(wafer="W1"))
    wafers = read_maps([tmp_path / "whole", tmp_path / "half"])
    assert [grid.shape for grid in wafers.maps] == [one_wafer.GRID.shape] * 2
    out = tmp_path / "out"
    assert run("denoise", tmp_path / "whole", tmp_path / "half", out).exit_code == 0
    assert read_results(out)["partial"].tolist() == [False, True]


def test_results_open_with_pandas_read_parquet(tmp_path):
    source = one_wafer.write("stdf", tmp_path / "file")
    assert run("denoise", source, tmp_path / "out").exit_code == 0
    plain = pd.read_parquet(tmp_path / "out")
    table = read_results(tmp_path / "out")
    assert plain.columns.tolist() == table.columns.tolist() and len(plain) == 1
    np.testing.assert_array_equal(np.minimum(table["marks"][0], 2), one_wafer.GRID)


def test_failed_first_try_does_not_lock_the_folder(tmp_path):
    bad = tmp_path / "bad.parquet"
    pd.DataFrame({"cells": [b"\x01"], "rows": [1]}).to_parquet(bad)
    assert run("denoise", bad, tmp_path / "out").exit_code == 2
    source = one_wafer.write("stdf", tmp_path / "file")
    assert run("denoise", source, tmp_path / "out").exit_code == 0


@pytest.mark.parametrize("kind", ["csv", "parquet of dies"])
def test_pass_bin_absent_from_file_is_an_error(kind, tmp_path):
    file = tmp_path / "file"
    dies = one_wafer.die_frame().assign(bin=lambda table: table["bin"] - 1)
    dies.to_csv(file, index=False) if kind == "csv" else dies.to_parquet(file)
    for options in ([], ["--pass-bins", "5"]):
        result = run("info", file, *options)
        assert result.exit_code == 2 and "0 (" in result.output and "--pass-bins" in result.output
    good = json.loads(run("info", file, "--pass-bins", "0", "--json").stdout)
    assert good["dies that pass"] == int((one_wafer.GRID == 1).sum())
    none = json.loads(run("info", file, "--pass-bins", "none", "--json").stdout)
    assert none["dies that pass"] == 0


def test_summary_names_the_assumed_pass_bin(tmp_path):
    source = one_wafer.write("csv", tmp_path / "file")
    summary = json.loads(run("denoise", source, tmp_path / "out", "-q").stdout)
    assert any("bin 1 passes" in note and "assumed" in note for note in summary["notes"])


def test_options_for_dies_are_refused_for_maps(tmp_path):
    source = one_wafer.write("npz", tmp_path / "file")
    result = run("denoise", source, tmp_path / "out", "--pass-bins", "2")
    assert result.exit_code == 2 and "a row per die take pass_bins= (--pass-bins)" in result.output


def test_named_columns_make_a_table_of_any_text(tmp_path):
    file = tmp_path / "dies.txt"
    file.write_text("a,b,c\n0,0,1\n1,0,7\n")
    result = run("info", file)
    assert result.exit_code == 2 and "--columns" in result.output and "'a,b,c'" in result.output
    assert run("info", file, "--columns", "x=a,y=b,bin=c").exit_code == 0


def test_results_store_the_assumptions(tmp_path):
    source = one_wafer.write("csv", tmp_path / "file")
    assert run("denoise", source, tmp_path / "out").exit_code == 0
    assert "bin 1 passes" in run("info", tmp_path / "out").stdout


def four_wafers():
    """Two lots of two wafers, with columns that nobody knows the names of."""
    dies = one_wafer.die_frame()
    wafers = [dies.assign(lot=lot, wafer=wafer) for lot in "AB" for wafer in "12"]
    return pd.concat(wafers).rename(columns={"lot": "CHARGE", "wafer": "NUMMER"})


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_wafers_without_distinct_names_are_refused(kind, tmp_path):
    file = tmp_path / "file"
    table = four_wafers()
    table.to_csv(file, index=False) if kind == "csv" else table.to_parquet(file)
    result = run("info", file)
    assert result.exit_code == 2 and "no column names the lot or the wafer" in result.output
    named = run("info", file, "--columns", "lot=CHARGE,wafer=NUMMER", "--json")
    assert json.loads(named.stdout)["wafers"] == 4
    assert json.loads(run("info", file, "--retest", "last", "--json").stdout)["wafers"] == 1


def with_unplaced(kind, path):
    """A wafer, two of its dies without coordinates, and a wafer of which no die has any."""
    dies = one_wafer.die_frame()
    lost = dies.head(2).assign(x=np.nan, bin=[1, 7])
    table = pd.concat([dies, lost, lost.assign(wafer="W2")])
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_dies_without_coordinates_count_everywhere(kind, tmp_path):
    source = with_unplaced(kind, tmp_path / "file")
    facts = json.loads(run("info", source, "--json").stdout)
    assert facts["dies without coordinates"] == 4 and facts["of them fail"] == 2
    summary = json.loads(run("denoise", source, tmp_path / "out", "-q").stdout)
    assert summary["unplaced"] == 4 and summary["errors"] == 1
    assert "no die has coordinates" in read_results(tmp_path / "out")["error"][1]
    assert run("report", source, "-o", tmp_path / "lot.html").exit_code == 0
    n_dies, n_fails = (one_wafer.GRID > 0).sum() + 4, (one_wafer.GRID == 2).sum() + 2
    assert (
        f"<b>{100 * (1 - n_fails / n_dies):.1f} %</b>yield" in (tmp_path / "lot.html").read_text()
    )


def test_wafer_split_over_files_adds_up(tmp_path):
    dies = one_wafer.die_frame()
    lost = dies.head(2).assign(x=np.nan, bin=7)
    half = len(dies) // 2
    pd.concat([dies[:half], lost]).to_csv(tmp_path / "a.csv", index=False)
    pd.concat([dies[half:], lost]).to_csv(tmp_path / "b.csv", index=False)
    frame = read_maps(tmp_path / "*.csv").frame
    assert frame["n_unplaced"].tolist() == [4] and frame["n_retests"].tolist() == [0]


def test_foreign_table_attributes_are_ignored(tmp_path):
    for number, wafers in enumerate((["a"], [{"lot": "A", "wafer": "W1", "notch": "side"}], 7)):
        table = one_wafer.die_frame()
        table.attrs = {"wafers": wafers, "format": "STDF"}
        file = tmp_path / f"{number}.parquet"
        table.to_parquet(file)
        np.testing.assert_array_equal(read_maps(file).maps[0], one_wafer.GRID)
        if number < 2:
            assert len(from_die_table(table).maps) == 1


def test_table_with_lines_above_header_stays_a_table(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"LOT: A7\nDevice: ABC\n" + one_wafer.csv())
    np.testing.assert_array_equal(read_maps(file).maps[0], one_wafer.GRID)


def test_assumptions_travel_with_the_wafers(tmp_path):
    source = one_wafer.write("csv", tmp_path / "file")
    for name in ("convert", "classify"):
        result, out = command(name, source, tmp_path)
        assert result.exit_code == 0
        assert any("bin 1 passes" in note for note in read_maps(out).notes)


def test_wafers_without_labels_stay_unlabeled(tmp_path):
    source = one_wafer.write("csv", tmp_path / "file")
    assert run("convert", source, tmp_path / "wafers.npz").exit_code == 0
    wafers = read_maps(tmp_path / "wafers.npz")
    assert wafers.target is None and "label" not in wafers.frame


def test_pass_bins_decide_fails_without_coordinates(tmp_path):
    for name in "ab":
        dies = one_wafer.die_frame().assign(wafer=name)
        lost = dies.head(3).assign(x=np.nan, bin=[1, 7, 7])
        pd.concat([dies, lost]).to_parquet(tmp_path / f"{name}.parquet")
    both = tmp_path / "*.parquet"
    for pass_bins, n_fails in [(None, 2), (["7"], 1), ([], 3)]:
        frame = read_maps(both, pass_bins=pass_bins).frame
        assert frame["n_unplaced"].tolist() == [3, 3]
        assert frame["n_unplaced_fails"].tolist() == [n_fails, n_fails]
