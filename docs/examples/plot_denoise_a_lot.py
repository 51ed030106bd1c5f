"""
A lot before and after
======================

Which fails belong to a pattern, and which do not.
"""

# %%
# Twenty-five wafers of one product. A wafer map is a grid: 0 no die, 1 pass, 2 fail.

from camdenoise import CamDenoiser
from camdenoise.datasets import make_wafer_maps
from camdenoise.plotting import LotGalleryDisplay

wafers = make_wafer_maps(25, shapes=[(31, 31)], random_state=0)

# %%
# The model that comes with the package decides about every failing die. What is not part of a
# pattern is blue: a failing die all the same, of another cause.

denoiser = CamDenoiser.from_pretrained("wm811k")
why = denoiser.explain(wafers.maps)
display = LotGalleryDisplay.from_predictions(wafers.maps, why)

# %%
# What the yield is lost to.

from camdenoise.lots import lot_summary, yield_loss

yield_loss(lot_summary(denoiser, wafers.maps, explanations=why)).round(4)
