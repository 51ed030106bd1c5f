"""Pictures of wafer maps: the map itself, what was kept and removed of it, many of them stacked.

Beside them the curves that tell how faithful a saliency is, how far its numbers can be taken at
their word, and what is gained under each control.

Displays are used as those of scikit-learn: ``from_estimator(denoiser, maps)`` or
``from_predictions(maps, explanations)`` computes and draws, `plot` draws again, and `ax_` or
`axes_` and `figure_` are what was drawn into. Functions draw into the Axes they are given, or into
new ones, and return them. Nothing here shows a figure or changes matplotlib's settings. A removed
fail has a color of its own: it is not part of the pattern, but it is no good die either.
"""

from camdenoise.plotting._class_pareto import ClassParetoDisplay
from camdenoise.plotting._colors import PALETTES, SCALE
from camdenoise.plotting._explanation import ExplanationDisplay, plot_explanation
from camdenoise.plotting._faithfulness import plot_faithfulness_curves
from camdenoise.plotting._frequency import FrequencyDisplay, plot_frequency
from camdenoise.plotting._leakage import plot_leakage
from camdenoise.plotting._lot_gallery import LotGalleryDisplay
from camdenoise.plotting._precision_recall import DiePrecisionRecallDisplay
from camdenoise.plotting._reliability import DieReliabilityDisplay, plot_reliability
from camdenoise.plotting._wafer_map import WaferMapDisplay, plot_wafer_map
from camdenoise.plotting._zone_profile import ZoneProfileDisplay
from camdenoise.wafers._geometry import unit_wafer_mean

__all__ = [
    "PALETTES",
    "SCALE",
    "ClassParetoDisplay",
    "DieReliabilityDisplay",
    "ExplanationDisplay",
    "FrequencyDisplay",
    "LotGalleryDisplay",
    "DiePrecisionRecallDisplay",
    "WaferMapDisplay",
    "ZoneProfileDisplay",
    "plot_explanation",
    "plot_faithfulness_curves",
    "plot_frequency",
    "plot_leakage",
    "plot_reliability",
    "plot_wafer_map",
    "unit_wafer_mean",
]
