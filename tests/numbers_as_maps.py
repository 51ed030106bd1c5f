"""Let scikit-learn's generic checks, which send arbitrary numbers, exercise the estimators."""

import numpy as np

from camdenoise._maps import check_wafer_maps

#: Numbers below the first become "no die", above the second "fail"; the checks' data lie around 0.
CUTS = (-1.0, 1.0)


class NumbersAsMaps:
    """Mix-in that reads each row of a table of any numbers as a wafer map of one row of dies."""

    def _maps_of_table(self, table):
        codes = np.digitize(table, CUTS).astype(np.uint8)
        return check_wafer_maps(codes[:, np.newaxis, :])
