"""What `CamDenoiser.transform` costs compared with a plain forward pass.

A classifier on simulated wafers of many shapes. "forward" is a float32 pass of its net as it was
trained, without autograd, on wafers that are encoded already; "own forward" is the pass that the
denoiser takes, with the encoding, in its precision. Medians of rounds that take turns.

Run as ``python benchmarks/denoiser.py`` for the default classifier of few epochs, with
``--pretrained`` for the model that comes with the package.
"""

from __future__ import annotations

import argparse
import time
from copy import copy
from functools import partial

import pandas as pd
import torch
from sklearn.frozen import FrozenEstimator
from torch.nn.functional import one_hot

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.datasets import make_wafer_maps

PRECISIONS = ("auto", "float32")


def seconds(work, clock) -> float:
    """Time one call."""
    start = clock()
    work()
    return clock() - start


def planes_of(codes: torch.Tensor) -> torch.Tensor:
    """Turn what `WaferClassifier.batches` gives into the input of its net."""
    first = codes if codes.ndim == 3 else codes[:, 0]
    planes = one_hot(first.long(), 3).permute(0, 3, 1, 2).float()
    if codes.ndim == 4:
        planes = torch.cat([planes, codes[:, 1:].float() / 255], dim=1)
    return planes.contiguous(memory_format=torch.channels_last)


def works(denoisers: dict[str, CamDenoiser], maps: list) -> dict:
    """Return what is timed, by name, for denoisers around one classifier."""
    clf = next(iter(denoisers.values())).estimator_
    batches = [planes_of(codes) for _, codes in clf.batches(maps)]

    def forward():
        with torch.inference_mode():
            for images in batches:
                clf.module_(images)

    def own_forward(denoiser):
        for _ in denoiser.estimator_.net_outputs(maps):
            pass

    timed = {"forward": forward}
    for precision, denoiser in denoisers.items():
        timed[f"own forward, {precision}"] = partial(own_forward, denoiser)
        timed[f"transform, {precision}"] = partial(denoiser.transform, maps)
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
        }
        for precision in PRECISIONS
    ]
    print(pd.DataFrame(table).to_string(index=False))


if __name__ == "__main__":
    main()
