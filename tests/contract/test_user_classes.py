"""A fab's own labels: other names, numbers, combinations, multi-hot tables."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.model_selection import cross_val_score

from camdenoise import CamDenoiser, WaferClassifier, load_model, save_model
from camdenoise.datasets import make_planted_wafers, make_wafer_maps
from camdenoise.metrics import die_scores

#: WM-811K's labels by names that sort alike, in several writings.
OTHER = {
    "Center": "0 Mitte",
    "Donut": "1 ドーナツ",
    "Edge-Loc": "2 edge spot",
    "Edge-Ring": "3 edge ring",
    "Loc": "4 spot",
    "Near-full": "5 dead",
    "Random": "6 noise",
    "Scratch": "7 스크래치",
    "none": "9 ok",
}
TINY = {"width": 4, "input_size": 32, "batch_size": 16, "learning_rate": 0.01, "random_state": 0}


def fitted(maps, target, **labels):
    clf = WaferClassifier("wafer_unet", max_epochs=3, **TINY, **labels)
    denoiser = CamDenoiser(clf, validation_fraction=0.4, novelty_rate=0.02, random_state=0)
    return denoiser.fit(maps, target)


def test_wm811k_under_other_names_gives_the_same_model(mini_wafers):
    own = fitted(mini_wafers.maps, mini_wafers.target)
    renamed = np.array([OTHER[label] for label in mini_wafers.target])
    other = fitted(
        mini_wafers.maps, renamed, none_labels="9 ok", everywhere_labels=["5 dead", "6 noise"]
    )
    assert other.classes_.tolist() == [OTHER[label] for label in own.classes_]
    assert other.estimator_.patterns_ == tuple(OTHER[p] for p in own.estimator_.patterns_)
    assert len(own.estimator_.patterns_) == 6 and other.method_ == "evidence"
    weights = (model.estimator_.module_.state_dict() for model in (own, other))
    for a, b in zip(*(state.values() for state in weights), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert other.detection_threshold_ == own.detection_threshold_
    assert other.calibration_.platt == own.calibration_.platt is not None
    np.testing.assert_array_equal(other.calibration_.references, own.calibration_.references)
    for a, b in zip(own.explain(mini_wafers.maps), other.explain(mini_wafers.maps), strict=True):
        assert OTHER[a.label] == b.label and a.probability == b.probability
        np.testing.assert_array_equal(a.kept, b.kept)


@pytest.fixture(scope="module")
def simulated():
    return make_wafer_maps(
        270,
        classes=["Center", "Edge-Ring", "none"],
        shapes=[(24, 24)],
        noise_rate=(0.01, 0.05),
        random_state=0,
    )


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ({"Center": 17, "Edge-Ring": 3, "none": 0}, {"none_labels": 0}),
        ({"Center": "스크래치", "Edge-Ring": "edge ring", "none": "양품"}, {"none_labels": "양품"}),
        ({"Center": "b", "Edge-Ring": "a", "none": "none"}, {}),
    ],
    ids=["numbers", "Korean", "letters"],
)
def test_labels_of_any_kind_are_learned_die_by_die(names, labels, simulated, tmp_path):
    target = np.array([names[label] for label in simulated.target])
    clf = WaferClassifier("wafer_unet", max_epochs=5, **TINY, **labels)
    denoiser = CamDenoiser(clf, validation_fraction=0.3, random_state=0)
    denoiser.fit(simulated.maps, target)
    assert set(denoiser.estimator_.patterns_) == {names["Center"], names["Edge-Ring"]}
    assert denoiser.method_ == "evidence" and denoiser.detection_threshold_ is not None
    rows = np.flatnonzero(simulated.target != "none")
    maps, truth = ([part[row] for row in rows] for part in (simulated.maps, simulated.truth))
    raw = die_scores(maps, truth, [grid == 2 for grid in maps])["f1"].mean()
    kept = [why.kept for why in denoiser.explain(maps)]
    assert die_scores(maps, truth, kept)["f1"].mean() > raw
    save_model(denoiser, tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.estimator_.patterns_ == denoiser.estimator_.patterns_
    for a, b in zip(denoiser.explain(maps[:9]), again.explain(maps[:9]), strict=True):
        assert a.label == b.label and type(a.label) is type(b.label)
        np.testing.assert_array_equal(a.kept, b.kept)


def test_missing_class_without_pattern_warns(simulated):
    target = np.where(simulated.target == "none", "good", simulated.target)
    denoiser = CamDenoiser(WaferClassifier("wafer_unet", max_epochs=1, **TINY), random_state=0)
    with pytest.warns(UserWarning, match=r"no wafer is labeled 'none'.*none_labels"):
        denoiser.fit(simulated.maps, target)


def test_pattern_that_cannot_be_extracted_warns():
    wafers = make_wafer_maps(120, classes=["Center", "none"], shapes=[(24, 24)], random_state=0)
    target = np.where(wafers.target == "none", "none", "blob")
    target[np.flatnonzero(wafers.target == "none")[:5]] = "odd"
    with pytest.warns(UserWarning, match="'odd'"):
        clf = WaferClassifier("wafer_unet", max_epochs=1, **TINY).fit(wafers.maps, target)
    assert clf.patterns_ == ("blob",)


# Several patterns on one wafer


@pytest.fixture(scope="module")
def mixed(simulated):
    """Wafers with none, one or two patterns, as in MixedWM38."""
    two = make_planted_wafers(
        simulated, 90, kind="two", classes=["Center", "Edge-Ring"], random_state=0
    )
    maps = [*simulated.maps, *two.maps]
    return maps, np.concatenate([simulated.target, two.target])


def test_combined_classes_share_their_patterns_maps(mixed):
    maps, target = mixed
    denoiser = CamDenoiser(
        WaferClassifier("wafer_unet", max_epochs=8, **TINY), validation_fraction=0.3, random_state=0
    ).fit(maps, target)
    assert denoiser.classes_.tolist() == ["Center", "Center+Edge-Ring", "Edge-Ring", "none"]
    assert denoiser.estimator_.patterns_ == ("Center", "Edge-Ring")
    assert denoiser.estimator_.score(maps, target) > 0.8
    rows = np.flatnonzero(target == "Center+Edge-Ring")[:40]
    divided = [e.patterns for e in denoiser.explain([maps[row] for row in rows])]
    assert {name for masks in divided for name in masks} <= {"Center", "Edge-Ring"}
    assert np.mean([len(masks) == 2 for masks in divided]) > 0.5


def test_multi_hot_table_equals_combined_names(mixed):
    maps, target = mixed
    names = ["Center", "Edge-Ring"]
    table = np.array([[name in label for name in names] for label in target]).astype(int)
    options = {"max_epochs": 2, **TINY}
    by_name = WaferClassifier("wafer_unet", **options).fit(maps, target)
    by_table = WaferClassifier("wafer_unet", **options).fit(
        maps, pd.DataFrame(table, columns=names)
    )
    assert by_table.classes_.tolist() == by_name.classes_.tolist()
    np.testing.assert_array_equal(by_table.predict_proba(maps), by_name.predict_proba(maps))
    predicted = by_table.predict(maps)
    assert predicted.shape == table.shape and set(np.unique(predicted)) <= {0, 1}
    assert by_table.score(maps, table) == pytest.approx((predicted == table).all(axis=1).mean())
    with pytest.raises(ValueError, match="y has 3 columns.*Center, Edge-Ring"):
        by_table.score(maps, np.c_[table, table[:, 0]])
    # Without names of columns, the columns are numbered; scikit-learn's own scorers take it.
    plain = WaferClassifier(max_epochs=2, **TINY)
    scores = cross_val_score(plain, maps, table, cv=2, scoring="f1_micro")
    assert np.isfinite(scores).all()
    assert plain.fit(maps, table).classes_.tolist() == ["0", "0+1", "1", "none"]


def test_pattern_only_in_combinations_has_a_map(mixed):
    maps, target = mixed
    rows = np.flatnonzero(target != "Center")
    clf = WaferClassifier("wafer_unet", max_epochs=1, **TINY)
    with pytest.warns(UserWarning, match="'Center'.*combination"):
        clf.fit([maps[row] for row in rows], target[rows])
    assert clf.classes_.tolist() == ["Center+Edge-Ring", "Edge-Ring", "none"]
    assert clf.patterns_ == ("Edge-Ring",) and clf.module_.head.evidence.out_channels == 4
    assert clf.module_.head.classifier.out_features == 3
