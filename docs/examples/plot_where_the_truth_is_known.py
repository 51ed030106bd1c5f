"""
Where the truth is known
========================

Simulated wafers tell which fails the pattern caused. How much does each denoiser keep of those?
"""

# %%
# F1 of the kept fails, for each class.

import pandas as pd

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.filters import ComponentSizeFilter, LargestComponentFilter, MedianFilter
from camdenoise.metrics import die_report
from camdenoise.plotting import DiePrecisionRecallDisplay

classes = ["Center", "Donut", "Edge-Loc", "Edge-Ring", "Loc", "Scratch"]
wafers = make_wafer_maps(120, classes=classes, random_state=0)
denoisers = {
    "CamDenoiser": CamDenoiser.from_pretrained("wm811k"),
    "largest component": LargestComponentFilter(),
    "component size": ComponentSizeFilter(),
    "median": MedianFilter(),
}


def f1(denoiser):
    """Score by class."""
    kept = [why.kept for why in denoiser.explain(wafers.maps)]
    return die_report(wafers.maps, wafers.truth, kept, wafers.target)["f1"]


pd.DataFrame({name: f1(denoiser) for name, denoiser in denoisers.items()}).T.round(3)

# %%
# What other thresholds would keep.

display = DiePrecisionRecallDisplay.from_estimator(
    denoisers["CamDenoiser"], wafers.maps, truth=wafers.truth, name="CamDenoiser"
)
