"""Make the pictures of docs/plots.md: simulated wafers, and the model that comes with the package.

Run it from the root of the checkout: python docs/pictures/make_plots.py
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.utils import Bunch

from camdenoise import CamDenoiser, Explanation
from camdenoise.datasets import CLASSES, make_wafer_maps
from camdenoise.plotting import (
    ClassParetoDisplay,
    DiePrecisionRecallDisplay,
    DieReliabilityDisplay,
    ExplanationDisplay,
    FrequencyDisplay,
    LotGalleryDisplay,
    WaferMapDisplay,
    ZoneProfileDisplay,
)

OUT = Path(__file__).parents[1] / "img"


def looks(wafer_map, why: Explanation) -> Figure:
    """Draw one wafer as it comes, in a tester's colors, and with the notch turned down."""
    figure, axes = plt.subplots(1, 3, figsize=(7.5, 3.1), layout="constrained")
    options = ({}, {"palette": "fab"}, {"aspect": "equal", "notch": "left"})
    for ax, look in zip(axes, options, strict=True):
        WaferMapDisplay.from_predictions(wafer_map, why, ax=ax, **look)
        said = (f"{name}={value!r}" for name, value in look.items())
        ax.set_title("\n".join(said) or "as it comes", fontsize="small")
    return figure


def confusion(denoiser: CamDenoiser, wafers: Bunch) -> Figure:
    """Draw the classifier's confusion matrix by scikit-learn."""
    figure, ax = plt.subplots(figsize=(5.6, 4.8), layout="constrained")
    ConfusionMatrixDisplay.from_estimator(
        denoiser.estimator_, wafers.maps, wafers.target, cmap="Blues", xticks_rotation=45, ax=ax
    )
    return figure


def pictures() -> dict[str, Figure]:
    """Draw all of them."""
    denoiser = CamDenoiser.from_pretrained("wm811k")
    wafers = make_wafer_maps(400, classes=CLASSES, random_state=0)
    why = denoiser.explain(wafers.maps)
    lot = wafers.maps[:25], why[:25]
    patterns = make_wafer_maps(300, random_state=1)
    of_patterns = patterns.maps, denoiser.explain(patterns.maps)
    with_truth = {"truth": patterns.truth}
    # The first wafer of each class with a pattern.
    first = [list(patterns.target).index(name) for name in ("Center", "Edge-Loc", "Scratch")]
    shown = [patterns.maps[row] for row in first], [of_patterns[1][row] for row in first]
    return {
        "map": looks(shown[0][1], shown[1][1]),
        "explanation": ExplanationDisplay.from_predictions(*shown).figure_,
        "gallery": LotGalleryDisplay.from_predictions(*lot).figure_,
        "frequency": FrequencyDisplay.from_predictions(*of_patterns).figure_,
        "pareto": ClassParetoDisplay.from_predictions(wafers.maps, why).figure_,
        "zones": ZoneProfileDisplay.from_predictions(*of_patterns, random_state=0).figure_,
        "precision": DiePrecisionRecallDisplay.from_predictions(*of_patterns, **with_truth).figure_,
        "reliability": DieReliabilityDisplay.from_predictions(*of_patterns, **with_truth).figure_,
        "confusion": confusion(denoiser, wafers),
    }


def save(figure: Figure, name: str) -> None:
    """Write a picture in 128 colors, which take a third of the room."""
    figure.savefig(whole := BytesIO(), dpi=72)
    Image.open(whole).convert("RGB").quantize(128).save(OUT / f"plots-{name}.png", optimize=True)


if __name__ == "__main__":
    for name, figure in pictures().items():
        save(figure, name)
