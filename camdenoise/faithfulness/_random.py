"""The saliency that knows nothing, which every other has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from camdenoise.wafers._maps import NO_DIE, WaferMaps, check_wafer_maps

#: Name of the random saliency in tables.
RANDOM = "random"


def random_saliency(maps: WaferMaps, *, random_state: Any = None) -> list[np.ndarray]:
    """Draw a saliency that orders the dies of each wafer at random.

    Parameters
    ----------
    maps : collection of wafer maps
        The wafers, which only say where there are dies.
    random_state : int, RandomState instance or None, default=None
        For the draw.

    Returns
    -------
    list of ndarray of float64, shape (height, width)
        Uniform between 0 and 1; 0 where there is no die.

    Raises
    ------
    WaferMapError
        For a map that cannot be read.

    See Also
    --------
    camdenoise.cam.randomcam : Looks at the net's activations, and so at the wafer.

    Examples
    --------
    >>> from camdenoise.faithfulness import random_saliency
    >>> random_saliency([[[0, 1], [2, 1]]], random_state=0)[0].round(2)
    array([[0.  , 0.72],
           [0.6 , 0.54]])
    """
    rng = check_random_state(random_state)
    return [rng.uniform(size=grid.shape) * (grid != NO_DIE) for grid in check_wafer_maps(maps)]
