"""Verdicts: outcomes, badges, and the intervals of effects."""

import pytest

from cgnbook import verdict
from cgnbook.verdict import NOT, NOT_RUN, PARTLY, REPRODUCED, UNDECIDED, Verdict


@pytest.mark.parametrize(("met", "outcome"), [("ab", REPRODUCED), ("b", PARTLY), ("", NOT)])
def test_an_outcome_says_how_much_was_met(met, outcome):
    found = verdict.judged({"a": 0.1, "b": 0.2}, list(met))
    assert (found.outcome, found.met) == (outcome, tuple(met)) and str(found) == outcome


@pytest.mark.parametrize(
    ("met", "undecided", "outcome", "counted"),
    [
        ("a", "b", PARTLY, "a"),  # what cannot be seen reproduces nothing
        ("ab", "b", PARTLY, "a"),
        ("b", "b", NOT, ""),  # and saves nothing
        ("ab", "ab", UNDECIDED, ""),
    ],
)
def test_what_is_undecided_counts_for_nobody(met, undecided, outcome, counted):
    found = verdict.judged({"a": 0.1, "b": 0.2}, list(met), list(undecided))
    assert (found.outcome, found.met) == (outcome, tuple(counted))
    assert found.undecided == tuple(undecided)


def test_an_undecided_share_is_told_with_its_reader():
    found = Verdict(UNDECIDED, {"a": 0.9}, (), ("a",))
    one = verdict.shares(found, {"a": ([0.54], 100)}, {"a": 0.6}, {"a": "A"})
    assert one.effects == ("A undecided: its reader reads 60%",)


def test_each_outcome_has_a_badge():
    css = {REPRODUCED: "reproduced", PARTLY: "partly", NOT: "not", NOT_RUN: "not-run"}
    for outcome, name in css.items():
        assert verdict.badge(outcome) == f'<span class="verdict-{name}">{outcome}</span>'
    assert "verdict-not-run" in verdict.badge(verdict.NOT_MEASURED)


def test_a_share_of_a_single_cgn_has_the_interval_of_its_images():
    found = Verdict(PARTLY, {"a": 0.5}, ())
    one = verdict.shares(found, {"a": ([0.4], 100)}, {"a": 0.8}, {"a": "A"})
    low, high = verdict.of_share(0.4, 100, 0.8)
    assert one.effects == (f"A 0.50 ({low:.2f} to {high:.2f})",) and "95%" in one.unit
    two = verdict.shares(found, {"a": ([0.4, 0.6], 100)}, {"a": 0.8}, {"a": "A"})
    assert two.effects == ("A 0.50 (0.50 to 0.75)",) and "lowest to highest" in two.unit
    assert two.values == {"A": 0.5}
    same = verdict.shares(found, {"a": ([0.4, 0.401], 100)}, {"a": 0.8}, {"a": "A"})
    assert same.effects == ("A 0.50",)  # a range without a width says nothing


def test_a_range_is_over_every_pair_of_runs():
    high, low = [0.5, 0.7], [0.1, 0.2, 0.4]
    pairs = [a - b for a in high for b in low]
    assert verdict.of_difference(high, low) == pytest.approx((min(pairs), max(pairs)))


def test_single_runs_have_no_range():
    low, high = verdict.of_difference([0.8], [0.5])
    assert low == high == pytest.approx(0.3)


@pytest.mark.parametrize("high, low", [([], [0.1]), ([0.1], [])])
def test_a_range_needs_both_kinds(high, low):
    with pytest.raises(ValueError, match="either kind"):
        verdict.of_difference(high, low)


def test_the_interval_of_a_share_is_wilsons():
    """81 of 263: 25.53 to 36.62 %, Newcombe 1998, table I, method 3."""
    assert verdict.of_share(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_a_lower_ceiling_stretches_the_interval():
    of_one, of_half = verdict.of_share(0.4, 100), verdict.of_share(0.4, 100, 0.5)
    assert of_half == pytest.approx([2 * end for end in of_one])


def test_more_images_narrow_the_interval():
    few, many = (verdict.of_share(0.4, n) for n in (100, 10_000))
    assert few[0] < many[0] < 0.4 < many[1] < few[1]


@pytest.mark.parametrize("share, n, ceiling", [(0.5, 10, 0), (0.5, 10, 1.1), (1.2, 10, 1)])
def test_what_is_no_share_has_no_interval(share, n, ceiling):
    with pytest.raises(ValueError):
        verdict.of_share(share, n, ceiling)
