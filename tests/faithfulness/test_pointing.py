"""The energy-based pointing game."""

import numpy as np
import pytest

from camdenoise.faithfulness import (
    energy_pointing_game,
    random_saliency,
)


def test_energy_pointing_game_matches_hand_calculation():
    grid = np.array([[2, 2, 1, 0], [2, 1, 1, 1]])
    truth = np.array([[True, False, True, True], [False, False, False, False]])
    saliency = np.array([[3.0, 1, 1, 50], [1, 0, 2, 0]])
    game = energy_pointing_game([grid], [truth], [saliency]).iloc[0]
    assert game.to_dict() == pytest.approx(
        {"energy": 4 / 8, "area": 2 / 7, "fail_energy": 3 / 5, "fail_area": 1 / 3}
    )


def test_random_saliency_scores_the_share_of_area(wafers):
    game = energy_pointing_game(
        wafers.maps, wafers.truth, random_saliency(wafers.maps, random_state=0)
    )
    assert game["energy"].mean() == pytest.approx(game["area"].mean(), abs=0.01)
    assert game["fail_energy"].mean() == pytest.approx(game["fail_area"].mean(), abs=0.02)


def test_pointing_without_saliency_or_truth_is_nan():
    grid, truth = np.array([[2, 1]]), np.array([[True, False]])
    saliencies = [np.zeros((1, 2)), np.ones((1, 2)), np.array([[0.0, 1]])]
    truths = [truth, ~truth & False, truth]
    game = energy_pointing_game([grid] * 3, truths, saliencies)
    assert game.iloc[:2].isna().all(axis=None)
    assert game.loc[2, "energy"] == 0 and np.isnan(game.loc[2, "fail_energy"])
