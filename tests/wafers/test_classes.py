"""What the labels of a classifier stand for."""

import numpy as np
import pytest

from camdenoise.wafers._classes import ClassRoles, as_labels


@pytest.mark.parametrize(
    ("given", "labels"),
    [
        ("edge ring", ("edge ring",)),
        (17, (17,)),
        (None, ()),
        (["a", 0], ("a", 0)),
        (np.array([3, 4]), (3, 4)),
        (np.str_("a"), ("a",)),
        (np.array("a"), ("a",)),
        ((np.int64(3), True), (3, True)),
    ],
)
def test_labels_become_a_tuple_of_plain_values(given, labels):
    found = as_labels(given)
    assert found == labels and list(map(type, found)) == list(map(type, labels))


def test_class_roles_of_wm811k_names_need_no_options():
    roles = ClassRoles(("Center", "Near-full", "Random", "none"))
    assert roles.has_pattern.tolist() == [True, False, False, False]
    assert roles.is_everywhere.tolist() == [False, True, True, False]
    assert roles.is_none.tolist() == [False, False, False, True]
    assert roles.patterns == ("Center",) and roles.combination(()) == "none"


def test_labels_compare_by_value():
    roles = ClassRoles(np.array([0, 3, 17]), none=np.int64(0), everywhere=[3.0])
    assert roles.patterns == (17,) and type(roles.patterns[0]) is int
    assert roles.parts(np.int64(17)) == (17,) and roles.parts(0) == roles.parts(3) == ()
    assert roles.combination([17]) == 17 and roles.combination(()) == 0


def test_combined_label_lists_its_patterns():
    classes = ("Center+Edge-Ring", "Edge-Ring + Loc", "Loc", "none")
    roles = ClassRoles(classes)
    assert roles.patterns == ("Loc", "Center", "Edge-Ring")
    assert roles.parts("Edge-Ring + Loc") == ("Edge-Ring", "Loc")
    assert roles.combination(("Edge-Ring", "Center")) == "Center+Edge-Ring"
    assert roles.combination(("Loc", "Edge-Ring")) == "Edge-Ring + Loc"
    assert roles.combination(("Loc",)) == "Loc" and roles.combination(("Center",)) is None


@pytest.mark.parametrize(
    ("label", "parts", "is_none", "is_everywhere"),
    [
        ("none+ok", (), True, False),
        ("none+Loc", ("Loc",), False, False),
        ("Random+Loc", (), False, True),
        ("n+o", (), True, False),
        ("Loc+Loc", ("Loc",), False, False),
        ("Loc+", ("Loc+",), False, False),
        ("+", ("+",), False, False),
    ],
)
def test_combination_has_the_role_of_its_parts(label, parts, is_none, is_everywhere):
    roles = ClassRoles((label,), none=("none", "ok", "n+o"))
    assert roles.parts(label) == roles.patterns == parts
    assert roles.is_none.tolist() == [is_none]
    assert roles.is_everywhere.tolist() == [is_everywhere]


def test_class_roles_are_compared_by_value():
    assert ClassRoles(["a", "b"], none="b") == ClassRoles(("a", "b"), none=("b",))
