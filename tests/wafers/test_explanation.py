"""What an explanation says of a wafer, and its row in tables."""

import json

import numpy as np
import pytest

from camdenoise.wafers._explanation import abstain, build_explanation, result_row
from camdenoise.wafers._verdict import CLAIMS, ERROR, VERDICTS

GRID = np.array([[2, 2, 1], [0, 2, 1]], np.uint8)
KEEP = np.array([[True, False, False], [False, False, False]])


@pytest.mark.parametrize("verdict", sorted(set(VERDICTS) - {ERROR}))
def test_only_claims_say_that_fails_are_of_a_pattern(verdict):
    explanation = build_explanation(GRID, KEEP, np.ones(GRID.shape), verdict=verdict)
    assert explanation.claims_pattern == (verdict in CLAIMS)
    assert explanation.novel == (verdict == "unknown pattern")
    n_random = 3 if verdict == "none" else 2
    assert explanation.random.sum() == n_random


def test_method_without_classes_claims_by_deciding():
    assert build_explanation(GRID, KEEP, np.ones(GRID.shape)).claims_pattern
    assert not abstain(GRID).claims_pattern
    assert not abstain(GRID).random.any()


def test_row_counts_the_fails_of_each_pattern():
    explanation = build_explanation(
        GRID, KEEP, np.ones(GRID.shape), verdict="mixed", patterns={"Naïve": KEEP, "Loc": KEEP}
    )
    row = result_row(GRID, explanation)
    assert json.loads(row["patterns"]) == {"Naïve": 1, "Loc": 1} and "Naïve" in row["patterns"]
    assert (row["n_fails"], row["n_kept"], row["n_removed"]) == (3, 1, 2)
    assert row["verdict"] == "mixed"
    assert result_row(GRID, abstain(GRID))["patterns"] is None
