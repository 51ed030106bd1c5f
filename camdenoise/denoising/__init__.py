"""`CamDenoiser` and its parts: detection, thresholds, calibration."""

from camdenoise.denoising._base import BaseDenoiser
from camdenoise.denoising._calibration import DenoiserCalibration
from camdenoise.denoising._threshold import TargetRecall, TargetSpecificity

__all__ = ["BaseDenoiser", "DenoiserCalibration", "TargetRecall", "TargetSpecificity"]
