"""Class labels as people hand them over: nested, missing, of pandas' own types.

Sources of the cases are public issues; each is named where its symptom is tried.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import DataConversionWarning
from small_models import TINY

from camdenoise import CamDenoiser, WaferClassifier
from camdenoise.wafers._labels import check_labels, plain_label

#: LSWMD.pkl's way to write a label, and ways that saving it again turns that into.
NESTED = {
    "arrays in a Series": pd.Series([np.array([["Center"]]), np.array([["none"]])]),
    "lists in a Series": pd.Series([[["Center"]], [["none"]]]),
    "lists in a list": [[["Center"]], [["none"]]],
    "lists of one": [["Center"], ["none"]],
    "tuples of one": [("Center",), ("none",)],
    "arrays without a side": [np.array("Center"), np.array("none")],
}


@pytest.mark.parametrize("kind", NESTED)
def test_nested_labels_are_unwrapped(kind):
    assert check_labels(NESTED[kind]).tolist() == ["Center", "none"]


#: Ways to have no label for the wafers of rows 1 and 3.
MISSING = {
    # https://github.com/scikit-learn/scikit-learn/issues/10595 and
    # https://github.com/huggingface/setfit/issues/296: "'<' not supported between instances of
    # 'str' and 'NoneType'".
    "None": ["Loc", None, "none", None],
    # https://github.com/scikit-learn/scikit-learn/issues/30338: "'<' not supported between
    # instances of 'str' and 'float'"; in a list, NaN became a class called 'nan'.
    "NaN": ["Loc", float("nan"), "none", np.nan],
    "a single NaN of another width": ["Loc", np.float32("nan"), "none", None],
    "NA": pd.Series(["Loc", pd.NA, "none", pd.NA], dtype="string"),
    "categories": pd.Series(["Loc", None, "none", None], dtype="category"),
    "LSWMD's empty array": [[["Loc"]], np.zeros((0, 0)), [["none"]], [[]]],
    "MIR's 0": ["Loc", 0, "none", 0],
    "what load_wm811k gives": np.array(["Loc", "", "none", ""]),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_labels_are_counted_and_located(kind):
    message = (
        "^y has 2 missing labels, the first at row 1. Drop those wafers, or label them 'none' "
        "if they have no pattern.$"
    )
    with pytest.raises(ValueError, match=message):
        check_labels(MISSING[kind])


def test_single_missing_label_has_a_singular_message():
    message = "^y has 1 missing label, at row 2. Drop that wafer, or label it 'none' if it has no"
    with pytest.raises(ValueError, match=message):
        check_labels(["Loc", "none", None])


@pytest.mark.parametrize(
    "numbers", [[1.0, np.nan, 0.0], pd.Series([1, None, 0], dtype="Int64")], ids=["NaN", "NA"]
)
def test_numeric_labels_do_not_advise_none(numbers):
    with pytest.raises(ValueError, match="^y has 1 missing label, at row 1. Drop that wafer.$"):
        check_labels(numbers)


def test_missing_labels_ask_for_labeled_wafers():
    with pytest.raises(ValueError, match="y has no label at all: all 2 are missing. Give label"):
        check_labels([[[]], [[]]])


def test_several_labels_in_one_are_refused_by_row():
    with pytest.raises(ValueError, match=r"labels for the wafer of row 1: \['Loc', 'Scratch'\]"):
        check_labels([["Loc"], ["Loc", "Scratch"]])


def test_zero_among_numbers_is_a_class():
    assert check_labels([0, 1, 0]).tolist() == [0, 1, 0]


def test_nullable_integers_stay_integers():
    # https://github.com/scikit-learn/scikit-learn/issues/25953: "Unknown label type"; here they
    # became the classes 0.0 and 1.0.
    labels = check_labels(pd.Series([0, 1], dtype="Int64"))
    assert labels.dtype.kind == "i" and labels.tolist() == [0, 1]


def test_text_labels_keep_their_type():
    assert check_labels(["Loc", "none"]).dtype.kind == "U"
    assert check_labels(np.array(["Loc", "none"], dtype=object)).dtype == object


def test_tensor_of_labels_is_read():
    # https://github.com/skorch-dev/skorch/pull/803: np.unique on tensor labels.
    assert check_labels(torch.tensor([2, 0])).tolist() == [2, 0]


def test_table_of_one_column_is_read_with_a_warning():
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        labels = check_labels(pd.DataFrame({"failureType": [[["Loc"]], [["none"]]]}))
    assert labels.tolist() == ["Loc", "none"]


def test_plain_label_is_a_python_object():
    # https://github.com/numpy/numpy/issues/26907: lists of scalars print their type since numpy 2.
    assert repr(plain_label(np.array(["Loc"])[0])) == "'Loc'"
    assert type(plain_label(np.array([3])[0])) is int and plain_label("Loc") == "Loc"


@pytest.fixture
def nested(wafers):
    return pd.Series([np.array([[label]]) for label in wafers.target])


def test_classifier_learns_from_nested_labels(wafers, nested):
    plain = WaferClassifier(**TINY).fit(wafers.maps, wafers.target)
    clf = WaferClassifier(**TINY).fit(wafers.maps, nested)
    assert clf.classes_.tolist() == plain.classes_.tolist()
    assert clf.score(wafers.maps, nested) == plain.score(wafers.maps, wafers.target) > 0.5


def test_calibrating_reads_nested_labels(classifier, wafers, nested):
    before = classifier.temperature_
    try:
        nested_temperature = classifier.calibrate(wafers.maps, nested).temperature_
        assert classifier.calibrate(wafers.maps, wafers.target).temperature_ == nested_temperature
    finally:
        classifier.temperature_ = before


def test_denoiser_is_fitted_on_nested_labels(wafers, nested):
    denoiser = CamDenoiser(WaferClassifier(**TINY | {"max_epochs": 1})).fit(wafers.maps, nested)
    assert denoiser.classes_.tolist() == ["Center", "Edge-Ring", "Scratch"]


@pytest.mark.parametrize("method", ["fit", "score", "calibrate"])
def test_classifier_refuses_missing_labels(method, classifier, wafers):
    y = [None, *wafers.target[1:]]
    with pytest.raises(ValueError, match="y has 1 missing label, at row 0"):
        getattr(classifier, method)(wafers.maps, y)


@pytest.mark.parametrize("method", ["fit", "fit_transform"])
def test_denoiser_refuses_missing_labels(method, wafers):
    y = pd.Series(wafers.target).where(np.arange(len(wafers.target)) % 10 != 3)
    with pytest.raises(ValueError, match="y has 12 missing labels, the first at row 3"):
        getattr(CamDenoiser(WaferClassifier(**TINY)), method)(wafers.maps, y)


def test_labels_of_an_explanation_are_plain(classifier, wafers):
    from sklearn.frozen import FrozenEstimator

    denoiser = CamDenoiser(FrozenEstimator(classifier)).fit(wafers.maps)
    (why,) = denoiser.explain(wafers.maps[:1])
    assert type(why.label) is str and "np." not in repr(why)
