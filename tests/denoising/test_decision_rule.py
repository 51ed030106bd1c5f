"""The decision rule by hand: which fails are kept, and when nothing is decided."""

import numpy as np
import pytest

from camdenoise.cam._on_dies import DieScores
from camdenoise.denoising._decision import AGGREGATIONS, DecisionRule, choose_classes
from camdenoise.denoising._detection import PatternDetector, detection_score
from camdenoise.wafers._classes import ClassRoles

ROLES = ClassRoles(("Center", "Loc", "Random", "none"))
#: Two clumps of fails and a single one.
GRID = np.array([[2, 2, 1, 1, 2], [2, 2, 1, 1, 1], [1, 1, 1, 2, 2], [1, 1, 1, 1, 1]], np.uint8)
SALIENCY = np.where(GRID == 2, 0.2, 0.0)
SALIENCY[:2, :2] = 0.9
STRONG = (GRID == 2) & (SALIENCY > 0.5)
BY_PATTERN = np.stack([np.ones(GRID.shape), np.zeros(GRID.shape)])


def scores(probabilities=(0.7, 0.1, 0.1, 0.1), saliency=SALIENCY):
    return DieScores(saliency, np.array(probabilities), by_pattern=BY_PATTERN)


def rule(threshold=0.5, aggregation=None, clears_none=False, calibrate=lambda s: s):
    aggregate = AGGREGATIONS[aggregation]
    return DecisionRule(ROLES, ("Center", "Loc"), calibrate, aggregate, threshold, clears_none)


def decide(the_rule, code=0, of_wafer=None, **how):
    of_wafer = scores() if of_wafer is None else of_wafer
    return the_rule.explain(GRID, of_wafer, code, **how)


@pytest.mark.parametrize("aggregation", [None, "component"])
def test_fails_from_the_threshold_on_are_kept(aggregation):
    explanation = decide(rule(aggregation=aggregation))
    np.testing.assert_array_equal(explanation.kept, STRONG)
    np.testing.assert_array_equal(explanation.removed, (GRID == 2) & ~STRONG)
    assert (explanation.label, explanation.probability) == ("Center", 0.7)
    assert explanation.verdict == "pattern"
    assert explanation.verdict_probability == pytest.approx(0.8)
    assert not explanation.abstained and list(explanation.patterns) == ["Center"]


def test_without_a_threshold_expected_f1_decides():
    np.testing.assert_array_equal(decide(rule(threshold=None)).kept, STRONG)


def test_saliency_is_calibrated_before_the_threshold():
    explanation = decide(rule(calibrate=lambda saliency: saliency / 10))
    assert explanation.abstained and explanation.saliency.max() == pytest.approx(0.09)


def test_fails_are_divided_between_patterns():
    by_pattern = BY_PATTERN.copy()
    by_pattern[1, :, :1] = 2
    explanation = decide(rule(), of_wafer=scores()._replace(by_pattern=by_pattern))
    assert explanation.verdict == "mixed"
    assert {name: int(mask.sum()) for name, mask in explanation.patterns.items()} == {
        "Center": 2, "Loc": 2
    }  # fmt: skip
    whole = decide(rule(), divides=False)
    assert whole.verdict == "pattern" and list(whole.patterns) == ["Center"]


@pytest.mark.parametrize(
    ("code", "probabilities", "verdict", "label"),
    [
        (2, (0.1, 0.1, 0.7, 0.1), "everywhere", "Random"),
        (3, (0.1, 0.1, 0.1, 0.7), "none", "none"),
        (3, (0.1, 0.4, 0.1, 0.4), "unsure", "Loc"),
    ],
)
def test_wafer_without_a_claim_keeps_its_fails(code, probabilities, verdict, label):
    explanation = decide(rule(), code, scores(probabilities))
    assert explanation.abstained and (explanation.kept == (GRID == 2)).all()
    assert (explanation.verdict, explanation.label) == (verdict, label)
    assert not explanation.claims_pattern and explanation.patterns == {}
    of_verdict = {"everywhere": 0.7, "none": 0.7, "unsure": 0.5}[verdict]
    assert explanation.verdict_probability == pytest.approx(of_verdict)
    # Without a pattern all fails are random.
    assert explanation.random.sum() == (7 if verdict == "none" else 0)
    assert not decide(rule(), code, scores(probabilities), always=True).abstained


