"""Wafers per second described by features, beside a forward pass of the default net.

Both run in turn on the same wafers, so that a change of the machine's speed meets both; printed are
medians over the rounds, in processor time. "forward passes" is how many times longer than the net
on one thread a step takes.

Run as ``OMP_NUM_THREADS=1 python benchmarks/features.py``, with ``--data`` on real wafers.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
import torch

from camdenoise import WaferClassifier
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, make_wafer_maps
from camdenoise.features import WaferFeatures

FORWARD = "WaferClassifier.predict_proba, float32"


def seconds(work, maps) -> float:
    """Time one call."""
    start = time.process_time()
    work(maps)
    return time.process_time() - start


def some_wafers(data: str | None, n_wafers: int) -> list[np.ndarray]:
    """Draw real wafers with a pattern, or simulate."""
    if data is None:
        return list(make_wafer_maps(n_wafers, random_state=0).maps)
    maps = load_wafer_maps(data, classes=PATTERN_CLASSES).maps
    rows = np.random.default_rng(0).permutation(len(maps))[:n_wafers]
    return [maps[row] for row in rows]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=None)
    parser.add_argument("--wafers", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    maps = some_wafers(options.data, options.wafers)
    trained = make_wafer_maps(64, random_state=0)
    net = WaferClassifier(max_epochs=1, precision="float32", random_state=0)
    net.fit(trained.maps, trained.target)
    works = {
        FORWARD: net.predict_proba,
        "WaferFeatures.transform": WaferFeatures().transform,
    }
    for work in works.values():
        work(maps[:64])
    rounds = range(options.rounds)
    measured = [{name: seconds(work, maps) for name, work in works.items()} for _ in rounds]
    times = pd.DataFrame(measured).median()
    table = pd.DataFrame({"wafers/s": (len(maps) / times).round(-1).astype(int)})
    table["forward passes"] = (times / times[FORWARD]).round(3)
    sides = np.median([grid.shape for grid in maps], axis=0).astype(int)
    print(f"numpy {np.__version__}, {len(maps)} wafers, median {sides[0]} x {sides[1]} dies")
    print(table.to_string())


if __name__ == "__main__":
    main()
