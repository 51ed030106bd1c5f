"""Processes that are killed, disks that are full, files that vanish: nothing is lost.

The kills are slow and run on demand: ``pytest -m slow tests/robustness/test_faults.py``.
"""

import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from camdenoise import load_model
from camdenoise.cli import main
from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import MedianFilter
from camdenoise.io import WaferFileError
from camdenoise.io._results import SUMMARY_KEY, list_parts, read_note
from camdenoise.stream import denoise_batches, open_source, wafer_batch, write_parts

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Labeled wafers in several row groups, so that they are not read at once."""
    wafers = make_wafer_maps(1200, random_state=0)
    keys = pd.DataFrame(
        {"lot": [f"L{row // 25}" for row in range(1200)], "label": wafers.target.astype(str)}
    )
    path = tmp_path_factory.mktemp("wafers") / "history.parquet"
    table = pa.Table.from_batches([wafer_batch(wafers.maps, keys)])
    pq.write_table(table, path, row_group_size=100)
    return path


def listen_to_ctrl_c():
    """Who runs these tests in the background may have told their processes not to."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*arguments, preexec_fn=listen_to_ctrl_c, **options):
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=preexec_fn,
        **options,
    )


def summary_in(out):
    """What a run that has ended says in its last part."""
    parts = list_parts(out)
    return read_note(parts[-1], SUMMARY_KEY) if parts else None


def finish(*arguments):
    process = start(*arguments)
    began = time.monotonic()
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return out, time.monotonic() - began


def kill_at_random(arguments, longest, rng):
    """Start a process and kill it with all that it started; tell whether it was still running."""
    process = start(*arguments)
    try:
        process.wait(timeout=rng.uniform(0.2, longest))
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    finally:
        process.communicate()


def tables_in(folder):
    return {path.name: pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["denoise", "classify"])
def test_killed_run_resumes_to_undisturbed_result(command, file, tmp_path):
    rng = np.random.default_rng(0)
    how = ["--part-rows", 50, "--threads", 1, "-q"]
    _, seconds = finish("camdenoise", command, file, tmp_path / "whole", *how)
    whole = tables_in(tmp_path / "whole")
    assert len(whole) == 24
    kills, rounds = 0, 0
    while kills < 15:
        out = tmp_path / f"out{rounds}"
        rounds += 1
        done = False
        while not done and kills < 15:
            arguments = ["camdenoise", command, file, out, *how, "--resume"]
            done = not kill_at_random(arguments, seconds, rng)
            kills += not done
            for name, table in tables_in(out).items():
                assert table.equals(whole[name]), name
            if summary_in(out) is not None:
                assert len(tables_in(out)) == 24
        finish("camdenoise", command, file, out, *how, "--resume")
        found = tables_in(out)
        assert list(found) == list(whole)
        assert all(found[name].equals(whole[name]) for name in whole)
        summary = summary_in(out)
        assert summary["wafers"] == 1200 and summary["errors"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("end", ["parquet", "npz"])
def test_killed_convert_leaves_a_whole_file_or_none(end, file, tmp_path):
    rng = np.random.default_rng(1)
    whole = tmp_path / f"whole.{end}"
    _, seconds = finish("camdenoise", "convert", file, whole)
    kills = 0
    while kills < 8:
        out = tmp_path / f"out{kills}.{end}"
        out.unlink(missing_ok=True)
        kills += kill_at_random(["camdenoise", "convert", file, out], seconds, rng)
        if not out.exists():
            finish("camdenoise", "convert", file, out)
        assert out.read_bytes() == whole.read_bytes()


@pytest.mark.slow
def test_killed_train_leaves_a_whole_model_or_none(file, tmp_path):
    rng = np.random.default_rng(2)
    how = ["--backbone", "wafer_resnet", "--epochs", 1, "--threads", 1, "-q"]
    _, seconds = finish("camdenoise", "train", file, tmp_path / "whole.safetensors", *how)
    maps = make_wafer_maps(5, random_state=1).maps
    expected = load_model(tmp_path / "whole.safetensors").estimator_.predict_proba(maps)
    kills = 0
    while kills < 8:
        out = tmp_path / f"out{kills}.safetensors"
        out.unlink(missing_ok=True)
        killed = kill_at_random(["camdenoise", "train", file, out, *how], seconds, rng)
        kills += killed
        if not out.exists():
            assert killed
            finish("camdenoise", "train", file, out, *how)
        found = load_model(out).estimator_.predict_proba(maps)
        np.testing.assert_array_equal(found, expected)


STUDY = """
import sys
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
from study import plan
from study.graph import run_all
from study.profiles import load_profile
run_all(plan.make_plan(load_profile("smoke"), None), Path(sys.argv[1]) / "parts")
"""


def content_of(parts):
    """What the parts of a study hold, but for times and places."""
    found = {}
    for path in sorted(parts.rglob("*")):
        name = str(path.relative_to(parts))
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                found[name] = {key: arrays[key].tobytes() for key in arrays}
        elif path.suffix == ".csv" and "seconds" not in path.read_text().split("\n")[0]:
            found[name] = path.read_bytes()
    return found


@pytest.mark.slow
def test_killed_study_resumes_to_undisturbed_result(tmp_path):
    rng = np.random.default_rng(3)
    script = tmp_path / "reduced.py"
    script.write_text(STUDY)
    tests = Path(__file__).parents[1]
    (study_tests,) = tests.rglob("test_study.py")
    found = os.pathsep.join(map(str, [tests.parent, tests / "helpers", study_tests.parent]))

    def arguments(out):
        return [str(script), str(out)]

    def run_script(out):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, *arguments(out)],
            env=ENVIRONMENT | {"PYTHONPATH": found},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return time.monotonic() - began

    seconds = run_script(tmp_path / "whole")
    whole = content_of(tmp_path / "whole" / "parts")
    assert len(whole) > 5
    kills, rounds = 0, 0
    while kills < 10:
        process = subprocess.Popen(
            [sys.executable, *arguments(tmp_path / f"out{rounds}")],
            env=ENVIRONMENT | {"PYTHONPATH": found},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=rng.uniform(1, max(4, seconds / 3)))
            rounds += 1
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    for number in range(rounds + 1):
        run_script(tmp_path / f"out{number}")
        assert content_of(tmp_path / f"out{number}" / "parts") == whole


