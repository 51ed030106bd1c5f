"""A denoiser around an untrained net, to compare the trained one with."""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
from sklearn.utils import check_random_state

from camdenoise.classification._classifier import WaferClassifier
from camdenoise.denoising._cam_denoiser import CamDenoiser
from camdenoise.nets._backbones import Backbone, make_backbone


def untrained_net(clf: WaferClassifier, random_state: Any) -> Backbone:
    """Build a net of the classifier's architecture with new random weights."""
    # The first number gave the classifier's own initial weights. With these the net would stay
    # similar to the trained one.
    seed = check_random_state(random_state).randint(2**31 - 1, size=2)[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(seed))
        return make_backbone(
            clf.backbone,
            len(clf.classes_),
            width=clf.width,
            n_maps=len(clf.class_roles().map_labels),
        )


def replace_net(denoiser: CamDenoiser, net: Backbone) -> CamDenoiser:
    """Copy a fitted denoiser, with this net alone in place of its own."""
    other = copy(denoiser)
    other.estimator_ = copy(denoiser.estimator_)
    other.estimator_.module_ = net
    # A view that knows the classes would not be what is asked about.
    other.estimator_.features = other.estimator_.feature_net_ = None
    return other


def make_untrained(denoiser: CamDenoiser, random_state: Any) -> CamDenoiser:
    """Copy a fitted denoiser, with an untrained net of the same architecture."""
    clf = denoiser.estimator_
    net = untrained_net(clf, random_state).to(next(clf.module_.parameters()).device)
    return replace_net(denoiser, net.eval())
