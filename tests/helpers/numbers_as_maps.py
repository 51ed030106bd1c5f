"""Let scikit-learn's generic checks, which send arbitrary numbers, exercise the estimators."""

import numpy as np
from sklearn.utils import get_tags

from camdenoise.wafers._maps import WaferMapInput, check_wafer_maps

#: The codes 0, 1, 2 take turns at this rate, so that data of any range, whole numbers too, become
#: maps with fails, passes and gaps. On maps of a single code the checks would see nothing.
STEPS_PER_UNIT = 2.5


class NumbersAsMaps:
    """Mix-in that reads each row of a table of any numbers as a wafer map of one row of dies.

    It relaxes two rules, which have tests of their own and would leave the checks nothing to look
    at but an error: the die codes are 0, 1 and 2, and what is stateless takes no table.
    """

    def _maps_of_table(self, table):
        codes = np.floor(STEPS_PER_UNIT * table) % 3
        return check_wafer_maps(codes[:, np.newaxis, :])

    def _takes_table(self, X, reset):
        stateless = not get_tags(self).requires_fit
        return WaferMapInput._takes_table(self, X, reset or stateless)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags
