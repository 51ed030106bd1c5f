"""What the leakage report concludes."""

import numpy as np
import pytest
from leakage_stubs import predictions

from camdenoise.leakage import (
    DENOISED,
    RAW,
    leakage_summary,
)


@pytest.mark.parametrize(
    ("right", "verdict"),
    [
        ({"denoised": 90, "equal_area": 70}, "a gain larger than that of every mask"),
        ({"denoised": 90, "equal_area": 92}, "larger than that of: equal area. It may be leakage"),
        ({"denoised": 90, "wrong_class": 92}, "of: wrong class. It may not need the evidence"),
        ({"denoised": 90, "true_class": 95}, "compared with no control that could explain it"),
        ({"denoised": 61, "equal_area": 60}, "no gain shown"),
        ({"denoised": 40, "equal_area": 60}, "a loss"),
        ({"denoised": 90, "wrong_class": 50, "mask_alone": 90}, "without the fails, does as well"),
    ],
)
def test_verdict_compares_gain_with_controls(right, verdict):
    summary = leakage_summary(predictions(raw=60, **right)).set_index("condition")
    assert verdict in summary.loc[DENOISED, "verdict"]
    assert summary.loc[RAW, "verdict"] == "" and np.isnan(summary.loc[RAW, "gain"])


def test_verdict_on_a_control_is_separate():
    right = {"equal_area": 90, "wrong_class": 80, "class_mean": 50, "true_class": 99}
    summary = leakage_summary(predictions(raw=60, denoised=90, **right)).set_index("condition")
    said = summary["verdict"]
    assert said["equal area"].startswith("a gain; not told apart from denoised: it is how many")
    assert said["wrong class"] == "a gain; less than denoised"
    assert said["class mean"] == "a loss; less than denoised"
    assert said["true class"].startswith("a gain; more than denoised: so much a mask")


def test_interval_treats_lots_as_units():
    table = predictions(raw=60, denoised=90)
    alone = leakage_summary(table).iloc[1]
    of_lots = leakage_summary(table.assign(group=table["wafer"] // 10)).iloc[1]
    assert of_lots["gain_high"] - of_lots["gain_low"] > 1.5 * (
        alone["gain_high"] - alone["gain_low"]
    )
    assert of_lots["p"] > alone["p"]
