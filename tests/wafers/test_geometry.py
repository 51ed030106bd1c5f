"""Sectors and rings of a wafer."""

import matplotlib

matplotlib.use("Agg")
import numpy as np

from camdenoise.lots._zone_profile import count_by_zone
from camdenoise.wafers._geometry import sectors


def test_sectors_follow_quarter_turns_of_the_map():
    numbers = sectors(11, 11)
    turned = np.rot90(numbers, -1)  # clockwise: what pointed up points right
    middle = np.zeros((11, 11), bool)
    middle[5, 5] = True
    np.testing.assert_array_equal(((turned + 2) % 8)[~middle], numbers[~middle])
    assert numbers[5, 5] == 0
    np.testing.assert_array_equal(
        count_by_zone([numbers == 3], [np.ones((11, 11))], "sector")[0] > 0, np.arange(8) == 3
    )
