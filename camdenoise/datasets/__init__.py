"""Wafer maps to work with: real ones from a file, simulated or planted ones with known truth."""

from camdenoise.datasets._mixed_wm38 import MIXED_CLASSES, MIXED_PATTERNS, load_mixed_wm38
from camdenoise.datasets._patterns import CLASSES, PATTERN_CLASSES
from camdenoise.datasets._planted import make_planted_wafers
from camdenoise.datasets._products import product_groups
from camdenoise.datasets._recognition import recognize_shape
from camdenoise.datasets._simulate import make_wafer_maps
from camdenoise.datasets._wm811k import load_wm811k
from camdenoise.io._npz import load_wafer_maps, save_wafer_maps

__all__ = [
    "CLASSES",
    "MIXED_CLASSES",
    "MIXED_PATTERNS",
    "PATTERN_CLASSES",
    "load_mixed_wm38",
    "load_wafer_maps",
    "load_wm811k",
    "make_planted_wafers",
    "make_wafer_maps",
    "product_groups",
    "recognize_shape",
    "save_wafer_maps",
]
