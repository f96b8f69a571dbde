"""Sentences that change with the numbers behind them."""

import pytest

from cgnbook import findings, verdict
from cgnbook import words as remarks
from cgnbook.findings import Claim, Finding


@pytest.mark.parametrize(
    ("shape", "texture", "words"),
    [
        (0.7, 1.0, "Shape falls short of the rule."),
        (0.7, 0.1, "Shape and texture fall short of the rule."),
        (0.9, 1.0, "No mechanism falls short of the rule."),
    ],
)
def test_the_mechanisms_that_miss_the_rule_are_named(shape, texture, words):
    cues = {"shape": shape, "texture": texture, "background": 1.0}
    assert remarks.short_of_ceiling(cues, dict.fromkeys(cues, 1.0)) == words


def test_a_loss_is_needed_where_fewer_parts_are_read_without_it():
    reads = {"none": 0.7, "shape": 0.8, "texture": 0.6, "background": 0.2, "reconstruction": 0.3}
    measured = {a: {"all_read": [v]} for a, v in reads.items()}
    said = remarks.losses_by_probe(measured)
    assert "three of the four groups" in said and said.endswith("without L_shape it is no fewer")
    measured["shape"]["all_read"] = [0.1]
    assert "four of the four groups" in remarks.losses_by_probe(measured)


def test_the_sentence_follows_the_verdicts():
    def claims(last):
        outcomes = (verdict.REPRODUCED, verdict.REPRODUCED, last)
        return [Claim("Claim 3, x", "", "", "", {"This run": Finding(o)}) for o in outcomes]

    assert "in every comparison" in findings.in_one_sentence(claims(verdict.REPRODUCED))
    assert "holds in 2 of the 3" in findings.in_one_sentence(claims(verdict.PARTLY))
