"""Whether a saliency tells which dies the classifier decided by.

A saliency can look right and have nothing to do with the decision. Three kinds of tests check it:

- deletion, insertion, ROAD: dies are changed in its order, and the classifier predicts again
- energy pointing game: it is compared with a known truth
- randomized weights: the net loses what it has learned

A score means something only compared with the score of a random saliency.

All tests work on die grids and take any saliency, as in `Explanation.saliency`.
"""

from camdenoise.faithfulness._curves import (
    area_under_curve,
    deletion_curves,
    faithfulness_curves,
    insertion_curves,
    road_curves,
)
from camdenoise.faithfulness._perturbation import CURVES, RANDOM, random_saliency
from camdenoise.faithfulness._pointing import energy_pointing_game
from camdenoise.faithfulness._report import BETTER, faithfulness_report
from camdenoise.faithfulness._weights import randomized_weights

__all__ = [
    "BETTER",
    "CURVES",
    "RANDOM",
    "area_under_curve",
    "deletion_curves",
    "energy_pointing_game",
    "faithfulness_curves",
    "faithfulness_report",
    "insertion_curves",
    "random_saliency",
    "randomized_weights",
    "road_curves",
]
