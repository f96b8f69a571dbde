"""Words that change with the numbers behind them."""

import pytest

from cgnbook import words


def test_names_are_listed():
    assert words.listed(["a"]) == "a" and words.listed([]) == "nothing"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed(["a", "b"], "or") == "a or b"


def test_kinds_without_names_are_left_out():
    said = words.sorted_out(
        {"up": ["a", "b"], "down": []}, {"up": "up on {}", "down": "down on {}"}
    )
    assert said == "up on a and b"


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0.0004, "less than once in 1,000 times"),
        (0.001, "less than once in 100 times"),
        (0.03, "less than once in 20 times"),
        (0.05, "in 5 of a hundred times"),
        (1.0, "in 100 of a hundred times"),
    ],
)
def test_a_small_probability_is_not_told_finer_than_it_is(share, said):
    assert words.rarely(share) == said
