"""Synthetic wafers to train and calibrate on, of labels by any name."""

import hashlib
import warnings

import numpy as np
import pytest
from maps_of_shapes import some_maps

from camdenoise.datasets import (
    PATTERN_CLASSES,
    make_planted_wafers,
    make_wafer_maps,
)
from camdenoise.datasets._extraction import extract_pattern
from camdenoise.datasets._recognition import recognize_shape
from camdenoise.datasets._training_sets import (
    NOTHING,
    make_calibration_wafers,
    make_training_wafers,
)
from camdenoise.wafers._classes import ClassRoles

MAKERS = [make_training_wafers, make_calibration_wafers]
#: Names in the same order, of which none tells the shape.
OTHER_NAMES = {
    "Center": "a0 x",
    "Donut": "b 도넛",
    "Edge-Loc": "c",
    "Edge-Ring": "d edge ring",
    "Loc": "e",
    "Near-full": "f full",
    "Random": "g random",
    "Scratch": "h 스크래치",
    "none": "i ok",
}
OTHER_ROLES = {"none": "i ok", "everywhere": ["f full", "g random"]}


def rename(target, names):
    return np.array([names.get(label, label) for label in target.tolist()])


def make(maker, maps, target, n_samples=150, **roles):
    """Make wafers with all warnings as errors."""
    roles = ClassRoles(np.unique(target), **roles)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return maker(maps, target, roles, n_samples, np.random.RandomState(7))


def bar(grid):
    """Mark a shape that no rule knows: four rows of dies through the middle."""
    rows = np.indices(grid.shape)[0]
    return (abs(rows - (len(grid) - 1) / 2) < 2) & (grid > 0)


def barred_wafers(label, n_wafers=30, noise_rate=0.02):
    """Wafers of a shape that no rule knows, and as many without a pattern."""
    made = make_wafer_maps(
        2 * n_wafers, classes=["none"], shapes=(30, 30), noise_rate=noise_rate, random_state=1
    )
    maps = [
        np.where(bar(grid), 2, grid).astype(np.uint8) if row < n_wafers else grid
        for row, grid in enumerate(made.maps)
    ]
    target = np.array([label] * n_wafers + ["none"] * n_wafers, object)
    return maps, target


def assert_same(made, other):
    assert all(map(np.array_equal, made.maps, other.maps)) and len(made.maps) == len(other.maps)
    assert all(map(np.array_equal, made.truth, other.truth))


# Labels by other names


@pytest.mark.parametrize("maker", MAKERS)
def test_renamed_labels_get_the_same_wafers(labeled, maker):
    named = make(maker, labeled.maps, labeled.target)
    other = make(maker, labeled.maps, rename(labeled.target, OTHER_NAMES), **OTHER_ROLES)
    assert_same(named, other)
    assert named.patterns == PATTERN_CLASSES
    assert other.patterns == tuple(OTHER_NAMES[label] for label in PATTERN_CLASSES)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_renamed_labels_get_the_same_real_wafers(dev, maker, seed):
    rows = np.sort(np.random.RandomState(seed).permutation(len(dev.maps))[:1500])
    maps, target = [dev.maps[row] for row in rows], dev.target[rows]
    named = make(maker, maps, target)
    assert_same(named, make(maker, maps, rename(target, OTHER_NAMES), **OTHER_ROLES))


def test_wm811k_names_give_the_recorded_wafers(mini_wafers):
    digests = []
    for maker, n_samples in ((make_training_wafers, 600), (make_calibration_wafers, 60)):
        made = make(maker, mini_wafers.maps, mini_wafers.target, n_samples)
        parts = b"".join(part.tobytes() for part in (*made.maps, *made.truth))
        digests.append(hashlib.sha256(parts).hexdigest()[:16])
    # Of the commit bb1dab0, which knew no other names.
    assert digests == ["1a113b85745cc131", "2d1ca393ba5a8f91"]


@pytest.mark.parametrize("maker", MAKERS)
def test_labels_keep_their_type(labeled, maker):
    codes = np.array([[*PATTERN_CLASSES, "none"].index(label) for label in labeled.target])
    made = make(maker, labeled.maps, codes + 11, none=17)
    assert made.patterns == (11, 12, 13, 14, 15, 16)
    assert all(type(label) is int for label in made.patterns)
    assert_same(made, make(maker, labeled.maps, labeled.target))


def test_synthetic_wafer_labels_name_their_patterns(labeled):
    target = rename(labeled.target, OTHER_NAMES)
    made = make(make_training_wafers, labeled.maps, target, **OTHER_ROLES)
    for labels, truth in zip(made.labels, made.truth, strict=True):
        assert len(labels) == len(truth) == len(set(labels)) and set(labels) <= set(made.patterns)
    pairs = {frozenset(labels) for labels in made.labels if len(labels) == 2}
    assert len(pairs) > 5
    assert not {frozenset(("a0 x", "b 도넛")), frozenset(("c", "d edge ring"))} & pairs


