"""Test whether a saliency depends on the trained weights."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from camdenoise.denoising._cam_denoiser import CamDenoiser
from camdenoise.denoising._untrained import replace_net, untrained_net
from camdenoise.nets._backbones import Backbone
from camdenoise.wafers._maps import NO_DIE, WaferMaps, check_wafer_maps


def randomized_weights(
    denoiser: CamDenoiser, maps: WaferMaps, *, random_state: Any = None, progress: bool = False
) -> pd.DataFrame:
    """Compare the saliency with that of nets whose weights are randomized, from the head down.

    The head gets new random weights, then the last stage as well, and so on to the first. A
    saliency that does not change does not depend on the trained weights.

    Parameters
    ----------
    denoiser : CamDenoiser
        Fitted; it is left as it is.
    maps : collection of wafer maps
        The wafers.
    random_state : int, RandomState instance or None, default=None
        For the weights.
    progress : bool, default=False
        Show a progress bar over the stages.

    Returns
    -------
    DataFrame, one row per wafer, one column per stage from "head" to the first
        Spearman's rank correlation over the wafer's dies, between the saliency of the trained net
        and that of the net in which this stage and all behind it are random, for the class that
        the trained net predicts. 0 where the random net's saliency has no order, NaN where the
        trained one's has none.

    Raises
    ------
    WaferMapError
        For a map that cannot be read.
    sklearn.exceptions.NotFittedError
        For a denoiser that is not fitted.

    Notes
    -----
    Random weights and batch statistics are those that a new net starts with. A CAM is made of
    activations, which depend on the wafer even with random weights, so that similarity does not
    drop to 0. Compare it with that of ``CamDenoiser(method="randomcam")``.

    References
    ----------
    .. [1] J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, arXiv:1810.03292.

    Examples
    --------
    >>> from camdenoise import CamDenoiser, WaferClassifier
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.faithfulness import randomized_weights
    >>> wafers = make_wafer_maps(40, classes=["Center", "Edge-Ring"], random_state=0)
    >>> clf = WaferClassifier(width=4, input_size=32, batch_size=8, random_state=0)
    >>> denoiser = CamDenoiser(clf).fit(wafers.maps, wafers.target)
    >>> randomized_weights(denoiser, wafers.maps, random_state=0).columns.tolist()
    ['head', 'stage4', 'stage3', 'stage2', 'stage1', 'stem']
    """
    check_is_fitted(denoiser)
    grids = check_wafer_maps(maps)
    trained = denoiser.explain(grids)
    classes = [explanation.label for explanation in trained]
    net = deepcopy(denoiser.estimator_.module_)
    fresh = untrained_net(denoiser.estimator_, random_state)
    similarity = {}
    stages = ("head", *reversed(net.layer_names))
    for name in tqdm(stages, unit="stage", leave=None, disable=not progress):
        _stage(net, name).load_state_dict(_stage(fresh, name).state_dict())
        randomized = replace_net(denoiser, net).explain(grids, classes)
        similarity[name] = [
            _rank_correlation(a.saliency[grid != NO_DIE], b.saliency[grid != NO_DIE])
            for a, b, grid in zip(trained, randomized, grids, strict=True)
        ]
    return pd.DataFrame(similarity)


def _stage(net: Backbone, name: str) -> torch.nn.Module:
    return net.head if name == "head" else net.stages[name]


def _rank_correlation(trained: np.ndarray, randomized: np.ndarray) -> float:
    if np.ptp(trained) == 0:
        return np.nan
    if np.ptp(randomized) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(trained), rankdata(randomized))[0, 1])
