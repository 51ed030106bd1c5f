"""Show the leakage controls at work: the table and the picture of docs/leakage.md.

A small classifier is trained on some wafers of each class, raw, denoised by class activation maps,
and masked by every control.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from show_planted import to_markdown

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps, make_wafer_maps
from camdenoise.leakage import LeakageReport, leakage_report
from camdenoise.plotting import plot_leakage


def measure(data: str | None, per_class: int) -> LeakageReport:
    """Report on this many wafers of each class, simulated where there is no file."""
    if data is None:
        wafers = make_wafer_maps(per_class * len(PATTERN_CLASSES), random_state=0)
    else:
        wafers = load_wafer_maps(data, classes=PATTERN_CLASSES)
    rng = np.random.default_rng(0)
    rows = np.concatenate(
        [rng.permutation(np.flatnonzero(wafers.target == c))[:per_class] for c in PATTERN_CLASSES]
    )
    clf = WaferClassifier(width=8, input_size=32, batch_size=32, max_epochs=8, random_state=0)
    return leakage_report(
        clf,
        CamDenoiser(clf, cv=2),
        [wafers.maps[row] for row in rows],
        wafers.target[rows],
        cv=3,
        groups=wafers.groups[rows],
        random_state=0,
        progress=True,
    )


def main(arguments: list[str] | None = None) -> None:
    """Draw the picture and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="npz file of real wafers (default: simulated ones)")
    parser.add_argument("--out", type=Path, required=True, help="the picture, a png file")
    parser.add_argument("--per-class", type=int, default=60, help="wafers of each class")
    options = parser.parse_args(arguments)
    report = measure(options.data, options.per_class)
    summary = report.summary()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    ax = plot_leakage(summary)
    ax.figure.savefig(options.out, dpi=100, pil_kwargs={"optimize": True})
    plt.close(ax.figure)
    table = summary.set_index("condition")
    verdicts = table.pop("verdict")
    table["marked"] = report.predictions.groupby("condition")["marked"].mean()
    print(to_markdown(table, 3), "\n")
    for condition, verdict in verdicts.iloc[1:].items():
        print(f"- {condition}: {verdict}")


if __name__ == "__main__":
    main()
