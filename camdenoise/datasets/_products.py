"""Groups of wafers by product, which is guessed from the die grid."""

from __future__ import annotations

import numpy as np

from camdenoise.wafers._maps import WaferMaps, check_wafer_maps

#: Group of the products with too few wafers.
RARE = "rare"


def product_groups(maps: WaferMaps, *, min_wafers: int = 1) -> np.ndarray:
    """Group wafers by their die grid, which stands in for the product.

    Parameters
    ----------
    maps : list, object array or Series of 2-D maps, or 3-D array
        The wafers.
    min_wafers : int, default=1
        Products with fewer wafers are put together, so that each group is large enough to be
        scored on its own.

    Returns
    -------
    ndarray of str, shape (n_wafers,)
        The sides of the grid, the shorter first, such as ``"25x27"``, or ``"rare"``: `groups` for
        the splitters of scikit-learn.

    Raises
    ------
    WaferMapError
        For a map that cannot be read.
    ValueError
        For something that is not a collection of maps.

    Notes
    -----
    A grid and the same grid turned by 90 degrees count as one product, because wafers are not
    always put on the prober in the same way. Two products may share a grid and a group, but no
    product is in two groups.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.datasets import product_groups
    >>> maps = [np.ones((25, 27)), np.ones((27, 25)), np.ones((40, 40)), np.ones((9, 9))]
    >>> product_groups(maps).tolist()
    ['25x27', '25x27', '40x40', '9x9']
    >>> product_groups(maps, min_wafers=2).tolist()
    ['25x27', '25x27', 'rare', 'rare']

    Leave products out, with the classes spread evenly over the folds:

    >>> from sklearn.dummy import DummyClassifier
    >>> from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
    >>> from camdenoise.datasets import make_wafer_maps
    >>> wafers = make_wafer_maps(200, random_state=0)
    >>> products, splitter = product_groups(wafers.maps), StratifiedGroupKFold(4)
    >>> scores = cross_val_score(
    ...     DummyClassifier(), wafers.maps, wafers.target, groups=products, cv=splitter
    ... )
    >>> scores.shape
    (4,)
    """
    sides = [sorted(grid.shape) for grid in check_wafer_maps(maps)]
    names = np.array([f"{shorter}x{longer}" for shorter, longer in sides])
    products, product, n_wafers = np.unique(names, return_inverse=True, return_counts=True)
    return np.where(n_wafers < min_wafers, RARE, products)[product]
