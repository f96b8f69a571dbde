"""Verdicts: each outcome, its border, and that better numbers never make it worse."""

import random

import pytest

from cgnlib.report.verdicts import (
    NOT,
    NOT_RUN,
    PARTLY,
    REPRODUCED,
    counterfactual_quality,
    robustness,
)

RANK = {NOT: 0, PARTLY: 1, REPRODUCED: 2}


def accuracies(**cgn):
    return {v: {"original": [0.1, 0.2], "gan": [0.15], "cgn": list(of)} for v, of in cgn.items()}


@pytest.mark.parametrize(
    ("cgn", "outcome", "met"),
    [
        ({"a": [0.9, 0.8], "b": [0.7]}, REPRODUCED, ("a", "b")),
        ({"a": [0.9, 0.8], "b": [0.4]}, PARTLY, ("a",)),
        ({"a": [0.9, 0.4], "b": [0.9]}, PARTLY, ("b",)),  # the worst seed decides
        ({"a": [0.3], "b": [0.4]}, NOT, ()),
        ({"a": [0.9]}, NOT_RUN, ()),
        ({"a": [0.9], "b": []}, NOT_RUN, ()),
    ],
)
def test_outcomes_of_robustness(cgn, outcome, met):
    verdict = robustness(accuracies(**cgn), ("a", "b"))
    assert (verdict.outcome, verdict.met) == (outcome, met) and str(verdict) == outcome


@pytest.mark.parametrize("left_out", ["original", "gan", "cgn"])
def test_robustness_without_a_training_set_was_not_run(left_out):
    of = accuracies(a=[0.9])
    del of["a"][left_out]
    assert robustness(of, ("a",)).outcome == NOT_RUN


def test_a_gan_that_helps_as_much_refutes_robustness():
    of = accuracies(a=[0.9])
    of["a"]["gan"] = [0.1, 0.61]
    assert robustness(of, ("a",)).outcome == NOT


def test_effects_of_robustness_are_mean_gains():
    verdict = robustness(accuracies(a=[0.9, 0.7], b=[0.2]), ("a", "b"))
    assert verdict.effects == pytest.approx({"a": 0.65, "b": 0.05})


@pytest.mark.parametrize(("cgn", "other"), [(0.5, 0.2), (0.4, 0.1), (0.7, 0.4), (0.9, 0.6)])
def test_a_lead_of_just_the_margin_counts(cgn, other):
    def outcome(of_cgn):
        of = {"a": {"original": [other], "gan": [0.1], "cgn": [of_cgn]}}
        return robustness(of, ("a",), margin=0.3).outcome

    assert outcome(cgn) == REPRODUCED and outcome(cgn - 1e-4) == NOT


def test_better_counterfactuals_never_worsen_robustness():
    draw = random.Random(0)
    seen = set()
    for _ in range(300):
        of = {
            v: {s: [draw.random() ** p for _ in range(2)] for s, p in
                (("original", 3), ("gan", 3), ("cgn", 0.5))}
            for v in "ab"
        }  # fmt: skip
        before = robustness(of, "ab")
        better = {
            v: sets | {"cgn": [a + draw.random() * (1 - a) for a in sets["cgn"]]}
            for v, sets in of.items()
        }
        worse = {
            v: sets | {"gan": [min(1, a + 0.2) for a in sets["gan"]]} for v, sets in of.items()
        }
        assert RANK[robustness(better, "ab").outcome] >= RANK[before.outcome]
        assert RANK[robustness(worse, "ab").outcome] <= RANK[before.outcome]
        assert set(before.met) <= set(robustness(better, "ab").met)
        seen.add(before.outcome)
    assert seen == set(RANK)


@pytest.mark.parametrize(
    ("read", "outcome", "met"),
    [
        ({"a": 0.9, "b": 0.45}, REPRODUCED, ("a", "b")),
        ({"a": 0.79, "b": 0.4}, PARTLY, ("b",)),  # 0.4 is four fifths of what is possible
        ({"a": 0.79, "b": 0.39}, NOT, ()),
        ({"a": 0.9}, NOT_RUN, ()),
    ],
)
def test_outcomes_of_counterfactual_quality(read, outcome, met):
    verdict = counterfactual_quality(read, {"a": 1.0, "b": 0.5}, ("a", "b"))
    assert (verdict.outcome, verdict.met) == (outcome, met)


def test_effects_of_counterfactual_quality_are_shares_of_the_ceiling():
    verdict = counterfactual_quality({"a": 0.6}, {"a": 0.8}, ("a",))
    assert verdict.effects == pytest.approx({"a": 0.75})


def test_better_reading_never_worsens_quality():
    draw = random.Random(1)
    for _ in range(200):
        read, ceiling = {v: draw.random() for v in "abc"}, dict.fromkeys("abc", 0.9)
        before = counterfactual_quality(read, ceiling, "abc")
        better = {v: x + draw.random() * (1 - x) for v, x in read.items()}
        after = counterfactual_quality(better, ceiling, "abc")
        assert RANK[after.outcome] >= RANK[before.outcome] and set(before.met) <= set(after.met)
