"""What `camdenoise denoise` does per second on a file of WM-811K's shapes, and how much memory.

A file of wafers is written (`wm811k_full_size.draw_wafers`: real maps, drawn so that their sizes
and labels are those of WM-811K), the command runs on it as a process of its own, and the memory of
that process and of all that it starts is looked at every two seconds (proportional set size, so
that what they share counts once). ``--steps`` runs one thread in this process instead and says
where its time goes. Needs the extra ``bench``.

    python benchmarks/stream.py --wafers 10000 100000 811457 --workers 2
    python benchmarks/stream.py --wafers 10000 --steps
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import subprocess
import sys
import tempfile
import threading
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
from wm811k_full_size import draw_wafers

from camdenoise.stream import denoise_batches, open_source, wafer_batch, write_parts

ROWS = 2048
#: Functions whose time, with all that they call, is a step: by the end of the file's path and name.
STEPS = {
    "the net": [("camdenoise/nets/_inference.py", "predict_net")],
    "encoding": [
        ("camdenoise/nets/_encoding.py", "encode_maps"),
        ("camdenoise/nets/_encoding.py", "encode_dies"),
        ("camdenoise/nets/_component_planes.py", "add_component_planes"),
        ("camdenoise/nets/_component_planes.py", "input_planes"),
    ],
    "back to dies": [
        ("camdenoise/cam/_on_dies.py", "pattern_probability"),
        ("camdenoise/nets/_encoding.py", "mean_on_dies"),
    ],
    "decision": [
        ("camdenoise/denoising/_decision.py", "explain"),
        ("camdenoise/denoising/_detection.py", "detection_score"),
    ],
    "result columns": [("camdenoise/stream/_denoise.py", "_make_results")],
    "writing": [("pyarrow/parquet/core.py", "write_table")],
}


def write_wafers(path: Path, n_wafers: int) -> None:
    """Write the imitation as Parquet with a row per wafer."""
    wafers = draw_wafers(n_wafers, np.random.default_rng(0))
    keys = pd.DataFrame({"lot": wafers.lot, "wafer": wafers.wafer, "label": wafers.label})
    rows = [slice(start, start + ROWS) for start in range(0, n_wafers, ROWS)]
    batches = (wafer_batch(wafers.maps[some], keys.iloc[some]) for some in rows)
    first = next(batches)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        for batch in chain([first], batches):
            writer.write_batch(batch)


def memory_of(process: psutil.Process) -> int:
    """Return the bytes of a process and its children; 0 for those that have just ended."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def peak_of(process: psutil.Process, stop: threading.Event, peak: list[int]) -> None:
    """Look again and again until told to stop."""
    while not stop.wait(2):
        peak[0] = max(peak[0], memory_of(process))


def run_command(path: Path, out: Path, options: list[str]) -> dict:
    """Run ``camdenoise denoise``; return its closing line with the peak of its memory."""
    command = [sys.executable, "-m", "camdenoise", "denoise", str(path), str(out), "-q", *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stop, peak = threading.Event(), [0]
    watch = threading.Thread(target=peak_of, args=(psutil.Process(child.pid), stop, peak))
    watch.start()
    printed, _ = child.communicate()
    stop.set()
    watch.join()
    if child.returncode:
        raise SystemExit(child.returncode)
    return json.loads(printed.splitlines()[-1]) | {"peak_gib": round(peak[0] / 2**30, 2)}


def time_of_steps(path: Path, out: Path) -> pd.Series:
    """Return the share of time of each step, in one thread of this process."""
    import torch

    from camdenoise import CamDenoiser

    torch.set_num_threads(1)
    denoiser = CamDenoiser.from_pretrained()
    next(denoise_batches(open_source(path, batch_rows=64).batches, denoiser))
    profile = cProfile.Profile()
    profile.enable()
    write_parts(out, open_source(path).batches, partial(denoise_batches, denoiser=denoiser))
    profile.disable()
    stats = pstats.Stats(profile)
    taken = {
        step: sum(
            line[3]
            for (file, _, name), line in stats.stats.items()
            if any(file.endswith(place) and name == function for place, function in functions)
        )
        for step, functions in STEPS.items()
    }
    rest = stats.total_tt - sum(taken.values())
    return pd.Series(taken | {"reading and the rest": rest}) / stats.total_tt


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wafers", type=int, nargs="+", default=[10_000])
    parser.add_argument("--steps", action="store_true", help="where the time of one thread goes")
    parser.add_argument("--workers", type=int, nargs="+", default=[1], help="1: threads instead")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--model", default="wm811k")
    parser.add_argument("--folder", type=Path, help="for the files; 2 GB for all of WM-811K")
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, {psutil.virtual_memory().total / 2**30:.0f} GiB", flush=True)
    for n_wafers in options.wafers:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            path = Path(folder, "wafers.parquet")
            write_wafers(path, n_wafers)
            if options.steps:
                print(time_of_steps(path, Path(folder, "out")).round(3).to_string(), flush=True)
                continue
            for workers in options.workers:
                how = ["--workers", str(workers), "--threads", str(options.threads)]
                how += ["--model", options.model]
                closing = run_command(path, Path(folder, f"out{workers}"), how)
                told = ("wafers", "seconds", "wafers_per_second", "peak_gib", "errors")
                print(f"{workers} workers:", {name: closing[name] for name in told}, flush=True)


if __name__ == "__main__":
    main()