def told(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    return result


def with_room_for(n_bytes):
    """Let no file of this process become longer: to a program, a full disk is an error, too."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))

    return limit


def test_full_disk_is_named_and_parts_stay(file, tmp_path):
    out = tmp_path / "out"
    how = ["--part-rows", "600", "--threads", "1", "-q"]
    # Enough for the note of the run, not for a part.
    process = start("camdenoise", "denoise", file, out, *how, preexec_fn=with_room_for(4000))
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 2 and "File too large" in said and "--resume goes on" in said
    assert not list(out.glob("*.parquet")) and not list(out.glob(".*"))
    assert told("denoise", file, out, *how, "--resume").exit_code == 0
    assert len(tables_in(out)) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["denoise", "IN", "/proc/nowhere/out", "-q"],
        ["classify", "IN", "/proc/out", "-q"],
        ["convert", "IN", "/proc/out.parquet", "-q"],
        ["report", "IN", "-o", "/proc/out.html"],
        ["denoise", "IN", "IN", "-q"],
    ],
)
def test_unwritable_place_is_named(arguments, file):
    result = told(*(str(file) if word == "IN" else word for word in arguments))
    assert result.exit_code == 2, result.output
    assert "out" in result.stderr or file.name in result.stderr


def test_truncated_input_leaves_whole_parts(file, tmp_path):
    """As when a network drive goes away: what was read is decided, and the next run goes on."""
    broken, out = tmp_path / "broken.parquet", tmp_path / "out"
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    broken.write_bytes(content)
    transform = partial(denoise_batches, denoiser=MedianFilter().fit([np.ones((3, 3))]))

    def write(path):
        batches = open_source(path, batch_rows=50).batches
        return write_parts(out, batches, transform, part_rows=50, resume=True)

    with pytest.raises(WaferFileError, match=r"broken\.parquet.*damaged"):
        write(broken)
    parts = tables_in(out)
    assert 0 < len(parts) < 24 and all(len(table) == 50 for table in parts.values())
    assert summary_in(out) is None
    summary = write(file)
    assert summary.wafers == 1200 and summary.parts_before == len(parts)


@pytest.mark.parametrize("pause", [0.001, 0.05, 0.5])
def test_ctrl_c_twice_stops_and_leaves_whole_parts(pause, file, tmp_path):
    out = tmp_path / "out"
    process = start("camdenoise", "denoise", file, out, "--part-rows", "25", "-q")
    deadline = time.monotonic() + 120
    while not list(out.glob("part-*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(pause)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    # Ended by the signal itself is 130, too, to a shell.
    assert process.returncode in (130, -signal.SIGINT)
    assert all(len(table) == 25 for table in tables_in(out).values())
    assert told("denoise", file, out, "--part-rows", 25, "-q", "--resume").exit_code == 0
    assert sum(map(len, tables_in(out).values())) == 1200