def test_labels_of_one_place_are_not_combined(labeled):
    left = [label if row % 2 else f"{label} 2" for row, label in enumerate(labeled.target)]
    rows = np.flatnonzero(np.isin(labeled.target, ["Center", "Scratch"]))
    bare = np.flatnonzero(labeled.target == "none")
    maps = [labeled.maps[row] for row in (*rows, *bare)]
    target = np.array([left[row] for row in rows] + ["none"] * len(bare))
    made = make(make_training_wafers, maps, target)
    pairs = {labels for labels in made.labels if len(labels) == 2}
    assert ("Center", "Center 2") not in pairs and ("Scratch", "Scratch 2") in pairs


def test_combined_names_count_as_their_patterns(labeled):
    target = labeled.target.astype(object)
    ring = np.flatnonzero(target == "Edge-Ring")[:5]
    target[ring] = "Center+Edge-Ring"
    made = make(make_training_wafers, labeled.maps, target)
    assert made.patterns == PATTERN_CLASSES
    assert {len(label.split("+")) for labels in made.labels for label in labels} == {1}


# Shapes


def test_general_rule_extracts_unknown_shapes():
    maps, _ = barred_wafers("x")
    assert recognize_shape(maps[:30]) is None
    clean = np.where(bar(maps[0]), 2, np.minimum(maps[0], 1)).astype(np.uint8)
    np.testing.assert_array_equal(extract_pattern(clean, None), clean == 2)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("label", ["스크래치", 17])
def test_unknown_shape_is_planted_and_blurred(maker, label):
    maps, target = barred_wafers(label)
    made = maker(maps, target, ClassRoles((label, "none")), 60, np.random.RandomState(0))
    assert made.patterns == (label,)
    sizes = np.array([truth.sum() for truth in made.truth]) / bar(maps[0]).sum()
    assert (sizes > 0.95).any() and ((0 < sizes) & (sizes < 0.8)).any()
    for grid, truth in zip(made.maps, made.truth, strict=True):
        assert (grid[truth.reshape(-1, *grid.shape).any(axis=0)] == 2).all()


def test_blurred_pattern_is_near_the_real_one():
    maps, target = barred_wafers("x")
    wafers = {"maps": maps, "target": target, "groups": np.arange(len(maps))}
    made = make_planted_wafers(wafers, 40, kind="diffuse", classes="x", random_state=0)
    rate = np.mean(made.truth, axis=0).mean(axis=1)
    assert (rate[13:17] > 0.5).all() and rate[[12, 17]].max() < rate[13:17].min()
    assert 0 < rate[[12, 17]].min() and rate[[0, 1, 2, 27, 28, 29]].max() < 0.02
    assert made.parents.shape == (40, 2) and (target[made.parents[:, 1]] == "x").all()


# What is not made is told


def fails_with(maker, maps, target, match, **roles):
    roles = ClassRoles(sorted(set(target.tolist())), **roles)
    with pytest.warns(UserWarning, match=match) as told:
        made = maker(maps, target, roles, 60, np.random.RandomState(0))
    assert len(told) == 1 and "none_labels" in str(told[0].message)
    return made


@pytest.mark.parametrize("maker", MAKERS)
def test_missing_none_class_warns(maker):
    maps, target = barred_wafers("x")
    target[target == "none"] = "Random"
    made = fails_with(maker, maps, target, "'x': no wafers are labeled 'ok'", none="ok")
    assert made.maps == [] and made.patterns == ()


@pytest.mark.parametrize("maker", MAKERS)
def test_too_few_clean_wafers_warn(maker):
    maps, target = barred_wafers("x", n_wafers=2)
    match = (
        "'x': class 'x' has 2 wafers clean enough to read the pattern off, among 2; 3 are needed"
    )
    assert fails_with(maker, maps, target, match).patterns == ()


@pytest.mark.parametrize("maker", MAKERS)
def test_patterns_only_in_combination_warn(maker, labeled):
    target = labeled.target.astype(object)
    target[target == "Donut"] = "Donut+Loc"
    match = "'Donut': only in combination with others, on 70 wafers. So no die-by-die evidence"
    made = fails_with(maker, labeled.maps, target, match)
    assert made.patterns == tuple(label for label in PATTERN_CLASSES if label != "Donut")


def test_classes_without_wafers_warn(labeled):
    rows = np.flatnonzero(labeled.target != "Loc")
    maps, target = [labeled.maps[row] for row in rows], labeled.target[rows]
    roles = ClassRoles((*PATTERN_CLASSES, "none"))
    with pytest.warns(UserWarning, match="'Loc': none of the 420 wafers has it"):
        made = make_calibration_wafers(maps, target, roles, 20, np.random.RandomState(0))
    assert "Loc" not in made.patterns


