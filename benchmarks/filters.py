"""Maps per second of every classical filter, beside a plain copy of the maps.

All run in turn, through `transform` and through `explain`, so that a change of the machine's speed
meets all; what is printed are medians over the rounds, in processor time. "copies" is how many
times longer than a copy `transform` takes, "medians" how many times longer than the median filter.

Run as ``OMP_NUM_THREADS=1 python benchmarks/filters.py``.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd

from camdenoise import filters
from camdenoise.datasets import make_wafer_maps

COPY, MEDIAN = "plain copy", "MedianFilter"
HOWS = ["transform", "explain"]


def seconds(work, maps) -> float:
    """Time one call."""
    start = time.process_time()
    work(maps)
    return time.process_time() - start


def copies(maps):
    """Do what any filter has to do at least."""
    return [grid.copy() for grid in maps]


def measure(maps, rounds: int) -> pd.DataFrame:
    """Give the median seconds of each filter, a row each, and of the copy."""
    kinds = {name: getattr(filters, name)() for name in filters.__all__}
    works = {(name, how): getattr(f, how) for name, f in kinds.items() for how in HOWS}
    works |= {(COPY, how): copies for how in HOWS}
    for work in works.values():
        work(maps[:10])
    times = [{key: seconds(work, maps) for key, work in works.items()} for _ in range(rounds)]
    median = pd.DataFrame(times).median()
    median.index = pd.MultiIndex.from_tuples(median.index)
    return median.unstack()[HOWS]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wafers", type=int, default=500)
    parser.add_argument("--size", type=int, default=26)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    shape = (options.size, options.size)
    maps = make_wafer_maps(options.wafers, shapes=[shape], random_state=0).maps
    times = measure(list(maps), options.rounds)
    table = (len(maps) / times).round(-1).astype(int).add_suffix(" (maps/s)")
    for name, other in (("copies", COPY), ("medians", MEDIAN)):
        table[name] = (times["transform"] / times.loc[other, "transform"]).round(1)
    print(f"numpy {np.__version__}, {len(maps)} wafers of {options.size} x {options.size}")
    print(table.sort_values("copies").to_string())


if __name__ == "__main__":
    main()
