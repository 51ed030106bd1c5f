"""Wafer maps to work with: real ones from a file, simulated or planted ones with known truth."""

from camdenoise.datasets._npz import load_wafer_maps, save_wafer_maps
from camdenoise.datasets._patterns import CLASSES, PATTERN_CLASSES
from camdenoise.datasets._planted import make_planted_wafers
from camdenoise.datasets._simulate import make_wafer_maps

__all__ = [
    "CLASSES",
    "PATTERN_CLASSES",
    "load_wafer_maps",
    "make_planted_wafers",
    "make_wafer_maps",
    "save_wafer_maps",
]
