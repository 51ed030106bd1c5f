"""Whether a saliency tells which dies the classifier decided by.

A saliency can look right and have nothing to do with the decision. Here it is put to the test: dies
are changed in its order and the classifier is asked again (deletion, insertion, ROAD), it is
compared with a known truth (energy pointing game), and the net is made to forget what it has learnt
(randomised weights). A figure says something only beside that of a saliency drawn at random.

All work on die grids and take any saliency, from a CAM or not, as in `Explanation.saliency`.
"""

from camdenoise.faithfulness._curves import (
    area_under_curve,
    deletion_curves,
    faithfulness_curves,
    insertion_curves,
    road_curves,
)
from camdenoise.faithfulness._perturbation import CURVES
from camdenoise.faithfulness._pointing import energy_pointing_game
from camdenoise.faithfulness._random import RANDOM, random_saliency
from camdenoise.faithfulness._report import BETTER, faithfulness_report
from camdenoise.faithfulness._weights import randomised_weights

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
    "randomised_weights",
    "road_curves",
]
