"""What `CamDenoiser.transform` costs beside a plain forward pass, and how much of it is the net.

A classifier on simulated wafers of many shapes. "forward" is a float32 pass of its net as it was
trained, without autograd, on wafers that are encoded already; "own forward" is the same of the copy
for inference, in the precision that the denoiser takes; "net" is the CAM of the default layers, or
the evidence, on the same. "Of the peak" is the share of the operations a second of a 2048 x 2048
matrix product in the same type. What `transform` takes longer than that is the work around the net:
checks, encoding, the way back to the die grid, refinement. Medians of rounds that take turns.

Run as ``python benchmarks/denoiser.py`` for the default classifier of few epochs, with
``--pretrained`` for the model that comes with the package.
"""

from __future__ import annotations

import argparse
import time
from copy import copy
from functools import partial

import numpy as np
import pandas as pd
import torch
from cam_throughput import operations, peak
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.cam import activation_maps, evidence_maps
from camdenoise.datasets import make_wafer_maps
from camdenoise.denoising._cam_denoiser import EVIDENCE
from camdenoise.nets._component_planes import input_planes
from camdenoise.nets._inference import inference_net, predict_net, takes_bfloat16

PRECISIONS = ("auto", "float32")


def seconds(work, clock) -> float:
    """Time one call."""
    start = clock()
    work()
    return clock() - start


def works(denoisers: dict[str, CamDenoiser], maps: list) -> dict:
    """Return what is timed, by name, for denoisers around one classifier."""
    clf = next(iter(denoisers.values())).estimator_
    net, fast = clf.module_, inference_net(clf.module_, int(np.max(clf.input_size)))
    batches = [input_planes(codes) for _, codes in clf.batches(maps, 64)]

    def forward():
        with torch.inference_mode():
            for images in batches:
                net(images)

    def own_forward(precision):
        for images in batches:
            predict_net(fast, images, precision)

    def explain(denoiser):
        for images in batches:
            if denoiser.method_ == EVIDENCE:
                evidence_maps(fast, images, precision=denoiser.estimator_.precision)
            else:
                precision = denoiser.estimator_.precision
                activation_maps(fast, images, denoiser.layers_, precision=precision)

    timed = {"forward": forward}
    for precision, denoiser in denoisers.items():
        timed[f"own forward, {precision}"] = partial(own_forward, precision)
        timed[f"transform, {precision}"] = partial(denoiser.transform, maps)
        timed[f"net, {precision}"] = partial(explain, denoiser)
    return timed


def default_denoisers(wafers) -> dict[str, CamDenoiser]:
    """Train the default classifier for a little."""
    clf = WaferClassifier(random_state=0).fit(wafers.maps, wafers.target)
    return {
        precision: CamDenoiser(FrozenEstimator(copy(clf).set_params(precision=precision))).fit(
            wafers.maps
        )
        for precision in PRECISIONS
    }


def pretrained_denoisers() -> dict[str, CamDenoiser]:
    """Load the model that comes with the package; one net for all."""
    return {name: CamDenoiser.from_pretrained(precision=name) for name in PRECISIONS}


def arithmetic_of(denoiser: CamDenoiser) -> torch.dtype:
    """Return the type in which the denoiser's net computes."""
    bfloat16 = takes_bfloat16(denoiser.estimator_.module_, denoiser.estimator_.precision)
    return torch.bfloat16 if bfloat16 else torch.float32


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wafers", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pretrained", action="store_true", help="the model of the package")
    parser.add_argument(
        "--processor-time", action="store_true", help="for a busy machine, with one thread"
    )
    options = parser.parse_args()
    clock = time.process_time if options.processor_time else time.perf_counter
    wafers = make_wafer_maps(options.wafers, random_state=0)
    denoisers = pretrained_denoisers() if options.pretrained else default_denoisers(wafers)
    timed = works(denoisers, wafers.maps)
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
            "of its own": round(
                median[f"transform, {precision}"] / median[f"own forward, {precision}"], 2
            ),
            "forward, of the peak": round(
                operations(timed[f"own forward, {precision}"])
                / median[f"own forward, {precision}"]
                / peak(arithmetic_of(denoisers[precision]), clock),
                2,
            ),
            "around the net": round(
                1 - median[f"net, {precision}"] / median[f"transform, {precision}"], 3
            ),
        }
        for precision in PRECISIONS
    ]
    print(pd.DataFrame(table).to_string(index=False))


if __name__ == "__main__":
    main()
