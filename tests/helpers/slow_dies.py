"""Neighborhoods of dies, one die after the other."""

from itertools import product

import numpy as np


def around(grid, y, x, reach):
    """Cells of the grid at most `reach` rows and columns away, the cell itself among them."""
    rows = range(max(0, y - reach), min(grid.shape[0], y + reach + 1))
    columns = range(max(0, x - reach), min(grid.shape[1], x + reach + 1))
    return list(product(rows, columns))


def touching(grid, y, x, connectivity):
    straight = [c for c in around(grid, y, x, 1) if c[0] == y or c[1] == x]
    near = around(grid, y, x, 1) if connectivity == 8 else straight
    return [cell for cell in near if grid[cell] == 2 and cell != (y, x)]


def steps_from(grid, y, x, connectivity):
    """Number of steps over fails to each fail that can be reached."""
    steps, todo = {(y, x): 0}, [(y, x)]
    for cell in todo:
        for neighbor in touching(grid, *cell, connectivity):
            if neighbor not in steps:
                steps[neighbor] = steps[cell] + 1
                todo.append(neighbor)
    return steps


def where_fails(grid, decide):
    kept = np.zeros(grid.shape, bool)
    for y, x in np.argwhere(grid == 2):
        kept[y, x] = decide(y, x)
    return kept
