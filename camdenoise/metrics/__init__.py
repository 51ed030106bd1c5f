"""How well a denoiser tells pattern from noise, measured on failing dies only."""

from camdenoise.metrics._dies import (
    RATES,
    bootstrap_interval,
    calibration_error,
    die_average_precision,
    die_precision_retention,
    die_reliability,
    die_report,
    die_scores,
    holm,
    sign_flip_test,
)

__all__ = [
    "RATES",
    "bootstrap_interval",
    "calibration_error",
    "die_average_precision",
    "die_precision_retention",
    "die_reliability",
    "die_report",
    "die_scores",
    "holm",
    "sign_flip_test",
]
