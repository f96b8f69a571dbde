"""Intervals of effects: the values of the literature, and the order that they must keep."""

import pytest

from cgnbook import verdict


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