def test_none_is_cleared_only_where_it_is_likely():
    likely, unlikely = scores((0.2, 0.1, 0.1, 0.6)), scores((0.3, 0.2, 0.1, 0.4))
    cleared = decide(rule(clears_none=True), 3, of_wafer=likely)
    assert not cleared.abstained and not cleared.kept.any() and cleared.verdict == "none"
    assert decide(rule(clears_none=True), 3, of_wafer=unlikely).abstained
    assert decide(rule(clears_none=True), 2, of_wafer=scores((0, 0, 1.0, 0))).abstained


def test_a_pattern_unlike_the_known_ones_is_marked():
    explanation, known = decide(rule(), novelty=1.1), decide(rule(), novelty=1.0)
    assert explanation.verdict == "unknown pattern" and explanation.novel
    assert (explanation.label, explanation.novelty) == ("Center", 1.1)
    np.testing.assert_array_equal(explanation.kept, known.kept)
    assert known.verdict == "pattern"


def test_wafer_without_fails_has_no_pattern():
    for code in range(4):
        found = rule().explain(np.ones_like(GRID), scores((0.9, 0.05, 0.04, 0.01)), code)
        assert (found.verdict, found.label) == ("none", "none") and not found.kept.any()


def test_no_evidence_abstains():
    nothing = scores(saliency=np.zeros(GRID.shape))
    assert decide(rule(threshold=0.0), of_wafer=nothing).abstained
    assert decide(rule(threshold=0.95)).verdict == "unsure"


def test_a_pattern_at_the_untested_half_abstains():
    whole = np.hypot(*np.indices((31, 31)) - 15) <= 15
    grid = np.where(whole & (np.arange(31) < 14), 1, 0).astype(np.uint8)
    grid[12:19, 9:14] = np.where(grid[12:19, 9:14] == 1, 2, 0)
    of_wafer = scores(saliency=np.where(grid == 2, 0.9, 0.0))
    of_wafer = of_wafer._replace(by_pattern=np.ones((2, 31, 31)))
    for code in (0, 3):
        found = rule().explain(grid, of_wafer, code)
        assert found.abstained and found.verdict == "partial"
        assert np.isnan(found.verdict_probability)
    assert not rule().explain(grid, of_wafer, 0, always=True).abstained


def test_choose_classes_by_hand():
    found = [
        scores((0.4, 0.1, 0.1, 0.4)),  # detected: the likelier pattern
        scores((0.4, 0.1, 0.1, 0.4), np.full(GRID.shape, 1e-6)),  # not: the likelier other class
        scores((0.1, 0.2, 0.6, 0.1)),  # fails everywhere are likelier than all patterns
    ]
    grids = [GRID] * 3
    background = [detection_score(GRID, np.full(GRID.shape, 0.1), 0.4)]
    detector = PatternDetector(0.0).fit(np.array(background))
    assert choose_classes(grids, found, ROLES, detector).tolist() == [0, 3, 2]
    assert choose_classes(grids, found, ROLES, None).tolist() == [0, 0, 2]
    assert choose_classes(grids, found, ROLES, PatternDetector(None).fit([])).tolist() == [0, 0, 1]
    assert choose_classes([], [], ROLES, detector).tolist() == []


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 1.0])
def test_detector_holds_its_rate_on_the_background(rate):
    background = np.sort(np.random.default_rng(0).normal(size=400))
    detector = PatternDetector(rate).fit(background)
    detected = detector.predict(background, np.ones(400), np.zeros(400))
    assert rate - 0.01 <= detected.mean() <= rate
    ties = PatternDetector(0.3).fit(np.zeros(10))
    assert not ties.predict(np.zeros(10), np.ones(10), np.zeros(10)).any()
