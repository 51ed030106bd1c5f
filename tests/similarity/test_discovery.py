"""Groups of wafers with a pattern of their own."""

import numpy as np
import pandas as pd
import pytest
from wafers_by_position import with_fails

from camdenoise.datasets import make_wafer_maps
from camdenoise.similarity import (
    discover_patterns,
)


def unnamed(n_each=25, n_noise=20, seed=0):
    """Half wafers, crosses and wafers without a pattern, none of which is a class of WM-811K."""
    rng = np.random.default_rng(seed)

    def cross(y, x):
        return (np.abs(y) < 0.12) | (np.abs(x) < 0.12)

    maps, kinds = [], []
    for number in range(2 * n_each + n_noise):
        kind = ["half", "cross", "nothing"][min(number // n_each, 2)]
        where = {"half": lambda y, x: x > 0.1, "cross": cross, "nothing": lambda y, x: x > 2}[kind]
        grid = with_fails(int(rng.integers(24, 50)), where)
        flip = (rng.random(grid.shape) < 0.08) & (grid > 0)
        grid[flip] = 3 - grid[flip]
        maps.append(grid)
        kinds.append(kind)
    return maps, np.array(kinds)


def test_discover_patterns_finds_unlabeled_patterns():
    maps, kinds = unnamed()
    found = discover_patterns(maps, random_state=0)
    of = [pd.Series(kinds[pattern.members]).value_counts() for pattern in found]
    pure = {counts.index[0]: counts.iloc[0] / counts.sum() for counts in of}
    assert {"half", "cross"} <= set(pure) and min(pure["half"], pure["cross"]) >= 0.85
    half = next(p for p, counts in zip(found, of, strict=True) if counts.index[0] == "half")
    assert half.n_wafers >= 20 and half.stability > 0.75
    assert set(kinds[half.members[:15]]) == {"half"}
    left, right = half.mean_map[:, :18], half.mean_map[:, -18:]
    assert np.nanmean(left) < 0.15 and np.nanmean(right) > 0.8


def test_discover_patterns_finds_nothing_in_scatter():
    assert discover_patterns(make_wafer_maps(19, random_state=0).maps) == []
    rng = np.random.default_rng(0)
    maps = [np.where(rng.random((30, 30)) < 0.05, 2, 1) for _ in range(40)]
    assert discover_patterns(maps, min_stability=0.75, random_state=0) == []


def test_discover_patterns_repeats_and_checks_masks():
    maps, _ = unnamed(15, 5)
    one, two = (discover_patterns(maps, random_state=1) for _ in range(2))
    assert [p.stability for p in one] == [p.stability for p in two] and one
    with pytest.raises(ValueError, match="masks must have one array per wafer"):
        discover_patterns(maps, masks=[np.ones((2, 2))] * len(maps))
    with pytest.raises(ValueError, match="min_wafers must be at least 2"):
        discover_patterns(maps, min_wafers=1)
