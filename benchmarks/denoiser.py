"""What `CamDenoiser.transform` costs beside a plain forward pass, and how much of it is the net.

The default classifier on simulated wafers of many shapes. "forward" is a float32 pass of its net as
it was trained, without autograd, on wafers that are encoded already; "net" is the CAM of the
default layers on the same. What `transform` takes longer than that is the work around the net:
checks, encoding, the way back to the die grid, refinement. Medians of rounds that take turns.

Run as ``python benchmarks/denoiser.py``.
"""

from __future__ import annotations

import argparse
import time

import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise._component_planes import input_planes
from camdenoise._inference import inference_net
from camdenoise.cam import activation_maps
from camdenoise.datasets import make_wafer_maps

PRECISIONS = ("auto", "float32")


def seconds(work, clock) -> float:
    """Time one call."""
    start = clock()
    work()
    return clock() - start


def works(clf: WaferClassifier, maps: list) -> dict:
    """Return what is timed, by name."""
    net, fast = clf.module_, inference_net(clf.module_, clf.input_size)
    batches = [input_planes(codes) for _, codes in clf.batches(maps, 64)]

    def forward():
        with torch.inference_mode():
            for images in batches:
                net(images)

    def explain(denoiser):
        for images in batches:
            activation_maps(fast, images, denoiser.layers_, precision=denoiser.precision)

    timed = {"forward": forward}
    for precision in PRECISIONS:
        denoiser = CamDenoiser(FrozenEstimator(clf), precision=precision).fit(maps)
        timed[f"transform, {precision}"] = lambda denoiser=denoiser: denoiser.transform(maps)
        timed[f"net, {precision}"] = lambda denoiser=denoiser: explain(denoiser)
    return timed


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wafers", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--processor-time", action="store_true", help="for a busy machine, with one thread"
    )
    options = parser.parse_args()
    clock = time.process_time if options.processor_time else time.perf_counter
    wafers = make_wafer_maps(options.wafers, random_state=0)
    clf = WaferClassifier(random_state=0).fit(wafers.maps, wafers.target)
    timed = works(clf, wafers.maps)
    for work in timed.values():
        work()
    rounds = [
        {name: seconds(work, clock) for name, work in timed.items()} for _ in range(options.rounds)
    ]
    median = pd.DataFrame(rounds).median()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    table = [
        {
            "precision": precision,
            "maps/s": round(options.wafers / median[f"transform, {precision}"]),
            "of a forward": round(median[f"transform, {precision}"] / median["forward"], 2),
            "around the net": round(
                1 - median[f"net, {precision}"] / median[f"transform, {precision}"], 3
            ),
        }
        for precision in PRECISIONS
    ]
    print(pd.DataFrame(table).to_string(index=False))


if __name__ == "__main__":
    main()
