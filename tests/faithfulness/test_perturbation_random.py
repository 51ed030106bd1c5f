"""Random saliency."""

import numpy as np
from first_column import wafer

from camdenoise.faithfulness import (
    random_saliency,
)


def test_random_saliency_repeats_and_stays_on_dies():
    maps = [wafer(), np.array([[0, 1], [2, 0]])]
    drawn = random_saliency(maps, random_state=0)
    for grid, values in zip(maps, drawn, strict=True):
        assert values.shape == grid.shape and (values[grid == 0] == 0).all()
        assert len(np.unique(values[grid > 0])) == (grid > 0).sum()
    again, other = (random_saliency(maps, random_state=seed) for seed in (0, 1))
    np.testing.assert_array_equal(drawn[0], again[0])
    assert (drawn[0] != other[0]).any()
