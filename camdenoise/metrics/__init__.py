"""How well a denoiser tells pattern from noise, and a classifier one class from another."""

from camdenoise.metrics._class_report import class_report
from camdenoise.metrics._dies import (
    RATES,
    calibration_error,
    die_average_precision,
    die_precision_recall,
    die_reliability,
    die_report,
    die_scores,
)
from camdenoise.metrics._statistics import bootstrap_interval, holm, sign_flip_test

__all__ = [
    "RATES",
    "bootstrap_interval",
    "calibration_error",
    "class_report",
    "die_average_precision",
    "die_precision_recall",
    "die_reliability",
    "die_report",
    "die_scores",
    "holm",
    "sign_flip_test",
]
