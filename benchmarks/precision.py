"""Decisions in bfloat16 beside those in float32, of classifiers trained here on real wafers.

Trained on three of the folds, compared on wafers of the fourth that have a pattern, which has more
decisions to get wrong than the usual mixture. For each net, CAM method and refinement: the share of
dies that both keep, or neither does; of fails; of wafers with the same mask; and of wafers with the
same class. Then, for wafers of all classes as they come, what `predict_proba` says; "close" are
those that are computed in float32 after all.

Run as ``python benchmarks/precision.py --data wm811k_dev.npz``.
"""

from __future__ import annotations

import argparse
import warnings
from copy import copy

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.datasets import load_wafer_maps

#: Net -> target layers of Grad-CAM, as its users choose them; LayerCAM gets those of the default.
GRADCAM_LAYER = {
    "wafer_resnet": "stage4",
    "resnet18": "layer4",
    "efficientnet_b0": "conv_head",
    "vgg11_bn": "block4",
}
PRECISIONS = ("float32", "bfloat16")
# Lead of the best class, as a share of the range of logits, below which float32 decides.
CLOSE = 0.02


def drawn(rows: np.ndarray, n: int) -> np.ndarray:
    """Draw up to `n` of the rows, the same ones on every run."""
    return np.random.default_rng(0).permutation(rows)[:n]


def trained(name: str, wafers, options) -> WaferClassifier:
    """Train on wafers of the folds 1 to 3, three quarters of them with a pattern."""
    seen = wafers.frame["fold"].to_numpy() != 0
    pattern = wafers.target != "none"
    rows = np.r_[
        drawn(np.flatnonzero(seen & pattern), 3 * options.train // 4),
        drawn(np.flatnonzero(seen & ~pattern), options.train // 4),
    ]
    clf = WaferClassifier(name, input_size=options.size, max_epochs=options.epochs, random_state=0)
    return clf.fit([wafers.maps[row] for row in rows], wafers.target[rows])


def same_masks(clf: WaferClassifier, maps: list, **parameters) -> dict:
    """Compare what the two precisions keep."""
    one, other = (
        CamDenoiser(FrozenEstimator(copy(clf).set_params(precision=precision)), **parameters)
        .fit(maps[:1])
        .explain(maps)
        for precision in PRECISIONS
    )
    pairs = list(zip(one, other, strict=True))
    different = np.array([(a.kept != b.kept).sum() for a, b in pairs])
    return {
        "dies": 1 - different.sum() / sum((grid > 0).sum() for grid in maps),
        "fails": 1 - different.sum() / sum((grid == 2).sum() for grid in maps),
        "masks": (different == 0).mean(),
        "class": np.mean([a.label == b.label for a, b in pairs]),
    }


def lead(probabilities: np.ndarray) -> np.ndarray:
    """Return by how much of the range of its logits the best class of each wafer leads."""
    logits = np.sort(np.log(probabilities), axis=1)
    return (logits[:, -1] - logits[:, -2]) / (logits[:, -1] - logits[:, 0])


def same_classes(clf: WaferClassifier, maps: list) -> dict:
    """Compare what the two precisions predict."""
    one, other = (clf.set_params(precision=p).predict_proba(maps) for p in PRECISIONS)
    return {
        "wafers": len(maps),
        "other class": (one.argmax(axis=1) != other.argmax(axis=1)).sum(),
        "probability moved by up to": np.abs(one - other).max(),
        "lead moved by up to": np.abs(lead(one) - lead(other)).max(),
        "close": (lead(other) < CLOSE).mean(),
    }


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="npz file of real wafers")
    parser.add_argument("--nets", nargs="+", choices=GRADCAM_LAYER, default=list(GRADCAM_LAYER))
    parser.add_argument("--train", type=int, default=6000, help="wafers")
    parser.add_argument("--test", type=int, default=2000, help="wafers")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    # Announced by torch for every fit; it concerns who writes schedulers, not who runs them.
    warnings.filterwarnings("ignore", message=".*lr_scheduler.step.*")
    wafers = load_wafer_maps(options.data)
    unseen = wafers.frame["fold"].to_numpy() == 0
    pattern = drawn(np.flatnonzero(unseen & (wafers.target != "none")), options.test)
    mixture = drawn(np.flatnonzero(unseen), 5 * options.test)
    masks, classes = [], []
    for name in options.nets:
        clf = trained(name, wafers, options)
        classes.append({"net": name} | same_classes(clf, [wafers.maps[row] for row in mixture]))
        for method, layers in (("layercam", "auto"), ("gradcam", [GRADCAM_LAYER[name]])):
            for refine in ("component", None):
                how = {"method": method, "aggregation": refine}
                maps = [wafers.maps[row] for row in pattern]
                masks.append({"net": name} | how | same_masks(clf, maps, layers=layers, **how))
    print(pd.DataFrame(masks).round(5).to_string(index=False))
    print(pd.DataFrame(classes).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
