"""The estimators inside scikit-learn: its own checks, pipelines, searches, metadata routing."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from array_likes import OnlyAnArray
from filter_cases import CLASSES
from numbers_as_maps import NumbersAsMaps
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    StratifiedKFold,
    cross_val_predict,
    cross_validate,
    learning_curve,
    train_test_split,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from small_models import TINY

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.features import WaferFeatures
from camdenoise.filters import (
    ComponentPermutationFilter,
    ComponentSizeFilter,
    ConnectedPathFilter,
    DBSCANFilter,
    HDBSCANFilter,
    MedianFilter,
    NeighborCountFilter,
)
from camdenoise.similarity import WaferEmbedding

FAST = TINY | {"max_epochs": 2}


class NumberClassifier(NumbersAsMaps, WaferClassifier):
    """A WaferClassifier that reads the checks' arbitrary numbers as die codes."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Three die codes hold too little of the checks' continuous features.
        tags.classifier_tags.poor_score = True
        return tags


class NumberDenoiser(NumbersAsMaps, CamDenoiser):
    """A CamDenoiser that reads the checks' arbitrary numbers as die codes."""


class NumberFeatures(NumbersAsMaps, WaferFeatures):
    """A WaferFeatures that reads the checks' arbitrary numbers as die codes."""


class NumberEmbedding(NumbersAsMaps, WaferEmbedding):
    """A WaferEmbedding that reads the checks' arbitrary numbers as die codes."""


def number_filter(kind):
    """Make a filter read the checks' arbitrary numbers as die codes."""
    return type(f"Number{kind.__name__}", (NumbersAsMaps, kind), {"__doc__": kind.__doc__})


NUMBER_FILTERS = {kind: number_filter(kind) for kind in CLASSES}
# Pickle looks a class up by its name.
globals().update({made.__name__: made for made in NUMBER_FILTERS.values()})

#: With their defaults these would keep nothing of the checks' short rows.
SMALL = {
    ComponentSizeFilter: {"min_size": 2},
    ComponentPermutationFilter: {"alpha": 0.5, "n_permutations": 9},
    ConnectedPathFilter: {"min_length": 2},
    DBSCANFilter: {"min_samples": 2},
    HDBSCANFilter: {"min_cluster_size": 2},
    NeighborCountFilter: {"min_neighbors": 1},
}


WEIGHTS = "repeating a wafer changes the batches and their norm, weighting it only scales its loss"
CROSS_FITTED = "fit_transform denoises each wafer by a net that has not seen it; transform cannot"
EXPECTED_FAILURES = {
    NumberClassifier: {"check_sample_weight_equivalence_on_dense_data": WEIGHTS},
    NumberDenoiser: {
        "check_transformer_general": CROSS_FITTED,
        "check_transformer_data_not_an_array": CROSS_FITTED,
    },
}


