"""What loading WM-811K costs at full size, on an imitation of the file from Kaggle.

The imitation has as many wafers, lots, labels and bytes as LSWMD.pkl and the same instructions, so
that unpickling costs what it costs there. The maps are real ones of the development data, drawn
with repetition; larger grids are drawn more often for wafers without a label, so that the file
comes to the 2.1 GB of the original.

    python benchmarks/wm811k_full_size.py write /tmp/wm811k
    python benchmarks/wm811k_full_size.py convert /tmp/wm811k
    python benchmarks/wm811k_full_size.py load /tmp/wm811k
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

N_WAFERS, N_LOTS = 811_457, 46_293
# Training and Test, as published.
LABELLED = {
    "none": (36_730, 110_701), "Edge-Ring": (8_554, 1_126), "Edge-Loc": (2_417, 2_772),
    "Center": (3_462, 832), "Loc": (1_620, 1_973), "Scratch": (500, 693), "Random": (609, 257),
    "Donut": (409, 146), "Near-full": (54, 95),
}  # fmt: skip
MEAN_CELLS = 2_340


def exponent_for(sizes, mean):
    """Return a such that drawing maps with weight size**a gives the mean size."""
    low, high = 0.0, 4.0
    for _ in range(50):
        middle = (low + high) / 2
        weights = sizes**middle
        low, high = (
            (middle, high) if (weights * sizes).sum() / weights.sum() < mean else (low, middle)
        )
    return low


def draw_wafers(n_wafers, rng):
    from lswmd_pickles import Wafers

    from camdenoise.datasets import load_wafer_maps

    real = load_wafer_maps(os.environ.get("CAMDENOISE_DATA", ROOT.parent / "shared" / "data"))
    share = n_wafers / N_WAFERS
    label, split, source = [], [], []
    for name, counts in LABELLED.items():
        pool = np.flatnonzero(real.target == name)
        for half, count in zip(("Training", "Test"), counts, strict=True):
            drawn = rng.choice(pool, round(count * share))
            source += drawn.tolist()
            label += [name] * len(drawn)
            split += [half] * len(drawn)
    sizes = np.array([grid.size for grid in real.maps], float)
    rest = n_wafers - len(source)
    mean = (MEAN_CELLS * n_wafers - sizes[source].sum()) / rest
    weights = sizes ** exponent_for(sizes, mean)
    source += rng.choice(len(sizes), rest, p=weights / weights.sum()).tolist()
    label += [""] * rest
    split += [""] * rest
    order = rng.permutation(n_wafers)
    lots = np.sort(rng.integers(1, round(N_LOTS * share) + 1, n_wafers))
    return Wafers(
        maps=[real.maps[source[i]] for i in order],
        lot=[f"lot{lot}" for lot in lots],
        wafer=rng.integers(1, 26, n_wafers),
        die_size=[int((real.maps[source[i]] > 0).sum()) for i in order],
        split=[split[i] for i in order],
        label=[label[i] for i in order],
    )


def write(folder, n_wafers):
    from lswmd_pickles import write_kaggle

    folder.mkdir(exist_ok=True)
    wafers = draw_wafers(n_wafers, np.random.default_rng(0))
    with open(folder / "LSWMD.pkl", "wb", buffering=2**22) as stream:
        write_kaggle(stream, wafers)
    n_cells = sum(grid.size for grid in wafers.maps)
    print(f"{n_wafers} wafers, {n_cells / 1e9:.3f} GB of cells, ", end="")
    print(f"{(folder / 'LSWMD.pkl').stat().st_size / 1e9:.3f} GB of pickle")


def peak_gb(who):
    return resource.getrusage(who).ru_maxrss / 2**20


def load(folder, **options):
    from camdenoise.datasets import load_wm811k

    started = time.perf_counter()
    wafers = load_wm811k(folder, **options)
    seconds = time.perf_counter() - started
    print(f"{options}: {seconds:.1f} s, {len(wafers.maps)} maps, ", end="")
    print(f"{wafers.maps.nbytes / 1e9:.3f} GB of cells; peak memory of this process ", end="")
    print(f"{peak_gb(resource.RUSAGE_SELF):.2f} GiB, ", end="")
    print(f"of the reading process {peak_gb(resource.RUSAGE_CHILDREN):.2f} GiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=["write", "convert", "load"])
    parser.add_argument("folder", type=Path, help="outside of the checkout; takes 2.5 GB")
    parser.add_argument("--wafers", type=int, default=N_WAFERS)
    options = parser.parse_args()
    if options.step == "write":
        write(options.folder, options.wafers)
    elif options.step == "convert":
        (options.folder / "LSWMD.pkl.camdenoise.parquet").unlink(missing_ok=True)
        load(options.folder)
        size = (options.folder / "LSWMD.pkl.camdenoise.parquet").stat().st_size
        print(f"{size / 1e6:.0f} MB of Parquet")
    else:
        load(options.folder)
        load(options.folder, drop=())
        load(options.folder, labeled=False, drop=())


if __name__ == "__main__":
    main()
