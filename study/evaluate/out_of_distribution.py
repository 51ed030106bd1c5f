"""What the bundled recipe claims on wafers unlike its training wafers.

    python -m study evaluate out_of_distribution --model MODEL --data DATA.npz
    python -m study evaluate out_of_distribution --data DATA.npz

Lots of the fold that the model was not trained on, as `study.bundle` leaves it. Half of them
calibrate when a pattern is claimed, the other half is asked, and the other way round; the wafers
that are known, to tell which are unlike them, are those that it was trained on. Patterns that
WM-811K has no name for are put on wafers labeled `none`: half wafers, stripes, checkerboards and
reticle grids (every fourth die of every fourth row fails). Other fabs' grids: the same wafers cut
to fewer dies, and stretched. Without a model the bundled one is asked, which was trained on these
wafers: what it says of unseen patterns is still of interest, what it says of seen ones is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from camdenoise import CamDenoiser, load_model
from camdenoise.datasets import PATTERN_CLASSES, load_wafer_maps
from camdenoise.metrics import bootstrap_interval
from camdenoise.wafers import FAIL, PASS
from study.evaluate.common import FoldPart, halves_of_fold, make_parser, rows_of_fold
from study.evaluate.held_out import FALSE_ALARMS, calibrated, known_to
from study.wafers import regrid

# Wafers labeled `none` that each kind is made of.
N_WAFERS = 300
Where = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def half_wafer(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All dies on one side of a line through the middle."""
    angle = rng.uniform(0, 2 * np.pi)
    height, width = y.max() + 1, x.max() + 1
    return (y / height - 0.5) * np.sin(angle) + (x / width - 0.5) * np.cos(angle) > 0


def stripes(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every fourth row of dies."""
    return y % 4 == rng.integers(4)


def checkerboard(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every other die."""
    return (y + x) % 2 == rng.integers(2)


def reticle_grid(y: np.ndarray, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One die of each exposure of four by four."""
    return (y % 4 == rng.integers(4)) & (x % 4 == rng.integers(4))


UNKNOWN_PATTERNS: dict[str, Where] = {
    "half wafer": half_wafer,
    "stripes": stripes,
    "checkerboard": checkerboard,
    "reticle grid": reticle_grid,
}


def with_pattern(grid: np.ndarray, where: Where, rng: np.random.Generator) -> np.ndarray:
    """Put a pattern on a wafer; nine of ten of its dies fail."""
    y, x = np.indices(grid.shape)
    planted = where(y, x, rng) & (grid == PASS) & (rng.random(grid.shape) < 0.9)
    return np.where(planted, FAIL, grid).astype(np.uint8)


def make_kinds(half: FoldPart, rng: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Draw and build the wafers of each kind."""
    none = half.labeled("none")
    drawn = [none[row] for row in rng.permutation(len(none))[:N_WAFERS]]
    kinds = {
        "none": drawn,
        "none, three quarters of the rows": [
            regrid(g, max(1, 3 * g.shape[0] // 4), g.shape[1]) for g in drawn
        ],
        "none, three quarters of the columns": [
            regrid(g, g.shape[0], max(1, 3 * g.shape[1] // 4)) for g in drawn
        ],
        **{label: half.labeled(label) for label in PATTERN_CLASSES},
        "Random": half.labeled("Random"),
        "Near-full": half.labeled("Near-full"),
    }
    for name, where in UNKNOWN_PATTERNS.items():
        kinds[name] = [with_pattern(grid, where, rng) for grid in drawn]
    return kinds


def answers(denoiser: CamDenoiser, maps: list[np.ndarray]) -> pd.DataFrame:
    """Tell for each wafer what is claimed."""
    found = denoiser.explain(maps)
    return pd.DataFrame(
        {
            "claimed": [why.claims_pattern and not why.novel for why in found],
            "novel": [why.novel for why in found],
            "abstained": [why.abstained for why in found],
            "label": [why.label for why in found],
            "probability": [why.probability for why in found],
            "kept": [int(why.kept.sum()) for why in found],
            "fails": [int((grid == FAIL).sum()) for grid in maps],
        }
    )


def denoisers(model: Path | None, data: Bunch, fold: int) -> Iterator[tuple[CamDenoiser, FoldPart]]:
    """Give each denoiser with the wafers that it is asked about."""
    if model is None:
        whole = FoldPart.of(data, np.arange(len(data.maps)))
        yield CamDenoiser.from_pretrained(), whole
        return
    clf, (first, second) = load_model(model), halves_of_fold(data, fold)
    novelty = known_to(clf, data, np.setdiff1d(np.arange(len(data.maps)), rows_of_fold(data, fold)))
    yield calibrated(clf, first, FALSE_ALARMS, novelty), second
    yield calibrated(clf, second, FALSE_ALARMS, novelty), first


def main(arguments: list[str] | None = None) -> None:
    """Print a table."""
    parser = make_parser("out_of_distribution", __doc__, needs_model=False)
    options = parser.parse_args(arguments)
    data, rng = load_wafer_maps(options.data), np.random.default_rng(0)
    found = []
    for denoiser, wafers in denoisers(options.model, data, options.fold):
        for kind, maps in make_kinds(wafers, rng).items():
            if maps:
                found.append(answers(denoiser, maps).assign(kind=kind))
    table = pd.concat(found, ignore_index=True)
    rows = []
    for kind, wafers in table.groupby("kind", sort=False):
        low, high = bootstrap_interval(wafers["claimed"], random_state=0)
        most = wafers["label"].value_counts()
        rows.append(
            {
                "kind": kind,
                "wafers": len(wafers),
                "claimed": wafers["claimed"].mean(),
                "low": low,
                "high": high,
                "abstained": wafers["abstained"].mean(),
                "novel": wafers["novel"].mean(),
                "median probability": wafers["probability"].median(),
                "fails kept": wafers["kept"].sum() / wafers["fails"].sum(),
                "most often": f"{most.index[0]} ({most.iloc[0] / len(wafers):.0%})",
            }
        )
    print(pd.DataFrame(rows).round(3).to_string(index=False))
