"""Sentences that change with the numbers behind them."""

import pandas as pd
import pytest

from cgnbook import records, scorecard, verdict
from cgnbook import words as remarks
from cgnbook.findings import Claim, Finding
from cgnbook.set_size import Effect


def test_names_are_listed():
    assert remarks.listed(["a"]) == "a" and remarks.listed([]) == "nothing"
    assert remarks.listed(["a", "b", "c"]) == "a, b and c"


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


def test_the_variants_that_miss_the_rule_are_named():
    read = {"colored": 0.5, "double_colored": 0.9, "wildlife": 0.9}
    ceiling = dict.fromkeys(read, 1.0)
    assert remarks.digits_short(read, ceiling) == "C-MNIST falls short"
    assert remarks.digits_short(ceiling, ceiling) == "no variant falls short"


@pytest.mark.parametrize(
    ("generators", "words"),
    [
        (["published"] * 2, "the published ones alone"),
        (["trained-0", "trained-2"], "two of our own for each variant alone"),
        (["trained-0", "published"], "the published ones and one of our own for each variant"),
    ],
)
def test_the_cgns_that_were_judged_are_named(generators, words):
    assert remarks.cgns_judged(pd.DataFrame({"generator": generators})) == words


def test_usable_digits_are_those_of_a_variant_and_its_cgns():
    columns = ["metric", "variant", "generator", "value"]
    rows = [
        ("usable_digits", "colored", "published", "9"),
        ("usable_digits", "colored", "trained-0", "6"),
        ("usable_digits", "colored", "trained-1", "7"),
        ("usable_digits", "wildlife", "published", "4"),
        ("mask_iou", "colored", "published", "0.5"),
    ]
    frame = pd.DataFrame(rows, columns=columns)
    assert scorecard.usable(frame, "colored", "published") == 9
    assert scorecard.usable(frame, "colored") == 6.5


def test_a_loss_is_needed_where_fewer_parts_are_read_without_it():
    reads = {"none": 0.7, "shape": 0.8, "texture": 0.6, "background": 0.2, "reconstruction": 0.3}
    measured = {a: {"all_read": [v]} for a, v in reads.items()}
    said = remarks.losses_by_probe(measured)
    assert "three of the four groups" in said and said.endswith("without L_shape it is no fewer")
    measured["shape"]["all_read"] = [0.1]
    assert "four of the four groups" in remarks.losses_by_probe(measured)


def accuracies(union, alone, gan=(0.1,)):
    return {"wildlife": {"original+cgn": union, "cgn": alone, "gan": gan, "original": (0.08,)}}


def test_the_union_is_judged_beyond_its_seeds():
    said = remarks.union_against_alone
    assert said(accuracies((0.5, 0.6), (0.3, 0.4))) == "the union is better on W-MNIST"
    assert said(accuracies((0.1, 0.2), (0.3, 0.4))) == "the union is worse on W-MNIST"
    assert said(accuracies((0.1, 0.35), (0.3, 0.4))) == "on W-MNIST the seeds overlap"


def test_the_gain_of_a_gan_and_the_cells_that_were_run():
    of = accuracies((0.5,), (0.4,))
    assert remarks.gan_gain(of) == pytest.approx(2)
    assert remarks.cells_run(of) == "4 of the 15 cells"
    assert remarks.seeds_run({"colored": {"cgn": [0.5, 0.6]}}) == "two seeds each"
    assert remarks.seeds_run({"colored": {"cgn": [0.5]}}) == "one seed each"
    assert (
        remarks.seeds_run({"a": {"cgn": [0.5], "original": [0.1] * 5}}) == "one to five seeds each"
    )
    assert remarks.gan_gain(scorecard.told_accuracies("article")) < 1


def test_overlap_is_judged_beyond_its_seeds():
    rows = [
        {"variant": v, "train_on": t, "metric": "study_iou", "value": value}
        for v, pairs in (
            ("colored", ((0.5, 0.6), (0.1, 0.2))),
            ("double_colored", ((0.1, 0.2), (0.5, 0.6))),
            ("wildlife", ((0.1, 0.4), (0.3, 0.5))),
        )
        for t, values in zip(("original", "cgn"), pairs, strict=True)
        for value in values
    ]
    assert remarks.overlap_changes(pd.DataFrame(rows)) == (
        "raises the number on DC-MNIST; lowers it on C-MNIST; "
        "on W-MNIST moves it by no more than the seeds differ"
    )
    assert "W-MNIST" in remarks.overlap_changes(records.read("explanations", "mini"))


def test_the_size_rule_is_counted():
    found = {
        "study": {"colored": Effect(0.3, 0.01), "wildlife": Effect(0.3, 0.29)},
        "live": {"colored": Effect(0.0, 0.0)},
    }
    assert remarks.size_rule(found) == (
        "on 1 of 2 variants in the study's numbers and on 0 of 1 variants in this run"
    )


def test_the_sentence_follows_the_verdicts():
    def claims(last):
        outcomes = (verdict.REPRODUCED, verdict.REPRODUCED, last)
        return [Claim("Claim 3, x", "", "", "", {"This run": Finding(o)}) for o in outcomes]

    assert "in every comparison" in remarks.in_one_sentence(claims(verdict.REPRODUCED))
    assert "holds in 2 of the 3" in remarks.in_one_sentence(claims(verdict.PARTLY))


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0004, "less than once in 1,000 times"),
        (0.001, "less than once in 100 times"),
        (0.03, "less than once in 20 times"),
        (0.05, "in 5 of a hundred times"),
        (1.0, "in 100 of a hundred times"),
    ],
)
def test_a_small_probability_is_not_told_finer_than_it_is(share, words):
    assert remarks.rarely(share) == words
