"""Predict again while dies are changed in the order of a saliency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from scipy.integrate import trapezoid
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from tqdm.auto import tqdm

from camdenoise.faithfulness._perturbation import (
    CURVES,
    RANDOM,
    n_points,
    random_saliency,
    variants,
)
from camdenoise.wafers._maps import FAIL, NO_DIE, WaferMaps, check_die_arrays, check_wafer_maps

# Maps predicted at a time.
_BATCH_MAPS = 1024


def deletion_curves(
    clf: Any,
    maps: WaferMaps,
    saliency: Sequence[np.ndarray],
    *,
    n_steps: int = 10,
    targets: Any = None,
    random_state: Any = None,
    progress: bool = False,
) -> np.ndarray:
    """Turn fails into passes, most salient first, and measure the class's probability.

    The better the saliency shows the reasons of a prediction, the sooner the probability falls.

    Parameters
    ----------
    clf : WaferClassifier
        Fitted; any classifier with `predict_proba` of wafer maps will do.
    maps : collection of wafer maps
        The wafers. They are left as they are.
    saliency : sequence of float arrays, one per wafer, each of its map's shape
        As in `Explanation.saliency`. Only the order of the fails matters.
    n_steps : int, default=10
        Number of equal steps from no fail deleted to all of them, rounded to whole dies.
    targets : array-like of shape (n_wafers,), default=None
        Class whose probability is measured; None: the class predicted for the whole wafer.
    random_state : int, RandomState instance or None, default=None
        For the order of equally salient dies. The same integer breaks the ties of different
        saliencies alike.
    progress : bool, default=False
        Show a progress bar over the wafers.

    Returns
    -------
    ndarray of float64, shape (n_wafers, n_steps + 1)
        Probability with 0, 1/n_steps, ..., 1 of the fails deleted. NaN for a wafer without fails:
        there is nothing to delete.

    Raises
    ------
    WaferMapError
        For a map that cannot be read.
    ValueError
        For lengths or shapes that do not match, a saliency that is not finite on a die, a target
        that is not a class, or fewer than two steps; the message names the wafer.

    See Also
    --------
    area_under_curve : One number per wafer.

    Notes
    -----
    The substrate is a passing die. It is in distribution, while a blank or gray patch is not, and
    the score depends on that choice. It also means that only fails can be deleted, so all
    saliencies, fine or coarse, are judged by how they order the fails and by nothing else.

    References
    ----------
    .. [1] V. Petsiuk, A. Das, K. Saenko, "RISE", BMVC 2018, arXiv:1806.07421.

    Examples
    --------
    >>> from camdenoise import CamDenoiser, WaferClassifier
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.faithfulness import area_under_curve, deletion_curves
    >>> wafers = make_wafer_maps(40, classes=["Center", "Edge-Ring"], random_state=0)
    >>> clf = WaferClassifier(width=4, input_size=32, batch_size=8, random_state=0)
    >>> denoiser = CamDenoiser(clf).fit(wafers.maps, wafers.target)
    >>> saliency = [explanation.saliency for explanation in denoiser.explain(wafers.maps)]
    >>> curves = deletion_curves(denoiser.estimator_, wafers.maps, saliency, n_steps=4)
    >>> curves.shape, area_under_curve(curves).shape
    ((40, 5), (40,))
    """
    options = (n_steps, targets, random_state, progress)
    return _draw_curve("deletion", clf, maps, saliency, *options)


def insertion_curves(
    clf: Any,
    maps: WaferMaps,
    saliency: Sequence[np.ndarray],
    *,
    n_steps: int = 10,
    targets: Any = None,
    random_state: Any = None,
    progress: bool = False,
) -> np.ndarray:
    """Start from the wafer without fails, put them back most salient first.

    The better the saliency shows the reasons of a prediction, the sooner the probability rises.

    Parameters
    ----------
    clf, maps, saliency, n_steps, targets, random_state, progress
        As in `deletion_curves`.

    Returns
    -------
    ndarray of float64, shape (n_wafers, n_steps + 1)
        Probability with 0, 1/n_steps, ..., 1 of the fails put back. NaN for a wafer without fails.

    Raises
    ------
    WaferMapError, ValueError
        As `deletion_curves`.

    Notes
    -----
    The output of a net for a wafer without fails is arbitrary, unless it was trained on such
    wafers. All saliencies share this first point, so that their differences do not depend on it.

    References
    ----------
    .. [1] V. Petsiuk, A. Das, K. Saenko, "RISE", BMVC 2018, arXiv:1806.07421.

    Examples
    --------
    >>> from camdenoise import WaferClassifier
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.faithfulness import insertion_curves, random_saliency
    >>> wafers = make_wafer_maps(20, classes=["Center", "Edge-Ring"], random_state=0)
    >>> clf = WaferClassifier(width=2, input_size=16, batch_size=8, max_epochs=1, random_state=0)
    >>> clf = clf.fit(wafers.maps, wafers.target)
    >>> saliency = random_saliency(wafers.maps, random_state=0)
    >>> insertion_curves(clf, wafers.maps, saliency, n_steps=4).shape
    (20, 5)
    """
    options = (n_steps, targets, random_state, progress)
    return _draw_curve("insertion", clf, maps, saliency, *options)


def road_curves(
    clf: Any,
    maps: WaferMaps,
    saliency: Sequence[np.ndarray],
    *,
    order: str = "morf",
    n_steps: int = 10,
    targets: Any = None,
    random_state: Any = None,
    progress: bool = False,
) -> np.ndarray:
    """Remove dies and guess them from their neighbors: ROAD, remove and debias.

    Parameters
    ----------
    clf, maps, saliency, n_steps, targets, random_state, progress
        As in `deletion_curves`, but the order of all dies matters. `random_state` draws the
        guesses too.
    order : {"morf", "lerf"}, default="morf"
        Most relevant dies first, where a falling curve is a good one, or least relevant first,
        where a curve that stays high is.

    Returns
    -------
    ndarray of float64, shape (n_wafers, n_steps)
        Probability with 0, 1/n_steps, ..., 1 - 1/n_steps of the dies removed. NaN for a wafer
        without fails.

    Raises
    ------
    WaferMapError, ValueError
        As `deletion_curves`, and for an unknown order.

    Notes
    -----
    In the paper a removed pixel gets the weighted mean of its neighbors, 1/6 at its sides and 1/12
    at its corners, and a little noise. All removed pixels are solved for together. Here the mean is
    the probability that the die fails, and pass or fail is drawn with it. Neighbors off the wafer
    have no weight. The draw keeps the local fail rate, so that the removed area does not stand out;
    a threshold would turn nearly every die into a pass, which is deletion. A die keeps its random
    number from step to step.

    References
    ----------
    .. [1] Y. Rong, T. Leemann, V. Borisov, G. Kasneci, E. Kasneci, "A Consistent and Efficient
       Evaluation Strategy for Attribution Methods", ICML 2022, arXiv:2202.00449.

    Examples
    --------
    >>> from camdenoise import WaferClassifier
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.faithfulness import road_curves, random_saliency
    >>> wafers = make_wafer_maps(20, classes=["Center", "Edge-Ring"], random_state=0)
    >>> clf = WaferClassifier(width=2, input_size=16, batch_size=8, max_epochs=1, random_state=0)
    >>> clf = clf.fit(wafers.maps, wafers.target)
    >>> saliency = random_saliency(wafers.maps, random_state=0)
    >>> road_curves(clf, wafers.maps, saliency, n_steps=4).shape
    (20, 4)
    """
    if order not in ("morf", "lerf"):
        raise ValueError(f"order must be 'morf' or 'lerf', got {order!r}.")
    options = (n_steps, targets, random_state, progress)
    return _draw_curve(f"road_{order}", clf, maps, saliency, *options)


def faithfulness_curves(
    clf: Any,
    maps: WaferMaps,
    saliencies: Mapping[str, Sequence[np.ndarray]],
    *,
    curves: Sequence[str] = CURVES,
    n_steps: int = 10,
    targets: Any = None,
    random_state: Any = None,
    progress: bool = False,
) -> dict[str, dict[str, np.ndarray]]:
    """Draw the curves of several saliencies and of a random one.

    Parameters
    ----------
    clf, maps, n_steps, targets, progress
        As in `deletion_curves`.
    saliencies : dict of str to sequence of float arrays
        The saliencies of each method.
    curves : sequence of str, default=("deletion", "insertion", "road_morf", "road_lerf")
        Which to draw.
    random_state : int, RandomState instance or None, default=None
        For ties, guesses and the random saliency; ties and guesses are the same for all methods.

    Returns
    -------
    dict of str to dict of str to ndarray, shape (n_wafers, n_points)
        By kind of curve and by method, "random" last, as the single functions return them.

    Raises
    ------
    WaferMapError, ValueError
        As `deletion_curves`, and for an unknown curve or a method called "random".

    Examples
    --------
    >>> from camdenoise import WaferClassifier
    >>> from camdenoise.datasets import make_wafer_maps
    >>> from camdenoise.faithfulness import faithfulness_curves
    >>> from camdenoise.filters import MedianFilter
    >>> wafers = make_wafer_maps(40, classes=["Center", "Edge-Ring"], random_state=0)
    >>> clf = WaferClassifier(width=4, input_size=32, batch_size=8, random_state=0)
    >>> clf = clf.fit(wafers.maps, wafers.target)
    >>> saliencies = {"median": [e.saliency for e in MedianFilter().explain(wafers.maps)]}
    >>> found = faithfulness_curves(clf, wafers.maps, saliencies, curves=["insertion"], n_steps=4)
    >>> {name: values.shape for name, values in found["insertion"].items()}
    {'median': (40, 5), 'random': (40, 5)}
    """
    rng = check_random_state(random_state)
    grids = check_wafer_maps(maps)
    everyone = add_random_saliency(grids, saliencies, rng)
    return draw_curves(clf, grids, everyone, curves, n_steps, targets, rng, progress)


def add_random_saliency(maps: WaferMaps, saliencies: Mapping, rng: np.random.RandomState) -> dict:
    """Add a random saliency to those of other methods."""
    if RANDOM in saliencies:
        raise ValueError(f"No method may be called {RANDOM!r}: that one is added here.")
    return {**saliencies, RANDOM: random_saliency(maps, random_state=rng)}


def area_under_curve(curves: np.ndarray) -> np.ndarray:
    """Give the mean height of each curve.

    Parameters
    ----------
    curves : ndarray of float, shape (n_wafers, n_points)
        Probabilities at equal steps.

    Returns
    -------
    ndarray of float, shape (n_wafers,)
        Area by the trapezoidal rule, divided by the width, so that it lies between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from camdenoise.faithfulness import area_under_curve
    >>> area_under_curve(np.array([[1.0, 0.5, 0.0], [1.0, 0.0, 0.0]]))
    array([0.5 , 0.25])
    """
    curves = np.asarray(curves, dtype=np.float64)
    return trapezoid(curves, axis=1) / (curves.shape[1] - 1)


def check_saliency(values: Any, grids: Sequence[np.ndarray], name: str) -> list[np.ndarray]:
    """Read one float array per wafer, finite on its dies."""
    read = [array.astype(np.float64) for array in check_die_arrays(values, grids, name)]
    for row, (array, grid) in enumerate(zip(read, grids, strict=True)):
        if not np.isfinite(array[grid != NO_DIE]).all():
            raise ValueError(
                f"wafer map {row}: {name} is not finite on every die. "
                "Give dies without evidence the score 0."
            )
    return read


def _draw_curve(kind, clf, maps, saliency, n_steps, targets, random_state, progress) -> np.ndarray:
    rng = check_random_state(random_state)
    drawn = draw_curves(clf, maps, {"saliency": saliency}, [kind], n_steps, targets, rng, progress)
    return drawn[kind]["saliency"]


def draw_curves(clf, maps, saliencies, kinds, n_steps, targets, rng, progress) -> dict[str, dict]:
    """Draw every kind of curve of every method, a block of wafers after the other."""
    check_is_fitted(clf, "classes_")
    _check_request(kinds, n_steps)
    grids = check_wafer_maps(maps)
    read = {name: check_saliency(values, grids, name) for name, values in saliencies.items()}
    codes = _target_codes(clf, grids, targets)
    seeds = rng.randint(2**31 - 1, size=len(grids))
    ends = np.cumsum([n_points(kind, n_steps) for kind in kinds for _ in read])
    heights = np.full((len(grids), ends[-1]), np.nan)
    failing = np.flatnonzero([(grid == FAIL).any() for grid in grids])
    block = max(1, _BATCH_MAPS // ends[-1])
    with tqdm(total=len(failing), unit="wafer", leave=None, disable=not progress) as bar:
        for start in range(0, len(failing), block):
            rows = failing[start : start + block]
            changed = [
                variant
                for row in rows
                for kind in kinds
                for saliency in read.values()
                for variant in variants(kind, grids[row], saliency[row], n_steps, seeds[row])
            ]
            probability = _predict_each_once(clf, changed).reshape(len(rows), ends[-1], -1)
            heights[rows] = probability[np.arange(len(rows)), :, codes[rows]]
            bar.update(len(rows))
    parts = iter(np.split(heights, ends[:-1], axis=1))
    return {kind: {name: next(parts) for name in read} for kind in kinds}


def _check_request(kinds: Sequence[str], n_steps: int) -> None:
    unknown = [kind for kind in kinds if kind not in CURVES]
    if unknown or not kinds:
        raise ValueError(f"curves must be some of {', '.join(CURVES)}, got {list(kinds)}.")
    if not isinstance(n_steps, Integral) or n_steps < 2:
        raise ValueError(f"n_steps must be an integer of at least 2, got {n_steps!r}.")


def _target_codes(clf: Any, grids: Sequence[np.ndarray], targets: Any) -> np.ndarray:
    """Return the column of the explained class of each wafer."""
    if targets is None:
        return clf.predict_proba(grids).argmax(axis=1)
    targets = np.asarray(targets)
    if len(targets) != len(grids):
        raise ValueError(
            f"targets has {len(targets)} entries for {len(grids)} wafer maps; pass one per wafer."
        )
    for row in np.flatnonzero(~np.isin(targets, clf.classes_))[:1]:
        raise ValueError(
            f"target {targets.tolist()[row]!r} of wafer {row} is not a class of the classifier; "
            f"its classes are {', '.join(map(str, clf.classes_))}."
        )
    return np.searchsorted(clf.classes_, targets)


def _predict_each_once(clf: Any, maps: Sequence[np.ndarray]) -> np.ndarray:
    """Predict, without asking twice: all curves of a wafer share their ends, at least."""
    place: dict[tuple, int] = {}
    which = [place.setdefault((grid.shape, grid.tobytes()), len(place)) for grid in maps]
    first = np.unique(which, return_index=True)[1]
    return clf.predict_proba([maps[row] for row in first])[which]
