"""Classify semiconductor wafer bin maps and remove the fails that have no pattern.

A wafer map is a 2-D grid of die codes: 0 no die, 1 pass, 2 fail.
"""

from camdenoise._classifier import WaferClassifier
from camdenoise._denoiser import CamDenoiser
from camdenoise._denoising import Explanation
from camdenoise._maps import WaferMapError

__all__ = ["CamDenoiser", "Explanation", "WaferClassifier", "WaferMapError"]
__version__ = "0.1.0"
