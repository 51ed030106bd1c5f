"""Control masks, made with less or more information than the denoiser's.

A control only changes which dies the next classifier sees as failing. If it chooses fails itself,
it keeps as many fails of a wafer as the denoiser does, because their number depends on the class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from sklearn.utils import check_random_state

from camdenoise.denoising._untrained import make_untrained
from camdenoise.leakage._cross_fit import CrossFit, explain_unseen
from camdenoise.leakage._masks import nearness, region, strongest_fails
from camdenoise.nets._encoding import to_die_grid
from camdenoise.wafers._explanation import Explanation
from camdenoise.wafers._geometry import unit_wafer_mean

Masks: TypeAlias = list[np.ndarray]
Generator: TypeAlias = np.random.Generator

# Side of the grid on which masks are averaged, in cells.
_UNIT_WAFER = 41


def true_class(fit: CrossFit, rng: Generator) -> Masks:
    """Make the mask for the label, which nobody has at test time.

    A gain means that the mask tells the label: it bounds what can leak.
    """
    return [explanation.kept for explanation in fit.explain(fit.target)]


def wrong_class(fit: CrossFit, rng: Generator) -> Masks:
    """Make the mask for a class drawn at random from those that were not predicted.

    A gain means that masks help without evidence for anything true.
    """
    predicted = np.array([explanation.label for explanation in fit.own])
    return _take_decisions(fit, fit.explain(other_classes(predicted, fit.classes, rng)), rng)


def class_mean(fit: CrossFit, rng: Generator) -> Masks:
    """Keep the fails where masks of the predicted class are, on average over training wafers.

    A gain means that the mask stamps the prediction on the wafer.
    """
    means = mean_masks(fit)
    scores = [
        to_die_grid(means[explanation.label][None], [grid.shape], _UNIT_WAFER)[0]
        for explanation, grid in zip(fit.own, fit.maps, strict=True)
    ]
    return _keep_as_many(fit, scores, rng)


def random_weights(fit: CrossFit, rng: Generator) -> Masks:
    """Make the mask by the same denoiser around a net that was never trained.

    A gain means that nothing has to be learned for it.
    """
    seed = int(rng.integers(2**31 - 1))
    # One net for all wafers: masks of two random nets have nothing in common.
    random = make_untrained(fit.models[0][0], check_random_state(seed))
    return _take_decisions(fit, random.explain(fit.maps), rng)


def equal_area(fit: CrossFit, rng: Generator) -> Masks:
    """Keep fails drawn at random.

    A gain means that it comes from how many fails are left, not from which.
    """
    return _keep_as_many(fit, [np.zeros(grid.shape) for grid in fit.maps], rng)


def random_disc(fit: CrossFit, rng: Generator) -> Masks:
    """Keep the fails nearest to a die drawn at random.

    A gain means that any compact region will do.
    """
    return _keep_as_many(fit, [nearness(grid, rng) for grid in fit.maps], rng)


def mask_alone(fit: CrossFit, rng: Generator) -> Masks:
    """Mark the strong half of the saliency, on passing dies too, on a wafer without its fails.

    A gain means that the mask's shape is enough; the fails in it add nothing.
    """
    return [region(grid, explanation) for grid, explanation in zip(fit.maps, fit.own, strict=True)]


def independent_architecture(fit: CrossFit, rng: Generator) -> Masks:
    """Make the mask by the same method with another backbone.

    A gain means that it does not hang on the denoiser's architecture.
    """
    return [explanation.kept for explanation in explain_unseen(fit.independent, fit.maps)]


@dataclass(frozen=True)
class Control:
    """A way to make masks that the denoiser is compared with.

    Attributes
    ----------
    masks : callable
        ``masks(fit, rng)`` takes a `CrossFit` and a `numpy.random.Generator`, and returns for each
        wafer the dies to be seen as failing.
    gain_means : str
        What it would mean if a classifier gained as much by these masks.
    needs : {"nothing", "classes", "net"}
        What of a denoiser: any will do, one that explains given classes, a `CamDenoiser`.
    """

    masks: Callable[[CrossFit, Generator], Masks]
    gain_means: str
    needs: str = "nothing"


#: All controls by name, in the order of tables.
CONTROLS = {
    "true class": Control(true_class, "so much a mask that knows the label can tell", "classes"),
    "wrong class": Control(wrong_class, "masks help without evidence for anything true", "classes"),
    "class mean": Control(class_mean, "the mask stamps the prediction on the wafer"),
    "random weights": Control(random_weights, "nothing has to be learned for it", "net"),
    "equal area": Control(equal_area, "it is how many fails are left, not which"),
    "random disc": Control(random_disc, "any compact region will do"),
    "mask alone": Control(mask_alone, "the mask's shape is enough, the fails in it add nothing"),
    "independent architecture": Control(
        independent_architecture, "it does not hang on the denoiser's architecture", "net"
    ),
}
#: Those made without the wafer's evidence for its class: a gain that one reaches is not due to it.
BLIND = ("wrong class", "class mean", "random weights", "equal area", "random disc")
#: Those of them that do not see how the wafer's fails lie either: such a gain is not denoising.
STAMPS = ("class mean", "equal area", "random disc")


def other_classes(labels: np.ndarray, classes: np.ndarray, rng: Generator) -> np.ndarray:
    """Draw for each wafer a class that is not its own; `classes` in sorted order."""
    own = np.searchsorted(classes, labels)
    shift = rng.integers(1, len(classes), len(labels))
    return classes[(own + shift) % len(classes)]


def mean_masks(fit: CrossFit) -> dict:
    """Average the training wafers' masks by predicted class, on the unit wafer.

    A class that is predicted for test wafers only has the mean over all classes.
    """
    predicted = [explanation.label for explanation in fit.own]
    of_all = _mean_mask(fit, fit.train)
    means = dict.fromkeys(predicted, of_all)
    for label in {predicted[row] for row in fit.train}:
        means[label] = _mean_mask(fit, [row for row in fit.train if predicted[row] == label])
    return means


def _mean_mask(fit: CrossFit, rows) -> np.ndarray:
    kept, maps = [fit.own[row].kept for row in rows], [fit.maps[row] for row in rows]
    return np.nan_to_num(unit_wafer_mean(kept, maps, _UNIT_WAFER))


def _keep_as_many(fit: CrossFit, scores: list[np.ndarray], rng: Generator) -> Masks:
    """Keep the fails of the highest scores, as many as the denoiser keeps."""
    return [
        strongest_fails(grid, score, int(explanation.kept.sum()), rng)
        for grid, score, explanation in zip(fit.maps, scores, fit.own, strict=True)
    ]


def _take_decisions(fit: CrossFit, explained: list[Explanation], rng: Generator) -> Masks:
    """Take the decision of each explanation; if it removes nothing, keep the most salient fails.

    A mask that removes nothing is not a control. If the denoiser abstains, so does the control.
    """
    as_many = _keep_as_many(fit, [explanation.saliency for explanation in explained], rng)
    return [
        many if own.abstained or not explanation.removed.any() else explanation.kept
        for own, explanation, many in zip(fit.own, explained, as_many, strict=True)
    ]
