"""Seconds per training epoch and predictions per second, for a net of ours and its precisions.

    python benchmarks/training.py --wafers 2000
    python benchmarks/training.py --wafers 2000 --backbone wafer_unet

`wafer_unet` is trained as `CamDenoiser` trains it; as many wafers again are planted for it to
train on, which counts as part of the epoch.
"""

from __future__ import annotations

import argparse
import time

import pandas as pd
import torch

from camdenoise import WaferClassifier
from camdenoise.datasets import make_wafer_maps

#: Parameters that are not the defaults.
NETS = {"wafer_resnet": {}, "wafer_unet": {"input_size": (48, 96)}}


def measure(wafers, backbone: str, precision: str) -> dict:
    """Train one epoch, then predict the same wafers."""
    options = {"max_epochs": 1, "precision": precision, "random_state": 0}
    clf = WaferClassifier(backbone, **options, **NETS[backbone])
    start = time.perf_counter()
    clf.fit(wafers.maps, wafers.target)
    trained = time.perf_counter()
    clf.predict(wafers.maps)
    predicted = time.perf_counter()
    for _ in clf.batches(wafers.maps):
        pass
    encoded = time.perf_counter()
    n = len(wafers.maps)
    return {
        "precision": precision,
        "bfloat16": clf.net_.bfloat16,
        "seconds per epoch": trained - start,
        "seconds per 17,000 wafers": (trained - start) * 17000 / n,
        "predictions per second": n / (predicted - trained),
        "seconds to encode 17,000 wafers": (encoded - predicted) * 17000 / n,
    }


def main() -> None:
    """Print a table, each precision in turn, the first round left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wafers", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backbone", choices=NETS, default="wafer_resnet")
    options = parser.parse_args()
    wafers = make_wafer_maps(options.wafers, random_state=0)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    precisions = ("auto", "float32")
    rounds = [
        [measure(wafers, options.backbone, p) for p in precisions]
        for _ in range(options.rounds + 1)
    ]
    table = pd.DataFrame([row for rows in rounds[1:] for row in rows])
    print(table.groupby("precision").median(numeric_only=False).round(2).to_string())


if __name__ == "__main__":
    main()