@parametrize_with_checks(
    [
        NumberClassifier(**FAST),
        # Component by component it would keep nearly all of the checks' short rows.
        NumberDenoiser(NumberClassifier(**FAST), cv=2, aggregation=None, threshold=0.9),
        NumberFeatures(),
        NumberEmbedding(),
        *(made(**SMALL.get(kind, {})) for kind, made in NUMBER_FILTERS.items()),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES.get(type(estimator), {}),
)
def test_estimators_pass_scikit_learn_checks(estimator, check):
    check(estimator)


def two_step_pipeline(**options):
    return Pipeline(
        [
            ("denoise", CamDenoiser(WaferClassifier(**FAST), cv=2, **options)),
            ("classify", WaferClassifier(**TINY)),
        ]
    )


def test_pipeline_of_denoiser_and_classifier_learns(wafers):
    pipeline = two_step_pipeline().fit(wafers.maps, wafers.target)
    assert pipeline.score(wafers.maps, wafers.target) > 0.8
    assert pipeline.predict_proba(wafers.maps[:3]).shape == (3, 3)


@pytest.mark.parametrize(
    "step", [MedianFilter(), ComponentSizeFilter(4), NeighborCountFilter()], ids=str
)
def test_pipeline_of_filter_and_classifier_learns(step, wafers):
    pipeline = Pipeline([("denoise", step), ("classify", WaferClassifier(**TINY))])
    assert pipeline.fit(wafers.maps, wafers.target).score(wafers.maps, wafers.target) > 0.7


def test_cross_validate_accepts_groups(wafers):
    groups = np.arange(len(wafers.maps)) % 5
    # Some 18 batches, TINY's, are too few for 48 wafers; with 60 every seed tried was above 0.8.
    epochs = {"denoise__estimator__max_epochs": 20, "classify__max_epochs": 20}
    result = cross_validate(
        two_step_pipeline().set_params(**epochs),
        wafers.maps,
        wafers.target,
        groups=groups,
        cv=GroupKFold(2),
        return_indices=True,
    )
    for train, test in zip(result["indices"]["train"], result["indices"]["test"], strict=True):
        assert not set(groups[train]) & set(groups[test])
    assert (result["test_score"] > 0.7).all()


def test_cross_validate_runs_in_two_processes(wafers):
    clf = WaferClassifier(**FAST)
    together, apart = (
        cross_validate(clf, wafers.maps, wafers.target, cv=2, n_jobs=n)["test_score"]
        for n in (1, 2)
    )
    np.testing.assert_allclose(together, apart, atol=0.02)


def test_grid_search_tunes_the_threshold(wafers):
    search = GridSearchCV(two_step_pipeline(), {"denoise__threshold": [0.2, 0.8]}, cv=2)
    search.fit(wafers.maps, wafers.target)
    assert search.best_params_["denoise__threshold"] in (0.2, 0.8)
    assert search.predict(wafers.maps[:3]).shape == (3,)


def test_nested_parameters_are_reached():
    pipeline = clone(two_step_pipeline()).set_params(denoise__estimator__width=7)
    assert pipeline.named_steps["denoise"].estimator.width == 7


@pytest.mark.parametrize("kind", ["list", "series", "object array"])
def test_splits_and_out_of_fold_predictions_work(kind, wafers):
    maps = {
        "list": list(wafers.maps),
        "series": pd.Series(wafers.maps),
        "object array": pd.Series(wafers.maps).to_numpy(),
    }[kind]
    train, test, y_train, y_test = train_test_split(
        maps, wafers.target, stratify=wafers.target, random_state=0
    )
    assert type(train) is type(maps)
    assert WaferClassifier(**TINY).fit(train, y_train).score(test, y_test) > 0.6
    assert cross_val_predict(WaferClassifier(**FAST), maps, wafers.target, cv=2).shape == (120,)


def test_learning_curve_accepts_wafer_maps(wafers):
    sizes, _, scores = learning_curve(
        WaferClassifier(**FAST), wafers.maps, wafers.target, cv=2, train_sizes=[0.5, 1.0]
    )
    assert sizes.tolist() == [30, 60] and scores.shape == (2, 2)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda clf: CalibratedClassifierCV(clf, cv=2),
        lambda clf: VotingClassifier([("a", clf), ("b", clone(clf))], voting="soft"),
        lambda clf: StackingClassifier([("a", clf)], cv=2),
        OneVsRestClassifier,
    ],
    ids=["calibrated", "voting", "stacking", "one against rest"],
)
def test_meta_estimators_accept_wafer_maps(wrap, wafers):
    model = wrap(WaferClassifier(**FAST)).fit(wafers.maps, wafers.target)
    assert model.predict(wafers.maps[:4]).shape == (4,)


def test_frozen_classifier_is_calibrated(wafers, classifier):
    model = CalibratedClassifierCV(FrozenEstimator(classifier)).fit(wafers.maps, wafers.target)
    np.testing.assert_allclose(model.predict_proba(wafers.maps[:4]).sum(axis=1), 1)


def test_metadata_routing_passes_weights_and_groups(wafers):
    groups = np.arange(len(wafers.maps)) % 4
    weight = np.where(wafers.target == "Center", 1.0, 1e-6)
    with sklearn.config_context(enable_metadata_routing=True):
        clf = WaferClassifier(**TINY).set_fit_request(sample_weight=True)
        pipeline = Pipeline(
            [
                ("denoise", CamDenoiser(clf, cv=GroupKFold(2))),
                ("classify", WaferClassifier(**FAST).set_fit_request(sample_weight=True)),
            ]
        )
        pipeline.fit(wafers.maps, wafers.target, sample_weight=weight, groups=groups)
    inner = pipeline.named_steps["denoise"].estimator_
    assert (inner.predict(wafers.maps) == "Center").all()


def test_groups_reach_a_step_without_routing(wafers):
    groups = np.arange(len(wafers.maps)) % 4
    pipeline = two_step_pipeline().set_params(denoise__cv=GroupKFold(2))
    pipeline.fit(wafers.maps, wafers.target, denoise__groups=groups)
    with pytest.raises(ValueError, match="'groups' parameter should not be None"):
        clone(pipeline).fit(wafers.maps, wafers.target)


@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist, pd.DataFrame, OnlyAnArray])
def test_table_of_one_row_maps_gives_a_table(kind):
    rng = np.random.default_rng(0)
    table, y = rng.integers(0, 3, (30, 6)), np.arange(30) % 2
    denoiser = CamDenoiser(WaferClassifier(**FAST), cv=StratifiedKFold(2), aggregation=None)
    fitted = clone(denoiser).fit(table, y)
    out_of_fold = denoiser.fit_transform(kind(table), y)
    for clean in (out_of_fold, denoiser.transform(kind(table))):
        assert clean.shape == table.shape and ((clean == table) | (table == 2)).all()
    np.testing.assert_array_equal(denoiser.transform(kind(table)), fitted.transform(table))
    with pytest.raises(ValueError, match="X has 5 features, but CamDenoiser is expecting 6"):
        denoiser.transform(table[:, :5])