def test_missing_backgrounds_simulate_known_shapes(labeled):
    rows = np.flatnonzero(np.isin(labeled.target, ["Edge-Ring", "Scratch"]))
    maps, target = [labeled.maps[row] for row in rows], labeled.target[rows].astype(object)
    target[target == "Edge-Ring"] = "edge ring"
    odd, other = barred_wafers("x")
    maps, target = maps + odd[:30], np.concatenate([target, other[:30]])
    made = fails_with(make_training_wafers, maps, target, "'x': no wafers are labeled 'none'")
    assert made.patterns == ("Scratch", "edge ring")
    assert {grid.shape for grid in made.maps} <= {grid.shape for grid in maps}


def test_simulated_labels_of_one_shape_take_turns(labeled):
    rows = np.flatnonzero(labeled.target == "Edge-Ring")
    maps = [labeled.maps[row] for row in rows]
    target = np.array(["p", "q"] * len(rows))[: len(rows)]
    made = make(make_training_wafers, maps, target)
    counts = {label: made.labels.count((label,)) for label in ("p", "q")}
    assert counts == {"p": 75, "q": 75}


def test_zero_requested_wafers_do_not_warn(labeled):
    assert make(make_training_wafers, labeled.maps, labeled.target, 0) == NOTHING


def test_label_without_background_leaves_others_alone(labeled):
    maps, target = barred_wafers("x")
    large = [np.kron(grid, np.ones((3, 3), np.uint8)) for grid in maps[:30]]
    made = fails_with(
        make_training_wafers,
        labeled.maps + large,
        np.concatenate([labeled.target, target[:30]]),
        "'x': no wafer without a pattern has a grid that it fits",
    )
    assert made.patterns == PATTERN_CLASSES
    assert any(len(labels) == 2 for labels in made.labels)


# The public function


def test_planted_wafers_take_any_label(labeled):
    names = OTHER_NAMES | {"Scratch": "scratch"}
    wafers = dict(labeled) | {"target": rename(labeled.target, names)}
    options = {"kind": "two", "random_state": 0}
    other = make_planted_wafers(
        wafers, 20, classes=["a0 x", "scratch"], none_labels="i ok", **options
    )
    named = make_planted_wafers(labeled, 20, classes=["Center", "Scratch"], **options)
    assert_same(named, other)
    assert set(other.target) == {"a0 x+scratch"}
    with pytest.raises(ValueError, match=r"classes must be some of .*'scratch'.* got \['i ok'\]"):
        make_planted_wafers(wafers, 5, classes=["i ok"], none_labels="i ok")
    with pytest.raises(ValueError, match="no wafer of class 'none' .*`none_labels`"):
        make_planted_wafers(wafers, 5, classes=["scratch"])


def test_numbers_as_labels_are_written_as_text():
    maps, target = barred_wafers(17)
    wafers = {"maps": maps, "target": target, "groups": np.arange(len(maps))}
    made = make_planted_wafers(wafers, 5, classes=17, random_state=0)
    assert made.target.tolist() == ["17"] * 5 and made.available[17] == 30


def test_diffuse_wafers_of_all_shapes_have_two_sources(labeled):
    maps, target = barred_wafers("x")
    wafers = {"maps": labeled.maps + maps, "target": np.r_[labeled.target, target]}
    wafers["groups"] = np.arange(len(wafers["maps"]))
    made = make_planted_wafers(wafers, 20, kind="diffuse", classes=["x", "Loc"], random_state=0)
    known = made.target == "Loc"
    assert (made.parents[known, 0] == made.parents[known, 1]).all()
    assert made.frame["pattern_row"].isna().tolist() == known.tolist()


def test_real_wafers_give_synthetic_training_wafers(mini_wafers):
    before = [grid.copy() for grid in mini_wafers.maps]
    roles = ClassRoles(tuple(np.unique(mini_wafers.target).tolist()))
    made = make_training_wafers(
        mini_wafers.maps, mini_wafers.target, roles, 200, np.random.RandomState(0)
    )
    assert 150 <= len(made.maps) == len(made.labels) == len(made.truth) <= 201
    numbers = np.bincount([len(labels) for labels in made.labels], minlength=3)
    assert numbers[0] == 12 and numbers[1] > 80 and numbers[2] > 10
    for grid, labels, truth in zip(*made[:3], strict=True):
        assert truth.shape == (len(labels), *grid.shape) and (grid[truth.any(0)] == 2).all()
    for grid, same in zip(mini_wafers.maps, before, strict=True):
        np.testing.assert_array_equal(grid, same)


def test_missing_backgrounds_simulate_on_same_grids():
    maps, target = some_maps([(12, 14), (20, 20), (2, 2)]), np.array(["Loc", "Center", "x"])
    roles = ClassRoles(("Center", "Loc", "x"))
    with pytest.warns(UserWarning, match="'x'"):
        made = make_training_wafers(maps, target, roles, 30, np.random.RandomState(0))
    assert len(made.maps) == 30 and {grid.shape for grid in made.maps} == {(12, 14), (20, 20)}
    assert {label for labels in made.labels for label in labels} == {"Loc", "Center"}
