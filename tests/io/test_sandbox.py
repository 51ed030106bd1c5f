"""A process with limits of time and memory, that reads a stranger's pickle."""

import gc
import os
import subprocess
import sys

import pytest
from lswmd_pickles import load_bytes

from camdenoise.datasets import load_wm811k
from camdenoise.io import _lswmd_convert
from camdenoise.io._sandbox import SandboxError, run_in_sandbox


def test_run_capped_limits_time(monkeypatch, lswmd_file):
    monkeypatch.setattr(_lswmd_convert, "_SECONDS", 0.01)
    with pytest.raises(ValueError, match="it took more than 0 s"):
        load_wm811k(lswmd_file)
    assert [entry.name for entry in lswmd_file.parent.iterdir()] == [lswmd_file.name]


def test_run_capped_limits_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(_lswmd_convert, "_MEMORY", 300 * 2**20)
    with pytest.raises(ValueError, match=r"it needs more than 0\.\d GiB of memory|ended with"):
        load_bytes(tmp_path, b"]" * 10**7 + b".")


def test_crash_of_the_process_is_reported(tmp_path):
    with pytest.raises(SandboxError, match="the process that read it ended with code"):
        run_in_sandbox(
            os.abort, memory=2**32, seconds=60, on_progress=lambda *step: None
        )  # os.abort takes no on_progress: the complaint is quoted


def test_vanished_caller_leaves_no_partial_file(lswmd_file, tmp_path):
    """A reading process that can report to nobody stops and takes its half file with it."""
    target = tmp_path / "part"

    def vanish(stage, done, of):
        if stage == "write":
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        _lswmd_convert.convert(str(lswmd_file), str(target), {}, on_progress=vanish)
    gc.enable()
    assert not target.exists()


def test_progress_is_reported_from_the_other_process(lswmd_file):
    steps = []
    target = lswmd_file.with_name("out.parquet")
    n = run_in_sandbox(
        _lswmd_convert.convert, str(lswmd_file), str(target), {},
        memory=2**32, seconds=60, on_progress=lambda *step: steps.append(step),
    )  # fmt: skip
    size = lswmd_file.stat().st_size
    assert n == 12 and ("read", size, size) in steps and steps[-1] == ("write", 12, 12)


def test_progress_bar_is_hidden_without_a_terminal(lswmd_file, capfd):
    load_wm811k(lswmd_file)
    assert capfd.readouterr() == ("", "")


def test_loading_works_in_scripts_without_main_guard(lswmd_file, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from camdenoise.datasets import load_wm811k\n"
        f"print(len(load_wm811k({str(lswmd_file)!r}).maps))\n"
    )
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    done = subprocess.run(
        [sys.executable, script], env=os.environ | {"PYTHONPATH": path}, capture_output=True,
        text=True, cwd=tmp_path,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("7\n", "")
