"""Pictures of wafer maps and their explanations, and curves of the quality of a saliency.

Displays work like those of scikit-learn: ``from_estimator(denoiser, maps)`` or
``from_predictions(maps, explanations)`` computes and draws, and `plot` draws again. The attributes
`ax_` or `axes_` and `figure_` hold the drawing. Functions draw into given Axes or new ones, and
return them. They do not show a figure or change matplotlib's settings. A removed fail has a color
of its own: it is not part of the pattern, but it is not a good die either.
"""

from camdenoise.plotting._class_pareto import ClassParetoDisplay
from camdenoise.plotting._explanation import ExplanationDisplay, plot_explanation
from camdenoise.plotting._faithfulness import plot_faithfulness_curves
from camdenoise.plotting._frequency import FrequencyDisplay, plot_frequency
from camdenoise.plotting._leakage import plot_leakage
from camdenoise.plotting._look import PALETTES, SCALE
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
