"""Train the learned denoisers on planted wafers and show how they score on unseen parts.

Patterns and backgrounds of the test wafers come from one fold, those of the training wafers from
the others. The saliencies of each denoiser are kept in the folder of results once it is trained, so
an interrupted run goes on where it stopped; the tables are computed from them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from camdenoise.datasets import load_wafer_maps, make_planted_wafers
from camdenoise.filters import ComponentSizeFilter, LargestComponentFilter, NeighborCountFilter
from camdenoise.io._atomic import write_whole
from camdenoise.learned import UNetDenoiser
from camdenoise.metrics import die_average_precision, die_report
from study.show_planted import to_markdown

KINDS = ("planted", "diffuse", "two")
LEARNED = (UNetDenoiser,)
FILTERS = (NeighborCountFilter(3), ComponentSizeFilter(8), LargestComponentFilter())
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


def make_all(data: Bunch, rows: np.ndarray, n_wafers: int) -> dict[str, Bunch]:
    """Make this many wafers of each kind from the parts of `rows`."""
    return {
        kind: make_planted_wafers(data, n_wafers, kind=kind, rows=rows, random_state=0)
        for kind in KINDS
    }


def fit(denoiser: UNetDenoiser, train: dict[str, Bunch]) -> UNetDenoiser:
    """Train on the wafers of all kinds; tell only the U-Net where the patterns are."""
    maps = [grid for wafers in train.values() for grid in wafers.maps]
    if not isinstance(denoiser, UNetDenoiser):
        return denoiser.fit(maps)
    return denoiser.fit(maps, truth=[mask for wafers in train.values() for mask in wafers.truth])


def train_and_explain(denoiser: UNetDenoiser, train: dict, test: dict) -> dict[str, np.ndarray]:
    """Return the saliencies of the test wafers, die after die, and what it took."""
    start = time.process_time()
    fit(denoiser, train)
    result = {"training seconds": np.array(time.process_time() - start)}
    for kind, wafers in test.items():
        start = time.process_time()
        saliency = [e.saliency.ravel() for e in denoiser.explain(wafers.maps)]
        result[f"{kind} seconds"] = np.array(time.process_time() - start)
        result[kind] = np.concatenate(saliency)
    result["parameters"] = np.array(sum(p.numel() for p in denoiser.module_.parameters()))
    return result


def load_or_train(file: Path, denoiser: UNetDenoiser, train: dict, test: dict) -> dict:
    """Return what `train_and_explain` does, from the file where it is there."""
    if not file.exists():
        result = train_and_explain(denoiser, train, test)
        file.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(file) as stream:
            np.savez_compressed(stream, **result)
    with np.load(file) as archive:
        return dict(archive)


def split(flat: np.ndarray, wafers: Bunch) -> list[np.ndarray]:
    """Cut the dies of all wafers into one array per wafer."""
    ends = np.cumsum([grid.size for grid in wafers.maps])
    parts = np.split(flat, ends[:-1])
    return [part.reshape(grid.shape) for part, grid in zip(parts, wafers.maps, strict=True)]


def f1(wafers: Bunch, kept: list[np.ndarray]) -> pd.Series:
    """F1 by class and their mean."""
    return die_report(wafers.maps, wafers.truth, kept, wafers.target)["f1"]


def keep(wafers: Bunch, saliency: list[np.ndarray], threshold: float) -> list[np.ndarray]:
    """Return the fails whose saliency reaches the threshold."""
    return [(s >= threshold) & (g == 2) for s, g in zip(saliency, wafers.maps, strict=True)]


def table_of_kind(wafers: Bunch, saliencies: dict[str, list[np.ndarray]]) -> pd.DataFrame:
    """F1 of every denoiser at its default, beside filters."""
    rows = {"nothing removed": f1(wafers, [grid == 2 for grid in wafers.maps])}
    rows |= {str(d): f1(wafers, [e.kept for e in d.explain(wafers.maps)]) for d in FILTERS}
    for kind in LEARNED:
        kept = keep(wafers, saliencies[kind.__name__], kind().threshold)
        rows[f"{kind.__name__}()"] = f1(wafers, kept)
    return pd.DataFrame(rows).T


def table_of_thresholds(test: dict[str, Bunch], saliencies: dict) -> pd.DataFrame:
    """Macro F1, mean over the kinds, by threshold."""
    return pd.DataFrame(
        {
            f"{threshold:g}": {
                name: np.mean(
                    [
                        f1(wafers, keep(wafers, by_kind[kind], threshold))["macro"]
                        for kind, wafers in test.items()
                    ]
                )
                for name, by_kind in saliencies.items()
            }
            for threshold in THRESHOLDS
        }
    )


def table_of_averages(test: dict[str, Bunch], saliencies: dict) -> pd.DataFrame:
    """Average precision of the saliency, mean over the wafers of each kind."""
    return pd.DataFrame(
        {
            kind: {
                name: np.nanmean(die_average_precision(wafers.maps, wafers.truth, by_kind[kind]))
                for name, by_kind in saliencies.items()
            }
            for kind, wafers in test.items()
        }
    )


def main(arguments: list[str] | None = None) -> None:
    """Train what is missing in the folder of results, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="npz file of real wafers, or its folder")
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.add_argument("--fold", type=int, default=0, help="whose parts make the test wafers")
    parser.add_argument("--train", type=int, default=1600, help="training wafers of each kind")
    parser.add_argument("--test", type=int, default=300, help="test wafers of each kind")
    options = parser.parse_args(arguments)
    data = load_wafer_maps(options.data)
    fold = data.frame["fold"].to_numpy()
    train = make_all(data, np.flatnonzero(fold != options.fold), options.train)
    test = make_all(data, np.flatnonzero(fold == options.fold), options.test)
    saliencies = {}
    for kind in LEARNED:
        file = options.out / f"{kind.__name__}-fold{options.fold}-{options.train}.npz"
        result = load_or_train(file, kind(random_state=0), train, test)
        saliencies[kind.__name__] = {name: split(result[name], test[name]) for name in KINDS}
        explain = sum(result[f"{name} seconds"] for name in KINDS) / (len(KINDS) * options.test)
        print(
            f"{kind.__name__}: {result['parameters']} parameters, trained in "
            f"{result['training seconds']:.0f} s of processor time, {1000 * explain:.1f} ms a wafer"
        )
    for name, wafers in test.items():
        scores = table_of_kind(wafers, {k: by_kind[name] for k, by_kind in saliencies.items()})
        print(f"\n{name}\n\n{to_markdown(scores.T if name == 'two' else scores, 2)}")
    print(f"\nmacro by threshold\n\n{to_markdown(table_of_thresholds(test, saliencies), 3)}")
    print(f"\naverage precision\n\n{to_markdown(table_of_averages(test, saliencies), 3)}")


if __name__ == "__main__":
    main()
